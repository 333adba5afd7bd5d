"""How right the models are, frame by frame, on simulated yards that training never saw."""

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from bays import BayConfig, batch_id
from capture_async.types import CaptureBatch, CapturedImage
from inference.datasets.types import LabelledObject
from inference.drawing import drawn
from inference.service import InferenceService
from inference.types import TRACKED_CLASSES, CameraObservation, DetectedObject
from lab.training.frames import is_seen

if TYPE_CHECKING:
    from lab.simulation.truth import BlockTruth
    from lab.simulation.yard import Yard

_HOURS = (10, 13, 16, 20, 7, 2)  # bay-local, one per yard in turn
_JPEG_QUALITY = 90
_MATCH_IOU = 0.5


@dataclass(frozen=True, eq=False)
class TrueObject:
    """A visible tracked object: its class, box (4,), visible pixels (H, W) of the frame, and stage."""

    class_name: str
    box: NDArray[np.float32]
    mask: NDArray[np.bool_]
    stage: str | None


@dataclass
class Tally:
    """What adds up over frames."""

    found: dict[str, list[tuple[float, bool]]] = field(default_factory=lambda: defaultdict(list))
    true: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    mask_iou: list[float] = field(default_factory=list)
    stages_right: list[bool] = field(default_factory=list)
    missed: int = 0
    false: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, observed: CameraObservation, truth: Sequence[TrueObject]) -> None:
        """Match one frame's tracked objects with the truth, best confidence first, at box IoU 0.5."""
        objects = [found for found in observed.objects if found.class_name in TRACKED_CLASSES]
        for one in truth:
            self.true[one.class_name] += 1
        self._match_by_class(objects, truth)
        free = list(truth)
        for found in objects:
            partner = _best(found, free)
            if partner is None:
                self.false += 1
                continue
            free.remove(partner)
            self.mask_iou.append(_mask_iou(found, partner.mask))
            if partner.stage is not None:
                self.stages_right.append(found.stage == partner.stage)
        self.missed += len(free)

    def figures(self) -> dict[str, float]:
        """Names and values; NaN where there is nothing to measure."""
        average = {name: average_precision(self.found[name], count) for name, count in self.true.items()}
        total = sum(self.true.values())
        iou = np.array(self.mask_iou or [math.nan])
        found = len(self.mask_iou)
        result = {f"AP50 {name}": value for name, value in sorted(average.items())}
        return result | {
            "mAP50 tracked classes": float(np.mean(list(average.values()) or [math.nan])),
            "recall, any tracked class": 1 - self.missed / max(total, 1),
            "precision, any tracked class": found / max(found + self.false, 1),
            "mask IoU mean": float(iou.mean()),
            "mask IoU median": float(np.median(iou)),
            "mask IoU worst tenth": float(np.quantile(iou, 0.1)),
            "stage accuracy": sum(self.stages_right) / len(self.stages_right) if self.stages_right else math.nan,
        }

    def table(self) -> dict[str, str]:
        """Names and values, ready to print."""
        figures = {name: f"{value:.3f}" for name, value in self.figures().items()}
        figures["recall, any tracked class"] += f" of {sum(self.true.values())}"
        return figures | {"seconds per batch": f"{np.median(self.seconds or [0]):.2f}"}

    def _match_by_class(self, objects: Iterable[DetectedObject], truth: Sequence[TrueObject]) -> None:
        free = list(truth)
        for found in objects:
            partner = _best(found, [one for one in free if one.class_name == found.class_name])
            if partner is not None:
                free.remove(partner)
            self.found[found.class_name].append((found.confidence, partner is not None))


def score(
    bay: BayConfig, yards: Iterable[int], pictures: Path | None = None, device: str | None = None
) -> dict[str, str]:
    """Render one batch of every yard, observe it, compare. Annotated frames of the first go to `pictures`."""
    service = InferenceService.for_bay(bay, device)
    tally = Tally()
    for number, seed in enumerate(yards):
        batch, truth = rendered_batch(bay, seed, _HOURS[number % len(_HOURS)])
        started = time.perf_counter()
        observation = service.observe(batch)
        tally.seconds.append(time.perf_counter() - started)
        for image, camera in zip(batch.images, observation.cameras, strict=True):
            tally.add(camera, truth[camera.camera_name])
            if pictures is not None and number == 0:
                pictures.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(
                    str(pictures / f"{camera.camera_name}.jpg"),
                    drawn(image.decode(), map(LabelledObject.detected, camera.objects)),
                )
    return tally.table()


