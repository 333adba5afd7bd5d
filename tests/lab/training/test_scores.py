"""The scores count what they say."""

from datetime import UTC, datetime

import numpy as np
import pytest

from inference.types import CameraObservation, DetectedObject
from lab.training.scores import Tally, TrueObject, average_precision


def true(box: tuple[int, int, int, int], class_name: str = "block", stage: str = "a") -> TrueObject:
    left, top, right, bottom = box
    mask = np.zeros((100, 200), bool)
    mask[top:bottom, left:right] = True
    return TrueObject(class_name, np.array(box, np.float32), mask, stage)


def found(
    box: tuple[int, int, int, int], confidence: float, class_name: str = "block", stage: str = "a"
) -> DetectedObject:
    left, top, right, bottom = box
    polygon = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)
    return DetectedObject(class_name, confidence, np.array(box, np.float32), polygon, stage, 0.9)


def tally(objects: list[DetectedObject], truth: list[TrueObject]) -> Tally:
    result = Tally()
    result.add(CameraObservation("C_2", datetime(2025, 7, 2, tzinfo=UTC), (200, 100), tuple(objects)), truth)
    return result


def test_what_is_exactly_right_scores_one() -> None:
    result = tally([found((10, 10, 50, 40), 0.9)], [true((10, 10, 50, 40))])
    assert result.table()["mAP50 tracked classes"] == "1.000"
    assert result.mask_iou == [1.0]
    assert result.stages_right == [True]
    assert (result.missed, result.false) == (0, 0)


def test_misses_false_ones_and_wrong_stages_are_counted() -> None:
    truth = [true((10, 10, 50, 40)), true((100, 10, 140, 40))]
    result = tally([found((10, 10, 50, 40), 0.9, stage="b"), found((60, 60, 90, 90), 0.8)], truth)
    assert (result.missed, result.false) == (1, 1)
    assert result.stages_right == [False]


def test_an_object_is_matched_once() -> None:
    result = tally([found((10, 10, 50, 40), 0.9), found((10, 10, 50, 41), 0.8)], [true((10, 10, 50, 40))])
    assert (result.missed, result.false) == (0, 1)


def test_another_class_is_right_for_the_mask_and_wrong_for_the_average_precision() -> None:
    result = tally([found((10, 10, 50, 40), 0.9, class_name="panel")], [true((10, 10, 50, 40))])
    assert result.missed == 0
    assert result.table()["AP50 block"] == "0.000"


def test_average_precision_of_known_rankings() -> None:
    assert average_precision([(0.9, True), (0.8, True)], 2) == pytest.approx(1.0)
    assert average_precision([(0.9, False), (0.8, True)], 1) == pytest.approx(0.5)
    assert average_precision([(0.9, True), (0.8, False), (0.7, True)], 2) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([], 3) == 0.0
