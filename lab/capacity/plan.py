"""The smallest yard that the model finds in time: how many schedulers, API servers and cores."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bay_observation.errors import SimulationError
from lab.capacity.model import Model, Slot, Yard

ASKED_S = 30.0
"""All cameras are asked within: later than a minute is late (`bay_frames_late_lately`)."""

TRACKED_S = 300.0
"""All bays are tracked within: half of a slot is left for what has to be tried again."""

MOST_BUSY = 0.6
"""The main server's and the processors' share of busy cores over a slot's ten minutes, at most."""

SLOTS_A_DAY = 144
BAYS_A_TRIGGERER = 100
"""Of those that one triggerer serves where one network reaches all (`make bench-triggerer`)."""

_SLOT_S = 600.0
_MEASURED_BAYS = 3
_MOST = 512
_PARTS = ("schedulers", "api_servers", "main_cores", "processor_cores")


@dataclass(frozen=True)
class Plan:
    """A yard that is in time, and what it asks of the database.

    Attributes:
        yard: its processes and cores.
        asked_s, tracked_s: until the last bay's cameras are asked, and until the last bay is tracked.
        main_busy, processors_busy: share of the cores over ten minutes.
        main_triggerers: of the queues of processors, with one to take over.
        transactions_s: of PostgreSQL in a second for the batches, while a slot is worked on.
        wal_gb_day: written by PostgreSQL in a day.
        connections: to PostgreSQL without a pooler, at most.
    """

    yard: Yard
    asked_s: float
    tracked_s: float
    main_busy: float
    processors_busy: float
    main_triggerers: int
    transactions_s: float
    wal_gb_day: float
    connections: int


def plan(model: Model, bays: int) -> Plan:
    """Grow a yard from its smallest, by the part that helps most, until it is in time.

    Raises:
        SimulationError: none is.
    """
    yard, slot = _tried(model, Yard(bays))
    while not _in_time(yard, slot):
        yard, slot = min((_tried(model, grown) for grown in _grown(yard)), key=lambda tried: _lateness(*tried))
    smaller = True
    while smaller:
        smaller = False
        for less in _shrunk(yard):
            found, went = _tried(model, less)
            if _in_time(found, went):
                yard, slot, smaller = found, went, True
                break
    return _described(model, yard, slot)


def _tried(model: Model, yard: Yard) -> tuple[Yard, Slot]:
    return yard, model.slot(yard)


def _in_time(yard: Yard, slot: Slot) -> bool:
    return _lateness(yard, slot)[0] <= 1.0


def _lateness(yard: Yard, slot: Slot) -> tuple[float, float]:
    """The worst of what is demanded over what is allowed; then all of them together."""
    over = (
        max(slot.asked_s) / ASKED_S,
        max(slot.tracked_s) / TRACKED_S,
        *(busy / MOST_BUSY for busy in _busy(yard, slot)),
    )
    return max(over), sum(max(1.0, one) for one in over)


def _busy(yard: Yard, slot: Slot) -> tuple[float, float]:
    """Shares of the cores over a slot. Idling goes on after the last batch, and is small then."""
    return slot.main_busy_s / (yard.main_cores * _SLOT_S), slot.processors_busy_s / (yard.processor_cores * _SLOT_S)


def _grown(yard: Yard) -> Iterator[Yard]:
    for part in _PARTS:
        count = getattr(yard, part)
        if count >= _MOST:
            raise SimulationError(f"{yard.bays} bays: no yard is in time, not even {yard}")
        yield replace(yard, **{part: 2 * count})
    # What serves one more needs cores for it.
    yield replace(yard, schedulers=2 * yard.schedulers, main_cores=2 * yard.main_cores)
    yield replace(yard, api_servers=2 * yard.api_servers, main_cores=2 * yard.main_cores)


def _shrunk(yard: Yard) -> Iterator[Yard]:
    for part in _PARTS:
        if (count := getattr(yard, part)) > (2 if part.endswith("cores") else 1):
            yield replace(yard, **{part: count - (2 if part.endswith("cores") else 1)})


def _described(model: Model, yard: Yard, slot: Slot) -> Plan:
    cost, busy = model.cost, _busy(yard, slot)
    # As if all that were open with three bays were the bays': the main server's own do not grow.
    per_bay = cost.connections / _MEASURED_BAYS
    return Plan(
        yard,
        max(slot.asked_s),
        max(slot.tracked_s),
        *busy,
        main_triggerers=1 + math.ceil(yard.bays / BAYS_A_TRIGGERER),
        transactions_s=yard.bays * cost.transactions / max(slot.tracked_s),
        wal_gb_day=yard.bays * cost.wal_bytes * SLOTS_A_DAY / 1e9,
        connections=math.ceil(per_bay * yard.bays),
    )
