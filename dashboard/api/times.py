"""Times and periods in addresses."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import HTTPException
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from bay_observation.clock import every_slot_is_now
from bays import BayConfig
from tracking.history import scheduled_slots

_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


def _within_reason(value: datetime) -> datetime:
    # Compared by year: an offset can push the first and last hours of the calendar out of what a datetime holds.
    if not _FIRST.year <= value.year < _LAST.year:
        raise ValueError("write a time between 2000 and 2100")
    return value.astimezone(UTC)


Time = Annotated[AwareDatetime, AfterValidator(_within_reason)]
"""An aware time of this century; UTC once it is read."""


class Period(BaseModel):
    """From when to when is asked."""

    start: Annotated[Time, Field(description="begin of the period, with its offset: 2026-11-26T00:00:00+09:00")]
    end: Annotated[Time, Field(description="its end, not included")]

    def check(self, longest: timedelta) -> None:
        """Refuse what is no period, or longer than one answer may be.

        Raises:
            HTTPException: 422, with the remedy.
        """
        if self.start >= self.end:
            raise HTTPException(422, "start must lie before end")
        if self.end - self.start > longest:
            raise HTTPException(422, f"ask for at most {longest.days} days at once")


def slot_length(bay: BayConfig) -> timedelta | None:
    """From one slot of the bay's schedule to the next; None without a schedule."""
    length = _lengths.get(bay.schedule.observation)
    if length is None and bay.schedule.observation is not None:
        begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        slots = scheduled_slots(bay, begin, begin + 2 * _DAY)
        first, second = next(slots, None), next(slots, None)
        if first is None or second is None:
            return None
        length = _lengths[bay.schedule.observation] = second - first
    return length


def now_of(bay: BayConfig, newest: datetime | None) -> datetime:
    """The time by which a bay is judged.

    A simulated day that is over has its own: with `CLOCK=slot` the end of its newest slot.

    Raises:
        ConfigError: `CLOCK` is wrong.
    """
    now = datetime.now(UTC)
    if newest is None or not every_slot_is_now():
        return now
    return min(now, newest + (slot_length(bay) or timedelta()))


_lengths: dict[str | None, timedelta] = {}
"""By schedule: to work one out takes as long as a question to the database."""
