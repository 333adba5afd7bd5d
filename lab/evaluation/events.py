"""How right events are: each against what really happened, to within a slot."""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from scipy.optimize import linear_sum_assignment

from lab.evaluation.truth import TruthBlock, TruthEvent
from tracking.types import EventKind, TrackEvent

Floor = Mapping[str, TruthBlock]

_NO_HAPPENING = (EventKind.INITIAL, EventKind.DISMISSED, EventKind.CORRECTED)


class Verdict(StrEnum):
    """What became of an event. UNDECIDED: it happened too late for the tracker to be certain by the end."""

    FOUND = "found"
    MISSED = "missed"
    FALSE = "false"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class EventComparison:
    """An event that happened, one that was reported, or the two together.

    Attributes:
        kind: of both.
        verdict: see `Verdict`.
        block_id: of the true block; None where the reporting track is on none.
        track_id: None when nothing was reported.
        happened: first slot that shows it; None when it did not happen.
        reported: time of the reported event.
        truth: what happened.
        report: what was reported.
    """

    kind: EventKind
    verdict: Verdict
    block_id: str | None
    track_id: str | None
    happened: datetime | None
    reported: datetime | None
    truth: TruthEvent | None = None
    report: TrackEvent | None = None


@dataclass(frozen=True)
class EventScore:
    """Counts of one kind of event. NaN where there is nothing to take a share of."""

    kind: EventKind
    found: int
    missed: int
    false: int
    undecided: int = 0

    @property
    def precision(self) -> float:
        """Share of the reported events that happened."""
        return self.found / (self.found + self.false) if self.found + self.false else math.nan

    @property
    def recall(self) -> float:
        """Share of the events that happened that were reported."""
        return self.found / (self.found + self.missed) if self.found + self.missed else math.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of the two."""
        total = 2 * self.found + self.false + self.missed
        return 2 * self.found / total if total else math.nan


def compare_events(
    slots: Sequence[datetime],
    truth_by_slot: Sequence[Floor],
    truth_events: Iterable[TruthEvent],
    reported: Iterable[TrackEvent],
    tracks_by_slot: Sequence[Mapping[str, str]],
    *,
    tolerance_slots: int = 1,
    decide_slots: int = 2,
) -> list[EventComparison]:
    """Compare the events of a run with what happened.

    Two events are the same when kind and block are, and their slots lie at most
    `tolerance_slots` apart. What happened counts where the slots show it: the state of
    the first slot is no event (what is reported to have appeared in it did not), nor is
    what was undone before the next slot. That a block stood there from the beginning, that
    a false detection was dismissed, or that an exit, false as it is, was taken back, is
    nothing that happened to a block, and is left out.

    Args:
        slots: of the run, in order (aware).
        truth_by_slot: for each slot, the true blocks by id.
        truth_events: at any moment between the slots.
        reported: by tracking.
        tracks_by_slot: for each slot, id of the matched track by id of the true block.
        tolerance_slots: see above.
        decide_slots: an event that fewer slots show than this, and that is not reported, is undecided.

    Returns:
        In order of time, then of kind and block.
    """
    happened: dict[tuple[EventKind, str], list[tuple[int, TruthEvent]]] = defaultdict(list)
    for event in truth_events:
        index = bisect_left(slots, event.time)
        if event.kind in set(EventKind) and 0 < index < len(slots) and _shows(event, truth_by_slot, index):
            happened[EventKind(event.kind), event.block_id].append((index, event))
    said: dict[tuple[EventKind, str], list[tuple[int, TrackEvent]]] = defaultdict(list)
    result: list[EventComparison] = []
    for report in reported:
        if report.kind in _NO_HAPPENING:
            continue
        index = bisect_left(slots, report.time)
        block_id = _block_of(report, index, tracks_by_slot)
        if block_id is None:
            result.append(
                EventComparison(report.kind, Verdict.FALSE, None, report.track_id, None, report.time, report=report)
            )
        else:
            said[report.kind, block_id].append((index, report))
    for key in sorted(happened.keys() | said.keys()):
        result += _paired(
            key, happened[key], said[key], slots, tolerance_slots=tolerance_slots, decide_slots=decide_slots
        )
    return sorted(result, key=_when)


def score_events(comparisons: Iterable[EventComparison]) -> dict[EventKind, EventScore]:
    """Counts by kind, for every kind."""
    verdicts = defaultdict(list)
    for comparison in comparisons:
        verdicts[comparison.kind].append(comparison.verdict)
    return {
        kind: EventScore(
            kind,
            verdicts[kind].count(Verdict.FOUND),
            verdicts[kind].count(Verdict.MISSED),
            verdicts[kind].count(Verdict.FALSE),
            verdicts[kind].count(Verdict.UNDECIDED),
        )
        for kind in EventKind
    }


def _shows(event: TruthEvent, truth_by_slot: Sequence[Floor], index: int) -> bool:
    """Whether the slot before and the slot after the event differ as it says."""
    before = truth_by_slot[index - 1].get(event.block_id)
    after = truth_by_slot[index].get(event.block_id)
    match event.kind:
        case EventKind.APPEARED:
            return before is None and after is not None
        case EventKind.EXITED:
            return before is not None and after is None
        case EventKind.MOVED:
            return before is not None and after is not None and not before.footprint.equals(after.footprint)
        case EventKind.WORK_STARTED | EventKind.WORK_STOPPED:
            return before is not None and after is not None and bool(before.work) != bool(after.work)
        case _:
            return before is not None and after is not None and before.stage != after.stage


def _block_of(report: TrackEvent, index: int, tracks_by_slot: Sequence[Mapping[str, str]]) -> str | None:
    """The true block that the reporting track is on: from then on, or before for one that left."""
    after = range(index, len(tracks_by_slot))
    before = range(index - 1, -1, -1)
    order = [*before, *after] if report.kind is EventKind.EXITED else [*after, *before]
    for position in order:
        block_ids: dict[str, str] = {track_id: block_id for block_id, track_id in tracks_by_slot[position].items()}
        if report.track_id in block_ids:
            return block_ids[report.track_id]
    return None


def _paired(
    key: tuple[EventKind, str],
    happened: Sequence[tuple[int, TruthEvent]],
    said: Sequence[tuple[int, TrackEvent]],
    slots: Sequence[datetime],
    *,
    tolerance_slots: int,
    decide_slots: int,
) -> Iterable[EventComparison]:
    kind, block_id = key
    apart = np.abs(np.subtract.outer([i for i, _ in happened], [i for i, _ in said]).astype(float))
    rows, columns = linear_sum_assignment(np.where(apart <= tolerance_slots, apart, 1e6))
    pairs = {int(r): int(c) for r, c in zip(rows, columns, strict=True) if apart[r, c] <= tolerance_slots}
    for row, (index, event) in enumerate(happened):
        if row in pairs:
            report = said[pairs[row]][1]
            yield EventComparison(
                kind, Verdict.FOUND, block_id, report.track_id, slots[index], report.time, event, report
            )
        else:
            verdict = Verdict.UNDECIDED if len(slots) - index < decide_slots else Verdict.MISSED
            yield EventComparison(kind, verdict, block_id, None, slots[index], None, event)
    for column, (_, report) in enumerate(said):
        if column not in pairs.values():
            yield EventComparison(kind, Verdict.FALSE, block_id, report.track_id, None, report.time, report=report)


def _when(comparison: EventComparison) -> tuple[datetime, str, str]:
    time = min(moment for moment in (comparison.happened, comparison.reported) if moment is not None)
    return time, comparison.kind, comparison.block_id or comparison.track_id or ""
