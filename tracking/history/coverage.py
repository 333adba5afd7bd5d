"""What an answer rests on: over how many of how many slots it speaks, and as of when."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from bay_observation.errors import NotObservedError
from bays import BayConfig
from tracking.history.history import History, check_period, refuse_after, refuse_naive
from tracking.history.schema import KNOWN_FLOOR, batches
from tracking.history.slots import schedule_step, scheduled_slots

# Of the schedule's step: so long after a tracked slot its floor still counts as observed.
_STEPS = 3


@dataclass(frozen=True)
class Coverage:
    """How much of a period was observed.

    Attributes:
        start: begin of the period (aware, UTC).
        end: its end, not included.
        slots: of the bay's schedule in the period, up to now, and others that were tracked.
        tracked: of them.
        closed: of them, that nothing ran in because the bay was closed, as its file has it today.
        as_of: the newest tracked slot before the end; None where there is none.
        since: the first slot of the bay's history, where it lies after the begin: slots before it do not count. The
            bay did not run yet, or what it saw was deleted since.
    """

    start: datetime
    end: datetime
    slots: int
    tracked: int
    closed: int
    as_of: datetime | None
    since: datetime | None = None

    @property
    def missing(self) -> int:
        """Slots that should have been tracked and were not."""
        return self.slots - self.tracked - self.closed

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "from": self.start.isoformat(),
            "to": self.end.isoformat(),
            "slots": self.slots,
            "tracked": self.tracked,
            "closed": self.closed,
            "missing": self.missing,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "since": None if self.since is None else self.since.isoformat(),
        }

    def said(self, zone: ZoneInfo) -> str:
        """In words, times by the bay's clock."""
        begun = "" if self.since is None else f"; its history begins at {self.since.astimezone(zone):%Y-%m-%d %H:%M}"
        return f"{self}{begun}"

    def __str__(self) -> str:
        parts = [f"{self.tracked} of {self.slots} slots tracked"]
        parts += [f"{self.closed} closed"] if self.closed else []
        return ", ".join([*parts, *([f"{self.missing} missing"] if self.missing else [])])


@dataclass(frozen=True)
class AsOf:
    """The slot that an answer about a moment is of.

    Attributes:
        slot: the newest tracked slot that is not after the moment (aware, UTC).
        moment: that was asked about.
        observed: whether the moment is within three of the schedule's steps of the slot; else the
            answer is how the floor was when it was last seen.
    """

    slot: datetime
    moment: datetime
    observed: bool

    @property
    def age(self) -> timedelta:
        """From the slot to the moment."""
        return self.moment - self.slot

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"as_of": self.slot.isoformat(), "at": self.moment.isoformat(), "observed": self.observed}


def coverage(
    history: History,
    bay: BayConfig,
    start: datetime,
    end: datetime,
    counts: Callable[[datetime], bool] = lambda slot: True,
) -> Coverage:
    """How much of [start, end) the history knows.

    Args:
        history: of the bay.
        bay: the bay.
        start: begin of the period (aware).
        end: its end (aware). Slots of the future do not count.
        counts: whether a slot (in the bay's time) counts.

    Raises:
        HistoryError: the history has nothing of the bay; a time is naive, or the end lies before the begin.
    """
    check_period(start, end)
    newest = history.newest_slot(bay.bay_id)
    of_bay = sa.and_(batches.c.bay_id == bay.bay_id, batches.c.slot < end)
    asked = sa.select(batches.c.slot, KNOWN_FLOOR).where(of_bay, batches.c.slot >= start)
    before = sa.select(sa.func.max(batches.c.slot)).where(of_bay, KNOWN_FLOOR)
    first = history.first_slot(bay.bay_id)
    begin = start if first is None else max(start, first)
    with history.database.reading() as connection:
        recorded = {slot: bool(known) for slot, known in connection.execute(asked)}
        as_of = connection.execute(before).scalar()
    past = scheduled_slots(bay, begin, min(end, max(newest + timedelta(microseconds=1), datetime.now(UTC))))
    tracked = {slot for slot, known in recorded.items() if known and counts(slot.astimezone(bay.zone))}
    slots = {slot for slot in past if counts(slot.astimezone(bay.zone))} | tracked
    closed = sum(bool(bay.closed(slot)) for slot in slots if slot not in recorded)
    since = first if begin == first and begin > start else None
    return Coverage(start.astimezone(UTC), end.astimezone(UTC), len(slots), len(tracked), closed, as_of, since)


def as_of(history: History, bay: BayConfig, at: datetime | None = None) -> AsOf:
    """The slot that answers about a moment are of; now when None.

    Raises:
        HistoryError: the history has nothing of the bay; the moment is naive.
        NotObservedError: the moment lies before the first tracked slot, or in the future.
    """
    refuse_naive(at=at)
    now = datetime.now(UTC)
    moment = now if at is None else at
    newest = history.newest_slot(bay.bay_id)
    refuse_future(bay, moment, max(now, newest))
    tracked = sa.and_(batches.c.bay_id == bay.bay_id, KNOWN_FLOOR)
    asked = sa.select(sa.func.max(batches.c.slot)).where(tracked, batches.c.slot <= moment)
    with history.database.reading() as connection:
        slot: datetime | None = connection.execute(asked).scalar()
    if slot is None:
        first = sa.select(sa.func.min(batches.c.slot)).where(tracked)
        with history.database.reading() as connection:
            begin: datetime = connection.execute(first).scalar_one()
        raise NotObservedError(
            f"bay {bay.bay_id} was not observed at {_said(bay, moment)}: its history begins at {_said(bay, begin)}"
        )
    return AsOf(slot, moment.astimezone(UTC), moment - slot <= _STEPS * schedule_step(bay, slot))


def refuse_future(bay: BayConfig, moment: datetime, now: datetime) -> None:
    """Nothing is known of the future.

    Raises:
        NotObservedError: the moment lies there.
    """
    refuse_after(bay.bay_id, moment.astimezone(bay.zone), now)


def _said(bay: BayConfig, moment: datetime) -> str:
    return f"{moment.astimezone(bay.zone):%Y-%m-%d %H:%M %Z}"
