"""Train the stage classifier: YOLO11-cls at an eighth of its full width, on masked crops."""

import shutil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bay_observation.errors import InferenceError
from inference.crops import BACKGROUND, CROP_SIZE, masked_crop
from inference.types import TRACKED_CLASSES
from lab.training.frames import Sample
from lab.training.hardware import Hardware
from lab.training.yolo import architecture, class_names, ship, train_phase, trained

_FRAMES_PER_YARD, _REPAINTED_EVERY = 12, 3
_OLD_HUES = 0.3
_MIN_CROP_PX = 300.0  # crops of fewer pixels of the stored picture teach nothing


def train_classifier(
    samples: list[Sample],
    validation: list[Sample],
    out: Path,
    *,
    epochs: int,
    seed: int,
    hardware: Hardware,
    start: Path | None = None,
) -> Path:
    """Train and return the checkpoint, fit to ship, at `out/stages.pt`; `start` is an earlier result to go on from."""
    folder = out / "stages"
    shutil.rmtree(folder / "data", ignore_errors=True)
    rng = np.random.default_rng(seed)
    stages = _write_crops(folder / "data" / "train", samples, rng)
    if not stages:
        raise InferenceError(
            "no frame has a tracked object with an outline and a stage: there is nothing to learn from"
        )
    _write_crops(folder / "data" / "val", validation, rng)
    if start is not None:  # a stage that these frames do not show is not forgotten by name
        for stage in stages.union(class_names(start)):
            (folder / "data" / "train" / stage).mkdir(exist_ok=True)
    settings = {
        "data": str(folder / "data"),
        "imgsz": CROP_SIZE,
        "epochs": epochs,
        "batch": 64,
        "optimizer": "AdamW",
        "lr0": 0.002,
        "cos_lr": True,
        "warmup_epochs": 1.0,
        "scale": 0.25,
        "hsv_h": 0.01,
        "hsv_s": 0.25,
        "hsv_v": 0.3,
        "auto_augment": None,
        "erasing": 0.15,
        "plots": False,
        "val": False,
        "seed": seed,
        **hardware.for_ultralytics(),
    }
    last = train_phase(start or architecture(folder, "yolo11-cls", len(stages)), folder, "run", settings)
    return ship(trained(last), "classify", out / "stages.pt", CROP_SIZE)


def _write_crops(folder: Path, samples: list[Sample], rng: np.random.Generator) -> set[str]:
    stages = set()
    for sample in samples:
        picture = sample.picture()
        numbers = cv2.resize(sample.numbers(), sample.size, interpolation=cv2.INTER_NEAREST)
        for label in sample.labels:
            if label.class_name not in TRACKED_CLASSES or label.stage is None or not label.number:
                continue
            crop = _crop(picture, np.asarray(numbers == label.number), rng)
            if crop is None:
                continue
            if is_repainted(sample):
                crop = repainted(crop, rng)
            stages.add(label.stage)
            (folder / label.stage).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / label.stage / f"{sample.path.stem}_{label.number:02d}.png"), crop)
    return stages


def is_repainted(sample: Sample) -> bool:
    """Whether the frame is of a simulated yard in which paint says nothing of the stage: one of three."""
    return sample.path.stem.isdecimal() and int(sample.path.stem) // _FRAMES_PER_YARD % _REPAINTED_EVERY == 0


def repainted(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The object in another paint, drawn whatever its stage; its structure, light and surroundings stay.

    A classifier that sees only paint that goes with the stage learns the paint; where a yard paints
    otherwise it would be wrong.

    Args:
        crop: (CROP_SIZE, CROP_SIZE, 3) uint8, BGR, the object on even grey.
        rng: draws the paint.
    """
    inside = np.abs(crop.astype(np.int16) - BACKGROUND).max(axis=2) > 0
    if not inside.any():
        return crop
    lab = cv2.cvtColor(crop, cv2.COLOR_BGR2LAB).astype(np.float32)
    object_pixels = lab[inside]
    paint = np.array([rng.uniform(80, 170), *rng.uniform(110, 146, 2)], dtype=np.float32)
    lightness = np.clip(paint[0] / max(float(object_pixels[:, 0].mean()), 1.0), 0.6, 1.6)
    object_pixels[:, 0] *= lightness
    # Of the old hues little stays: how far a plate is from the mean of plate and ribs shows its paint as well.
    object_pixels[:, 1:] = paint[1:] + _OLD_HUES * (object_pixels[:, 1:] - object_pixels[:, 1:].mean(axis=0))
    lab[inside] = object_pixels
    painted = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)
    return np.asarray(np.where(inside[:, :, None], painted, crop), dtype=np.uint8)


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
