"""The cases of `make eval-tracking`: what happens in the yard, when it is looked at, and what fusion gets wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from bays import BayConfig
from lab.evaluation.tracking_days import Day, Sight, Spoilt, busy_days, every_slot, open_slots
from lab.evaluation.tracking_yard import Pace
from tracking import EventKind

_REUSE = ("swap", "relay", "replacement")
_HOURS_OFF = (54, 108)  # slots of the day: from 09:00 to 18:00
# Neighbours and opposite ones in turn, so that some floor is out of everybody's sight.
_OFF = (("C_2", "D_2"), ("C_9", "C_11"), ("D_4", "D_6"), ("C_4", "D_4"), ("D_9", "D_11"))
_MOVED, _APPEARED, _EXITED = EventKind.MOVED, EventKind.APPEARED, EventKind.EXITED


@dataclass(frozen=True)
class Case:
    """One kind of days, and the bars of its figures.

    Attributes:
        pace: how much happens.
        spoilt: what fusion gets wrong.
        slots: at which the bay is looked at.
        scores: bars of `hota`, `idf1`, `ass_a`.
        f1: bars of the F1 of kinds of events.
        standing: whether no identity of a standing block may be lost.
    """

    pace: Pace = field(default_factory=Pace)
    spoilt: Spoilt = field(default_factory=Spoilt)
    slots: Callable[[BayConfig], tuple[datetime, ...]] = every_slot
    scores: tuple[tuple[str, float], ...] = ()
    f1: tuple[tuple[EventKind, float], ...] = ()
    standing: bool = False

    def day(self, bay: BayConfig, seed: int, sight: Sight) -> Day:
        """The case's days of that seed."""
        off = _OFF[seed % len(_OFF)] if self.spoilt.off_slots[1] else ()
        return busy_days(bay, seed, self.slots(bay), self.pace, spoilt=replace(self.spoilt, off=off), sight=sight)


def _reused(kind: str) -> Pace:
    return Pace(daily={one: 8 if one == kind else 1 for one in _REUSE})


def _office_hours(bay: BayConfig) -> tuple[datetime, ...]:
    """Eight to five on five days, with the weekend that lies between them."""
    local = ((slot, slot.astimezone(bay.zone)) for slot in every_slot(bay, 7))
    return tuple(slot for slot, here in local if here.weekday() < 5 and 8 <= here.hour < 17)


def _of_all(bar: float) -> tuple[tuple[EventKind, float], ...]:
    return tuple((kind, bar) for kind in (_MOVED, _APPEARED, _EXITED))


CASES: dict[str, Case] = {
    "ordinary": Case(
        scores=(("hota", 0.975), ("idf1", 0.98), ("ass_a", 0.975)),
        f1=(
            *_of_all(0.97),
            (EventKind.STAGE_CHANGED, 0.93),
            (EventKind.WORK_STARTED, 0.93),
            (EventKind.WORK_STOPPED, 0.93),
        ),
        standing=True,
    ),
    "sparse": Case(Pace(factor=0.4)),
    **{f"8 {kind}s a day": Case(_reused(kind), scores=(("hota", 0.96),), f1=_of_all(0.96)) for kind in _REUSE},
    "the bay's own hours, 5 days": Case(
        Pace(night=0.15),
        slots=lambda bay: open_slots(bay, 5),
        scores=(("hota", 0.96), ("idf1", 0.96)),
        f1=_of_all(0.95),
    ),
    "8 to 17, a weekend between": Case(Pace(night=0.15), slots=_office_hours),
    "two cameras off": Case(spoilt=Spoilt(off_slots=_HOURS_OFF), scores=(("hota", 0.96),), f1=_of_all(0.95)),
    "misses in runs": Case(spoilt=Spoilt(runs=0.01), scores=(("hota", 0.96),), f1=_of_all(0.95)),
    "ghosts that stay": Case(spoilt=Spoilt(false=0.01, false_slots=2.0), scores=(("hota", 0.96),), f1=_of_all(0.93)),
    "three times as busy": Case(Pace(factor=3.0), scores=(("hota", 0.96),), f1=_of_all(0.95)),
    "15 % of slots missing": Case(spoilt=Spoilt(lost=0.15)),
    "coarse: 10 % missed, 5 % false": Case(spoilt=Spoilt(missed=0.1, false=0.05)),
    "twins, 4 swaps and replacements": Case(Pace(daily={"swap": 4, "replacement": 4}, unlike_m=0.0, twins=0.4)),
}
