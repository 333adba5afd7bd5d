"""Frames to train on: many simulated yards, seen by many cameras, with what is in them.

A data set is a folder: `00000.jpg`, `00001.jpg`, … at half of a camera's resolution, beside
each a `00000.png` at full resolution with the number of the object that every pixel shows, and
`frames.json` with the labels.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from bay_observation.errors import InferenceError
from bay_observation.files import write_atomically
from bays import BayConfig, Camera, Pose, load_bay
from inference.types import OCCLUDER_CLASSES, TRACKED_CLASSES
from lab.training.hardware import cores

if TYPE_CHECKING:
    from lab.simulation.labels import FrameLabel
    from lab.simulation.rendering import Renderer

# Yards below it are kept for evaluation and for the demo.
FIRST_TRAINING_SEED = 1000
SCALE = 0.5
_YARDS_PER_BAY = 5  # building the renderer of a camera costs as much as ten frames
_JPEG_QUALITY = 92
_START = datetime(2025, 3, 3, tzinfo=UTC)
# What shows less is not asked for; pixels of a full-size frame.
_MIN_PX, _MIN_SIDE_PX = 150.0, 9.0
_MIN_TRACKED_PX, _MIN_TRACKED_SIDE_PX = 1500.0, 24.0
_MOST_OCCLUDED = 0.92


@dataclass(frozen=True)
class Label:
    """One object of a frame.

    Attributes:
        class_name: class of the detector.
        box: left, top, right, bottom of its visible part, in pixels of the stored picture.
        stage: assembly stage of a tracked object; None for others.
        number: of its pixels in the picture of objects; 0 for what is not segmented.
    """

    class_name: str
    box: tuple[float, float, float, float]
    stage: str | None
    number: int


@dataclass(frozen=True)
class Sample:
    """A stored picture, its (width, height) and its labels."""

    path: Path
    size: tuple[int, int]
    labels: tuple[Label, ...]

    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, BGR."""
        return np.asarray(cv2.imread(str(self.path)), dtype=np.uint8)

    def numbers(self) -> NDArray[np.uint8]:
        """(2 H, 2 W) uint8: `Label.number` of the segmented object that a pixel shows, 0 elsewhere."""
        return np.asarray(cv2.imread(str(self.path.with_suffix(".png")), cv2.IMREAD_UNCHANGED), dtype=np.uint8)


