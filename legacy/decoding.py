"""From the old system's records to `legacy.records`: names, units and frames of reference turned into ours.

What does not fit is noted and left out; one wrong value leaves out its frame or its block, and nothing else.
"""

import json
import math
from collections.abc import Callable, Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bays import BayConfig
from inference.types import CLASSES, STAGES
from legacy.mapping import FloorFrame, Mapping
from legacy.records import FloorBlock, OldBatch, OldFrame, OldObject, Problems, Ring
from legacy.templates import OldNames

MOST_RECORD_BYTES = 16 * 2**20
"""A record is no larger: twelve cameras with outlines have a tenth of it."""

_MOST_ITEMS = 5000
_METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "ft": 0.3048}
_BESIDE_FLOOR_M = 10.0
_HIGHEST_M, _LONGEST_M = 60.0, 150.0
_OUTSIDE_FRAME = 0.5  # of the frame's size
_MISSING = object()
_LONGEST_TRACK_ID = 64
_YEARS = range(2000, 2101)


class _UnfitError(Exception):
    """A value that does not fit: what, with the remedy."""


@dataclass(frozen=True)
class _Bay:
    """What a record is read with, of one bay."""

    config: BayConfig
    cameras: AnyMapping[str, str]
    sizes: AnyMapping[str, tuple[float, float]]
    scale: AnyMapping[str, tuple[float, float]]
    stages: frozenset[str]
    to_floor: Callable[[float, float], tuple[float, float]]
    yaw: Callable[[float], float]


