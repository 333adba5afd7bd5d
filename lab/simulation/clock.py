"""The time at which the simulated cameras see the yard."""

import time
from datetime import UTC, datetime, timedelta

from bay_observation.errors import SimulationError


class SimulatedClock:
    """A clock that stands still at a moment, or runs on from it.

    It says what the cameras *show*. Their own clocks, which WS-Security tokens
    are checked against, are the machine's: a real camera of the day before
    would refuse every login.

    Args:
        start: the moment to begin with (aware); the machine's time when left out.
        running: run on from there.
        speed: simulated seconds in a second of real time.

    Raises:
        SimulationError: `start` has no time zone, or the speed is not positive.
    """

    def __init__(self, start: datetime | None = None, *, running: bool = False, speed: float = 1.0) -> None:
        if not 0 < speed < float("inf"):
            raise SimulationError(f"speed {speed:g} of simulated time: give a positive number")
        self.running = running
        self.speed = speed
        self.set(start if start is not None else datetime.now(UTC))

    def now(self) -> datetime:
        """The simulated moment (aware, UTC), to the second: a frame belongs to a whole second."""
        if not self.running:
            return self._moment
        passed = timedelta(seconds=self.speed * (time.monotonic() - self._set_at))
        return (self._moment + passed).replace(microsecond=0)

    def set(self, moment: datetime) -> None:
        """Move the clock, forwards or backwards.

        Raises:
            SimulationError: the moment has no time zone.
        """
        if moment.tzinfo is None:
            raise SimulationError(f"simulated time {moment.isoformat()} has no time zone: add one, as in +09:00 or Z")
        self._moment = moment.astimezone(UTC).replace(microsecond=0)
        self._set_at = time.monotonic()
