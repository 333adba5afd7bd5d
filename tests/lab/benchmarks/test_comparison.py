"""Observations are compared by what overlaps, whatever the order of their lists."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from inference import CameraObservation, DetectedObject, Observation
from lab.benchmarks.comparison import compare

SQUARE = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], np.float32)
BLOCK = DetectedObject("block", 0.9, np.array([0, 0, 100, 100]), SQUARE, "assembly", 0.8)
WELDER = DetectedObject("welder", 0.5, np.array([200, 0, 209, 9]))


def observation(*objects: DetectedObject, camera: str = "C_2") -> Observation:
    seen = CameraObservation(camera, datetime(2025, 7, 2, tzinfo=UTC), (1920, 1080), objects)
    return Observation("yard_20250702-071000", "yard", (seen,))


def moved(found: DetectedObject, by: float) -> DetectedObject:
    polygon = None if found.polygon is None else found.polygon + np.float32([by, 0])
    return replace(found, box=found.box + np.float32([by, 0, by, 0]), polygon=polygon)


def test_another_order_is_no_difference() -> None:
    same = compare(observation(BLOCK, WELDER), observation(WELDER, BLOCK))
    assert (same.different, same.objects, same.least_iou) == (0, 2, 1.0)


def test_the_least_iou_is_that_of_the_worst_outline() -> None:
    far = moved(BLOCK, 300)
    compared = compare(observation(BLOCK, far), observation(moved(BLOCK, 2), far))
    assert compared.different == 0
    assert compared.least_iou == pytest.approx(98 / 102)
    assert compared.mean_iou == pytest.approx((1 + 98 / 102) / 2)


@pytest.mark.parametrize(
    ("other", "unmatched", "other_class", "other_stage"),
    [
        (observation(replace(BLOCK, class_name="panel"), WELDER), 0, 1, 0),
        (observation(replace(BLOCK, stage="painting"), WELDER), 0, 0, 1),
        (observation(replace(BLOCK, polygon=None), WELDER), 0, 0, 1),
        (observation(BLOCK), 1, 0, 0),
        (observation(BLOCK, WELDER, WELDER), 1, 0, 0),
        (observation(moved(BLOCK, 60), WELDER), 2, 0, 0),
        (observation(BLOCK, WELDER, camera="C_4"), 4, 0, 0),
        (Observation("yard_20250702-071000", "yard", ()), 2, 0, 0),
    ],
)
def test_what_is_not_the_same_is_counted(
    other: Observation, unmatched: int, other_class: int, other_stage: int
) -> None:
    compared = compare(observation(BLOCK, WELDER), other)
    assert (compared.unmatched, compared.other_class, compared.other_stage) == (unmatched, other_class, other_stage)
    assert compared.share == pytest.approx((unmatched + other_class + other_stage) / compared.objects)


def test_two_classes_at_one_place_are_paired_by_their_class() -> None:
    jig = replace(BLOCK, class_name="pinjig", stage=None, polygon=None)
    assert compare(observation(BLOCK, jig), observation(jig, BLOCK)).different == 0
