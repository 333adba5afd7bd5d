"""Train the detector: YOLO11 at an eighth of its full width, all classes of `inference.types`."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

from inference.types import CLASSES
from lab.training.frames import Sample
from lab.training.hardware import Hardware
from lab.training.yolo import architecture, class_names, ship, train_phase, trained

IMAGE_SIZE = 640
# Most of the epochs see smaller pictures: a fifth of the time, and the last ones make up for it.
_EARLY_IMAGE_SIZE = 384
_EARLY_SHARE = 0.65


def train_detector(
    samples: list[Sample],
    validation: list[Sample],
    out: Path,
    *,
    epochs: int,
    seed: int,
    hardware: Hardware,
    start: Path | None = None,
    image_size: int = IMAGE_SIZE,
) -> Path:
    """Train and return the checkpoint, fit to ship, at `out/detector.pt`.

    A training that was interrupted goes on after its last complete epoch. `start` is an earlier
    result to go on from, of any size, whose classes stay; all epochs then see frames of full size,
    `image_size` pixels on the longer side.
    """
    folder = out / "detector"
    classes = CLASSES if start is None else class_names(start)
    data = _write_data(folder, samples, validation, classes)
    settings = {
        "data": str(data),
        "rect": True,
        "mosaic": 0.0,
        "scale": 0.3,
        "translate": 0.1,
        "hsv_h": 0.01,
        "hsv_s": 0.3,
        "hsv_v": 0.3,
        # Twice the default: most errors are in the name (block or HP_block), not in the box.
        "cls": 1.0,
        "optimizer": "AdamW",
        "cos_lr": True,
        "warmup_epochs": 1.0,
        "batch": hardware.batch,
        # A step for every batch: by default gradients are gathered up to 64 pictures, which leaves
        # a training of a few epochs too few steps to learn anything.
        "nbs": hardware.batch,
        "cache": False,
        "plots": False,
        "val": False,
        "seed": seed,
        **hardware.for_ultralytics(),
    }
    late = epochs
    if start is None:
        early = max(1, round(epochs * _EARLY_SHARE))
        late = max(1, epochs - early)
        sizes = {"imgsz": _EARLY_IMAGE_SIZE, "epochs": early, "lr0": 0.003, "lrf": 0.2}
        start = train_phase(architecture(folder, "yolo11", len(classes)), folder, "early", settings | sizes)
    sizes = {"imgsz": image_size, "epochs": late, "lr0": 0.002, "lrf": 0.01}
    last = train_phase(start, folder, "late", settings | sizes)
    return ship(trained(last), "detect", out / "detector.pt", image_size)


def _write_data(folder: Path, samples: list[Sample], validation: list[Sample], classes: Sequence[str]) -> Path:
    for name, some in (("train", samples), ("val", validation)):
        pictures, labels = folder / name / "images", folder / name / "labels"
        shutil.rmtree(folder / name, ignore_errors=True)
        pictures.mkdir(parents=True)
        labels.mkdir()
        for sample in some:
            (pictures / sample.path.name).hardlink_to(sample.path)
            (labels / sample.path.name).with_suffix(".txt").write_text(_lines(sample, classes), encoding="utf-8")
    path = folder / "data.yaml"
    content = {
        "path": str(folder.resolve()),
        "train": "train/images",
        "val": "val/images",
        "names": dict(enumerate(classes)),
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def _lines(sample: Sample, classes: Sequence[str]) -> str:
    width, height = sample.size
    lines = []
    for label in (label for label in sample.labels if label.class_name in classes):
        left, top, right, bottom = label.box
        centre = ((left + right) / 2 / width, (top + bottom) / 2 / height)
        size = ((right - left) / width, (bottom - top) / height)
        numbers = " ".join(f"{value:.6f}" for value in (*centre, *size))
        lines.append(f"{classes.index(label.class_name)} {numbers}\n")
    return "".join(lines)