class Decoder:
    """Reads records by a mapping.

    Args:
        mapping: of the old system.
        bays: ours, by id; records of others are left out.
        problems: where to note what does not fit.
    """

    def __init__(self, mapping: Mapping, bays: AnyMapping[str, BayConfig], problems: Problems) -> None:
        self._mapping, self._problems = mapping, problems
        self.names = OldNames(mapping)
        self._bays = {bay_id: _bay(mapping, bay) for bay_id, bay in bays.items()}
        self._key = self.names.pattern(mapping.redis.key)
        self._field = self.names.pattern(mapping.redis.field)
        self._floor_key = self._floor_field = None
        if mapping.floor is not None and mapping.floor.key is not None:
            self._floor_key = self.names.pattern(mapping.floor.key)
            self._floor_field = None if mapping.floor.field is None else self.names.pattern(mapping.floor.field)
        self._old_names = {old.name or bay_id: bay_id for bay_id, old in mapping.bays.items()}
        # Of a record that names none. With several bays there is no telling.
        self._only_bay = next(iter(self._old_names)) if len(self._old_names) == 1 else None
        self._length = _METRES[mapping.units.length]
        self._zone = ZoneInfo(mapping.time_zone)
        self._classes = mapping.names.classes
        self._known_classes = frozenset(CLASSES) | set(mapping.names.classes.values())

    # -- the hash and the floor ----------------------------------------------------------------------

    def knows_key(self, key: str) -> bool:
        """Whether a key of the old Redis is one of the mapping's."""
        return bool(self._key.fullmatch(key) or (self._floor_key and self._floor_key.fullmatch(key)))

    def hash(self, key: str, fields: AnyMapping[str, Any]) -> Iterator[OldBatch]:
        """What a hash holds, a batch for each record; of a foreign key nothing."""
        if self._floor_key is not None and (match := self._floor_key.fullmatch(key)):
            yield from self._floor(key, match.groupdict(), fields)
        elif match := self._key.fullmatch(key):
            for name, value in fields.items():
                inner = self._field.fullmatch(name)
                if inner is not None:
                    yield from self._frames(f"{key} {name}", {**match.groupdict(), **inner.groupdict()}, value)

    def document(self, where: str, folder: str, value: Any) -> Iterator[OldBatch]:
        """A record that came by itself, as from a pickle: of frames, of the floor, or of both.

        Args:
            where: for messages.
            folder: the text that names the batch where the record does not.
            value: plain data.
        """
        place = self._place_of(value) or self.names.slot({"batch_id": folder})
        if place is None:
            self._problems.add("a document names no batch: neither its fields nor its folder (batch_id.form)", where)
            return
        bay_id, slot = place
        if (bay := self._bays.get(bay_id)) is None:
            return
        frames = self._frame_list(where, bay, value) if self._mapping.frame.frames is not None else None
        floor = self._mapping.floor
        found = _at(value, floor.blocks) if floor is not None else _MISSING
        blocks = None if found is _MISSING else self._block_list(where, bay, found)
        if frames is None and blocks is None:
            self._problems.add("a document holds neither frame.frames nor floor.blocks", where)
            return
        yield OldBatch(bay_id, slot, frames, blocks)

    def row(self, where: str, row: AnyMapping[str, str]) -> OldBatch | None:
        """A row of a CSV file: one block of a batch, or a batch without one where its id is empty."""
        floor = self._mapping.floor
        assert floor is not None  # noqa: S101 - the caller asked
        place = self._place_of(row)
        if place is None:
            self._problems.add("a row names no batch of a bay of the mapping: floor.batch_id, floor.time, bays", where)
            return None
        bay_id, slot = place
        if (bay := self._bays.get(bay_id)) is None:
            return None
        if not str(row.get(floor.block.id) or "").strip():
            return OldBatch(bay_id, slot, None, ())
        block = self._block(where, bay, row)
        return OldBatch(bay_id, slot, None, () if block is None else (block,))

    # -- inside --------------------------------------------------------------------------------------

    def _frames(self, where: str, groups: AnyMapping[str, str], value: Any) -> Iterator[OldBatch]:
        place = self.names.slot(groups)
        if place is None:
            self._problems.add(
                "a key names no batch of a bay of the mapping: batch_id.form, batch_id.time, bays", where
            )
            return
        bay_id, slot = place
        if (bay := self._bays.get(bay_id)) is None:
            return
        record = self._record(where, value)
        if record is _MISSING:
            return
        if self._mapping.frame.frames is not None:
            frames = self._frame_list(where, bay, record)
        else:
            frame = self._frame(where, bay, record, groups.get("camera"))
            frames = () if frame is None else (frame,)
        if frames is not None:
            yield OldBatch(bay_id, slot, frames, None, self._published(where, record, self._mapping.frame.published_at))

    def _frame_list(self, where: str, bay: _Bay, record: Any) -> tuple[OldFrame, ...] | None:
        path = self._mapping.frame.frames
        assert path is not None  # noqa: S101 - the caller asked
        found = _at(record, path)
        if found is _MISSING:
            self._problems.add(f"frame.frames: there is no {path}", where)
            return None
        items = self._items(where, f"frame.frames {path}", found)
        read = (self._frame(f"{where} {number}", bay, item, None) for number, item in enumerate(items))
        return tuple(frame for frame in read if frame is not None)

    def _frame(self, where: str, bay: _Bay, record: Any, old_camera: str | None) -> OldFrame | None:
        paths = self._mapping.frame
        try:
            if paths.camera is not None:
                old_camera = _text(record, "frame.camera", paths.camera)
            if old_camera is None:
                raise _UnfitError("frame.camera: neither the record nor the field's name says it")
            camera = bay.cameras.get(old_camera)
            if camera is None:
                raise _UnfitError(f"camera {old_camera[:60]} is none of the bay's: name it under bays, cameras")
            captured_at = None
            if paths.captured_at is not None:
                captured_at = self._time("frame.captured_at", _value(record, "frame.captured_at", paths.captured_at))
            found = _at(record, paths.objects)
            if found is _MISSING:
                raise _UnfitError(f"frame.objects: there is no {paths.objects}")
        except _UnfitError as unfit:
            self._problems.add(str(unfit), where)
            return None
        objects = []
        for number, item in enumerate(self._items(where, f"frame.objects {paths.objects}", found)):
            try:
                objects.append(self._object(bay, camera, item))
            except _UnfitError as unfit:
                self._problems.add(str(unfit), f"{where} object {number}")
        return OldFrame(camera, captured_at, tuple(objects))

    def _object(self, bay: _Bay, camera: str, item: Any) -> OldObject:
        paths = self._mapping.object
        corners = self._box(bay, camera, _value(item, "object.box", paths.box))
        polygon = None
        if paths.polygon is not None and (outline := _at(item, paths.polygon)) not in (_MISSING, None):
            polygon = self._polygon(bay, camera, outline)
        stage = self._stage(bay, item, "object.stage", paths.stage)
        share = 0.0
        if stage is not None and paths.stage_confidence is not None:
            share = self._share(item, "object.stage_confidence", paths.stage_confidence)
        return OldObject(
            self._class(_text(item, "object.class_name", paths.class_name)),
            1.0 if paths.confidence is None else self._share(item, "object.confidence", paths.confidence),
            corners,
            polygon,
            stage,
            share,
        )

    def _box(self, bay: _Bay, camera: str, value: Any) -> tuple[float, float, float, float]:
        if not isinstance(value, list | tuple) or len(value) != 4:
            raise _UnfitError("object.box: four numbers are wanted")
        a, b, c, d = (_number("object.box", part) for part in value)
        form = self._mapping.units.box
        if form == "cxcywh":
            a, b = a - c / 2, b - d / 2
        if form != "xyxy":
            c, d = a + c, b + d
        (left, top), (right, bottom) = self._pixels(bay, camera, a, b), self._pixels(bay, camera, c, d)
        if not (left < right and top < bottom):
            raise _UnfitError("object.box: it has no extent: is units.box right?")
        width, height = bay.sizes[camera]
        if left < -_OUTSIDE_FRAME * width or right > (1 + _OUTSIDE_FRAME) * width or top < -_OUTSIDE_FRAME * height:
            raise _UnfitError("object.box: it leaves the frame: are units.box, units.pixels and frame_size right?")
        if bottom > (1 + _OUTSIDE_FRAME) * height:
            raise _UnfitError("object.box: it leaves the frame: are units.box, units.pixels and frame_size right?")
        if width > 64 and right - left < 1.5 and bottom - top < 1.5:
            raise _UnfitError("object.box: smaller than two pixels: is units.pixels a fraction?")
        return left, top, right, bottom

    def _polygon(self, bay: _Bay, camera: str, value: Any) -> Ring:
        if not isinstance(value, list | tuple) or not 3 <= len(value) <= _MOST_ITEMS:
            raise _UnfitError("object.polygon: a list of three or more [u, v] is wanted")
        ring = []
        for point in value:
            if not isinstance(point, list | tuple) or len(point) != 2:
                raise _UnfitError("object.polygon: a list of three or more [u, v] is wanted")
            ring.append(self._pixels(bay, camera, *(_number("object.polygon", part) for part in point)))
        return tuple(ring)

    def _pixels(self, bay: _Bay, camera: str, u: float, v: float) -> tuple[float, float]:
        across, down = bay.sizes[camera] if self._mapping.units.pixels == "fraction" else bay.scale[camera]
        return u * across, v * down

    def _floor(self, key: str, groups: AnyMapping[str, str], fields: AnyMapping[str, Any]) -> Iterator[OldBatch]:
        floor = self._mapping.floor
        assert floor is not None  # noqa: S101 - there is a key
        records: list[tuple[str, AnyMapping[str, str], Any]] = []
        if self._floor_field is None:
            parsed = {name: self._record(f"{key} {name}", value, plain=True) for name, value in fields.items()}
            records.append((key, groups, {name: value for name, value in parsed.items() if value is not _MISSING}))
        else:
            for name, value in fields.items():
                if inner := self._floor_field.fullmatch(name):
                    where = f"{key} {name}"
                    records.append((where, {**groups, **inner.groupdict()}, self._record(where, value)))
        for where, named, record in records:
            place = self.names.slot(named) or (None if record is _MISSING else self._place_of(record))
            if place is None:
                self._problems.add(
                    "a key names no batch of a bay of the mapping: batch_id.form, batch_id.time, bays", where
                )
            elif record is not _MISSING and (bay := self._bays.get(place[0])) is not None:
                found = _at(record, floor.blocks)
                if found is _MISSING:
                    self._problems.add(f"floor.blocks: there is no {floor.blocks}", where)
                    continue
                blocks = self._block_list(where, bay, found)
                yield OldBatch(*place, None, blocks, self._published(where, record, floor.published_at))

    def _block_list(self, where: str, bay: _Bay, found: Any) -> tuple[FloorBlock, ...]:
        blocks: dict[str, FloorBlock] = {}
        for number, item in enumerate(self._items(where, "floor.blocks", found)):
            block = self._block(f"{where} block {number}", bay, item)
            if block is None:
                continue
            if block.block_id in blocks:
                self._problems.add("floor.block.id: two blocks of a batch have the same; the first one counts", where)
                continue
            blocks[block.block_id] = block
        return tuple(blocks.values())

    def _block(self, where: str, bay: _Bay, item: Any) -> FloorBlock | None:
        assert self._mapping.floor is not None  # noqa: S101 - the caller asked
        paths = self._mapping.floor.block
        try:
            centre = [
                _number(f"floor.block.{name}", _value(item, f"floor.block.{name}", path)) * self._length
                for name, path in (("x", paths.x), ("y", paths.y))
            ]
            x, y = bay.to_floor(centre[0], centre[1])
            layout = bay.config.layout
            beside = _BESIDE_FLOOR_M
            if not (-beside <= x <= layout.width + beside and -beside <= y <= layout.height + beside):
                raise _UnfitError(
                    "floor.block: it stands beside the floor: are units.length and the bay's floor frame right?"
                )
            length, width = (
                self._side(item, name, path) for name, path in (("length", paths.length), ("width", paths.width))
            )
            height = 0.0
            if paths.height is not None:
                height = _number("floor.block.height", _value(item, "floor.block.height", paths.height)) * self._length
                if not 0 <= height <= _HIGHEST_M:
                    raise _UnfitError("floor.block.height: 0 to 60 m are wanted: is units.length right?")
            yaw = 0.0
            if paths.yaw is not None:
                turned = _number("floor.block.yaw", _value(item, "floor.block.yaw", paths.yaw))
                yaw = bay.yaw(turned if self._mapping.units.angle == "deg" else math.degrees(turned))
            return FloorBlock(
                _identity(item, paths.id, _LONGEST_TRACK_ID - len(f"{bay.config.bay_id}-.old")),
                self._class(_text(item, "floor.block.class_name", paths.class_name)),
                self._stage(bay, item, "floor.block.stage", paths.stage),
                1.0 if paths.confidence is None else self._share(item, "floor.block.confidence", paths.confidence),
                x,
                y,
                length,
                width,
                yaw,
                height,
            )
        except _UnfitError as unfit:
            self._problems.add(str(unfit), where)
            return None

    def _side(self, item: Any, name: str, path: str) -> float:
        side = _number(f"floor.block.{name}", _value(item, f"floor.block.{name}", path)) * self._length
        if not 0 < side <= _LONGEST_M:
            raise _UnfitError(f"floor.block.{name}: more than 0 and at most 150 m are wanted: is units.length right?")
        return side

    def _share(self, item: Any, name: str, path: str) -> float:
        found = _number(name, _value(item, name, path))
        share = found / 100 if self._mapping.units.confidence == "percent" else found
        if not 0 <= share <= 1:
            raise _UnfitError(f"{name}: 0 to 1 is wanted: is units.confidence right?")
        return share

    def _class(self, old: str) -> str:
        ours = self._classes.get(old, old)
        if ours not in self._known_classes:
            raise _UnfitError(f"class {old[:60]!r} is none of ours: name it under names.classes")
        return ours

    def _stage(self, bay: _Bay, item: Any, name: str, path: str | None) -> str | None:
        found = _MISSING if path is None else _at(item, path)
        if found is _MISSING or found is None or found == "":
            return None
        if not isinstance(found, str):
            raise _UnfitError(f"{name}: {type(found).__name__} where a text is wanted")
        ours = self._mapping.names.stages.get(found, found)
        if ours not in bay.stages:
            raise _UnfitError(f"stage {found[:60]!r} is none of the bay's: name it under names.stages")
        return ours

    def _published(self, where: str, record: Any, path: str | None) -> datetime | None:
        found = _MISSING if path is None else _at(record, path)
        if found is _MISSING or found is None:
            return None
        try:
            return self._time("published_at", found)
        except _UnfitError as unfit:
            self._problems.add(str(unfit), where)
            return None

    def _time(self, name: str, value: Any) -> datetime:
        form = self._mapping.units.time
        try:
            if form in ("epoch_s", "epoch_ms"):
                time = datetime.fromtimestamp(_number(name, value) / (1000 if form == "epoch_ms" else 1), UTC)
            else:
                text = value if isinstance(value, str) else value.isoformat() if isinstance(value, datetime) else None
                if text is None:
                    raise _UnfitError(f"{name}: {type(value).__name__} where units.time is {form}")
                # A datetime of a pickle is one already, whatever pattern the texts have.
                is_iso = form == "iso" or isinstance(value, datetime)
                read = datetime.fromisoformat(text) if is_iso else datetime.strptime(text, form)  # noqa: DTZ007
                time = (read if read.tzinfo else read.replace(tzinfo=self._zone)).astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            raise _UnfitError(f"{name}: no time that units.time ({form}) reads") from None
        if time.year not in _YEARS:
            raise _UnfitError(f"{name}: the year {time.year}: is units.time ({form}) right?")
        return time

    def _place_of(self, record: Any) -> tuple[str, datetime] | None:
        """(bay id, slot) by the fields of a document or a row."""
        floor = self._mapping.floor
        if floor is None:
            return None
        if floor.batch_id is not None and isinstance(batch := _at(record, floor.batch_id), str) and batch:
            return self.names.slot({"batch_id": batch})
        time = _at(record, floor.time) if floor.time is not None else _MISSING
        bay = _at(record, floor.bay) if floor.bay is not None else self._only_bay
        bay_id = self._old_names.get(bay) if isinstance(bay, str) else None
        if bay_id is None or time is _MISSING:
            return None
        try:
            return bay_id, self._time("floor.time", time)
        except _UnfitError:
            return None

    def _record(self, where: str, value: Any, *, plain: bool = False) -> Any:
        """A value of Redis as plain data; `_MISSING` where it is none. A `plain` one may be text, as a status is."""
        if not isinstance(value, str | bytes):
            return value  # of a dump that holds JSON and not the text of it
        if len(value) > MOST_RECORD_BYTES:
            self._problems.add(
                "a record of more than 16 MB is not read: is the mapping's redis.key the right hash?", where
            )
            return _MISSING
        try:
            text = value.decode("utf-8") if isinstance(value, bytes) else value
        except UnicodeDecodeError:
            self._problems.add("a value is not UTF-8: is it a pickle or a picture? only JSON is read", where)
            return _MISSING
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            if plain:
                return text
            self._problems.add("a value is no JSON", where)
            return _MISSING

    def _items(self, where: str, name: str, found: Any) -> list[Any]:
        if isinstance(found, AnyMapping):
            found = list(found.values())
        if not isinstance(found, list | tuple):
            self._problems.add(f"{name}: {type(found).__name__} where a list is wanted", where)
            return []
        if len(found) > _MOST_ITEMS:
            self._problems.add(f"{name}: more than {_MOST_ITEMS} entries; the rest is left out", where)
        return list(found[:_MOST_ITEMS])


