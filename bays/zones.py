"""Time zones as the files of bays name them, and times as a person writes them there."""

from datetime import UTC, date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator

from bay_observation.errors import ConfigError

_FIRST_YEAR = 2000


def written_time(text: str, zone: ZoneInfo) -> datetime:
    """A time (aware, UTC) as a person writes it: of the zone, unless it has an offset.

    Raises:
        ConfigError: it is no time, or not of this century.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f'{text!r} is not a time: write "2025-07-02 16:10", or with an offset') from None
    check_century(time)
    return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)


def check_century(day: date) -> None:
    """Refuse what is no day of this century: in another zone, the calendar's first and last day lie outside of it.

    Raises:
        ConfigError: it is not.
    """
    if not _FIRST_YEAR <= day.year < _FIRST_YEAR + 100:
        raise ConfigError(f"the year {day.year}: write a time between {_FIRST_YEAR} and {_FIRST_YEAR + 100}")


# What lies beside the list on a host: its own zone, and the list once more.
_OF_THE_HOST = ("localtime", "posixrules", "posix/", "right/")


def _known(value: str) -> str:
    try:
        ZoneInfo(value)
        if value.startswith(_OF_THE_HOST):
            raise ValueError("not of the list")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: of a folder of it, as Asia
        raise ValueError(f"{value!r} is no time zone of the IANA list, as Asia/Seoul is") from error
    return value


ZoneName = Annotated[str, AfterValidator(_known)]
"""The name of a time zone of the IANA list."""
