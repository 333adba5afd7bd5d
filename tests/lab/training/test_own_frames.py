"""Own labels become frames to train on, and nothing of them is lost on the way."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from bay_observation.errors import DatasetError
from inference.datasets import LabelledFrame, LabelledObject, write_dataset
from inference.types import CLASSES
from lab.training.own_frames import own_frames


def labelled(folder: Path, *objects: LabelledObject, name: str = "gate.png") -> Path:
    picture = np.full((1080, 1920, 3), 80, np.uint8)
    content = cv2.imencode(".png", picture)[1].tobytes()
    write_dataset(folder, [LabelledFrame(name, (1920, 1080), objects, content)])
    return folder


def square(left: int, top: int, side: int, name: str = "block") -> LabelledObject:
    corners = [(left, top), (left + side, top), (left + side, top + side), (left, top + side)]
    return LabelledObject.outlined(name, np.array(corners, np.float32), "unit_assembly")


def test_boxes_and_outlines_are_kept_at_half_the_size(tmp_path: Path) -> None:
    data = labelled(tmp_path / "set", square(100, 200, 400), square(300, 300, 40, "panel"))
    [sample] = own_frames(tmp_path / "own", [data], CLASSES).samples
    assert sample.size == (960, 540)
    assert sample.picture().shape == (540, 960, 3)
    assert [label.box for label in sample.labels] == [(50, 100, 250, 300), (150, 150, 170, 170)]
    large, small = (label.number for label in sample.labels)
    numbers = sample.numbers()
    assert numbers.shape == (1080, 1920)
    # The smaller one lies on top of the larger.
    assert (numbers == small).sum() == pytest.approx(1600, rel=0.06)
    assert (numbers == large).sum() == pytest.approx(160_000 - 1600, rel=0.01)
    assert numbers[320, 320] == small
    assert numbers[250, 150] == large


def test_what_was_kept_is_taken_again(tmp_path: Path) -> None:
    data = labelled(tmp_path / "set", square(100, 200, 400))
    first = own_frames(tmp_path / "own", [data], CLASSES)
    again = own_frames(tmp_path / "own", [data], CLASSES)
    assert again == first
    other = own_frames(tmp_path / "own", [labelled(tmp_path / "other", square(101, 200, 400))], CLASSES)
    assert other.digest != first.digest


def test_classes_that_the_model_does_not_know_are_left_out_by_name(tmp_path: Path) -> None:
    forklift = LabelledObject("forklift", np.array([1, 1, 60, 60], np.float32))
    found = own_frames(tmp_path / "own", [labelled(tmp_path / "set", square(1, 1, 99), forklift)], CLASSES)
    assert found.left_out == {"forklift": 1}
    assert [label.class_name for label in found.samples[0].labels] == ["block"]
    with pytest.raises(DatasetError, match="no object is of the classes"):
        own_frames(tmp_path / "own", [labelled(tmp_path / "none", forklift)], CLASSES)


def test_a_class_in_another_spelling_is_not_taught_as_background(tmp_path: Path) -> None:
    data = labelled(tmp_path / "set", square(100, 200, 400), square(900, 200, 100, "HP-block"))
    with pytest.raises(DatasetError, match=r"'HP-block' \(1 object\) is 'HP_block'; .*--rename HP-block=HP_block"):
        own_frames(tmp_path / "own", [data], CLASSES)
    assert not (tmp_path / "own").exists()
