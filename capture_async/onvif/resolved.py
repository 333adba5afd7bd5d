"""What ONVIF says of a camera."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of a camera's pictures the bay's file asks for.

    Attributes:
        size: (width, height) in pixels of the camera's intrinsics; None without.
        channel: number of the video source, from 1, for an NVR or a camera with several lenses.
        profile: token or name of a profile; None takes the largest.
        snapshot_port: where the snapshot is asked for, where that is another port than the camera says.
    """

    size: tuple[int, int] | None = None
    channel: int | None = None
    profile: str | None = None
    snapshot_port: int | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """What resolving found.

    Attributes:
        target: path and query of the snapshot.
        profile: the profile's name.
        size: its (width, height) in pixels, as the camera says.
        clock_offset: the camera's clock minus ours.
        zone_offset: the camera's local time minus UTC; None where it does not say.
        ports: of the camera's host, where the snapshot may be; the first that has it is kept.
    """

    target: str
    profile: str
    size: tuple[int, int]
    clock_offset: timedelta
    zone_offset: timedelta | None = None
    ports: tuple[int, ...] = ()
