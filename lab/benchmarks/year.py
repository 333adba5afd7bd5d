"""A year of bays as rows of the history, as many as tracking would have written, in the order of the slots.

How often something happens to a block is taken from the simulated yard (`lab.simulation.history`:
per hour and 24 blocks 1.0 appear, 1.5 move, 1.1 change their stage, 1.0 leave, in ten working
hours; 3 % of that at night). Every block is worked on twice a working day, before and after
noon. One slot in fifty has no tracking result, one frame in a hundred fails, and every
camera is down for some hours once a month.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import shapely

from bays import BayConfig
from tracking.history.schema import span_of

SLOTS_A_DAY = 144
_SLOT = timedelta(minutes=10)
_PER_HOUR = {"appeared": 1.0, "moved": 1.5, "stage_changed": 1.1, "exited": 1.0}
_RATES_BLOCKS = 24
_NIGHT = 0.03
_WORKING_HOURS = range(8, 18)
_WORK_BEGINS = (48, 78)  # slots of the day, bay-local: 8:00 and 13:00
_STAGES = ("fitting", "welding", "grinding", "painting")
_PLACES = 2000
_UNTRACKED = 0.02
_UNTRACKED_AS = (
    ("skipped", "12 of 12 frames have a mean grey of 12 or more; the quorum is 8"),
    ("capture failed", "fewer cameras than the quorum of 8 gave a frame"),
    ("inference failed", "the checkpoint cannot be read"),
    ("captured", ""),
)
_FRAME_FAILS = 0.01
_OUTAGES_A_YEAR = 12
_OUTAGE_SLOTS = (6, 60)
_NULL = r"\N"


_Stand = tuple[int, int]


@dataclass
class Rows:
    """Rows of any bay as lines of PostgreSQL's COPY text, by table."""

    tables: dict[str, list[str]] = field(default_factory=dict)

    def add(self, table: str, *values: object) -> None:
        """One line; None is null."""
        line = "\t".join([_NULL if value is None else str(value) for value in values])
        self.tables.setdefault(table, []).append(line)

    def take(self) -> dict[str, list[str]]:
        """All that was added since the last call."""
        taken, self.tables = self.tables, {}
        return taken


@dataclass(slots=True)
class _Block:
    number: int
    place: int
    stage: int
    since: int
    standing_since: int
    first: int
    recorded: int
    class_name: str

    @property
    def stand(self) -> _Stand:
        """Place and stage."""
        return self.place, self.stage


