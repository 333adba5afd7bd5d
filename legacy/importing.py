"""Old results into the history: from what stood in each slot to stays, tracks and events.

A block keeps its old id (`{bay}-{id}.old`) from import to import. A stay ends where the block moves, changes
its stage, class or area, or is absent from `_ABSENT` batches in a row. Blocks in areas that tracking
ignores (the turn-over area, the aisle, outside) are left out, as the tracker does.
"""

import json
import math
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import shapely

from bay_observation.errors import HistoryError
from bays import BayConfig
from fusion.blocks import area_of
from legacy.areas import footprint
from legacy.checking import problem_lines, problem_list
from legacy.records import FloorBlock, OldBatch, Problems
from tracking.history import History
from tracking.history.imports import Imported, first_own_slot, write_imported
from tracking.history.schema import span_of
from tracking.history.slots import schedule_step

Row = dict[str, Any]

# A standing block's place jitters from batch to batch; farther than this it has another position.
_CREEP_M = 0.5
_ABSENT = 3
# The old side gives no deviation; a history must have one.
_UNKNOWN_STD_M = 1.0
_LONGEST_SOURCE = 200


@dataclass
class BayImport:
    """What became of a bay's batches.

    Attributes:
        batches: that were read, with a floor.
        slots: that the history has now as imported.
        own: slots from the first one on that the bay tracked itself, and others of which it has a record: left out.
        stays, tracks, events: that were written.
        ignored: blocks of batches in areas that tracking ignores.
        first, last: slot (aware, UTC) of those written; None where there is none.
    """

    batches: int = 0
    slots: int = 0
    own: int = 0
    stays: int = 0
    tracks: int = 0
    events: int = 0
    ignored: int = 0
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True)
class ImportReport:
    """What became of an import, by bay, and what was left out because it does not fit."""

    bays: AnyMapping[str, BayImport]
    problems: Problems

    @property
    def is_whole(self) -> bool:
        """Whether something was imported and nothing was left out for not fitting."""
        return any(found.slots for found in self.bays.values()) and not len(self.problems)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        bays = {
            bay_id: {name: _plain(value) for name, value in vars(found).items()} for bay_id, found in self.bays.items()
        }
        return {"whole": self.is_whole, "bays": bays, "problems": problem_list(self.problems)}

    def lines(self) -> Iterator[str]:
        """For a person."""
        for bay_id, found in self.bays.items():
            period = f" from {found.first:%Y-%m-%d %H:%M} to {found.last:%Y-%m-%d %H:%M} UTC" if found.first else ""
            yield (
                f"{bay_id}: {found.slots} of {found.batches} batches imported{period}: {found.tracks} blocks,"
                f" {found.stays} stays, {found.events} events"
            )
            if found.own:
                yield f"{bay_id}: {found.own} slots left out: the bay's own record stands"
            if found.ignored:
                yield f"{bay_id}: {found.ignored} times a block in an area that tracking ignores"
        yield from problem_lines(self.problems)


def import_batches(
    batches: Iterable[OldBatch], bays: AnyMapping[str, BayConfig], history: History, source: str, problems: Problems
) -> ImportReport:
    """Write old batches into the history; those of bays that are not among `bays` are left out.

    Args:
        batches: in any order, and in parts.
        bays: to import, by id.
        history: to write.
        source: where they come from, for a person; kept with every imported track and slot.
        problems: those that reading notes.

    Raises:
        HistoryError: the history cannot be written.
    """
    held: dict[str, dict[datetime, OldBatch]] = {bay_id: {} for bay_id in bays}
    for batch in batches:
        slots = held.get(batch.bay_id)
        if slots is not None:
            known = slots.get(batch.slot)
            if known is not None and None not in (known.blocks, batch.blocks) and known.blocks != batch.blocks:
                problems.add("two floors of one slot differ: the one that is read last counts", _place(batch))
            slots[batch.slot] = _slim(batch if known is None else known.joined(batch))
    reports: dict[str, BayImport] = {}
    for bay_id, slots in held.items():
        if slots:
            reports[bay_id] = _import_bay(bays[bay_id], slots, history, source[:_LONGEST_SOURCE])
            slots.clear()
    if not reports and not len(problems):
        raise HistoryError("nothing was read: no key is one of the mapping's; `bay-observation legacy check` says more")
    return ImportReport(reports, problems)


