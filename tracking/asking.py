"""What a person writes on the command line, as times, periods, blocks and windows of the day."""

import argparse
import re
from datetime import UTC, date, datetime, timedelta

from pydantic import ValidationError

from bay_observation.commands import counted
from bay_observation.errors import ConfigError
from bays import BayConfig
from bays.models import DailyWindow
from bays.zones import check_century, written_time
from tracking.history import BlockNames, History, local_day, refuse_future

_DAY = timedelta(days=1)
_NUMBER = re.compile(r"#?(\d{1,6})")


def period_of(bay: BayConfig, options: argparse.Namespace, days: int) -> tuple[datetime, datetime]:
    """The period of the options (aware, the bay's time): a day, from and to, or the last full days and today up to now.

    Hours of a day are those that begin in it: of 20:00-06:00 the last six are the next day's.

    Raises:
        ConfigError: a time is none, the period is empty, or it is given twice.
        NotObservedError: the period lies in the future.
    """
    now = datetime.now(UTC)
    today = now.astimezone(bay.zone).date()
    if options.day is not None:
        if options.start is not None or options.end is not None:
            raise ConfigError("give --day, or --from and --to, and not both")
        start, end = _of_day(bay, _day(options.day, today), getattr(options, "hours", None))
        refuse_future(bay, start, now)
        return start, end
    start = local_day(bay, today - days * _DAY)[0] if options.start is None else time_of(bay, options.start)
    end = now if options.end is None else time_of(bay, options.end)
    start, end = start.astimezone(bay.zone), end.astimezone(bay.zone)
    if start >= end:
        if options.end is None:
            refuse_future(bay, start, now)
        raise ConfigError(f"the period {said(bay, start, end)} ({bay.timezone}) is empty: --from must lie before --to")
    refuse_future(bay, start, now)
    return start, end


def time_of(bay: BayConfig, text: str) -> datetime:
    """A time (aware, UTC) as a person writes it: the bay's own, unless it has an offset.

    Raises:
        ConfigError: it is no time.
    """
    return written_time(text, bay.zone)


def track_of(history: History, bay: BayConfig, text: str) -> str:
    """The track that a person means: its id, its number as pictures show it (`#10`), or the yard's own number.

    Raises:
        HistoryError: no block has that number of the yard's.
    """
    if (number := _NUMBER.fullmatch(text)) is not None:
        return f"{bay.bay_id}-{int(number[1]):06d}"
    return text if text.startswith(f"{bay.bay_id}-") else BlockNames(history, bay.bay_id).find(text).track_id


def hours_of(text: str) -> DailyWindow:
    """A window of every day, for argparse: `20:00-06:00`.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        return DailyWindow.model_validate(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f'{text!r} is no window of the day: write "20:00-06:00"') from None


def said(bay: BayConfig, start: datetime, end: datetime) -> str:
    """A period in the bay's own time."""
    return f"{start.astimezone(bay.zone):%Y-%m-%d %H:%M} to {end.astimezone(bay.zone):%Y-%m-%d %H:%M}"


def ago(age: timedelta) -> str:
    """A length of time in its largest unit."""
    for length, unit in ((timedelta(days=1), "days"), (timedelta(hours=1), "hours")):
        if age >= 2 * length:
            return f"{age // length} {unit}"
    return counted(max(age, timedelta()) // timedelta(minutes=1), "minute")


def hours(length: timedelta) -> str:
    """A length of time as hours and minutes."""
    minutes = round(length.total_seconds() / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h"


def within(hours_: DailyWindow | None, moment: datetime) -> bool:
    """Whether a moment of the bay's time lies in these hours, the end not included; always where there are none."""
    if hours_ is None:
        return True
    clock = moment.time()
    if hours_.start < hours_.end:
        return hours_.start <= clock < hours_.end
    return clock >= hours_.start or clock < hours_.end


def _of_day(bay: BayConfig, day: date, hours_: DailyWindow | None) -> tuple[datetime, datetime]:
    if hours_ is None:
        start, end = local_day(bay, day)
        return start.astimezone(bay.zone), end.astimezone(bay.zone)
    last = day if hours_.start < hours_.end else day + _DAY
    return datetime.combine(day, hours_.start, bay.zone), datetime.combine(last, hours_.end, bay.zone)


def _day(text: str, today: date) -> date:
    named = {"today": today, "yesterday": today - _DAY}
    try:
        day = named.get(text) or date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--day {text}: write today, yesterday, or a date as 2025-07-02") from None
    check_century(day)
    return day