class Year:
    """One bay, slot by slot. Bays that share their rows lie among each other as they would in a yard's database.

    Args:
        bay: its areas and cameras.
        bay_id: the name that the rows carry: several bays of one kind.
        rows: where they go.
        seed: of everything random.
        blocks: that stand at any time.
        start: first slot (aware).
        days: how many.
    """

    def __init__(
        self, bay: BayConfig, bay_id: str, rows: Rows, *, seed: int, blocks: int, start: datetime, days: int
    ) -> None:
        self.bay_id, self.blocks, self.slots = bay_id, blocks, days * SLOTS_A_DAY
        self.tracks = 0
        self._bay, self._rows = bay, rows
        self._rng = np.random.default_rng(seed)
        self._times = [f"{start + slot * _SLOT:%Y-%m-%d %H:%M:%S}+00" for slot in range(self.slots)]
        self._local = [(start + slot * _SLOT).astimezone(bay.zone) for slot in range(self.slots)]
        self._places = self._drawn_places()
        self._numbers = [0] * self.slots
        self._cameras = [camera.name for camera in bay.cameras]
        self._fails = self._failing_frames(len(self._cameras))
        self._untracked = self._rng.random(self.slots) < _UNTRACKED
        self._untracked[[0, -1]] = False
        self._standing = [self._new(0) for _ in range(blocks)]

    def live(self, slot: int) -> None:
        """The next slot, by its number; the last one also writes what still stands."""
        if slot > 0:
            self._standing = self._step(self._standing, slot)
        if slot == self.slots - 1:
            for block in self._standing:
                self._position(block, None, slot)
                self._track(block, None)
        self._batch(slot)

    # -- blocks ------------------------------------------------------------------------------------

    def _step(self, standing: list[_Block], slot: int) -> list[_Block]:
        local = self._local[slot]
        hours = 1.0 if local.hour in _WORKING_HOURS else _NIGHT
        scale = hours * self.blocks / _RATES_BLOCKS / 6
        counts = {kind: int(self._rng.poisson(rate * scale)) for kind, rate in _PER_HOUR.items()}
        for index in self._some(standing, counts["moved"]):
            block = standing[index]
            before = block.stand
            self._position(block, slot, slot + 1)
            block.place = int(self._rng.integers(_PLACES))
            block.since = block.standing_since = slot
            block.recorded = min(slot + 1, self.slots - 1)
            self._event("moved", block, slot, before, block.stand)
        for index in self._some(standing, counts["stage_changed"]):
            block = standing[index]
            before = block.stand
            if block.since == slot:
                continue
            self._position(block, slot, slot + 1)
            block.stage = (block.stage + 1) % len(_STAGES)
            block.since = slot
            block.recorded = min(slot + 1, self.slots - 1)
            self._event("stage_changed", block, slot, before, block.stand)
        many = max(0, counts["exited"] + len(standing) - self.blocks)
        leaving = {index for index in self._some(standing, many) if standing[index].since != slot}
        for index in sorted(leaving):
            block = standing[index]
            self._position(block, slot, slot + 1)
            self._track(block, slot)
            self._event("exited", block, slot, block.stand, None)
        stays = [block for index, block in enumerate(standing) if index not in leaving]
        for _ in range(counts["appeared"]):
            stays.append(self._new(slot))
            self._event("appeared", stays[-1], slot, None, stays[-1].stand)
        of_day = local.hour * 6 + local.minute // 10
        if of_day in _WORK_BEGINS:
            self._work(stays, slot)
        return stays

    def _work(self, standing: Sequence[_Block], slot: int) -> None:
        begins = self._rng.integers(0, 6, len(standing))
        lasts = self._rng.integers(2, 20, len(standing))
        for block, begin, last in zip(standing, begins.tolist(), lasts.tolist(), strict=True):
            if slot + begin + last < self.slots:
                self._event("work_started", block, slot + begin, block.stand, block.stand)
                self._event("work_stopped", block, slot + begin + last, block.stand, block.stand)

    def _some(self, standing: Sequence[_Block], count: int) -> list[int]:
        chosen = self._rng.choice(len(standing), min(count, len(standing)), replace=False)
        return [int(index) for index in chosen]

    def _new(self, slot: int) -> _Block:
        self.tracks += 1
        place, stage = int(self._rng.integers(_PLACES)), int(self._rng.integers(len(_STAGES)))
        kind = ("block", "panel", "HP_block")[self.tracks % 3]
        return _Block(self.tracks, place, stage, slot, slot, slot, slot, kind)

    # -- rows --------------------------------------------------------------------------------------

    def _position(self, block: _Block, until: int | None, updated: int) -> None:
        area, wkb, x, y = self._places[block.place]
        end = updated if until is None else until
        updated = min(updated, self.slots - 1)
        self._rows.add(
            "history_positions",
            self.bay_id,
            self._name(block),
            self._times[block.since],
            None if until is None else self._times[until],
            None if until is None else span_of((until - block.since) * _SLOT),
            self._times[block.standing_since],
            self._times[block.recorded],
            self._times[updated],
            self._times[max(block.since, end - 1)],
            end - block.first + 1,
            block.since - block.first,
            "present",
            block.class_name,
            area,
            _STAGES[block.stage],
            wkb,
            4.25,
            0.05,
            0.9,
            x,
            y,
        )

    def _track(self, block: _Block, exited: int | None) -> None:
        left = None if exited is None else self._times[exited]
        first = self._times[block.first]
        self._rows.add("history_tracks", self.bay_id, self._name(block), block.class_name, first, first, left)

    def _event(self, kind: str, block: _Block, slot: int, before: _Stand | None, after: _Stand | None) -> None:
        known = min(slot + 1, self.slots - 1)
        self._numbers[known] += 1
        self._rows.add(
            "history_events",
            self.bay_id,
            self._times[known],
            self._numbers[known],
            kind,
            self._name(block),
            self._times[slot],
            None if before is None else self._places[before[0]][0],
            None if after is None else self._places[after[0]][0],
            None if before is None else _STAGES[before[1]],
            None if after is None else _STAGES[after[1]],
            None,
            None,
        )

    def _batch(self, slot: int) -> None:
        failed = [name for name, fault in zip(self._cameras, self._fails[slot], strict=True) if fault]
        cameras = json.dumps(sorted(set(self._cameras) - set(failed)))
        outcome: tuple[object, ...] = ("tracked", "", f"{slot:064x}", self.blocks, self._numbers[slot])
        if self._untracked[slot]:
            outcome = (*_UNTRACKED_AS[slot % len(_UNTRACKED_AS)], None, None, None)
        self._rows.add("history_batches", self.bay_id, self._times[slot], *outcome, cameras, "t")
        for name in failed:
            self._rows.add("history_camera_failures", self.bay_id, self._times[slot], name, "timed out")

    def _failing_frames(self, cameras: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        fails = self._rng.random((self.slots, cameras)) < _FRAME_FAILS
        for camera in range(cameras):
            for _ in range(self._rng.poisson(_OUTAGES_A_YEAR * self.slots / SLOTS_A_DAY / 365)):
                begin = int(self._rng.integers(self.slots))
                fails[begin : begin + int(self._rng.integers(*_OUTAGE_SLOTS)), camera] = True
        return fails

    def _name(self, block: _Block) -> str:
        return f"{self.bay_id}-{block.number:06d}"

    def _drawn_places(self) -> list[tuple[str, str, float, float]]:
        """Where a block may stand: area, footprint as COPY writes bytes, centre."""
        areas = {name: area for name, area in self._bay.layout.areas.items() if area.tracked}
        names = list(areas)
        places = []
        for _ in range(_PLACES):
            name = names[int(self._rng.integers(len(names)))]
            area = areas[name]
            x, y = self._rng.uniform(*area.x), self._rng.uniform(*area.y)
            length, width = self._rng.uniform(3, 6, 2)
            turned = shapely.affinity.rotate(shapely.box(x - length, y - width, x + length, y + width), 30)
            places.append((name, r"\\x" + shapely.to_wkb(turned, hex=True), float(x), float(y)))
        return places
