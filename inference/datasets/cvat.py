"""CVAT for images 1.1: `annotations.xml` beside `images/`. Stages are the attribute `stage` of a shape."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from lxml import etree  # type: ignore[import-untyped]
from numpy.typing import NDArray

from bay_observation.errors import DatasetError
from inference.datasets.files import Pictures, read_text
from inference.datasets.types import Dataset, LabelledFrame, LabelledObject, class_order

ANNOTATIONS = "annotations.xml"
STAGE = "stage"


def find(folder: Path) -> Path | None:
    """The file of labels."""
    path = folder / ANNOTATIONS
    return path if path.is_file() else None


def write(folder: Path, frames: Sequence[LabelledFrame]) -> None:
    """Write the labels of frames whose pictures lie in `images/` of that folder."""
    root = etree.Element("annotations")
    etree.SubElement(root, "version").text = "1.1"
    task = etree.SubElement(etree.SubElement(root, "meta"), "task")
    labels = etree.SubElement(task, "labels")
    for name in class_order(thing.class_name for frame in frames for thing in frame.objects):
        _declare(labels, name)
    for number, frame in enumerate(frames):
        width, height = (str(side) for side in frame.size)
        image = etree.SubElement(root, "image", id=str(number), name=frame.name, width=width, height=height)
        for thing in frame.objects:
            _draw(image, thing)
    content = etree.tostring(root, xml_declaration=True, encoding="utf-8", pretty_print=True)
    (folder / ANNOTATIONS).write_bytes(content)


def read(path: Path) -> Dataset:
    """Read a file of labels, with its pictures beside it.

    Raises:
        DatasetError: it is no such file, or a picture that it names is not there.
    """
    root, pictures = _root(path), Pictures(path.parent)
    frames, unread = [], dict[str, int]()
    for image in root.iter("image"):
        try:
            objects = tuple(_objects(image, unread))
            size = (int(image.get("width", "")), int(image.get("height", "")))
        except ValueError as error:
            raise DatasetError(f"{path}: image {image.get('name')}: {error}") from error
        frames.append(pictures.frame(image.get("name", ""), size, objects))
    if root.find("track") is not None:
        raise DatasetError(f'{path}: is "CVAT for video": export the task as "CVAT for images 1.1"')
    remarks = tuple(f"{count} {kind} shapes are not read: draw boxes or polygons" for kind, count in unread.items())
    return Dataset(tuple(frames), remarks)


def _declare(labels: etree._Element, name: str) -> None:
    label = etree.SubElement(labels, "label")
    etree.SubElement(label, "name").text = name
    attribute = etree.SubElement(etree.SubElement(label, "attributes"), "attribute")
    for key, text in (("name", STAGE), ("mutable", "False"), ("input_type", "text"), ("default_value", "")):
        etree.SubElement(attribute, key).text = text


def _draw(image: etree._Element, thing: LabelledObject) -> None:
    about = {"label": thing.class_name, "source": "manual" if thing.confidence is None else "auto", "occluded": "0"}
    if thing.polygon is not None:
        points = ";".join(f"{float(x):.2f},{float(y):.2f}" for x, y in thing.polygon)
        shape = etree.SubElement(image, "polygon", {**about, "points": points, "z_order": "0"})
    else:
        sides = zip(("xtl", "ytl", "xbr", "ybr"), (f"{float(value):.2f}" for value in thing.box), strict=True)
        shape = etree.SubElement(image, "box", {**about, **dict(sides), "z_order": "0"})
    if thing.stage is not None:
        etree.SubElement(shape, "attribute", name=STAGE).text = thing.stage


def _objects(image: etree._Element, unread: dict[str, int]) -> Iterator[LabelledObject]:
    for shape in image:
        if not isinstance(shape.tag, str):
            continue
        stage = next((one.text for one in shape.iter("attribute") if one.get("name") == STAGE), None) or None
        name = shape.get("label", "")
        if shape.tag == "box":
            box = np.array([float(shape.get(side, "")) for side in ("xtl", "ytl", "xbr", "ybr")], dtype=np.float32)
            yield LabelledObject(name, box, None, stage)
        elif shape.tag == "polygon":
            yield LabelledObject.outlined(name, _points(shape.get("points", "")), stage)
        else:
            unread[shape.tag] = unread.get(shape.tag, 0) + 1


def _points(text: str) -> NDArray[np.float32]:
    points = np.array([[float(value) for value in point.split(",")] for point in text.split(";")], dtype=np.float32)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise ValueError(f"a polygon of the points {text[:60]!r}")
    return points


def _root(path: Path) -> etree._Element:
    text = read_text(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DatasetError(f"{path}: defines entities, which labels of CVAT do not")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.LxmlError as error:
        raise DatasetError(f"{path}: is no XML: {error}") from error
    if root.tag != "annotations":
        raise DatasetError(f"{path}: is no file of CVAT: its root is <{root.tag}>")
    return root