def _bay(mapping: Mapping, bay: BayConfig) -> _Bay:
    old = mapping.bays[bay.bay_id]
    ours = {camera.name for camera in bay.cameras}
    renamed = set(old.cameras.values())
    cameras = {name: name for name in ours - renamed} | {
        theirs: our for theirs, our in old.cameras.items() if our in ours
    }
    lenses = {camera.name: camera.intrinsics for camera in bay.cameras}
    sizes = {
        name: (float(lens.width), float(lens.height)) if lens else (1920.0, 1080.0) for name, lens in lenses.items()
    }
    scale = {
        name: (1.0, 1.0) if old.frame_size is None else (size[0] / old.frame_size[0], size[1] / old.frame_size[1])
        for name, size in sizes.items()
    }
    stages = frozenset(bay.models.stages or STAGES) | set(mapping.names.stages.values())
    return _Bay(bay, cameras, sizes, scale, stages, _to_floor(old.floor), _yaw(old.floor))


def _to_floor(frame: FloorFrame) -> Callable[[float, float], tuple[float, float]]:
    (ox, oy), (ax, bx), (ay, by) = frame.origin_m, _direction(frame.along), _direction(frame.across)
    return lambda x, y: (ox + ax * x + bx * y, oy + ay * x + by * y)


def _yaw(frame: FloorFrame) -> Callable[[float], float]:
    (ax, bx), (ay, by) = _direction(frame.along), _direction(frame.across)
    sense = -1 if frame.clockwise else 1

    def turned(degrees: float) -> float:
        c, s = math.cos(math.radians(sense * degrees)), math.sin(math.radians(sense * degrees))
        return math.degrees(math.atan2(ay * c + by * s, ax * c + bx * s))

    return turned


