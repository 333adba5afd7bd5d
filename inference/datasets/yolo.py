"""YOLO: `data.yaml`, `images/` and `labels/`, as ultralytics trains on them.

A line is a class and an outline, or a class and a box; a file of ultralytics may not mix them, so that a
box beside outlines is written as its four corners. The format has no stages: they lie beside the
labels, in `stages/`, one word a line, and only this product reads them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from bay_observation.errors import DatasetError
from bay_observation.pictures import opened_picture
from inference.datasets.files import Pictures, read_text
from inference.datasets.types import Dataset, LabelledFrame, LabelledObject, box_of, class_order

DATA = "data.yaml"
_NO_STAGE = "-"
# Files with the classes, a name a line, of tools that write no data.yaml.
_NAME_LISTS = ("obj.names", "classes.txt")


def find(folder: Path) -> Path | None:
    """The file that names the classes."""
    candidates = [folder / name for name in (DATA, "dataset.yaml", "data.yml", *_NAME_LISTS)]
    candidates += [folder / "labels" / "classes.txt"]
    return next((path for path in candidates if path.is_file()), None)


def write(folder: Path, frames: Sequence[LabelledFrame]) -> None:
    """Write the labels of frames whose pictures lie in `images/` of that folder."""
    names = class_order(thing.class_name for frame in frames for thing in frame.objects)
    labels, stages = folder / "labels", folder / "stages"
    labels.mkdir()
    for frame in frames:
        stem = Path(frame.name).stem
        outlined = any(thing.polygon is not None for thing in frame.objects)
        lines = [_line(thing, names.index(thing.class_name), frame.size, outlined) for thing in frame.objects]
        (labels / f"{stem}.txt").write_text("".join(lines), encoding="utf-8")
        if any(thing.stage for thing in frame.objects):
            stages.mkdir(exist_ok=True)
            words = [f"{thing.stage or _NO_STAGE}\n" for thing in frame.objects]
            (stages / f"{stem}.txt").write_text("".join(words), encoding="utf-8")
    data = {"path": ".", "train": "images", "val": "images", "names": dict(enumerate(names))}
    (folder / DATA).write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")


def read(path: Path) -> Dataset:
    """Read a data set by the file that names its classes.

    Raises:
        DatasetError: a file is not of this format, or a picture cannot be read.
    """
    root = path.parent.parent if path.parent.name == "labels" else path.parent
    names = _names(path)
    pictures = Pictures(root)
    if not pictures.all:
        raise DatasetError(f"{root}: there is no picture in it")
    frames = []
    for picture in pictures.all:
        name, size = picture.relative_to(root).as_posix(), picture_size(picture)
        frames.append(pictures.frame(name, size, tuple(_objects(root, picture, names, size))))
    return Dataset(tuple(frames))


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture by its head, without EXIF's orientation.

    Raises:
        DatasetError: it is none.
    """
    try:
        with opened_picture(path) as image:
            return image.size
    except OSError as error:
        raise DatasetError(f"{path}: is no readable picture: {error}") from error


def _line(thing: LabelledObject, number: int, size: tuple[int, int], outlined: bool) -> str:
    left, top, right, bottom = thing.box
    if thing.polygon is not None:
        values = (thing.polygon / np.array(size)).ravel()
    elif outlined:
        values = (np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) / np.array(size)).ravel()
    else:
        centre, extent = (thing.box[:2] + thing.box[2:]) / 2, thing.box[2:] - thing.box[:2]
        values = np.concatenate([centre / np.array(size), extent / np.array(size)])
    return " ".join((str(number), *(f"{float(value):.6f}" for value in values))) + "\n"


def _objects(root: Path, picture: Path, names: Mapping[int, str], size: tuple[int, int]) -> "list[LabelledObject]":
    path = _beside(root, picture, "labels")
    if path is None:
        return []
    lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
    stages = _beside(root, picture, "stages")
    words = [_NO_STAGE] * len(lines) if stages is None else read_text(stages).split()
    if len(words) != len(lines):
        raise DatasetError(
            f"{stages}: has {len(words)} stages for the {len(lines)} objects of {path}: write a word for each line"
            f" there, {_NO_STAGE} for no stage, or remove the file, and the stages of this picture with it"
        )
    objects = []
    for number, (values, word) in enumerate(zip(lines, words, strict=True), start=1):
        try:
            objects.append(_object(values, names, size, None if word == _NO_STAGE else word))
        except (ValueError, KeyError) as error:
            raise DatasetError(f"{path}, line {number}: is no class with a box or an outline: {error}") from error
    return objects


def _object(values: list[str], names: Mapping[int, str], size: tuple[int, int], stage: str | None) -> LabelledObject:
    name, numbers = names[int(values[0])], np.array([float(value) for value in values[1:]])
    if not np.isfinite(numbers).all():
        raise ValueError("a number that is not finite")
    if len(numbers) in (4, 5):  # with a confidence behind it
        centre, extent = numbers[:2], numbers[2:4]
        box = np.concatenate([centre - extent / 2, centre + extent / 2]) * np.array([*size, *size])
        confidence = float(numbers[4]) if len(numbers) == 5 else None
        return LabelledObject(name, box.astype(np.float32), None, stage, confidence)
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(f"{len(numbers)} numbers")
    polygon = (numbers.reshape(-1, 2) * np.array(size)).astype(np.float32)
    return LabelledObject(name, box_of(polygon), None if _is_box(polygon) else polygon, stage)


def _is_box(polygon: NDArray[np.float32]) -> bool:
    """Whether an outline is a box written as its corners."""
    return len(polygon) == 4 and all(len(np.unique(np.round(polygon[:, axis], 2))) == 2 for axis in (0, 1))


def _beside(root: Path, picture: Path, kind: str) -> Path | None:
    """The text file of a picture: `images/a/b.jpg` has `labels/a/b.txt`, or it lies beside the picture."""
    parts = list(picture.relative_to(root).with_suffix(".txt").parts)
    folders = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    places = [root.joinpath(*parts[:index], kind, *parts[index + 1 :]) for index in folders]
    places.append(root / kind / parts[-1])
    if kind == "labels":
        places.append(root.joinpath(*parts))
    return next((path for path in places if path.is_file()), None)


def _names(path: Path) -> dict[int, str]:
    text = read_text(path)
    if path.name in _NAME_LISTS:
        return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))
    try:
        names: Any = (yaml.safe_load(text) or {}).get("names")
        found = dict(enumerate(names)) if isinstance(names, list) else {int(key): name for key, name in names.items()}
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: has no `names` of classes as YOLO's data.yaml has them") from error
    return {number: str(name) for number, name in found.items()}
