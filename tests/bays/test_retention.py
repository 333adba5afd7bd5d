"""How long things are kept: days or forever, in an order in which nothing that is needed goes first."""

from datetime import UTC, datetime, timedelta

import pytest

from bay_observation.errors import ConfigError
from bays import Retention

NOW = datetime(2025, 7, 2, tzinfo=UTC)


def test_days_and_forever(make_bay):
    kept = make_bay(retention={"frames": 7, "history": "forever"}).retention
    assert kept.begin("frames", NOW) == NOW - timedelta(days=7)
    assert kept.begin("history", NOW) is None
    assert kept.days("history") == float("inf")


def test_a_file_without_the_key_has_the_defaults(make_bay):
    assert make_bay().retention == Retention()


@pytest.mark.parametrize("value", [0, -1, 36_501, 1.5, True, "7", "for ever", None])
def test_what_is_no_number_of_days_is_refused_by_name(make_bay, value):
    with pytest.raises(ConfigError, match=r"retention\.frames: write whole days from 1 to 36500, or forever"):
        make_bay(retention={"frames": value})


def test_an_unknown_kind_is_refused(make_bay):
    with pytest.raises(ConfigError, match=r"retention\.pictures"):
        make_bay(retention={"pictures": 3})


@pytest.mark.parametrize(
    ("retention", "reason"),
    [
        ({"floor_plans": 500}, r"tracks \(400\) must be kept at least as long as floor_plans \(500\)"),
        ({"tracks": "forever", "history": 500}, r"history \(500\) must be kept at least as long as tracks \(forever\)"),
        ({"history": 30}, r"history \(30\) must be kept at least as long as tracks \(400\)"),
    ],
)
def test_nothing_goes_before_what_is_made_from_it(make_bay, retention, reason):
    with pytest.raises(ConfigError, match=reason):
        make_bay(retention=retention)


def test_what_a_task_waits_for_is_not_deleted_meanwhile(make_bay):
    with pytest.raises(ConfigError, match=r"retention\.frames: 1 days are less than storage\.wait, 100000 s"):
        make_bay(retention={"frames": 1}, storage={"wait": 100_000})
