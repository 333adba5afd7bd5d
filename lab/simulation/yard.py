"""The simulated yard: a deterministic world that can be asked for any moment."""

import threading
from collections import OrderedDict
from datetime import UTC, datetime

import shapely
from shapely import box

from bay_observation.errors import SimulationError
from bays import BayConfig
from lab.simulation.history import History, YardEvent
from lab.simulation.objects import (
    STAGES,
    Crane,
    Equipment,
    Jig,
    Light,
    Person,
    SimulatedBlock,
    YardState,
)
from lab.simulation.surroundings import cranes_at, equipment_at, jigs_at, light_at, people_at

DEFAULT_START = datetime(2025, 7, 2, tzinfo=UTC)
_STATES_KEPT = 64
_BLOCKS = 24
_FLOOR_PER_BLOCK_M2 = 210.0  # blocks, the ways around them, and room to lift one in

__all__ = [
    "DEFAULT_START",
    "STAGES",
    "Crane",
    "Equipment",
    "Jig",
    "Light",
    "Person",
    "SimulatedBlock",
    "Yard",
    "YardEvent",
    "YardState",
]


def blocks_for(bay: BayConfig) -> int:
    """A mean number of blocks for a floor of this size: 24 for a hall of 150 x 40 m, fewer for a smaller one."""
    if not bay.layout.areas:
        floor = bay.layout.width * bay.layout.height
    else:
        floor = float(
            shapely.union_all(
                [box(a.x[0], a.y[0], a.x[1], a.y[1]) for a in bay.layout.areas.values() if a.tracked]
            ).area
        )
    return max(1, min(_BLOCKS, int(floor / _FLOOR_PER_BLOCK_M2)))


class Yard:
    """A bay full of blocks over time: same arguments, same world.

    Args:
        bay: whose floor and areas the blocks stand on.
        seed: of everything that is drawn; not negative.
        blocks: mean number of blocks in the yard.
        start: begin of the history (aware); nothing is known before it.
        activity: factor on how often something happens.
        is_bare: nothing but blocks stands or hangs there: no equipment, crane or person, nor what blocks are put on.

    Thread-safe. A state costs milliseconds once its history is made, the
    history some milliseconds a working hour.

    Raises:
        SimulationError: `start` is naive, a number is out of range, or the
            blocks do not fit on the bay's floor.
    """

    def __init__(
        self,
        bay: BayConfig,
        seed: int = 0,
        blocks: int = 24,
        start: datetime = DEFAULT_START,
        activity: float = 1.0,
        *,
        is_bare: bool = False,
    ) -> None:
        if start.tzinfo is None:
            raise SimulationError(f"yard start {start.isoformat()} has no time zone: pass an aware datetime")
        if seed < 0 or blocks < 0 or activity < 0:
            raise SimulationError(f"yard: seed {seed}, blocks {blocks}, activity {activity} must not be negative")
        self.bay, self.seed, self.start = bay, seed, start.astimezone(UTC)
        self._is_bare = is_bare
        self._lock = threading.Lock()
        self._history = History(bay, seed, blocks, self.start, activity)
        self._states: OrderedDict[datetime, YardState] = OrderedDict()

    def at(self, time: datetime) -> YardState:
        """Everything in the yard at that moment; asked again, the same object.

        Raises:
            SimulationError: `time` is naive or lies before `start`.
        """
        moment = self._checked(time)
        with self._lock:
            state = self._states.get(moment)
            if state is None:
                state = self._states[moment] = self._make(moment)
                if len(self._states) > _STATES_KEPT:
                    self._states.popitem(last=False)
            self._states.move_to_end(moment)
            return state

    def events(self, since: datetime, until: datetime) -> list[YardEvent]:
        """What happened after `since`, up to and including `until`, in order of time.

        Raises:
            SimulationError: a time is naive or lies before `start`.
        """
        after, last = self._checked(since), self._checked(until)
        with self._lock:
            self._history.extend(last)
            return [event for event in self._history.events if after < event.time <= last]

    def _checked(self, time: datetime) -> datetime:
        if time.tzinfo is None:
            raise SimulationError(f"time {time.isoformat()} has no time zone: pass an aware datetime")
        if time < self.start:
            raise SimulationError(
                f"the yard's history starts at {self.start.isoformat()}; {time.isoformat()} is before it"
            )
        return time.astimezone(UTC)

    def _make(self, time: datetime) -> YardState:
        blocks, light = self._history.blocks_at(time), light_at(self.bay, self.seed, time)
        if self._is_bare:
            return YardState(time, blocks, jigs=(), equipment=(), cranes=(), people=(), light=light)
        equipment = equipment_at(self.bay, self.seed, time, blocks)
        return YardState(
            time=time,
            blocks=blocks,
            jigs=jigs_at(self.bay, self.seed, blocks),
            equipment=equipment,
            cranes=cranes_at(self.bay, self.seed, time),
            people=people_at(self.bay, self.seed, time, blocks, equipment),
            light=light,
        )
