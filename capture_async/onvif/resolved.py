"""What ONVIF says of a camera."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Resolved:
    """What resolving found.

    Attributes:
        target: path and query of the snapshot of the largest profile.
        profile: that profile's name.
        size: its (width, height) in pixels, as the camera says.
        clock_offset: the camera's clock minus ours.
        zone_offset: the camera's local time minus UTC; None where it does not say.
    """

    target: str
    profile: str
    size: tuple[int, int]
    clock_offset: timedelta
    zone_offset: timedelta | None = None
