"""Own labels as frames to train on, beside the simulated ones or in place of them.

Each picture is kept at half of a 1080p camera's resolution at most, as simulated frames are, and beside it
the number of the object that every pixel shows, drawn from the outlines.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bay_observation.errors import DatasetError
from bay_observation.files import write_atomically
from inference.datasets import LabelledFrame, LabelledObject, read_dataset
from inference.datasets.findings import refuse_other_spellings
from inference.types import OCCLUDER_CLASSES, TRACKED_CLASSES
from lab.training.frames import Label, Sample
from lab.training.hardware import cores

# Longer side of a stored picture: half of 1920.
_LONGEST_PX = 960
_JPEG_QUALITY = 92
# Numbers of objects are kept in a byte; 0 is none.
_MOST_OUTLINES = 255


@dataclass(frozen=True)
class OwnFrames:
    """Frames of own labels.

    Attributes:
        samples: to train on.
        left_out: objects of classes that the model does not know, by class.
        digest: of all the labels and pictures: SHA-256, hexadecimal.
    """

    samples: list[Sample]
    left_out: dict[str, int]
    digest: str


def own_frames(folder: Path, datasets: Sequence[Path], classes: Sequence[str]) -> OwnFrames:
    """Read data sets and keep what training needs of them in a folder; what is there already is taken.

    Raises:
        DatasetError: a data set or a picture cannot be read, nothing of it is of these classes, or one of these is
            in another spelling.
    """
    frames = [frame for path in datasets for frame in read_dataset(path).frames]
    refuse_other_spellings(frames, classes)
    digest = _digest(frames, classes)
    left_out = Counter(t.class_name for frame in frames for t in frame.objects if t.class_name not in classes)
    if sum(left_out.values()) == sum(len(frame.objects) for frame in frames):
        raise DatasetError(f"{', '.join(map(str, datasets))}: no object is of the classes {', '.join(classes)}")
    kept = folder / digest[:16]
    index = kept / "frames.json"
    if not index.exists():
        kept.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(cores()) as pool:
            jobs = [(kept / f"own_{number:05d}.jpg", frame, classes) for number, frame in enumerate(frames)]
            samples = list(pool.map(_store, jobs))
        write_atomically(index, json.dumps([_record(sample) for sample in samples]).encode())
    return OwnFrames([_sample(kept, each) for each in json.loads(index.read_text("utf-8"))], dict(left_out), digest)


def _store(job: tuple[Path, LabelledFrame, Sequence[str]]) -> Sample:
    path, frame, classes = job
    picture = frame.decode()
    height, width = picture.shape[:2]
    scale = min(1.0, _LONGEST_PX / max(height, width))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if not cv2.imwrite(str(path), small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]):
        raise DatasetError(f"{path}: cannot be written")
    objects = [thing for thing in frame.objects if thing.class_name in classes]
    numbers, drawn = _numbered(objects, (height, width))
    cv2.imwrite(str(path.with_suffix(".png")), drawn)
    labels = tuple(
        Label(thing.class_name, _box(thing, scale), thing.stage, number)
        for thing, number in zip(objects, numbers, strict=True)
    )
    return Sample(path, (small.shape[1], small.shape[0]), labels)


def _numbered(objects: Sequence[LabelledObject], shape: tuple[int, int]) -> tuple[list[int], NDArray[np.uint8]]:
    """Numbers of the outlined objects (0 for others), and the picture of them, the smaller ones on top."""
    numbers, drawn = [0] * len(objects), np.zeros(shape, dtype=np.uint8)
    segmented = TRACKED_CLASSES + OCCLUDER_CLASSES
    outlines = {
        i: thing.polygon
        for i, thing in enumerate(objects)
        if thing.polygon is not None and thing.class_name in segmented
    }
    largest_first = sorted(outlines, key=lambda i: -cv2.contourArea(outlines[i]))[:_MOST_OUTLINES]
    for number, i in enumerate(largest_first, start=1):
        cv2.fillPoly(drawn, [np.round(outlines[i] - 0.5).astype(np.int32)], number)
        numbers[i] = number
    return numbers, drawn


def _box(thing: LabelledObject, scale: float) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(value) * scale for value in thing.box)
    return left, top, right, bottom


def _record(sample: Sample) -> dict[str, Any]:
    return {"picture": sample.path.name, "size": sample.size, "labels": [asdict(label) for label in sample.labels]}


def _sample(folder: Path, record: dict[str, Any]) -> Sample:
    labels = tuple(Label(**{**label, "box": tuple(label["box"])}) for label in record["labels"])
    return Sample(folder / record["picture"], (record["size"][0], record["size"][1]), labels)


def _digest(frames: Sequence[LabelledFrame], classes: Sequence[str]) -> str:
    found = hashlib.sha256(json.dumps(list(classes)).encode())
    for frame in frames:
        found.update(frame.name.encode() + hashlib.sha256(frame.content()).digest())
        for thing in frame.objects:
            outline = b"" if thing.polygon is None else thing.polygon.tobytes()
            found.update(f"{thing.class_name} {thing.stage}".encode() + thing.box.tobytes() + outline)
    return found.hexdigest()