@dataclass(frozen=True)
class SimulatedSlot:
    """One slot of a simulated yard, which its frames and its truth are both taken from."""

    yard: "Yard"
    time: datetime

    def render(self) -> tuple[CaptureBatch, dict[str, list[TrueObject]]]:
        """Frames as the cameras would send them, and what is in them by camera."""
        from lab.simulation.labels import label_frame
        from lab.simulation.rendering import Renderer

        bay = self.yard.bay
        state, renderer = self.yard.at(self.time), Renderer(bay)
        images, truth = [], {}
        for camera in bay.cameras:
            frame = renderer.render(camera.name, state)
            _, jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            images.append(CapturedImage(camera.name, bay.bay_id, self.time, jpeg.tobytes()))
            truth[camera.name] = [
                TrueObject(label.class_name, label.box, label.full_mask((frame.shape[1], frame.shape[0])), label.stage)
                for label in label_frame(renderer, camera.name, state)
                if label.class_name in TRACKED_CLASSES and is_seen(label)
            ]
        return CaptureBatch(batch_id(bay.bay_id, self.time), bay.bay_id, tuple(images)), truth

    def blocks(self) -> "list[BlockTruth]":
        """What truly stands on the floor."""
        from lab.simulation.truth import truth_at

        return truth_at(self.yard, self.time)


def simulated_slot(bay: BayConfig, seed: int, hour: float) -> SimulatedSlot:
    """A yard of some 24 blocks, half a day into its history, at that hour of the bay's day."""
    from lab.simulation.yard import Yard

    local = datetime(2025, 7, 3, tzinfo=bay.zone) + timedelta(hours=hour)
    return SimulatedSlot(Yard(bay, seed=seed, blocks=24, start=local - timedelta(hours=12)), local)


def rendered_batch(bay: BayConfig, seed: int, hour: float) -> tuple[CaptureBatch, dict[str, list[TrueObject]]]:
    """The frames of `simulated_slot`, and what is in them."""
    return simulated_slot(bay, seed, hour).render()


def average_precision(found: Sequence[tuple[float, bool]], true: int) -> float:
    """Area under the precision-recall curve, precision made monotone (PASCAL VOC 2010).

    Args:
        found: (confidence, right) of every detection.
        true: number of true objects.
    """
    if true == 0 or not found:
        return 0.0
    right = np.array([hit for _, hit in sorted(found, key=lambda one: -one[0])])
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(precision[right]) / true)


def _best(found: DetectedObject, candidates: Sequence[TrueObject]) -> TrueObject | None:
    scored = [(box_iou(found.box, one.box), one) for one in candidates]
    best = max(scored, key=lambda pair: pair[0], default=None)
    return best[1] if best is not None and best[0] >= _MATCH_IOU else None


def box_iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes, each (4,): left, top, right, bottom."""
    size = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0)
    shared = float(np.prod(size))
    return shared / max(float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared, 1e-9)


def _mask_iou(found: DetectedObject, mask: NDArray[np.bool_]) -> float:
    if found.polygon is None:
        return 0.0
    # OpenCV's fillPoly would count border pixels of which less than half is covered.
    region = shapely.make_valid(shapely.Polygon(found.polygon))
    shapely.prepare(region)
    left, top, right, bottom = (int(value) for value in (*np.floor(region.bounds[:2]), *np.ceil(region.bounds[2:])))
    y, x = np.mgrid[max(top, 0) : min(bottom, mask.shape[0]), max(left, 0) : min(right, mask.shape[1])]
    inside = np.zeros(mask.shape, dtype=bool)
    inside[y, x] = shapely.contains_xy(region, x + 0.5, y + 0.5)
    return float((inside & mask).sum() / max((inside | mask).sum(), 1))