def _place(batch: OldBatch) -> str:
    return f"{batch.bay_id} {batch.slot:%Y-%m-%d %H:%M} UTC"


def _slim(batch: OldBatch) -> OldBatch:
    """Without the detections, which the history does not hold."""
    if batch.frames is None or all(not frame.objects for frame in batch.frames):
        return batch
    frames = tuple(type(frame)(frame.camera, frame.captured_at, ()) for frame in batch.frames)
    return OldBatch(batch.bay_id, batch.slot, frames, batch.blocks, batch.published_at)


def _import_bay(bay: BayConfig, slots: AnyMapping[datetime, OldBatch], history: History, source: str) -> BayImport:
    own = first_own_slot(history, bay.bay_id)
    floors = [batch for _, batch in sorted(slots.items()) if batch.blocks is not None]
    taken = [batch for batch in floors if own is None or batch.slot < own]
    report = BayImport(batches=len(floors), own=len(floors) - len(taken))
    if not taken:
        return report
    end = taken[-1].slot + schedule_step(bay, taken[-1].slot)
    fold = _Fold(bay)
    for batch in taken:
        fold.follow(batch)
    fold.finish(end if own is None else min(end, own))
    cameras = {
        batch.slot: json.dumps(sorted(frame.camera for frame in batch.frames)) for batch in taken if batch.frames
    }
    imported = Imported(
        taken[0].slot, end, source, list(fold.tracks.values()), fold.positions, fold.events, fold.counts, cameras
    )
    kept = write_imported(history, bay.bay_id, imported)
    report.own += kept
    report.slots, report.ignored = len(taken) - kept, fold.ignored
    report.stays, report.tracks, report.events = len(fold.positions), len(fold.tracks), len(fold.events)
    report.first, report.last = taken[0].slot, taken[-1].slot
    return report


@dataclass
class _Standing:
    """An open stay."""

    block: FloorBlock
    since: datetime
    standing_since: datetime
    last_seen: datetime
    area: str
    hits: int = 1
    absent: int = 0
    absent_since: datetime | None = None


