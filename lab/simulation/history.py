"""What happens in the yard: blocks appear, move, advance and leave.

The history is made hour by hour from the start. Each hour draws from a generator
of its own, seeded by (seed, hour), and builds on the hour before, so that it is
the same in whatever order moments are asked for.
"""

from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from shapely import Polygon

from bay_observation.errors import SimulationError
from bays import BayConfig
from lab.simulation.objects import BLOCK_CLASSES, STAGES, SimulatedBlock
from lab.simulation.placement import Floor, Pose2D, draw_size

EventKind = Literal["appeared", "moved", "stage_changed", "exited", "work_started", "work_stopped"]

WORKING_HOURS = range(8, 18)  # bay-local
_PER_HOUR: dict[EventKind, float] = {"appeared": 1.0, "moved": 1.5, "stage_changed": 1.1, "exited": 1.0}
_MEAN_POPULATION = 24  # that the rates above are meant for
_NIGHT = 0.03
_CROWD_M2 = 320.0  # floor per block, metres squared, from which blocks are kept smaller
_BAND = 3  # blocks above or below the mean at which appearances or exits pause
_MOVE_CANDIDATES = 5  # blocks that are tried until one finds a place elsewhere
_REST = timedelta(minutes=35)  # a block, and the place that one left, is let alone that long
_CLASS_SHARE = (0.34, 0.40, 0.26)
_FIRST_STAGE_SHARE = (0.35, 0.30, 0.22, 0.13)


@dataclass(frozen=True)
class YardEvent:
    """One change, with the areas and stages before and after it; None where there is none."""

    kind: EventKind
    block_id: str
    time: datetime
    from_area: str | None = None
    to_area: str | None = None
    from_stage: str | None = None
    to_stage: str | None = None


