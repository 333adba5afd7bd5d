"""How long the disk lasts: growth ends where retention begins."""

import math

import pytest

from housekeeping.forecast import Growth, days_until_full


def test_a_kind_grows_until_it_is_as_old_as_it_may_get():
    growth = Growth(bytes_a_day=10, days_held=5, days_kept=30)
    assert [growth.after(days) for days in (0, 1, 25, 26, math.inf)] == [0, 10, 250, 250, 250]
    assert Growth(10, 50, 30).after(100) == 0  # retention was shortened: what is too old goes today


@pytest.mark.parametrize(
    ("growths", "free", "days"),
    [
        ([Growth(10, 0, math.inf)], 95, 10),
        ([Growth(10, 0, math.inf)], 100, 11),
        ([Growth(10, 0, 5)], 100, None),
        ([Growth(10, 0, 5), Growth(1, 0, math.inf)], 100, 51),
        ([Growth(10, 0, math.inf)], 0, 1),
        ([Growth(1, 0, math.inf)], 1e9, None),
        ([], 0, None),
    ],
)
def test_days_until_the_disk_is_full(growths, free, days):
    assert days_until_full(growths, free) == days
