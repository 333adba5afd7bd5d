"""Train the stage classifier: YOLO11-cls at an eighth of its full width, on masked crops."""

import shutil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inference import runtime
from inference.crops import CROP_SIZE, masked_crop
from inference.types import TRACKED_CLASSES
from lab.training.frames import Sample
from lab.training.yolo import architecture, ship, trained

runtime.prepare()

from ultralytics import YOLO  # noqa: E402

_MIN_CROP_PX = 300.0  # crops of fewer pixels of the stored picture teach nothing


def train_classifier(
    samples: list[Sample], validation: list[Sample], out: Path, *, epochs: int, seed: int, start: Path | None = None
) -> Path:
    """Train and return the checkpoint, fit to ship, at `out/stages.pt`; `start` is an earlier result to go on from."""
    folder = out / "stages"
    shutil.rmtree(folder, ignore_errors=True)
    rng = np.random.default_rng(seed)
    stages = _write_crops(folder / "data" / "train", samples, rng)
    _write_crops(folder / "data" / "val", validation, rng)
    model = YOLO(start or architecture(folder, "yolo11-cls", len(stages)))
    model.train(
        data=str(folder / "data"),
        imgsz=CROP_SIZE,
        epochs=epochs,
        batch=64,
        optimizer="AdamW",
        lr0=0.002,
        cos_lr=True,
        warmup_epochs=1.0,
        scale=0.25,
        hsv_h=0.01,
        hsv_s=0.25,
        hsv_v=0.3,
        auto_augment=None,
        erasing=0.15,
        workers=0,
        plots=False,
        val=False,
        amp=False,
        seed=seed,
        project=str(folder),
        name="run",
        exist_ok=True,
    )
    return ship(trained(folder / "run" / "weights" / "last.pt"), "classify", out / "stages.pt", CROP_SIZE)


def _write_crops(folder: Path, samples: list[Sample], rng: np.random.Generator) -> set[str]:
    stages = set()
    for sample in samples:
        picture = sample.picture()
        numbers = cv2.resize(sample.numbers(), sample.size, interpolation=cv2.INTER_NEAREST)
        for label in sample.labels:
            if label.class_name not in TRACKED_CLASSES or label.stage is None:
                continue
            crop = _crop(picture, np.asarray(numbers == label.number), rng)
            if crop is None:
                continue
            stages.add(label.stage)
            (folder / label.stage).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / label.stage / f"{sample.path.stem}_{label.number:02d}.png"), crop)
    return stages


def _crop(picture: NDArray[np.uint8], inside: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8] | None:
    """The object along a mask as inexact as the segmenter's: grown or shrunk by up to two pixels."""
    mask = inside.astype(np.uint8)
    amount = int(rng.integers(-2, 3))
    if amount:
        kernel = np.ones((abs(amount) + 1,) * 2, np.uint8)
        mask = cv2.dilate(mask, kernel) if amount > 0 else cv2.erode(mask, kernel)
    if mask.sum() < _MIN_CROP_PX:
        return None
    height, width = mask.shape
    return masked_crop(picture, (0, 0, width, height), mask.astype(bool))
