"""Which days are whole."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any


def test_a_date_has_its_slots_and_what_is_missing(ask: Callable[..., Any]) -> None:
    period = {"start": "2025-07-01T15:00:00Z", "end": "2025-07-03T15:00:00Z"}  # two dates in Seoul

    calendar = ask("bays/yard/calendar", **period)

    first, second = calendar["days"]
    assert (first["date"], second["date"]) == ("2025-07-02", "2025-07-03")
    # The bay is watched since 23:00 UTC.
    gaps = ask("bays/yard/gaps", **{**period, "start": "2025-07-01T23:00:00Z"})["gaps"]
    gaps = [gap for gap in gaps if gap["outcome"] != "closed"]
    assert first["missing"] + second["missing"] == len(gaps)
    # Eight slots were tracked, all on the first date, and one was skipped.
    assert first["due"] - first["missing"] == 8
    assert first["outcomes"]["skipped"] == 1
    assert second["due"] == second["missing"] == second["outcomes"]["not run"] > 0


def test_what_lies_before_the_first_slot_was_not_missed(ask: Callable[..., Any]) -> None:
    june = {"start": "2025-05-31T15:00:00Z", "end": "2025-06-30T15:00:00Z"}

    assert ask("bays/yard/calendar", **june)["days"] == []
    assert ask("bays/other/calendar", **june)["days"] == []


def test_of_days_to_come_there_is_nothing_yet(ask: Callable[..., Any]) -> None:
    future = {"start": "2099-01-01T00:00:00Z", "end": "2099-01-31T00:00:00Z"}

    assert ask("bays/yard/calendar", **future)["days"] == []


def test_the_day_on_which_clocks_are_changed_is_longer(make_bay: Callable[..., Any]) -> None:
    from dashboard.api.routes.calendar import _due

    bay = make_bay(timezone="Europe/Berlin")
    begin = datetime(2025, 10, 24, 22, tzinfo=UTC)  # midnight of the 25th in Berlin; on the 26th it becomes winter
    slots = [begin + number * timedelta(minutes=10) for number in range(3 * 144 + 6)]

    assert _due(bay, slots) == {"2025-10-25": 144, "2025-10-26": 150, "2025-10-27": 144}
    assert _due(bay, slots[-1:]) == {"2025-10-27": 1}
    assert _due(bay, []) == {}
