"""Both sides beside each other: what differs, how much they share, and whether a bay is ready.

Systematic differences (a zone, a frame of reference, a unit, names, cameras) are found first and taken out, so
that one of them is one line. Of what is left, a difference of a block or a frame is named when it lasts
`LASTING` slots; shorter ones count in the shares.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from bays import BayConfig
from legacy.areas import TrackedFloor
from legacy.comparison.blocks import Sides, attribute_differences, life_differences, shared_moves
from legacy.comparison.floors import aligned
from legacy.comparison.kinds import SYSTEMATIC, Difference, Kind
from legacy.comparison.seen import SeenFrame, SeenSlot, new_side, old_side
from legacy.comparison.slots import (
    LASTING,
    Slots,
    by_slot,
    camera_differences,
    frame_differences,
    shared_frames,
    slot_differences,
    unshifted,
)
from legacy.mapping import Thresholds

__all__ = [
    "LASTING",
    "Comparison",
    "Difference",
    "Figure",
    "Kind",
    "SeenFrame",
    "SeenSlot",
    "compare",
    "new_side",
    "old_side",
]

_LATE_SHARE = 95


@dataclass(frozen=True)
class Figure:
    """A figure and the threshold that `ready` asks of it; `value` is None where it cannot be measured."""

    name: str
    value: float | None
    relation: str
    threshold: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is on its side of the threshold; what cannot be measured holds nothing up."""
        if self.value is None:
            return True
        return self.value >= self.threshold if self.relation == ">=" else self.value <= self.threshold

    def text(self) -> str:
        """The figure, for a person."""
        return "not known" if self.value is None else f"{self.value:.3g}{self.unit}"

    def wanted(self) -> str:
        """The threshold, for a person."""
        return f"{'at least' if self.relation == '>=' else 'at most'} {self.threshold:g}{self.unit}"


@dataclass(frozen=True)
class Comparison:
    """What came out of a comparison."""

    bay_id: str
    start: datetime
    end: datetime
    figures: tuple[Figure, ...]
    differences: tuple[Difference, ...]

    @property
    def reasons(self) -> list[str]:
        """Why the bay is not ready; empty where it is."""
        wrong = [f"{one.name}: {one.text()}, wanted {one.wanted()}" for one in self.figures if not one.holds]
        return wrong + [f"{one.kind}: {one.text}" for one in self.differences if one.kind in SYSTEMATIC]

    @property
    def is_ready(self) -> bool:
        """Whether nothing speaks against giving the bay to the new side."""
        return not self.reasons

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "bay_id": self.bay_id,
            "from": self.start.isoformat(),
            "to": self.end.isoformat(),
            "ready": self.is_ready,
            "reasons": self.reasons,
            "figures": {
                one.name: {"value": one.value, "relation": one.relation, "threshold": one.threshold, "holds": one.holds}
                for one in self.figures
            },
            "differences": [
                {
                    "kind": one.kind.value,
                    "subject": one.subject,
                    "since": None if one.since is None else one.since.isoformat(),
                    "slots": one.slots,
                    "text": one.text,
                }
                for one in self.differences
            ],
        }


def compare(
    old: Iterable[SeenSlot],
    new: Iterable[SeenSlot],
    bay: BayConfig,
    thresholds: Thresholds,
    period: tuple[datetime, datetime],
) -> Comparison:
    """Lay both sides beside each other.

    Args:
        old: slots of the old side; one that it has twice is there twice.
        new: slots of this system.
        bay: whose floor it is.
        thresholds: what `ready` takes.
        period: start and end (aware).
    """
    theirs, differences = by_slot(old)
    ours, _ = by_slot(new)
    theirs, shifted = unshifted(theirs, ours)
    differences += shifted
    differences += slot_differences(theirs, ours)
    cameras = camera_differences(theirs, ours)
    differences += cameras
    differences += frame_differences(theirs, ours)
    sides, of_floor = _sides(theirs, ours, bay, thresholds)
    differences += of_floor
    move_m = bay.tracking.move_m
    differences += attribute_differences(sides, thresholds.offset_m)
    differences += life_differences(sides, move_m, thresholds.match_m)
    late = _lateness(theirs, ours)
    if late is not None and late > thresholds.late_s:
        differences.append(
            Difference(Kind.LATE, "", None, len(ours), f"{late:.0f} s later in {_LATE_SHARE} of 100 slots")
        )
    figures = _figures(theirs, ours, sides, thresholds, move_m=move_m, late=late)
    order = sorted(
        differences, key=lambda one: (one.kind not in SYSTEMATIC, one.since or period[0], one.kind, one.subject)
    )
    return Comparison(bay.bay_id, *period, figures, tuple(order))


def _sides(old: Slots, new: Slots, bay: BayConfig, thresholds: Thresholds) -> tuple[Sides, list[Difference]]:
    theirs = {slot: seen.blocks for slot, seen in old.items() if seen.blocks is not None}
    ours = {slot: seen.blocks for slot, seen in new.items() if seen.blocks is not None}
    turned = aligned(theirs, ours, bay, thresholds.match_m, thresholds.offset_m)
    return Sides.of(turned.floors, ours, thresholds.match_m, TrackedFloor(bay)), turned.differences


def _lateness(old: Slots, new: Slots) -> float | None:
    """How much later the new side is done, seconds, in 95 of 100 slots; None where one side does not say."""
    times = [
        (ours.done_at - theirs.done_at).total_seconds()
        for slot, theirs in old.items()
        if theirs.done_at is not None and (ours := new.get(slot)) is not None and ours.done_at is not None
    ]
    return float(np.percentile(times, _LATE_SHARE)) if times else None


def _figures(
    old: Slots, new: Slots, sides: Sides, wanted: Thresholds, *, move_m: float, late: float | None
) -> tuple[Figure, ...]:
    pairs = [pair for found in sides.pairs.values() for pair in found]
    blocks = sum(len(life) for side in (sides.old, sides.new) for life in side.values())
    staged = [(theirs.stage, ours.stage) for theirs, ours in pairs if theirs.stage and ours.stage]
    both, moves = shared_moves(sides, move_m, wanted.match_m)
    every = len(old.keys() | new.keys())
    offset = float(np.median([np.hypot(a.x - b.x, a.y - b.y) for a, b in pairs])) if pairs else None
    return (
        Figure("slots compared", len(old.keys() & new.keys()), ">=", wanted.slots),
        Figure("slots that both have", _share(len(old.keys() & new.keys()), every), ">=", wanted.slots_both),
        Figure("frames that both have", shared_frames(old, new), ">=", wanted.frames_both),
        Figure("blocks that both have", _share(2 * len(pairs), blocks), ">=", wanted.blocks_both),
        Figure("stages that agree", _share(sum(a == b for a, b in staged), len(staged)), ">=", wanted.stages_same),
        Figure(
            "classes that agree",
            _share(sum(a.class_name == b.class_name for a, b in pairs), len(pairs)),
            ">=",
            wanted.classes_same,
        ),
        Figure("moves that both have", _share(both, moves), ">=", wanted.moves_both),
        Figure("median distance of centres", offset, "<=", wanted.offset_m, " m"),
        Figure("new side later", late, "<=", wanted.late_s, " s"),
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
