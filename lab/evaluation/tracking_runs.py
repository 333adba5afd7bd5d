"""One tracker over the days of one case, as far as it is scored: to the last slot, on every reported track."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from bays import slot_of
from lab.evaluation.events import EventComparison, EventScore, Verdict, compare_events, score_events
from lab.evaluation.overlap import iou_matrix, pair_up
from lab.evaluation.tracking_days import SLOT, Day
from lab.evaluation.tracks import MATCH_IOU, Frame, clear_switches, hota_of_days, idf1_of_days, score_tracks
from tracking import EventKind, TrackEvent

KINDS = (EventKind.MOVED, EventKind.APPEARED, EventKind.EXITED, EventKind.STAGE_CHANGED)
WORK_KINDS = (EventKind.WORK_STARTED, EventKind.WORK_STOPPED)

Floor = Mapping[datetime, Mapping[str, Any]]


@dataclass
class Run:
    """Days of one tracker in one case."""

    frames: list[list[Frame]] = field(default_factory=list)
    comparisons: list[EventComparison] = field(default_factory=list)
    standing_switches: int = 0
    standing_exits: int = 0
    errors_m: list[float] = field(default_factory=list)
    late_slots: list[int] = field(default_factory=list)
    claims: list[tuple[float, bool]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """All figures as JSON types."""
        events = score_events(self.comparisons)
        return {
            **asdict(hota_of_days(self.frames)),
            "idf1": idf1_of_days(self.frames),
            "switches": clear_switches(self.frames),
            "standing_switches": self.standing_switches,
            "standing_exits": self.standing_exits,
            "events": {kind.value: _of_events(events[kind]) for kind in (*KINDS, *WORK_KINDS)},
            "event_f1": _f1(one for one in self.comparisons if one.kind in KINDS),
            "late_slots": statistics.median(self.late_slots) if self.late_slots else None,
            "position_error_m": {
                "median": statistics.median(self.errors_m),
                "p95": float(np.quantile(self.errors_m, 0.95)),
            },
        }

    def __iadd__(self, other: "Run") -> "Run":
        self.frames += other.frames
        self.comparisons += other.comparisons
        self.standing_switches += other.standing_switches
        self.standing_exits += other.standing_exits
        self.errors_m += other.errors_m
        self.late_slots += other.late_slots
        self.claims += other.claims
        return self


def run_of(day: Day, floor: Floor, events: Sequence[TrackEvent]) -> Run:
    """Score days; `floor` has by slot what is reported to stand there as each track."""
    slots = sorted(floor)
    truth = [day.truth[slot] for slot in slots]
    run, frames, matches = Run(), [], []
    for slot, blocks in zip(slots, truth, strict=True):
        names = list(floor[slot])
        shapes = [floor[slot][name].footprint for name in names]
        iou = iou_matrix([block.footprint for block in blocks], shapes)
        frame = Frame(slot, tuple(block.block_id for block in blocks), tuple(names), iou)
        frames.append(frame)
        matches.append(frame.matches())
        run.errors_m += [
            blocks[row].footprint.centroid.distance(shapes[column].centroid) for row, column in pair_up(iou, MATCH_IOU)
        ]
    plan = [{block.block_id: block for block in blocks} for blocks in truth]
    run.frames.append(frames)
    run.comparisons = compare_events(slots, plan, day.events, events, matches, decide_slots=1)
    run.standing_switches = score_tracks(frames, truth).standing_switches
    run.standing_exits = sum(_is_standing_exit(one, day, floor) for one in run.comparisons)
    place = {slot: number for number, slot in enumerate(slots)}
    run.late_slots = [
        place[slot_of(one.report.batch_id)] - place[one.report.time]
        for one in run.comparisons
        if one.report is not None and one.report.batch_id and one.kind in KINDS and one.report.time in place
    ]
    run.claims = _claims(slots, floor, matches)
    return run


def _claims(slots: Sequence[datetime], floor: Floor, matches: Sequence[Mapping[str, str]]) -> list[tuple[float, bool]]:
    """Each reported identity with what is said of it: right where the track is on the block that it was first on."""
    claims: list[tuple[float, bool]] = []
    first: dict[str, str] = {}
    for slot, matched in zip(slots, matches, strict=True):
        for block, track in matched.items():
            said = getattr(floor[slot][track], "probability", None)
            if said is not None and track in first:
                claims.append((float(said), first[track] == block))
            first.setdefault(track, block)
    return claims


def _is_standing_exit(comparison: EventComparison, day: Day, floor: Floor) -> bool:
    """Whether a block was said to have left the place where it stood before, and an hour after.

    That a block is no longer where it stood before it moved, unseen, is no such thing.
    """
    if comparison.kind is not EventKind.EXITED or comparison.verdict is not Verdict.FALSE:
        return False
    if comparison.reported is None or comparison.track_id is None:
        return False
    slots = sorted(floor)
    around = [slot for slot in slots if abs(slot - comparison.reported) <= 6 * SLOT]
    places = [block.footprint for slot in around for block in day.truth[slot] if block.block_id == comparison.block_id]
    if not places or len(places) < len(around) or not all(place.equals(places[0]) for place in places):
        return False
    before = [floor[slot] for slot in slots if slot < comparison.reported and comparison.track_id in floor[slot]]
    return bool(before) and bool(before[-1][comparison.track_id].footprint.intersects(places[0]))


def _of_events(score: EventScore) -> dict[str, Any]:
    return {
        "found": score.found,
        "missed": score.missed,
        "false": score.false,
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
    }


def _f1(comparisons: Iterable[EventComparison]) -> float:
    verdicts = [one.verdict for one in comparisons]
    found = verdicts.count(Verdict.FOUND)
    return 2 * found / (len(verdicts) + found) if verdicts else float("nan")
