"""COCO: `images/` and `annotations.json`. Keeps everything: outlines, stages (`attributes`), cameras and times."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bay_observation.errors import DatasetError
from inference.datasets.files import Pictures, read_text
from inference.datasets.types import Dataset, LabelledFrame, LabelledObject, box_of, class_order

ANNOTATIONS = "annotations.json"
_LEAST_SHARED = 0.3  # of a box and its outline's: a detector's own box is nearer
_TOLD = 6  # annotations that a remark names


def find(folder: Path) -> Path | None:
    """The file of labels in a folder: ours, or the one that labelling tools write (`annotations/instances_*.json`)."""
    candidates = [
        folder / ANNOTATIONS,
        *sorted((folder / "annotations").glob("*.json")),
        *sorted(folder.glob("*.json")),
    ]
    return next((path for path in candidates if path.is_file()), None)


def write(folder: Path, frames: Sequence[LabelledFrame]) -> None:
    """Write the labels of frames whose pictures lie in `images/` of that folder."""
    names = class_order(thing.class_name for frame in frames for thing in frame.objects)
    numbers = {name: number for number, name in enumerate(names, start=1)}
    annotations: list[dict[str, Any]] = []
    images = []
    for image_id, frame in enumerate(frames, start=1):
        images.append(_image(image_id, frame))
        for thing in frame.objects:
            about = {"id": len(annotations) + 1, "image_id": image_id, "category_id": numbers[thing.class_name]}
            annotations.append(about | _annotation(thing))
    document = {
        "info": {"description": "Bay Observation"},
        "images": images,
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
        "annotations": annotations,
    }
    (folder / ANNOTATIONS).write_text(json.dumps(document), encoding="utf-8")


def read(path: Path) -> Dataset:
    """Read a file of labels, with its pictures beside it.

    Raises:
        DatasetError: it is no COCO file, or a picture that it names is not there.
    """
    document = _document(path)
    pictures = Pictures(path.parent if path.parent.name != "annotations" else path.parent.parent)
    try:
        names = {category["id"]: str(category["name"]) for category in document["categories"]}
        by_image: dict[Any, list[tuple[Any, LabelledObject]]] = {image["id"]: [] for image in document["images"]}
        for annotation in document["annotations"]:
            where = f"{path}: annotation {annotation.get('id', '?')}"
            _refuse_unlisted(annotation, "image_id", by_image, where)
            _refuse_unlisted(annotation, "category_id", names, where)
            by_image[annotation["image_id"]].append((annotation.get("id", "?"), _object(annotation, names, where)))
        run_length = sum(isinstance(one.get("segmentation"), Mapping) for one in document["annotations"])
        frames = [
            _frame(image, [thing for _, thing in by_image[image["id"]]], pictures) for image in document["images"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{path}: is no COCO file of objects: {type(error).__name__} {error}") from error
    remarks = []
    if run_length:
        remarks.append(
            f"{run_length} masks are run-length encoded: only their boxes are read; export polygons to keep outlines"
        )
    if apart := [str(number) for things in by_image.values() for number, thing in things if _is_apart(thing)]:
        more = f" and {len(apart) - _TOLD} more" if len(apart) > _TOLD else ""
        remarks.append(
            f"outline and box lie apart: annotation {', '.join(apart[:_TOLD])}{more}: the detector learns the box, the"
            " segmenter the outline; move both"
        )
    return Dataset(tuple(frames), tuple(remarks))


def _image(image_id: int, frame: LabelledFrame) -> dict[str, Any]:
    about = {
        "camera_name": frame.camera_name,
        "bay_id": frame.bay_id,
        "captured_at": frame.captured_at.isoformat() if frame.captured_at else None,
    }
    known = {key: value for key, value in about.items() if value is not None}
    return {"id": image_id, "file_name": frame.name, "width": frame.size[0], "height": frame.size[1], **known}


def _annotation(thing: LabelledObject) -> dict[str, Any]:
    left, top, right, bottom = (round(float(value), 2) for value in thing.box)
    width, height = round(right - left, 2), round(bottom - top, 2)
    outline = [] if thing.polygon is None else [[round(float(value), 2) for value in thing.polygon.ravel()]]
    area = width * height if thing.polygon is None else _area(thing.polygon)
    result: dict[str, Any] = {
        "bbox": [left, top, width, height],
        "segmentation": outline,
        "area": round(area, 2),
        "iscrowd": 0,
        "attributes": {} if thing.stage is None else {"stage": thing.stage},
    }
    return result if thing.confidence is None else result | {"score": round(thing.confidence, 4)}


def _frame(image: Mapping[str, Any], objects: Iterable[LabelledObject], pictures: Pictures) -> LabelledFrame:
    moment = image.get("captured_at")
    return pictures.frame(
        str(image["file_name"]),
        (int(image["width"]), int(image["height"])),
        tuple(objects),
        camera_name=image.get("camera_name"),
        bay_id=image.get("bay_id"),
        captured_at=None if moment is None else datetime.fromisoformat(moment),
    )


def _refuse_unlisted(annotation: Mapping[str, Any], key: str, listed: Mapping[Any, Any], where: str) -> None:
    if annotation[key] not in listed:
        among = "images" if key == "image_id" else "categories"
        raise DatasetError(
            f"{where}: {key} is {annotation[key]!r:.40}, which is none of `{among}`: correct it, or list it"
        )


def _is_apart(thing: LabelledObject) -> bool:
    """Whether an object's outline is not that of its box (intersection over union of both)."""
    if thing.polygon is None:
        return False
    outline = box_of(thing.polygon)
    low, high = np.maximum(thing.box[:2], outline[:2]), np.minimum(thing.box[2:], outline[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    both = sum(float(np.prod(box[2:] - box[:2])) for box in (thing.box, outline)) - shared
    return shared < _LEAST_SHARED * both


def _object(annotation: Mapping[str, Any], names: Mapping[Any, str], where: str) -> LabelledObject:
    try:
        left, top, width, height = (float(value) for value in annotation["bbox"])
    except (TypeError, ValueError):
        raise DatasetError(f"{where}: bbox is {annotation['bbox']!r:.60}: write [left, top, width, height]") from None
    box = np.array([left, top, left + width, top + height], dtype=np.float32)
    stage = (annotation.get("attributes") or {}).get("stage")
    score = annotation.get("score")
    return LabelledObject(
        names[annotation["category_id"]],
        box,
        _outline(annotation.get("segmentation")),
        str(stage) if stage else None,
        None if score is None else float(score),
    )


def _outline(segmentation: Any) -> NDArray[np.float32] | None:
    """The largest polygon; None for an object that has none."""
    if not isinstance(segmentation, list):
        return None
    parts = [np.asarray(part, dtype=np.float32).reshape(-1, 2) for part in segmentation if len(part) >= 6]
    return max(parts, key=_area, default=None)


def _area(polygon: NDArray[np.float32]) -> float:
    x, y = polygon[:, 0].astype(np.float64), polygon[:, 1].astype(np.float64)
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(read_text(path))
    except ValueError as error:
        raise DatasetError(f"{path}: is no JSON: {error}") from error
    if not isinstance(document, dict) or "images" not in document or "annotations" not in document:
        raise DatasetError(f"{path}: is no COCO file: it has no `images` and `annotations`")
    return document