def _direction(axis: str) -> tuple[float, float]:
    """What an old axis, with its sign, takes of an old (x, y)."""
    sign = 1.0 if axis[0] == "+" else -1.0
    return (sign, 0.0) if axis[1] == "x" else (0.0, sign)


def _at(record: Any, path: str) -> Any:
    """The value at a path; `_MISSING` where there is none."""
    if isinstance(record, AnyMapping) and path in record:
        return record[path]
    for part in path.split("."):
        if not isinstance(record, AnyMapping) or part not in record:
            return _MISSING
        record = record[part]
    return record


def _value(record: Any, name: str, path: str) -> Any:
    found = _at(record, path)
    if found is _MISSING or found is None or found == "":
        raise _UnfitError(f"{name}: there is no {path}")
    return found


def _text(record: Any, name: str, path: str) -> str:
    found = _value(record, name, path)
    if not isinstance(found, str):
        raise _UnfitError(f"{name}: {type(found).__name__} where a text is wanted")
    return found


def _identity(record: Any, path: str, longest: int) -> str:
    found = _value(record, "floor.block.id", path)
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise _UnfitError(f"floor.block.id: {type(found).__name__} where a text or a whole number is wanted")
    text = str(found)
    if len(text) > longest or not text.isprintable():
        raise _UnfitError(f"floor.block.id: at most {longest} printable characters are wanted")
    return text


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _UnfitError(f"{name}: {type(value).__name__} where a number is wanted")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise _UnfitError(f"{name}: no number") from None
    if not math.isfinite(number):
        raise _UnfitError(f"{name}: not a finite number")
    return number
