"""The formats by name; which one a folder has; writing one whole."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bay_observation.errors import DatasetError
from inference.datasets import coco, cvat, yolo
from inference.datasets.files import new_folder
from inference.datasets.types import Dataset, LabelledFrame


@dataclass(frozen=True)
class _Format:
    find: Callable[[Path], Path | None]
    read: Callable[[Path], Dataset]
    write: Callable[[Path, list[LabelledFrame]], None]


_FORMATS = {
    "coco": _Format(coco.find, coco.read, coco.write),
    "yolo": _Format(yolo.find, yolo.read, yolo.write),
    "cvat": _Format(cvat.find, cvat.read, cvat.write),
}
FORMATS = tuple(_FORMATS)


def read_dataset(folder: Path, kind: str | None = None) -> Dataset:
    """Read a data set; which format it is in, its files say.

    Args:
        folder: of the data set, or its file of labels.
        kind: one of `FORMATS`, where the files do not say it.

    Raises:
        DatasetError: there are no labels, or they cannot be read; the message names the file.
    """
    if not folder.exists():
        raise DatasetError(f"{folder}: is not there")
    if folder.suffix.lower() in (".zip", ".tar", ".gz"):
        raise DatasetError(f"{folder}: is packed: unpack it and name the folder")
    for name in (kind,) if kind else ("cvat", "yolo", "coco"):
        found = _labels(folder, name)
        if found is not None:
            return _FORMATS[name].read(found)
    wanted = " or ".join(("annotations.json (coco)", "data.yaml (yolo)", "annotations.xml (cvat)"))
    raise DatasetError(f"{folder}: holds no labels: there is no {wanted}")


def write_dataset(folder: Path, frames: Iterable[LabelledFrame], kind: str = "coco") -> list[LabelledFrame]:
    """Write a data set, pictures and labels. The pictures are copied byte for byte.

    Args:
        folder: that is not there yet, or empty.
        frames: taken one by one, so that they need not all be in memory.
        kind: one of `FORMATS`.

    Returns:
        The frames, their pictures in the new folder.

    Raises:
        DatasetError: the folder is there already, or cannot be written; nothing is left then.
    """
    with new_folder(folder) as filling:
        pictures = filling / "images"
        pictures.mkdir()
        written: list[LabelledFrame] = []
        names: set[str] = set()
        for frame in frames:
            name = _free_name(frame.name, names)
            names.add(Path(name).stem)
            (pictures / name).write_bytes(frame.content())
            written.append(replace(frame, name=name, picture=folder / "images" / name))
        _FORMATS[kind].write(filling, written)
    return written


def _labels(folder: Path, kind: str) -> Path | None:
    if folder.is_dir():
        return _FORMATS[kind].find(folder)
    suffixes = {"coco": (".json",), "yolo": (".yaml", ".yml"), "cvat": (".xml",)}
    return folder if folder.suffix.lower() in suffixes[kind] else None


def _free_name(name: str, taken: set[str]) -> str:
    """The name, or one with a number where its stem is taken: labels are named after the stem."""
    path = Path(name)
    number = 2
    while path.stem in taken:
        path = Path(f"{Path(name).stem}-{number}{Path(name).suffix}")
        number += 1
    return path.name
