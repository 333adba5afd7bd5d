"""The demo's tables."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from rich.console import Console

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


@pytest.mark.parametrize(
    ("whole", "missed", "switches", "status", "mark"),
    [(5, 0, 0, 0, "✔"), (5, 1, 0, 1, "✘"), (5, 0, 1, 1, "✔"), (0, 0, 0, 3, "?"), (0, 0, 1, 1, "?")],
)
def test_without_a_block_that_was_seen_whole_nothing_is_told(monkeypatch, whole, missed, switches, status, mark):
    sighting = SimpleNamespace(slot=NOON, truth=SimpleNamespace(block_id="B0001", area="A12"))
    verdict = report.Verdict(whole, (sighting,) * missed, switches)
    assert verdict.status == status
    for name in ("_track_table", "_event_table"):
        monkeypatch.setattr(report, name, lambda *_: "")
    floor = SimpleNamespace(**dict.fromkeys(("precision", "recall", "mean_iou", "centre_error_m"), 0.5))
    floor.area_accuracy = floor.stage_accuracy = 1.0
    console = Console(record=True, width=200)
    day = SimpleNamespace(bay=load_bay("demo_bay"), slots=[NOON], trackings={})
    report.print_report(console, day, SimpleNamespace(floor=floor, comparisons=()), verdict)
    said = console.export_text()
    assert f"{mark} blocks that 2 or more working cameras saw completely: {whole - missed} of {whole}" in said
    assert ("it cannot be told from these slots" in said) is (whole == 0)
    assert ("try more --slots, another --seed" in said) is (whole == 0)


@pytest.mark.parametrize(
    ("verdict", "kinds", "said"),
    [
        (Verdict.FOUND, (), ""),
        (Verdict.MISSED, (), "missed: it happened and was not reported"),
        (Verdict.FALSE, (), "false: it was reported and did not happen"),
        (
            Verdict.FOUND,
            (EventKind.DISMISSED, EventKind.EXITED),
            "1 event of `history events` dismissed: seen too few times to be told from a false detection, and taken"
            " back; where it was a block, its leaving is not told",
        ),
    ],
)
def test_words_that_leave_the_exit_status_alone_are_explained(verdict, kinds, said):
    one = EventComparison(EventKind.EXITED, verdict, "B0001", None, NOON, None)
    tracking = SimpleNamespace(events=[SimpleNamespace(kind=kind) for kind in kinds])
    day = SimpleNamespace(trackings={NOON: tracking})
    lines = report._explained(day, SimpleNamespace(comparisons=(one,)))
    assert "\n".join(lines).startswith(said)
    assert bool(lines) is bool(said)
    changes = "the exit status counts the two promises above: no event, missed or false, changes it"
    assert (changes in lines) is (verdict is not Verdict.FOUND)