class History:
    """The blocks of a yard over time, made as far as it is asked for. Not thread-safe."""

    def __init__(self, bay: BayConfig, seed: int, blocks: int, start: datetime, activity: float) -> None:
        self._bay, self._seed, self._target, self._start = bay, seed, blocks, start
        self._scale = activity * blocks / _MEAN_POPULATION
        self._floor = Floor(bay)
        # A fuller yard holds smaller blocks.
        room = sum((site.x[1] - site.x[0]) * (site.y[1] - site.y[0]) for site in self._floor.sites)
        self._reach = float(np.clip(2.4 - _CROWD_M2 * blocks / max(room, 1.0), 0.0, 0.9))
        self._next_number = 1
        self._hours = 0
        self._touched: dict[str, datetime] = {}
        self._vacated: list[tuple[datetime, Polygon]] = []
        self.events: list[YardEvent] = []
        self._times = [start]
        self._states = [self._first_blocks()]

    def blocks_at(self, time: datetime) -> tuple[SimulatedBlock, ...]:
        """The blocks of that moment; those of an event's own instant are those after it."""
        self.extend(time)
        return self._states[bisect_right(self._times, time) - 1]

    def extend(self, time: datetime) -> None:
        """Make the history up to and including that moment."""
        while self._start + timedelta(hours=self._hours) <= time:
            self._make_hour(self._hours)
            self._hours += 1

    def _first_blocks(self) -> tuple[SimulatedBlock, ...]:
        rng = np.random.default_rng([self._seed, 0])
        blocks: tuple[SimulatedBlock, ...] = ()
        for _ in range(self._target):
            age = timedelta(minutes=int(rng.integers(60, 60 * 40)))
            block = self._new_block(rng, blocks, self._start - age, stages=(0.25, 0.25, 0.25, 0.25), patience=8)
            if block is None:
                raise SimulationError(
                    f"yard of bay {self._bay.bay_id}: {len(blocks)} of {self._target} blocks fit "
                    f"on its {len(self._floor.sites)} working areas; ask for fewer blocks"
                )
            blocks = (*blocks, block)
        return blocks

    def _new_block(
        self,
        rng: np.random.Generator,
        blocks: tuple[SimulatedBlock, ...],
        time: datetime,
        stages: tuple[float, ...],
        patience: int,
    ) -> SimulatedBlock | None:
        class_name = BLOCK_CLASSES[int(rng.choice(len(BLOCK_CLASSES), p=_CLASS_SHARE))]
        stage = STAGES[int(rng.choice(len(STAGES), p=stages))]
        for attempt in range(patience):
            reach = self._reach * (1.0 - attempt / max(1, patience - 1))
            width, depth, height = draw_size(rng, class_name, reach)
            pose = self._floor.free_place(rng, (width, depth), blocks, self._closed(time))
            if pose is not None:
                number, self._next_number = self._next_number, self._next_number + 1
                return SimulatedBlock(
                    f"B{number:04d}",
                    class_name,
                    pose.center,
                    pose.yaw_deg,
                    width,
                    depth,
                    height,
                    stage,
                    pose.site.area,
                    time,
                )
        return None

    def _closed(self, time: datetime) -> list[Polygon]:
        self._vacated = [(left, place) for left, place in self._vacated if time - left < _REST]
        return [place for _, place in self._vacated]

    def _make_hour(self, hour: int) -> None:
        rng = np.random.default_rng([self._seed, 1, hour])
        begin = self._start + timedelta(hours=hour)
        local = (begin + timedelta(minutes=30)).astimezone(self._bay.zone)
        scale = self._scale * (1.0 if local.hour in WORKING_HOURS else _NIGHT)
        plan: list[tuple[datetime, EventKind]] = []
        for kind, rate in _PER_HOUR.items():
            expected = rate * scale * rng.uniform(0.7, 1.3)
            count = int(expected) + int(rng.random() < expected % 1.0)
            plan += [(self._moment(rng, begin), kind) for _ in range(count)]
        last = self._times[-1]
        for planned, kind in sorted(plan):
            time = max(planned, last + timedelta(seconds=1))
            event = self._happen(rng, kind, time)
            if event is not None:
                self.events.append(event)
                last = time

    def _moment(self, rng: np.random.Generator, begin: datetime) -> datetime:
        """A second of the hour, away from the ten-minute slots at which cameras look."""
        slot = datetime.fromtimestamp(begin.timestamp() // 600 * 600, UTC)
        moment = slot + timedelta(minutes=10 * int(rng.integers(6)), seconds=int(rng.integers(100, 500)))
        return moment if moment > begin else moment + timedelta(minutes=10)

    def _happen(self, rng: np.random.Generator, kind: EventKind, time: datetime) -> YardEvent | None:
        """Let it happen now, if the yard allows it."""
        blocks = self._states[-1]
        rested = [block for block in blocks if time - self._touched.get(block.block_id, block.appeared_at) >= _REST]
        match kind:
            case "appeared":
                return self._appear(rng, time)
            case "moved" if rested:
                chosen = rng.permutation(len(rested))[:_MOVE_CANDIDATES]
                moves = (self._move(rng, time, rested[int(index)]) for index in chosen)
                return next((move for move in moves if move is not None), None)
            case "stage_changed":
                rested = [block for block in rested if block.stage != STAGES[-1]]
                return self._advance(time, rested[int(rng.integers(len(rested)))]) if rested else None
            case "exited" if rested and len(blocks) > self._target - _BAND:
                weights = np.array([0.5 + STAGES.index(block.stage) for block in rested])
                return self._exit(time, rested[int(rng.choice(len(rested), p=weights / weights.sum()))])
        return None

    def _appear(self, rng: np.random.Generator, time: datetime) -> YardEvent | None:
        blocks = self._states[-1]
        if len(blocks) >= self._target + _BAND:
            return None
        block = self._new_block(rng, blocks, time, stages=_FIRST_STAGE_SHARE, patience=4)
        if block is None:
            return None
        self._commit(time, (*blocks, block), block.block_id)
        return YardEvent("appeared", block.block_id, time, to_area=block.area, to_stage=block.stage)

    def _move(self, rng: np.random.Generator, time: datetime, block: SimulatedBlock) -> YardEvent | None:
        others = tuple(other for other in self._states[-1] if other.block_id != block.block_id)
        # Its own old place is closed too, so that it moves by more than its own size.
        closed = [*self._closed(time), block.footprint]
        pose: Pose2D | None = self._floor.free_place(
            rng, (block.width_m, block.depth_m), others, closed, not_in=block.area
        )
        if pose is None:
            return None
        moved = replace(block, center=pose.center, yaw_deg=pose.yaw_deg, area=pose.site.area)
        self._vacated.append((time, block.footprint))
        self._replace(time, moved)
        return YardEvent("moved", block.block_id, time, block.area, moved.area, block.stage, block.stage)

    def _advance(self, time: datetime, block: SimulatedBlock) -> YardEvent:
        advanced = replace(block, stage=STAGES[STAGES.index(block.stage) + 1])
        self._replace(time, advanced)
        return YardEvent("stage_changed", block.block_id, time, block.area, block.area, block.stage, advanced.stage)

    def _exit(self, time: datetime, block: SimulatedBlock) -> YardEvent:
        self._vacated.append((time, block.footprint))
        rest = tuple(other for other in self._states[-1] if other.block_id != block.block_id)
        self._commit(time, rest, block.block_id)
        return YardEvent("exited", block.block_id, time, from_area=block.area, from_stage=block.stage)

    def _replace(self, time: datetime, block: SimulatedBlock) -> None:
        blocks = tuple(block if other.block_id == block.block_id else other for other in self._states[-1])
        self._commit(time, blocks, block.block_id)

    def _commit(self, time: datetime, blocks: tuple[SimulatedBlock, ...], touched: str) -> None:
        self._times.append(time)
        self._states.append(blocks)
        self._touched[touched] = time