@dataclass
class _Fold:
    """Rows, slot after slot."""

    bay: BayConfig
    tracks: dict[str, Row] = field(default_factory=dict)
    positions: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    counts: dict[datetime, tuple[int, int]] = field(default_factory=dict)
    ignored: int = 0
    _open: dict[str, _Standing] = field(default_factory=dict)
    _areas: dict[str, tuple[FloorBlock, str | None]] = field(default_factory=dict)

    def follow(self, batch: OldBatch) -> None:
        """Take a batch, later than those before."""
        slot, seen, before = batch.slot, set(), len(self.events)
        is_first = not self.counts
        for block in batch.blocks or ():
            area = self._area(block)
            if area is None:
                self.ignored += 1
                continue
            seen.add(block.block_id)
            self._see(block, area, slot, is_first=is_first)
        for block_id in self._open.keys() - seen:
            self._miss(block_id, slot)
        self.counts[slot] = (len(seen), len(self.events) - before)

    def finish(self, end: datetime) -> None:
        """Close what is open."""
        for block_id in list(self._open):
            standing = self._open[block_id]
            self._close(block_id, standing.absent_since or end)

    def _see(self, block: FloorBlock, area: str, slot: datetime, *, is_first: bool) -> None:
        standing = self._open.get(block.block_id)
        if standing is None:
            self._begin(block, area, slot, "initial" if is_first else "appeared")
            return
        old = standing.block
        moved = math.hypot(block.x - old.x, block.y - old.y)
        if moved <= _CREEP_M and (block.stage, block.class_name, area) == (old.stage, old.class_name, standing.area):
            standing.last_seen, standing.hits, standing.absent, standing.absent_since = slot, standing.hits + 1, 0, None
            return
        self._close(block.block_id, slot)
        standing_since = slot if moved > _CREEP_M else standing.standing_since
        self._open[block.block_id] = _Standing(block, slot, standing_since, slot, area)
        if moved >= self.bay.tracking.move_m:
            self._happened("moved", block.block_id, slot, standing, block, area=area)
        if block.stage != old.stage:
            self._happened("stage_changed", block.block_id, slot, standing, block, area=area)

    def _begin(self, block: FloorBlock, area: str, slot: datetime, kind: str) -> None:
        self._open[block.block_id] = _Standing(block, slot, slot, slot, area)
        track = self.tracks.get(block.block_id)
        if track is None:
            self.tracks[block.block_id] = {
                "track_id": self._name(block.block_id),
                "class_name": block.class_name,
                "first_seen": slot,
                "recorded": slot,
                "exited_at": None,
            }
        else:
            track["exited_at"] = None
        self._happened(kind, block.block_id, slot, None, block, area=area)

    def _miss(self, block_id: str, slot: datetime) -> None:
        standing = self._open[block_id]
        standing.absent += 1
        standing.absent_since = standing.absent_since or slot
        if standing.absent >= _ABSENT:
            self._close(block_id, standing.absent_since)
            self.tracks[block_id]["exited_at"] = standing.absent_since
            self._happened("exited", block_id, slot, standing, time=standing.absent_since)

    def _close(self, block_id: str, until: datetime) -> None:
        standing = self._open.pop(block_id)
        block = standing.block
        self.positions.append(
            {
                "track_id": self._name(block_id),
                "since": standing.since,
                "until": until,
                "span": span_of(until - standing.since),
                "standing_since": standing.standing_since,
                "recorded": standing.since,
                "updated": standing.last_seen,
                "last_seen": standing.last_seen,
                "hits": standing.hits,
                "hits_before": 0,
                "status": "present",
                "class_name": block.class_name,
                "area": standing.area,
                "stage": block.stage,
                "footprint": shapely.to_wkb(footprint(block)),
                "height_m": block.height,
                "position_std_m": _UNKNOWN_STD_M,
                "confidence": block.confidence,
                "anchor_x": block.x,
                "anchor_y": block.y,
            }
        )

    def _happened(
        self,
        kind: str,
        block_id: str,
        slot: datetime,
        before: _Standing | None = None,
        after: FloorBlock | None = None,
        *,
        area: str | None = None,
        time: datetime | None = None,
    ) -> None:
        number = self.events[-1]["number"] + 1 if self.events and self.events[-1]["slot"] == slot else 0
        self.events.append(
            {
                "slot": slot,
                "number": number,
                "kind": kind,
                "track_id": self._name(block_id),
                "time": time or slot,
                "from_area": None if before is None else before.area,
                "to_area": area,
                "from_stage": before.block.stage if before is not None and kind == "stage_changed" else None,
                "to_stage": None if after is None or kind == "moved" else after.stage,
                "others": None,
                "details": None,
            }
        )

    def _name(self, block_id: str) -> str:
        # Not to end in a number: the tracker counts on from the highest of them.
        return f"{self.bay.bay_id}-{block_id}.old"

    def _area(self, block: FloorBlock) -> str | None:
        """The area that a block stands in; None where tracking ignores it. Looked up again only where it moved."""
        known = self._areas.get(block.block_id)
        if known is not None and math.hypot(block.x - known[0].x, block.y - known[0].y) <= _CREEP_M:
            return known[1]
        name = area_of(footprint(block), self.bay)
        if name is not None and not self.bay.layout.areas[name].tracked:
            name = None
        self._areas[block.block_id] = (block, name)
        return name


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
