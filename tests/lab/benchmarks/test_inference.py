"""The benchmark's bars fail where they must."""

import pytest

from lab.benchmarks.inference import bars_of

SAME = {"objects": 300, "different": 0, "least_iou": 0.992}
RESULTS = {
    "warm": {
        "frames": 12,
        "service_s": [1.0, 1.1, 0.9],
        "openvino_s": [0.8, 0.8, 0.8],
        "before_s": [1.2, 1.1, 1.3],
        "one_by_one_s": [2.2, 2.4, 2.3],
        "compared": {"service": SAME, "openvino": SAME},
    },
    "server": {"batches_s": [1.2, 1.1], "loads": 1},
}


def test_bars_hold_where_they_do() -> None:
    bars = bars_of(RESULTS)
    assert [bar.holds for bar in bars] == [True] * 8
    assert [bar.figure for bar in bars[:3]] == pytest.approx([2.3, 1.5, 1.2])


@pytest.mark.parametrize(
    ("part", "changes", "failing"),
    [
        ("warm", {"one_by_one_s": [1.9, 1.9, 1.9]}, 0),
        ("warm", {"openvino_s": [1.0, 1.0, 1.0]}, 1),
        ("warm", {"service_s": [1.3, 1.3, 1.3], "one_by_one_s": [3, 3, 3]}, 2),
        ("warm", {"compared": {"service": SAME | {"different": 1}, "openvino": SAME}}, 3),
        ("warm", {"compared": {"service": SAME | {"least_iou": 0.98}, "openvino": SAME}}, 4),
        ("warm", {"compared": {"service": SAME, "openvino": SAME | {"different": 1}}}, 5),
        ("warm", {"compared": {"service": SAME, "openvino": SAME | {"least_iou": 0.98}}}, 6),
        ("server", {"loads": 2}, 7),
    ],
)
def test_each_bar_can_fail(part: str, changes: dict[str, object], failing: int) -> None:
    bars = bars_of(RESULTS | {part: RESULTS[part] | changes})
    assert [bar.holds for bar in bars] == [number != failing for number in range(8)]
