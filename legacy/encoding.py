"""What the models saw of a batch, as the old system's hash and message hold it: `legacy.decoding` the other way."""

from collections.abc import Mapping as AnyMapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson

from bays import BayConfig, slot_of
from inference.types import CameraObservation, DetectedObject, Observation
from legacy.connection import Publication
from legacy.mapping import Mapping
from legacy.templates import OldNames

_PIXEL_DIGITS, _SHARE_DIGITS = 2, 4
_SLOT_FORMAT = "%Y%m%d-%H%M%S"


class Encoder:
    """Writes batches of one bay by a mapping.

    Args:
        mapping: of the old system.
        bay: whose batches.

    Raises:
        ConfigError: the mapping has no such bay.
    """

    def __init__(self, mapping: Mapping, bay: BayConfig) -> None:
        mapping.old_name(bay.bay_id)
        self._mapping, self._bay, self._names = mapping, bay, OldNames(mapping)
        self._cameras = _reversed(mapping.bays[bay.bay_id].cameras)
        self._classes, self._stages = _reversed(mapping.names.classes), _reversed(mapping.names.stages)
        self._zone = ZoneInfo(mapping.time_zone)

    def publication(self, observation: Observation) -> Publication:
        """What the old consumers get of a batch."""
        redis, slot, bay_id = self._mapping.redis, slot_of(observation.batch_id), self._bay.bay_id
        return Publication(
            slot=slot_text(slot),
            owner_key=self._names.fill(redis.owner_key, bay_id),
            last_key=self._names.fill(redis.last_key, bay_id),
            hashes=self._hashes(observation, slot),
            channel=redis.channel,
            message=self._message(observation, slot),
            consumers=self._mapping.bridge.consumers,
            expires_s=redis.expires_s or 0,
            is_whole=redis.is_of_one_batch,
        )

    def _message(self, observation: Observation, slot: datetime) -> str:
        paths, message = self._mapping.message, dict[str, Any]()
        for path, text in paths.constants.items():
            _put(message, path, text)
        _put(message, paths.batch_id, self._names.batch_id(self._bay.bay_id, slot))
        if paths.status is not None:
            _put(message, paths.status, paths.done)
        if paths.count is not None:
            _put(message, paths.count, len(observation.cameras))
        return _json(message)

    def _hashes(self, observation: Observation, slot: datetime) -> dict[str, dict[str, str]]:
        """Fields and their values by key: of one hash, but where every camera has one."""
        redis, bay_id, paths = self._mapping.redis, self._bay.bay_id, self._mapping.frame
        frames = {self._old_camera(frame.camera_name): self._frame(frame, slot) for frame in observation.cameras}
        hashes: dict[str, dict[str, str]] = {}
        if paths.frames is None:
            for camera, frame in frames.items():
                fields = hashes.setdefault(self._names.fill(redis.key, bay_id, slot, camera), {})
                fields[self._names.fill(redis.field, bay_id, slot, camera)] = _json(frame)
            return hashes
        record: dict[str, Any] = {}
        _put(record, paths.frames, list(frames.values()))
        if paths.published_at is not None:
            _put(record, paths.published_at, self._time(datetime.now(UTC)))
        return {self._names.fill(redis.key, bay_id, slot): {self._names.fill(redis.field, bay_id, slot): _json(record)}}

    def _frame(self, frame: CameraObservation, slot: datetime) -> dict[str, Any]:
        paths, camera, record = self._mapping.frame, self._old_camera(frame.camera_name), dict[str, Any]()
        for path, template in paths.constants.items():
            _put(record, path, self._names.fill(template, self._bay.bay_id, slot, camera))
        if paths.camera is not None:
            _put(record, paths.camera, camera)
        if paths.captured_at is not None:
            _put(record, paths.captured_at, self._time(frame.captured_at))
        if paths.frames is None and paths.published_at is not None:
            _put(record, paths.published_at, self._time(datetime.now(UTC)))
        _put(record, paths.objects, [self._object(found, self._scale(frame.image_size)) for found in frame.objects])
        return record

    def _object(self, found: DetectedObject, scale: tuple[float, float]) -> dict[str, Any]:
        paths, record = self._mapping.object, dict[str, Any]()
        _put(record, paths.class_name, self._classes.get(found.class_name, found.class_name))
        if paths.confidence is not None:
            _put(record, paths.confidence, self._share(found.confidence))
        _put(record, paths.box, self._box(found, scale))
        if paths.polygon is not None:
            points = None
            if found.polygon is not None:
                points = (found.polygon.astype(np.float64) * scale).round(self._digits)
            _put(record, paths.polygon, points)
        if paths.stage is not None:
            _put(record, paths.stage, None if found.stage is None else self._stages.get(found.stage, found.stage))
        if paths.stage_confidence is not None:
            _put(record, paths.stage_confidence, self._share(found.stage_confidence))
        return record

    def _box(self, found: DetectedObject, scale: tuple[float, float]) -> list[float]:
        left, top, right, bottom = found.box.tolist()
        left, top, right, bottom = left * scale[0], top * scale[1], right * scale[0], bottom * scale[1]
        form = self._mapping.units.box
        if form == "xywh":
            box = [left, top, right - left, bottom - top]
        elif form == "cxcywh":
            box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        else:
            box = [left, top, right, bottom]
        return [round(part, self._digits) for part in box]

    @property
    def _digits(self) -> int:
        return 6 if self._mapping.units.pixels == "fraction" else _PIXEL_DIGITS

    def _scale(self, size: tuple[int, int]) -> tuple[float, float]:
        """From pixels of the frame to the old side's."""
        if self._mapping.units.pixels == "fraction":
            return 1 / size[0], 1 / size[1]
        old = self._mapping.bays[self._bay.bay_id].frame_size
        return (1.0, 1.0) if old is None else (old[0] / size[0], old[1] / size[1])

    def _share(self, share: float) -> float:
        return round(share * 100 if self._mapping.units.confidence == "percent" else share, _SHARE_DIGITS)

    def _time(self, moment: datetime) -> str | int | float:
        form = self._mapping.units.time
        if form == "epoch_ms":
            return round(moment.timestamp() * 1000)
        if form == "epoch_s":
            return round(moment.timestamp(), 3)
        local = moment.astimezone(self._zone)
        return local.replace(tzinfo=None).isoformat(timespec="milliseconds") if form == "iso" else local.strftime(form)

    def _old_camera(self, name: str) -> str:
        return self._cameras.get(name, name)


def slot_text(slot: datetime) -> str:
    """A slot as both sides compare it: YYYYmmdd-HHMMSS in UTC."""
    return slot.astimezone(UTC).strftime(_SLOT_FORMAT)


def slot_of_text(text: str) -> datetime | None:
    """The other way (aware, UTC); None where it is no slot."""
    try:
        slot = datetime.strptime(text, _SLOT_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return slot if slot_text(slot) == text else None


def _reversed(theirs_to_ours: AnyMapping[str, str]) -> dict[str, str]:
    """Ours: theirs; of several old names the first one in the file."""
    result: dict[str, str] = {}
    for theirs, ours in theirs_to_ours.items():
        result.setdefault(ours, theirs)
    return result


def _put(record: dict[str, Any], path: str, value: Any) -> None:
    *folders, last = path.split(".")
    for folder in folders:
        record = record.setdefault(folder, {})
    record[last] = value


def _json(value: Any) -> str:
    # An outline is written from its array: as lists of lists it would take ten times as long, and rouse the
    # collector of garbage.
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
