"""Time zones as the files of bays name them."""

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator


def _known(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{value!r} is no time zone of the IANA list, as Asia/Seoul is") from error
    return value


ZoneName = Annotated[str, AfterValidator(_known)]
"""The name of a time zone of the IANA list."""
