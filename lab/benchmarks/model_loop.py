"""From stored frames to better models, as a person does it: predict, export, label, import, train, score.

A day of 120 frames of a simulated yard is stored, all of them in a light that the shipped models never saw: dim
sodium lamps. The labels that a person would draw are the yard's truth, put into the exported CVAT file. Scored
are frames of another yard in that light, before and after. Every step is the command itself; what is timed is all of
them, the person left out.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from artifacts import ArtifactStore
from bay_observation.errors import InferenceError
from bays import BayConfig, batch_id, load_bay
from capture_async.types import CaptureBatch, CapturedImage
from inference.datasets import LabelledFrame, LabelledObject, read_dataset, write_dataset
from lab.bars import Bar, progress
from lab.simulation.labels import label_frame
from lab.simulation.rendering import Renderer
from lab.simulation.yard import Yard
from lab.training.frames import is_seen

FRAMES = 120
_BAY = "demo_bay"
_DAY = datetime(2025, 7, 3)  # noqa: DTZ001 - bay-local, its zone is added
_TRAINING_SEED, _SCORED_SEED = 2801, 2802
_SCORED_SLOTS = 4
_EPOCHS = 4
_LIMIT_S = 300.0
_QUALITY = 90
# Gains of blue, green and red under a worn sodium lamp.
_SODIUM = np.array([0.18, 0.45, 0.72], dtype=np.float32)
_NOISE = 5.0


def sodium(picture: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8, BGR, under dim sodium lamps, with the noise of so little light."""
    noise = np.random.default_rng(seed).normal(0, _NOISE, picture.shape).astype(np.float32)
    return np.asarray(np.clip(picture * _SODIUM + noise, 0, 255), dtype=np.uint8)


def measure() -> list[Bar]:
    """Both bars: the time of all commands, and how much better the models see in the new light."""
    bay = load_bay(_BAY)
    with tempfile.TemporaryDirectory(prefix="model-loop-") as folder:
        root = Path(folder)
        progress(f"rendering {FRAMES} frames of a day, and {_SCORED_SLOTS * len(bay.cameras)} to score")
        truth = _store_day(bay, root / "data")
        write_dataset(root / "scored", _labelled_yard(bay, _SCORED_SEED, _SCORED_SLOTS))
        loop = _Loop(root, {**os.environ, "DATA_PATH": str(root / "data"), "BAYS_SCHEDULE": "off"})
        period = ("--from", f"{_DAY:%Y-%m-%d}", "--to", f"{_DAY + timedelta(days=1):%Y-%m-%d}")
        loop.run("predict", _BAY, *period, "--out", root / "predicted")
        loop.run("export", "--data", root / "predicted", "--format", "cvat", "--out", root / "tool")
        _draw_labels(root / "tool", truth)
        loop.run("import", root / "tool", "--out", root / "labels")
        before = loop.score(root / "scored")
        start = Path(__file__).parents[2] / load_bay(_BAY).models.yolo_detection
        loop.run("train", "detector", "--data", root / "labels", "--start", start, "--epochs", str(_EPOCHS),
                 "--out", root / "training")  # fmt: skip
        after = loop.score(root / "scored", "--model", f"yolo_detection={root / 'training/detector.pt'}")
    steps = ", ".join(f"{name} {seconds:.0f}" for name, seconds in loop.seconds)
    return [
        Bar(f"predict, export, import, train, score: {FRAMES} frames, CPU", loop.total, "<=", _LIMIT_S, "s", steps),
        Bar("mAP50 under the new light, after less before", after - before, ">", 0.0, "", f"{before:.3f}, {after:.3f}"),
    ]


@dataclass
class _Loop:
    """The commands, each in its own process, and how long each took."""

    root: Path
    environment: dict[str, str]

    def __post_init__(self) -> None:
        self.seconds: list[tuple[str, float]] = []

    @property
    def total(self) -> float:
        """Seconds of all commands."""
        return sum(seconds for _, seconds in self.seconds)

    def run(self, *words: object) -> str:
        """Run `bay-observation models …`; what it printed.

        Raises:
            InferenceError: it failed.
        """
        progress(f"models {words[0]}")
        program = [str(Path(sys.executable).with_name("bay-observation")), "models", *map(str, words)]
        began = time.perf_counter()
        done = subprocess.run(program, cwd=self.root, env=self.environment, check=False, capture_output=True, text=True)
        self.seconds.append((str(words[0]), time.perf_counter() - began))
        if done.returncode:
            raise InferenceError(f"models {words[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def score(self, data: Path, *more: str) -> float:
        """The mAP50 of tracked classes."""
        said = json.loads(self.run("score", "--data", data, "--bay", _BAY, "--json", *more))
        return float(said["all"]["mAP50"])


def _store_day(bay: BayConfig, root: Path) -> dict[str, LabelledFrame]:
    """Store a day's frames; their true labels by the frames' names."""
    store, truth = ArtifactStore(root), dict[str, LabelledFrame]()
    slots = FRAMES // len(bay.cameras)
    for frames in _slots(bay, _TRAINING_SEED, slots):
        moment = frames[0].captured_at
        if moment is None:
            raise InferenceError("a frame of the yard without its time")
        images = tuple(CapturedImage(frame.camera_name or "", bay.bay_id, moment, frame.content()) for frame in frames)
        name = batch_id(bay.bay_id, moment)
        store.save("capture", bay.bay_id, name, CaptureBatch(name, bay.bay_id, images))
        truth |= {f"{image.image_id}.jpg": frame for image, frame in zip(images, frames, strict=True)}
    return truth


def _draw_labels(tool: Path, truth: dict[str, LabelledFrame]) -> None:
    """What a person does in the labelling tool: every frame gets the objects that are truly in it."""
    frames = [
        replace(truth[frame.name], name=frame.name, picture=frame.content()) for frame in read_dataset(tool).frames
    ]
    for path in sorted(tool.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    write_dataset(tool, frames, "cvat")


def _labelled_yard(bay: BayConfig, seed: int, slots: int) -> Iterator[LabelledFrame]:
    for frames in _slots(bay, seed, slots):
        yield from frames


def _slots(bay: BayConfig, seed: int, slots: int) -> Iterator[Sequence[LabelledFrame]]:
    """Slots spread over the day's work, each a frame of every camera with its true labels."""
    begin = _DAY.replace(tzinfo=bay.zone)
    yard, renderer = Yard(bay, seed=seed, blocks=24, start=begin - timedelta(hours=12)), Renderer(bay)
    for number in range(slots):
        moment = begin + timedelta(hours=7) + number * timedelta(hours=14) / slots
        moment -= timedelta(minutes=moment.minute % 10, seconds=moment.second, microseconds=moment.microsecond)
        state = yard.at(moment)
        frames = []
        for place, camera in enumerate(bay.cameras):
            picture = sodium(renderer.render(camera.name, state), seed * 1000 + number * 100 + place)
            jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
            labels = [label for label in label_frame(renderer, camera.name, state) if is_seen(label)]
            objects = tuple(LabelledObject(label.class_name, label.box, label.polygon, label.stage) for label in labels)
            size = (picture.shape[1], picture.shape[0])
            name = f"{bay.bay_id}_{camera.name}_{moment:%Y%m%d%H%M%S}.jpg"
            frames.append(LabelledFrame(name, size, objects, jpeg, camera.name, bay.bay_id, moment))
        yield frames
