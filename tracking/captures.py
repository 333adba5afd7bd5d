"""How much time lies between slots: between their frames, since slots only name batches.

What happens to blocks takes time. Frames are taken seconds or minutes after their slot, and later
in one slot than in another: the time between two slots' frames is what the model reasons with
(`tracking.model.Model.hours`).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from bays import BayConfig
from bays.capture_window import capture_window
from fusion.types import FusionResult

_KEPT = 36  # of the latest slots; of earlier ones, only what tracks refer to
_EARLY = timedelta(minutes=1)  # by which clocks differ
_OF_STORED = timedelta(hours=1)  # from their slot, frames that are read from a store
_LONG_AGO_HOURS = 1e6


class Captures:
    """When the frames of slots were taken.

    Args:
        known: slots, each with the time of its frames (aware).
    """

    def __init__(self, known: Iterable[tuple[datetime, datetime]] = ()) -> None:
        self._known = dict(known)

    def of(self, slot: datetime) -> datetime | None:
        """When the frames of a slot were taken; None where that is not known."""
        return self._known.get(slot)

    def hours(self, before: datetime | None, after: datetime) -> float:
        """From the frames of one slot to those of another, by the slots where frames have no time."""
        if before is None:
            return _LONG_AGO_HOURS
        passed = self._known.get(after, after) - self._known.get(before, before)
        return max(0.0, passed.total_seconds() / 3600)

    def kept(self, referred: set[datetime]) -> tuple[tuple[datetime, datetime], ...]:
        """What the next slots need: the latest ones, and those that tracks refer to, in order."""
        ordered = sorted(self._known.items())
        latest = len(ordered) - _KEPT
        return tuple(one for number, one in enumerate(ordered) if number >= latest or one[0] in referred)


def time_of_frames(result: FusionResult, bay: BayConfig) -> datetime | None:
    """When a slot's frames were taken, if that can be: a clock that is hours off, or a simulated one, says nothing.

    They are taken within the bay's capture window, or soon after it where cameras answer slowly.
    """
    if result.captured_at is None:
        return None
    window = capture_window(bay, result.slot)
    late = result.captured_at - result.slot
    return result.captured_at if -_EARLY <= late <= (_OF_STORED if window is None else 2 * window) else None
