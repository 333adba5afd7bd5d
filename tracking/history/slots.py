"""The slots of a bay's schedule, and days of its local clock."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, pairwise

from croniter import croniter

from bays import BayConfig

_MINUTES, _HOURS = range(60), range(24)
_DAY, _WEEK, _WITHOUT_SCHEDULE = timedelta(days=1), timedelta(days=7), timedelta(minutes=10)


def scheduled_slots(bay: BayConfig, start: datetime, end: datetime) -> Iterator[datetime]:
    """Slots (aware, UTC) of the bay's observation cron within [start, end), in order.

    A cron's day fields do not depend on its time fields: croniter finds the days, and a
    day's slots are counted off. (Asking it for every slot takes 50 microseconds each, and for every day not much less.)
    """
    if bay.schedule.observation is None:
        return
    fields = bay.schedule.observation.split()
    expanded, _ = croniter.expand(bay.schedule.observation)
    times = [
        timedelta(hours=hour, minutes=minute)
        for hour in _listed(expanded[1], _HOURS)
        for minute in _listed(expanded[0], _MINUTES)
    ]
    begin = start.astimezone(UTC)
    first_day = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    every_day = all(field == ["*"] for field in expanded[2:])
    for day in _each_day(first_day) if every_day else _days(fields[2:], first_day):
        if day >= end:
            return
        if begin <= day + times[0] and day + times[-1] < end:
            yield from map(day.__add__, times)
        else:
            yield from (slot for offset in times if begin <= (slot := day + offset) < end)


def schedule_step(bay: BayConfig, moment: datetime) -> timedelta:
    """The shortest time between two scheduled slots of the week before a moment; ten minutes without a schedule."""
    slots = list(scheduled_slots(bay, moment - _WEEK, moment))
    return min((after - before for before, after in pairwise(slots)), default=_WITHOUT_SCHEDULE)


def local_day(bay: BayConfig, day: date) -> tuple[datetime, datetime]:
    """Start and end (aware, UTC) of a day of the bay's clock; 23 to 25 hours where clocks are changed."""
    start, end = (datetime.combine(each, time(), bay.zone) for each in (day, day + timedelta(days=1)))
    return start.astimezone(UTC), end.astimezone(UTC)


def _each_day(first: datetime) -> Iterator[datetime]:
    return (first + number * _DAY for number in count())


def _days(fields: list[str], first: datetime) -> Iterator[datetime]:
    """Days that a cron's day fields name, from the first on."""
    found: Iterator[datetime] = croniter(" ".join(["0", "0", *fields]), first - timedelta(seconds=1), ret_type=datetime)
    return found


def _listed(values: list[int | str], everything: range) -> list[int]:
    numbers = [value for value in values if isinstance(value, int)]
    return sorted(numbers) if len(numbers) == len(values) else list(everything)
