"""What is written in a format is what is read back, and what others' readers read."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from bay_observation.errors import DatasetError
from inference.datasets import FORMATS, read_dataset, write_dataset
from inference.datasets.types import LabelledFrame, identity


def by_name(frames):
    return {frame.name: frame for frame in frames}


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_written_is_read_back(frames, tmp_path: Path, kind: str) -> None:
    write_dataset(tmp_path / "set", frames, kind)
    found = by_name(read_dataset(tmp_path / "set").frames)
    assert found.keys() == by_name(frames).keys()
    for frame in frames:
        again = found[frame.name]
        assert again.size == frame.size
        assert again.content() == frame.content()
        assert (again.camera_name, again.bay_id, again.captured_at) == (
            frame.camera_name,
            frame.bay_id,
            frame.captured_at,
        )
        assert [(t.class_name, t.stage) for t in again.objects] == [(t.class_name, t.stage) for t in frame.objects]
        for one, other in zip(again.objects, frame.objects, strict=True):
            np.testing.assert_allclose(one.box, other.box, atol=0.02)
            assert (one.polygon is None) == (other.polygon is None)
            if one.polygon is not None:
                np.testing.assert_allclose(one.polygon, other.polygon, atol=0.02)


def test_coco_keeps_how_sure_the_models_were(frames, tmp_path: Path) -> None:
    write_dataset(tmp_path / "set", frames)
    found = by_name(read_dataset(tmp_path / "set").frames)["demo_bay_C_4_20250702071000.jpg"]
    assert [thing.confidence for thing in found.objects] == [None, 0.75]


@pytest.mark.slow(3)
@pytest.mark.parametrize("kind", ["yolo", "coco"])
@pytest.mark.filterwarnings("ignore")
def test_supervision_reads_the_same_boxes(frames, tmp_path: Path, kind: str) -> None:
    import supervision

    folder = tmp_path / "set"
    write_dataset(folder, frames, kind)
    images = str(folder / "images")
    read = (
        supervision.DetectionDataset.from_yolo(images, str(folder / "labels"), str(folder / "data.yaml"))
        if kind == "yolo"
        else supervision.DetectionDataset.from_coco(images, str(folder / "annotations.json"))
    )
    found = {Path(path).name: (annotations, read.classes) for path, _, annotations in read}
    for frame in frames:
        annotations, classes = found[frame.name]
        assert [classes[i] for i in annotations.class_id] == [thing.class_name for thing in frame.objects]
        for box, thing in zip(annotations.xyxy, frame.objects, strict=True):
            np.testing.assert_allclose(box, thing.box, atol=1.5)


def test_ultralytics_reads_outlines_and_boxes_of_one_picture(frames, tmp_path: Path) -> None:
    """A line of a box among outlines would be read as an outline of two points."""
    from ultralytics.data.utils import verify_image_label

    write_dataset(tmp_path / "set", frames[:1], "yolo")
    stem = Path(frames[0].name).stem
    image, label = tmp_path / "set/images" / frames[0].name, tmp_path / "set/labels" / f"{stem}.txt"
    read = verify_image_label((str(image), str(label), "", False, 2, 0, 0, False))
    boxes = read[1][:, 1:] * np.array([192, 108, 192, 108])
    wanted = [[*(thing.box[:2] + thing.box[2:]) / 2, *(thing.box[2:] - thing.box[:2])] for thing in frames[0].objects]
    np.testing.assert_allclose(boxes, wanted, atol=0.02)


def test_a_data_set_of_a_labelling_tool_has_its_pictures_in_another_folder(frames, tmp_path: Path) -> None:
    write_dataset(tmp_path / "set", frames)
    (tmp_path / "set/annotations").mkdir()
    (tmp_path / "set/annotations.json").rename(tmp_path / "set/annotations/instances_default.json")
    (tmp_path / "set/images").rename(tmp_path / "set/default")
    assert len(read_dataset(tmp_path / "set").frames) == 3


def test_coco_reads_the_largest_of_several_polygons_and_says_what_it_does_not_read(frames, tmp_path: Path) -> None:
    write_dataset(tmp_path / "set", frames)
    path = tmp_path / "set/annotations.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["segmentation"].insert(0, [1, 1, 3, 1, 3, 3])
    document["annotations"][1]["segmentation"] = {"counts": "abc", "size": [108, 192]}
    path.write_text(json.dumps(document))
    read = read_dataset(tmp_path / "set")
    assert len(by_name(read.frames)[frames[0].name].objects[0].polygon) == 4
    assert read.remarks == (
        "1 masks are run-length encoded: only their boxes are read; export polygons to keep outlines",
    )


def test_yolo_of_tools_without_a_data_yaml(frames, tmp_path: Path) -> None:
    write_dataset(tmp_path / "set", frames, "yolo")
    (tmp_path / "set/data.yaml").unlink()
    (tmp_path / "set/obj.names").write_text("block\nHP_block\nwelder\n")
    for label in (tmp_path / "set/labels").iterdir():
        label.rename(tmp_path / "set/images" / label.name)
    found = by_name(read_dataset(tmp_path / "set").frames)[frames[0].name]
    assert [thing.class_name for thing in found.objects] == ["block", "welder"]


def test_frames_of_one_name_get_two(frames, tmp_path: Path) -> None:
    written = write_dataset(tmp_path / "set", [frames[0], frames[0]])
    assert [frame.name for frame in written] == [frames[0].name, "demo_bay_C_4_20250702071000-2.jpg"]


def test_nothing_is_left_of_a_data_set_that_could_not_be_written(frames, tmp_path: Path) -> None:
    broken = [frames[0], LabelledFrame("away.jpg", (1, 1), (), tmp_path / "away.jpg")]
    with pytest.raises(DatasetError, match=r"away\.jpg: cannot be read"):
        write_dataset(tmp_path / "new/set", broken)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_written_into(frames, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError, match="is there already"):
        write_dataset(tmp_path, frames)


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("annotations.json", "{", "is no JSON"),
        ("annotations.json", "[]", "is no COCO file"),
        (
            "annotations.json",
            '{"images": [], "annotations": [{"image_id": 3}], "categories": []}',
            r"annotation \?: image_id is 3, which is none of `images`",
        ),
        (
            "annotations.json",
            '{"images": [{"id": 1}], "annotations": [{"id": 7, "image_id": 1, "category_id": 9}], "categories": []}',
            "annotation 7: category_id is 9, which is none of `categories`",
        ),
        (
            "annotations.json",
            '{"images": [{"id": 1}], "annotations": [{"id": 7, "image_id": 1, "category_id": 9, "bbox": "a"}],'
            ' "categories": [{"id": 9, "name": "block"}]}',
            r"annotation 7: bbox is 'a': write \[left, top, width, height\]",
        ),
        (
            "annotations.json",
            '{"images": [{"id": 1, "file_name": "../../etc/passwd", "width": 1, "height": 1}],'
            ' "annotations": [], "categories": []}',
            "outside of the data set",
        ),
        (
            "annotations.json",
            '{"images": [{"id": 1, "file_name": "a.jpg", "width": 1, "height": 1}],'
            ' "annotations": [], "categories": []}',
            "the picture a.jpg, which the labels name, is not there",
        ),
        ("data.yaml", "train: images", "has no `names`"),
        ("data.yaml", "names: [block]", "there is no picture in it"),
        ("annotations.xml", "<annotations>", "is no XML"),
        ("annotations.xml", "<html/>", "its root is <html>"),
        ("annotations.xml", "<annotations><track/></annotations>", "CVAT for video"),
        ("annotations.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "defines entities"),
        (
            "annotations.xml",
            '<annotations><image name="a.jpg" width="9" height="9"><polygon label="block" points="1,1;2"/></image>'
            "</annotations>",
            "image a.jpg",
        ),
        ("notes.txt", "", "holds no labels"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, text: str, why: str) -> None:
    with pytest.raises(DatasetError, match=why):
        read_dataset(write(tmp_path / "set", name, text))


@pytest.mark.parametrize("line", ["0 0.5 0.5", "7 0.5 0.5 0.1 0.1", "0 0.5 nan 0.1 0.1", "block 1 1 1 1"])
def test_a_line_of_yolo_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    folder = write(tmp_path / "set", "data.yaml", "names: [block]")
    cv2.imwrite(str(folder / "a.jpg"), np.zeros((10, 10, 3), np.uint8))
    write(folder, "a.txt", f"0 0.5 0.5 0.2 0.2\n{line}\n")
    with pytest.raises(DatasetError, match=r"a\.txt, line 2"):
        read_dataset(folder)


def test_the_name_of_a_frame_says_its_camera_and_time() -> None:
    bays = ["3bay", "3bay_north"]
    bay, camera, moment = identity("3bay_north_C_4_20250702071000.jpg", bays)
    assert (bay, camera) == ("3bay_north", "C_4")
    assert moment is not None
    assert moment.isoformat() == "2025-07-02T07:10:00+00:00"
    assert identity("gate_7_20250702071000.png", bays)[:2] == (None, "gate_7")
    assert identity("IMG_0001.jpg", bays) == (None, None, None)
    assert identity("C_4_20259902071000.jpg", bays) == (None, None, None)


def test_a_box_that_was_moved_away_from_its_outline_is_told(frames, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_dataset(folder, frames)
    assert read_dataset(folder).remarks == ()
    labels = folder / "annotations.json"
    document = json.loads(labels.read_text())
    moved = next(one for one in document["annotations"] if one["segmentation"])
    moved["bbox"][0] += 10 * moved["bbox"][2]
    labels.write_text(json.dumps(document))
    (remark,) = read_dataset(folder).remarks
    assert remark.startswith(f"outline and box lie apart: annotation {moved['id']}: ")