def make_frames(folder: Path, count: int, seed: int) -> list[Sample]:
    """Render `count` frames into the folder, or take those that the same call left there before.

    All cores render; what an interrupted call has rendered is kept.

    A yard gives twelve frames. Half of the yards are seen by the demo bay's cameras as
    they hang, half by cameras hung and aimed at random. Yard `k` has the seed
    `FIRST_TRAINING_SEED + seed + k`.

    Raises:
        InferenceError: the folder holds another data set.
    """
    plan = {"count": count, "seed": seed, "scale": SCALE}
    index = folder / "frames.json"
    if index.exists():
        stored = json.loads(index.read_text(encoding="utf-8"))
        if stored["plan"] != plan:
            raise InferenceError(f"{folder}: holds other frames ({stored['plan']}); name another --out or remove it")
        return _samples(folder, stored["frames"])
    folder.mkdir(parents=True, exist_ok=True)
    per_job = _YARDS_PER_BAY * len(load_bay("demo_bay").cameras)
    jobs = [
        (
            folder,
            FIRST_TRAINING_SEED + seed + number * _YARDS_PER_BAY,
            number * per_job,
            min(per_job, count - number * per_job),
        )
        for number in range(-(-count // per_job))
    ]
    frames: list[dict[str, Any]] = []
    with ProcessPoolExecutor(min(cores(), len(jobs)), mp_context=get_context("spawn")) as pool:
        for some in pool.map(_render_bay, jobs):
            frames += some
            print(f"{folder}: {len(frames)} of {count} frames", flush=True)
    index.write_text(json.dumps({"plan": plan, "frames": frames}), encoding="utf-8")
    return _samples(folder, frames)


def training_bay(rng: np.random.Generator) -> BayConfig:
    """The demo bay; in every other draw with cameras hung and aimed at random."""
    bay = load_bay("demo_bay")
    as_it_hangs = rng.random() < 0.5
    zoom = 1.0 if rng.random() < 0.6 else float(rng.uniform(0.9, 1.7))
    if as_it_hangs:
        return bay
    return bay.model_copy(update={"cameras": tuple(_rehung(camera, zoom, rng) for camera in bay.cameras)})


def is_seen(label: "FrameLabel") -> bool:
    """Whether enough of an object shows that a detector should find it."""
    left, top, right, bottom = (float(value) for value in label.box)
    tracked = label.class_name in TRACKED_CLASSES
    return (
        min(right - left, bottom - top) >= (_MIN_TRACKED_SIDE_PX if tracked else _MIN_SIDE_PX)
        and int(label.mask.sum()) >= (_MIN_TRACKED_PX if tracked else _MIN_PX)
        and label.occluded_fraction <= _MOST_OCCLUDED
    )


def _render_bay(job: tuple[Path, int, int, int]) -> list[dict[str, Any]]:
    """Frames of one bay with its cameras hung in one way, and several yards in it."""
    from lab.simulation.rendering import Renderer

    folder, seed, first, count = job
    done = folder / f"part_{seed}_{first}_{count}.json"  # a job that was done before an interruption
    if done.exists():
        return cast("list[dict[str, Any]]", json.loads(done.read_text(encoding="utf-8")))
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    bay = training_bay(rng)
    renderer = Renderer(bay)
    per_yard = len(bay.cameras)
    frames = [
        frame
        for yard, start in enumerate(range(0, count, per_yard))
        for frame in _render_yard(
            renderer, seed + yard, folder, range(first + start, first + min(start + per_yard, count)), rng
        )
    ]
    write_atomically(done, json.dumps(frames).encode())
    return frames


def _render_yard(
    renderer: "Renderer", seed: int, folder: Path, numbers: range, rng: np.random.Generator
) -> list[dict[str, Any]]:
    from lab.simulation.labels import label_frame
    from lab.simulation.yard import Yard

    bay = renderer.bay
    yard = Yard(bay, seed=seed, blocks=int(rng.integers(14, 31)), start=_START)
    frames = []
    for frame_number, camera in zip(numbers, bay.cameras, strict=False):
        # Working hours more often than the night.
        hour = rng.uniform(7, 19) if rng.random() < 0.75 else rng.uniform(0, 24)
        state = yard.at(datetime(2025, 3, 4, tzinfo=bay.zone) + timedelta(hours=hour))
        path = folder / f"{frame_number:05d}.jpg"
        frame = renderer.render(camera.name, state)
        small = cv2.resize(frame, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(path), small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        labels = [label for label in label_frame(renderer, camera.name, state) if is_seen(label)]
        objects, drawn = _numbered(labels, frame.shape[:2])
        cv2.imwrite(str(path.with_suffix(".png")), drawn)
        records = [
            {
                "class_name": label.class_name,
                "box": [float(value) * SCALE for value in label.box],
                "stage": label.stage,
                "number": number,
            }
            for label, number in zip(labels, objects, strict=True)
        ]
        frames.append({"picture": path.name, "size": small.shape[1::-1], "labels": records})
    return frames


def _numbered(labels: "list[FrameLabel]", shape: tuple[int, int]) -> tuple[list[int], NDArray[np.uint8]]:
    """Numbers of the segmented objects (0 for others), and the picture of them; holes of tracked objects are filled."""
    numbers = [0] * len(labels)
    drawn = np.zeros(shape, dtype=np.uint8)
    wanted = [i for i, label in enumerate(labels) if label.class_name in TRACKED_CLASSES]
    wanted += [i for i, label in enumerate(labels) if label.class_name in OCCLUDER_CLASSES]
    for number, i in enumerate(wanted, start=1):
        column, row = labels[i].offset
        mask = np.ascontiguousarray(labels[i].mask, dtype=np.uint8)
        if labels[i].class_name in TRACKED_CLASSES:
            contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(mask, contours, -1, 1, cv2.FILLED)
        place = drawn[row : row + mask.shape[0], column : column + mask.shape[1]]
        place[mask > 0] = number
        numbers[i] = number
    return numbers, drawn


def _samples(folder: Path, frames: list[dict[str, Any]]) -> list[Sample]:
    return [
        Sample(
            folder / frame["picture"],
            (frame["size"][0], frame["size"][1]),
            tuple(Label(**{**label, "box": tuple(label["box"])}) for label in frame["labels"]),
        )
        for frame in frames
    ]


def _rehung(camera: Camera, zoom: float, rng: np.random.Generator) -> Camera:
    pose, lens = camera.pose, camera.intrinsics
    if pose is None or lens is None:
        raise InferenceError(f"camera {camera.name} has no pose or no intrinsics: nothing can be rendered")
    moved = Pose(
        x=float(pose.x + rng.uniform(-8, 8)),
        y=pose.y,
        z=float(rng.uniform(18, 26)),
        pan=float(pose.pan + rng.uniform(-12, 12)),
        tilt=float(rng.uniform(40, 52)),
        roll=float(rng.normal(0, 0.6)),
    )
    distortion = tuple(float(value * rng.uniform(0.5, 1.3)) for value in lens.distortion)
    focal = float(lens.focal_px * zoom * rng.uniform(0.97, 1.03))
    lens = lens.with_focal(focal).model_copy(update={"distortion": distortion})
    return camera.model_copy(update={"pose": moved, "intrinsics": lens})
