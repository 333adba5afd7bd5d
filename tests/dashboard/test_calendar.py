"""Which days are whole."""

from collections.abc import Callable
from typing import Any


def test_a_date_has_its_slots_and_what_is_missing(ask: Callable[..., Any]) -> None:
    period = {"start": "2025-07-01T15:00:00Z", "end": "2025-07-03T15:00:00Z"}  # two dates in Seoul

    calendar = ask("bays/yard/calendar", **period)

    first, second = calendar["days"]
    assert (first["date"], second["date"]) == ("2025-07-02", "2025-07-03")
    gaps = [gap for gap in ask("bays/yard/gaps", **period)["gaps"] if gap["outcome"] != "closed"]
    assert first["missing"] + second["missing"] == len(gaps)
    # Eight slots were tracked, all on the first date, and one was skipped.
    assert first["due"] - first["missing"] == 8
    assert first["outcomes"]["skipped"] == 1
    assert second["due"] == second["missing"] == second["outcomes"]["not run"] > 0


def test_a_bay_without_a_history_has_slots_and_no_gaps(ask: Callable[..., Any]) -> None:
    days = ask("bays/other/calendar", start="2025-07-01T15:00:00Z", end="2025-07-02T15:00:00Z")["days"]

    assert [day["missing"] for day in days] == [0]
