"""The benchmark finds observations that differ, and its bars fail where they must."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from inference import CameraObservation, DetectedObject, Observation
from lab.benchmarks.inference import bars_of, differences

SQUARE = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], np.float32)
BLOCK = DetectedObject("block", 0.9, np.array([0, 0, 100, 100]), SQUARE, "assembly", 0.8)
WELDER = DetectedObject("welder", 0.5, np.array([0, 0, 9, 9]))


def observation(*objects: DetectedObject, camera: str = "C_2") -> Observation:
    seen = CameraObservation(camera, datetime(2025, 7, 2, tzinfo=UTC), (1920, 1080), objects)
    return Observation("yard_20250702-071000", "yard", (seen,))


def test_the_same_is_no_difference() -> None:
    assert differences(observation(BLOCK, WELDER), observation(BLOCK, WELDER)) == (0, 1.0)


def test_the_least_iou_is_that_of_the_worst_outline() -> None:
    moved = replace(BLOCK, polygon=SQUARE + np.float32([2, 0]))
    different, least = differences(observation(BLOCK, BLOCK), observation(moved, BLOCK))
    assert different == 0
    assert least == pytest.approx(98 / 102)


@pytest.mark.parametrize(
    ("other", "different"),
    [
        (observation(replace(BLOCK, class_name="panel"), WELDER), 1),
        (observation(replace(BLOCK, stage="painting"), WELDER), 1),
        (observation(replace(BLOCK, polygon=None), WELDER), 1),
        (observation(BLOCK), 1),
        (observation(BLOCK, WELDER, WELDER), 1),
        (observation(BLOCK, WELDER, camera="C_4"), 2),
        (Observation("yard_20250702-071000", "yard", ()), 2),
    ],
)
def test_what_is_not_the_same_is_counted(other: Observation, different: int) -> None:
    assert differences(observation(BLOCK, WELDER), other)[0] == different


RESULTS = {
    "warm": {
        "frames": 12,
        "service_s": [1.0, 1.1, 0.9],
        "one_by_one_s": [2.2, 2.4, 2.3],
        "different": 0,
        "least_iou": 0.992,
    },
    "server": {"batches_s": [1.2, 1.1], "loads": 1},
}


def test_bars_hold_where_they_do() -> None:
    bars = bars_of(RESULTS)
    assert [bar.holds for bar in bars] == [True] * 4
    assert bars[0].figure == pytest.approx(2.3)


@pytest.mark.parametrize(
    ("part", "changes", "failing"),
    [
        ("warm", {"one_by_one_s": [1.9, 1.9, 1.9]}, 0),
        ("warm", {"different": 1}, 1),
        ("warm", {"least_iou": 0.98}, 2),
        ("server", {"loads": 2}, 3),
    ],
)
def test_each_bar_can_fail(part: str, changes: dict[str, object], failing: int) -> None:
    bars = bars_of(RESULTS | {part: RESULTS[part] | changes})
    assert [bar.holds for bar in bars] == [number != failing for number in range(4)]
