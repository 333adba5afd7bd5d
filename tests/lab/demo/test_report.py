"""The demo's tables."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from bays import load_bay
from lab.demo import report
from lab.evaluation.events import EventComparison, Verdict
from tracking import EventKind

NOON = datetime(2025, 7, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_footnote_stands_where_something_is_undecided(verdict):
    one = EventComparison(EventKind.EXITED, verdict, "B0001", None, NOON, None)
    day, compared = SimpleNamespace(bay=load_bay("demo_bay")), SimpleNamespace(comparisons=(one,))
    table = report._event_table(day, compared)
    assert (table.caption is not None) == (verdict is Verdict.UNDECIDED)
