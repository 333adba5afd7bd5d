"""How right a bay's models are on own labels: by class, by camera, by light."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from rich.table import Table

from bays import BayConfig
from inference.data_commands import counted
from inference.datasets import LabelledFrame, LabelledObject
from inference.drawing import drawn
from inference.frame_look import FrameLook
from inference.predicting import predict_frames
from inference.service import InferenceService
from inference.types import TRACKED_CLASSES
from lab.training.scores import average_precision, box_iou

_MATCH_IOU = 0.5
_UNKNOWN_CAMERA = "unknown camera"


@dataclass
class ClassScore:
    """One class: every detection of it with whether it is right, and how many there are."""

    labelled: int = 0
    found: list[tuple[float, bool]] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Recall, precision and AP50 of the class; NaN where there is nothing to measure."""
        right = sum(hit for _, hit in self.found)
        return {
            "labelled": self.labelled,
            "recall": _share(right, self.labelled),
            "precision": _share(right, len(self.found)),
            "AP50": average_precision(self.found, self.labelled) if self.labelled else math.nan,
        }


@dataclass
class GroupScore:
    """Frames that belong together: all of them, those of a camera, those of a light."""

    frames: int = 0
    classes: dict[str, ClassScore] = field(default_factory=dict)
    outline_iou: list[float] = field(default_factory=list)
    stages_right: list[bool] = field(default_factory=list)
    labelled: int = 0
    found: int = 0
    right: int = 0

    def add(self, labels: Sequence[LabelledObject], found: Sequence[LabelledObject]) -> None:
        """Match one frame at box IoU 0.5, the surest objects first: by class, and tracked ones whatever their class."""
        self.frames += 1
        for name in {thing.class_name for thing in (*labels, *found)}:
            score = self.classes.setdefault(name, ClassScore())
            own = [thing for thing in labels if thing.class_name == name]
            score.labelled += len(own)
            pairs = matched([thing for thing in found if thing.class_name == name], own)
            score.found += [(thing.confidence or 0.0, label is not None) for thing, label in pairs]
        tracked = [thing for thing in labels if thing.class_name in TRACKED_CLASSES]
        seen = [thing for thing in found if thing.class_name in TRACKED_CLASSES]
        self.labelled += len(tracked)
        self.found += len(seen)
        for thing, label in matched(seen, tracked):
            if label is None:
                continue
            self.right += 1
            if label.polygon is not None and thing.polygon is not None:
                self.outline_iou.append(outline_iou(thing.polygon, label.polygon))
            if label.stage is not None:
                self.stages_right.append(thing.stage == label.stage)

    def figures(self) -> dict[str, float]:
        """Of tracked objects: recall and precision whatever their class, mAP50, outlines, stages."""
        tracked = [self.classes[name] for name in TRACKED_CLASSES if name in self.classes]
        precisions = [average_precision(one.found, one.labelled) for one in tracked if one.labelled]
        return {
            "frames": self.frames,
            "labelled": self.labelled,
            "recall": _share(self.right, self.labelled),
            "precision": _share(self.right, self.found),
            "mAP50": float(np.mean(precisions)) if precisions else math.nan,
            "outline IoU": float(np.mean(self.outline_iou)) if self.outline_iou else math.nan,
            "stage accuracy": _share(sum(self.stages_right), len(self.stages_right)),
        }


@dataclass
class Scores:
    """Scores of all frames, of each camera and of each light."""

    all: GroupScore = field(default_factory=GroupScore)
    cameras: dict[str, GroupScore] = field(default_factory=dict)
    lights: dict[str, GroupScore] = field(default_factory=dict)

    def add(self, frame: LabelledFrame, found: Sequence[LabelledObject], light: str) -> None:
        """One frame, and what the models found in it."""
        camera = self.cameras.setdefault(frame.camera_name or _UNKNOWN_CAMERA, GroupScore())
        for group in (self.all, camera, self.lights.setdefault(light, GroupScore())):
            group.add(frame.objects, found)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, None for what could not be measured."""
        groups = {"cameras": self.cameras, "lights": self.lights}
        named = {
            kind: {name: _plain(group.figures()) for name, group in sorted(some.items())}
            for kind, some in groups.items()
        }
        classes = {name: _plain(score.figures()) for name, score in sorted(self.all.classes.items())}
        return {"all": _plain(self.all.figures()), "classes": classes, **named}

    def tables(self, title: str) -> Iterator[Table]:
        """For a person."""
        rows = [("all", self.all), *sorted(self.cameras.items()), *sorted(self.lights.items())]
        yield _table(title, "tracked objects of", [(name, group.figures()) for name, group in rows])
        yield _table("By class", "class", [(name, one.figures()) for name, one in sorted(self.all.classes.items())])


def score_labels(
    service: InferenceService, bay: BayConfig, frames: Sequence[LabelledFrame], pictures: Path | None = None
) -> Scores:
    """Run the models on labelled frames, and compare.

    Args:
        service: whose models.
        bay: of which bay they are.
        frames: the labelled frames.
        pictures: folder for the frames with what was found drawn in; None for none.

    Raises:
        DatasetError: a picture cannot be read.
    """
    result = Scores()
    with counted("scoring", len(frames)) as done:
        for label, seen in predict_frames(service, bay, frames):
            done(1)
            picture = label.decode()
            result.add(label, seen.objects, FrameLook.of(picture).light)
            if pictures is not None:
                pictures.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(pictures / f"{Path(label.name).stem}.jpg"), drawn(picture, seen.objects))
    return result


def matched(
    found: Iterable[LabelledObject], labels: Sequence[LabelledObject]
) -> list[tuple[LabelledObject, LabelledObject | None]]:
    """Each found object, the surest first, with the label that it is; a label is one object's only."""
    free, pairs = list(labels), list[tuple[LabelledObject, LabelledObject | None]]()
    for thing in sorted(found, key=lambda one: -(one.confidence or 0.0)):
        best = max(free, key=lambda label: box_iou(thing.box, label.box), default=None)
        if best is not None and box_iou(thing.box, best.box) >= _MATCH_IOU:
            free.remove(best)
            pairs.append((thing, best))
        else:
            pairs.append((thing, None))
    return pairs


def outline_iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union of two outlines, (N, 2) and (M, 2) pixels."""
    first, second = (shapely.make_valid(shapely.Polygon(outline)) for outline in (one, other))
    return float(first.intersection(second).area / max(first.union(second).area, 1e-9))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _plain(figures: dict[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else round(value, 4) for name, value in figures.items()}


def _table(title: str, first: str, rows: Sequence[tuple[str, dict[str, float]]]) -> Table:
    columns = list(rows[0][1]) if rows else []
    table = Table(first, *columns, title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, figures in rows:
        table.add_row(name, *(_shown(value) for value in figures.values()))
    return table


def _shown(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "–" if math.isnan(value) else f"{value:.3f}"
