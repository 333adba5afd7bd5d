"""A busy yard for the tracker alone: what stands where in each slot, with the lifts that make identities hard.

Unlike `lab.simulation`, nothing is drawn and nothing is let alone: a place may be used
again at once, blocks swap places, one is set down where another has just left, and some
blocks are twins of others. Truth is a list of blocks for each slot; what happened follows
from two slots beside each other, as no camera can see more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import shapely

from bays import BayConfig
from lab.simulation.history import WORKING_HOURS, EventKind, YardEvent
from lab.simulation.objects import BLOCK_CLASSES, EQUIPMENT_CLASSES, STAGES, SimulatedBlock
from lab.simulation.placement import Floor, draw_size
from lab.simulation.truth import BlockTruth

_MEAN_POPULATION = 24  # that the rates are meant for
_FIRST_STAGE = (0.35, 0.30, 0.22, 0.13)
_CLASSES = (0.34, 0.40, 0.26)
_GAP_M = 0.3  # between neighbours after a lift onto used floor
_TRIES = 60
_BAND = 4  # blocks above or below the mean at which appearances or exits pause
_AWAY_SHARE = 0.15  # of the blocks that leave come back within hours: from the turn-over area, from painting
_AWAY = (timedelta(minutes=40), timedelta(hours=5))
_WORK_HOURS = (0.7, 3.0)  # least and most that equipment stays, or stays away


@dataclass(frozen=True)
class Pace:
    """How much happens.

    Attributes:
        hourly: events an hour of work, for 24 blocks.
        daily: lifts a day that use floor again at once: `swap`, `relay`, `replacement`, `turn`.
        night: share of `hourly` outside of working hours, and on weekends.
        factor: on all of it.
        unlike_m: the least by which blocks that take each other's place differ in one dimension; 0 takes twins.
        twins: share of the new blocks that are twins of another: sides within 5 cm, same class.
    """

    hourly: Mapping[str, float] = field(
        default_factory=lambda: {"appeared": 1.0, "moved": 1.5, "stage_changed": 1.1, "exited": 1.0}
    )
    daily: Mapping[str, int] = field(default_factory=lambda: {"swap": 1, "relay": 1, "replacement": 1, "turn": 1})
    night: float = 0.05
    factor: float = 1.0
    unlike_m: float = 0.3
    twins: float = 0.08


@dataclass(frozen=True, eq=False)
class YardDays:
    """The blocks of each slot, and what happened between slots: first slot that shows it."""

    blocks: Mapping[datetime, tuple[SimulatedBlock, ...]]
    truth: Mapping[datetime, list[BlockTruth]]
    events: tuple[YardEvent, ...]


def yard_days(bay: BayConfig, seed: int, slots: Sequence[datetime], pace: Pace, population: int = 26) -> YardDays:
    """A yard over these slots (aware, in order): same arguments, same days."""
    yard = _BusyYard(bay, seed, slots[0] - timedelta(minutes=10), pace, population)
    blocks, truth = {}, {}
    for slot in slots:
        yard.run_until(slot)
        blocks[slot] = tuple(sorted(yard.blocks, key=lambda block: block.block_id))
        truth[slot] = [yard.truth_of(block, slot) for block in blocks[slot]]
    return YardDays(blocks, truth, tuple(events_between(truth)))


def events_between(truth: Mapping[datetime, Sequence[BlockTruth]]) -> list[YardEvent]:
    """What two slots beside each other show to have happened, dated by the second."""
    events: list[YardEvent] = []
    slots = sorted(truth)
    for before, after in pairwise(slots):
        old, new = ({block.block_id: block for block in truth[slot]} for slot in (before, after))
        for name in sorted(old.keys() | new.keys()):
            events += [
                YardEvent(kind, name, after, *_areas(old.get(name), new.get(name)))
                for kind in _changes(old.get(name), new.get(name))
            ]
    return events


def _changes(old: BlockTruth | None, new: BlockTruth | None) -> list[EventKind]:
    if old is None or new is None:
        return ["exited" if new is None else "appeared"]
    kinds: list[EventKind] = []
    if not old.footprint.equals(new.footprint):
        kinds.append("moved")
    if old.stage != new.stage:
        kinds.append("stage_changed")
    if bool(old.work) != bool(new.work):
        kinds.append("work_started" if new.work else "work_stopped")
    return kinds


def _areas(old: BlockTruth | None, new: BlockTruth | None) -> tuple[str | None, ...]:
    return (
        old.area if old else None,
        new.area if new else None,
        old.stage if old else None,
        new.stage if new else None,
    )


class _BusyYard:
    """The blocks of the moment, and what is planned next."""

    def __init__(self, bay: BayConfig, seed: int, start: datetime, pace: Pace, population: int) -> None:
        self._bay, self._pace, self._target = bay, pace, population
        self._dice = np.random.default_rng([seed, 41])
        self._floor = Floor(bay)
        self._now = start
        self._number = 0
        self._away: list[tuple[datetime, SimulatedBlock]] = []
        self._planned: list[tuple[datetime, str]] = []
        self._planned_until = start
        self._work: dict[str, tuple[datetime, dict[str, int]]] = {}
        self.blocks: list[SimulatedBlock] = []
        while len(self.blocks) < population and self._number < 4 * population:
            self._appear(stages=(0.25, 0.25, 0.25, 0.25))

    def run_until(self, time: datetime) -> None:
        while self._planned_until <= time:
            self._plan_day()
        due = [one for one in self._planned if one[0] <= time]
        self._planned = self._planned[len(due) :]
        for self._now, kind in due:
            self._happen(kind)
        for back in [one for one in self._away if one[0] <= time]:
            self._away.remove(back)
            self._set_down(back[1])
        self._now = time

    def truth_of(self, block: SimulatedBlock, slot: datetime) -> BlockTruth:
        return BlockTruth(
            block.block_id,
            block.class_name,
            block.footprint,
            block.height_m,
            block.area,
            block.stage,
            self._equipment(block, slot),
        )

    # -- the plan ----------------------------------------------------------------------------

    def _plan_day(self) -> None:
        start, self._planned_until = self._planned_until, self._planned_until + timedelta(days=1)
        hours = [start + timedelta(hours=n) for n in range(24)]
        scale = self._pace.factor * self._target / _MEAN_POPULATION
        planned: list[tuple[datetime, str]] = []
        for hour in hours:
            share = 1.0 if self._is_working(hour) else self._pace.night
            for kind, rate in self._pace.hourly.items():
                count = int(self._dice.poisson(rate * scale * share))
                planned += [(self._moment(hour), kind) for _ in range(count)]
        working = [hour for hour in hours if self._is_working(hour)] or hours
        for kind, count in self._pace.daily.items():
            chosen = self._dice.integers(0, len(working), round(count * self._pace.factor))
            planned += [(self._moment(working[index]), kind) for index in chosen]
        self._planned = sorted(self._planned + planned)

    def _is_working(self, hour: datetime) -> bool:
        local = hour.astimezone(self._bay.zone)
        return local.hour in WORKING_HOURS and local.weekday() < 5

    def _moment(self, hour: datetime) -> datetime:
        return hour + timedelta(seconds=float(self._dice.uniform(0, 3600)))

    # -- what happens ------------------------------------------------------------------------

    def _happen(self, kind: str) -> None:
        do: dict[str, Callable[[], None]] = {
            "appeared": self._appear,
            "exited": lambda: self._exit(self._one()),
            "moved": lambda: self._move(self._one()),
            "stage_changed": self._advance,
            "swap": self._swap,
            "relay": self._relay,
            "replacement": self._replace,
            "turn": self._turn,
        }
        crowded = len(self.blocks) >= self._target + _BAND
        sparse = len(self.blocks) <= max(2, self._target - _BAND)
        if not (kind == "appeared" and crowded) and not (kind == "exited" and sparse):
            do[kind]()

    def _one(self) -> SimulatedBlock:
        return self.blocks[int(self._dice.integers(len(self.blocks)))]

    def _new(self, stages: Sequence[float] = _FIRST_STAGE) -> SimulatedBlock:
        dice, self._number = self._dice, self._number + 1
        name = str(dice.choice(BLOCK_CLASSES, p=_CLASSES))
        size = draw_size(dice, name, 0.6)
        if self.blocks and dice.random() < self._pace.twins:
            twin = self._one()
            name = twin.class_name
            size = self._size_like(twin)
        stage = str(dice.choice(STAGES, p=stages))
        return SimulatedBlock(f"B{self._number:04d}", name, (0.0, 0.0), 0.0, *size, stage, None, self._now)

    def _size_like(self, block: SimulatedBlock) -> tuple[float, float, float]:
        width, depth, height = self._dice.uniform(-0.05, 0.05, 3)
        return float(block.width_m + width), float(block.depth_m + depth), float(block.height_m + height)

    def _appear(self, stages: Sequence[float] = _FIRST_STAGE) -> None:
        self._set_down(self._new(stages))

    def _set_down(self, block: SimulatedBlock, *, not_in: str | None = None) -> bool:
        """On free floor; a block that finds none is sent away."""
        others = [other for other in self.blocks if other.block_id != block.block_id]
        pose = self._floor.free_place(self._dice, (block.width_m, block.depth_m), others, not_in=not_in)
        if pose is None:
            return False
        self.blocks = [*others, replace(block, center=pose.center, yaw_deg=pose.yaw_deg, area=pose.site.area)]
        return True

    def _exit(self, block: SimulatedBlock) -> None:
        self.blocks = [other for other in self.blocks if other.block_id != block.block_id]
        if self._dice.random() < _AWAY_SHARE:
            low, high = (one.total_seconds() for one in _AWAY)
            self._away.append((self._now + timedelta(seconds=float(self._dice.uniform(low, high))), block))

    def _move(self, block: SimulatedBlock) -> None:
        self._set_down(block, not_in=block.area)

    def _advance(self) -> None:
        ready = [block for block in self.blocks if block.stage != STAGES[-1]]
        if ready:
            block = ready[int(self._dice.integers(len(ready)))]
            self._put(replace(block, stage=STAGES[STAGES.index(block.stage) + 1]))

    def _turn(self) -> None:
        for _ in range(_TRIES):
            block = self._one()
            turned = replace(block, yaw_deg=block.yaw_deg + 90.0)
            if abs(block.width_m - block.depth_m) > 1.0 and self._fits(turned):
                return self._put(turned)
        return None

    def _swap(self) -> None:
        for _ in range(_TRIES):
            first, second = self._one(), self._one()
            if first is second or not self._may_replace(first, second):
                continue
            placed = self._at(second, first), self._at(first, second)
            if all(self._fits(one, without=(first, second)) for one in placed) and not _touch(*placed):
                for one in placed:
                    self._put(one)
                return

    def _relay(self) -> None:
        """A second block is set down where a first has just left for another place, or for good."""
        for _ in range(_TRIES):
            first, second = self._one(), self._one()
            if first is second or not self._may_replace(first, second):
                continue
            placed = self._at(second, first)
            if self._fits(placed, without=(first, second)):
                before = self.blocks
                self._put(placed)
                if self._dice.random() < 0.3:
                    return self._exit(first)
                if self._set_down(first, not_in=first.area):
                    return None
                self.blocks = before
        return None

    def _replace(self) -> None:
        for _ in range(_TRIES):
            old, new = self._one(), self._new()
            if not self._pace.unlike_m:
                width, depth, height = self._size_like(old)
                new = replace(new, class_name=old.class_name, width_m=width, depth_m=depth, height_m=height)
            placed = self._at(new, old)
            if self._may_replace(old, new) and self._fits(placed, without=(old,)):
                self._exit(old)
                self.blocks = [*self.blocks, placed]
                return

    def _may_replace(self, first: SimulatedBlock, second: SimulatedBlock) -> bool:
        apart = max(
            abs(a - b)
            for a, b in zip(
                (*sorted((first.width_m, first.depth_m)), first.height_m),
                (*sorted((second.width_m, second.depth_m)), second.height_m),
                strict=True,
            )
        )
        alike = first.class_name == second.class_name and apart <= 0.15
        return apart >= self._pace.unlike_m if self._pace.unlike_m else alike

    def _at(self, block: SimulatedBlock, place: SimulatedBlock) -> SimulatedBlock:
        """The block where another stands: on the same jigs, half of the time exactly."""
        shift = self._dice.normal(0, 0.4, 2) * (self._dice.random() < 0.5)
        long_way = (block.width_m > block.depth_m) == (place.width_m > place.depth_m)
        yaw = place.yaw_deg + (0.0 if long_way else 90.0)
        center = (float(place.center[0] + shift[0]), float(place.center[1] + shift[1]))
        return replace(block, center=center, yaw_deg=yaw, area=place.area)

    def _fits(self, block: SimulatedBlock, without: Sequence[SimulatedBlock] = ()) -> bool:
        ignored = {block.block_id, *(one.block_id for one in without)}
        others = [other.footprint for other in self.blocks if other.block_id not in ignored]
        low_x, low_y, high_x, high_y = block.footprint.bounds
        inside = low_x > 0 and low_y > 0 and high_x < self._bay.layout.width and high_y < self._bay.layout.height
        area = self._floor.area_at(*block.center)
        at_home = area is None or self._bay.layout.areas[area].tracked
        return inside and at_home and (not others or shapely.distance(block.footprint, others).min() >= _GAP_M)

    def _put(self, block: SimulatedBlock) -> None:
        area = self._floor.area_at(*block.center) or block.area
        kept = [other for other in self.blocks if other.block_id != block.block_id]
        self.blocks = [*kept, replace(block, area=area)]

    def _equipment(self, block: SimulatedBlock, slot: datetime) -> dict[str, int]:
        """Equipment stays for an hour or two, as the work does."""
        until, items = self._work.get(block.block_id, (slot, {}))
        if slot >= until:
            begins = self._is_working(slot) and self._dice.random() < 0.45
            chosen = self._dice.choice(EQUIPMENT_CLASSES, 1 + int(self._dice.integers(3)), replace=False)
            items = {str(name): 1 + int(self._dice.integers(2)) for name in sorted(chosen)} if begins else {}
            until = slot + timedelta(hours=float(self._dice.uniform(*_WORK_HOURS)))
            self._work[block.block_id] = (until, items)
        return items


def _touch(first: SimulatedBlock, second: SimulatedBlock) -> bool:
    return bool(first.footprint.distance(second.footprint) < _GAP_M)
