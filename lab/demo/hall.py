"""The demo's slots lie just before now, and each has its moment of the simulated hall.

So the page, a run that a person triggers and the cameras agree on the time: from the demo's last slot on, the hall
goes on with the clock of this machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bays import BayConfig
from bays.capture_window import capture_window
from lab.simulation.yard import DEFAULT_START

SLOT_LENGTH = timedelta(minutes=10)
_FIRST_MOMENT = datetime(2025, 7, 2, 10, 0)  # noqa: DTZ001 - in the bay's own zone


@dataclass(frozen=True)
class DemoSlots:
    """The slots that are compared with the truth.

    Attributes:
        slots: aware, in order.
        later: by how much a slot is later than the moment of the hall that its cameras show.
    """

    slots: Sequence[datetime]
    later: timedelta

    @classmethod
    def before(cls, now: datetime, bay: BayConfig, count: int) -> "DemoSlots":
        """As many slots, the last of them one whose frames are too late to be taken for frames of that time.

        Of frames that come soon after their slot the tracker takes the time (`tracking.captures`); those of the
        demo's slots come within two minutes of each other, and show the hall ten minutes apart.
        """
        newest = _slot_before(now)
        ahead = SLOT_LENGTH
        while ahead < 2 * (capture_window(bay, newest) or SLOT_LENGTH):
            ahead += SLOT_LENGTH
        first = newest - ahead - (count - 1) * SLOT_LENGTH
        return cls([first + index * SLOT_LENGTH for index in range(count)], first - _first_moment(bay))

    def moment(self, slot: datetime) -> datetime:
        """What the hall's cameras show at a slot, or at any other time."""
        return slot - self.later

    def is_live(self, slot: datetime, bay: BayConfig, now: datetime) -> bool:
        """Whether the frames of a slot that are taken now count as frames of now."""
        return now - slot <= 2 * (capture_window(bay, slot) or SLOT_LENGTH)


def _slot_before(now: datetime) -> datetime:
    now = now.astimezone(UTC).replace(second=0, microsecond=0)
    return now - timedelta(minutes=now.minute % 10)


def _first_moment(bay: BayConfig) -> datetime:
    moment = _FIRST_MOMENT.replace(tzinfo=bay.zone).astimezone(UTC)
    return moment if moment > DEFAULT_START else moment + timedelta(days=1)
