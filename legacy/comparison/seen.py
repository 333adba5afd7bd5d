"""What one side saw of a bay, slot for slot, so that both sides can be laid beside each other."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import shapely

from artifacts import ArtifactStore
from bay_observation.errors import MissingArtifactError, WrongArtifactError
from bays import BayConfig, batch_id
from inference.types import Observation
from legacy.records import FloorBlock, OldBatch
from tracking.history import History, Stay
from tracking.history.stays import recorded_stays

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """A camera's frame: when it was taken (aware; None where not known), class and box (pixels) of what was seen."""

    captured_at: datetime | None
    objects: tuple[tuple[str, Box], ...] = ()


@dataclass(frozen=True, slots=True)
class SeenSlot:
    """One slot (aware, UTC).

    Attributes:
        slot: which.
        frames: by camera; None where the side does not say.
        blocks: on the floor; None where the side does not say.
        done_at: when the side was done with it; None where not known.
    """

    slot: datetime
    frames: Mapping[str, SeenFrame] | None = None
    blocks: tuple[FloorBlock, ...] | None = None
    done_at: datetime | None = None


def old_side(batches: Iterable[OldBatch], bay_id: str, start: datetime, end: datetime) -> list[SeenSlot]:
    """What the old side saw within [start, end), in order; a batch with two floors that differ is there twice."""
    whole: dict[tuple[datetime, int], OldBatch] = {}
    floors: dict[datetime, list[tuple[FloorBlock, ...]]] = {}
    for batch in batches:
        if batch.bay_id != bay_id or not start <= batch.slot < end:
            continue
        number = 0
        if batch.blocks is not None:
            known = floors.setdefault(batch.slot, [])
            if batch.blocks not in known:  # dumps overlap
                known.append(batch.blocks)
            number = known.index(batch.blocks)
        joined = whole.get((batch.slot, number))
        whole[batch.slot, number] = batch if joined is None else joined.joined(batch)
    return [_of_old(whole[key]) for key in sorted(whole)]


def new_side(bay: BayConfig, store: ArtifactStore, history: History, start: datetime, end: datetime) -> list[SeenSlot]:
    """What this system saw within [start, end), in order: frames from the observations, the floor from the history.

    Raises:
        HistoryError: the history has nothing of the bay.
        StoreUnavailableError: the store fails.
    """
    floors = recorded_stays(history, bay.bay_id, start, end)
    slots = []
    for batch in history.batches(bay.bay_id, start, end):
        if batch.sha256 is None:
            continue
        slot = batch.slot
        standing = [one for one in floors if one.since <= slot and (one.until is None or one.until > slot)]
        blocks = tuple(map(_block, standing))
        name = batch_id(bay.bay_id, slot)
        done = store.published("observation", bay.bay_id, name)
        slots.append(
            SeenSlot(slot, _frames(store, bay.bay_id, name), blocks, None if done is None else done.modified_at)
        )
    return slots


def _of_old(batch: OldBatch) -> SeenSlot:
    frames = None
    if batch.frames is not None:
        frames = {
            frame.camera: SeenFrame(frame.captured_at, tuple((one.class_name, one.box) for one in frame.objects))
            for frame in batch.frames
        }
    return SeenSlot(batch.slot, frames, batch.blocks, batch.published_at)


def _frames(store: ArtifactStore, bay_id: str, name: str) -> dict[str, SeenFrame] | None:
    try:
        observation = store.fetch("observation", bay_id, name)
    except (MissingArtifactError, WrongArtifactError):
        return None  # damaged: the floor is compared all the same
    if not isinstance(observation, Observation):
        return None  # deleted by the bay's retention
    return {
        camera.camera_name: SeenFrame(
            camera.captured_at, tuple((found.class_name, tuple(found.box.tolist())) for found in camera.objects)
        )
        for camera in observation.cameras
    }


def _block(stay: Stay) -> FloorBlock:
    """With the smallest rectangle around its footprint."""
    centre = stay.footprint.centroid
    ring = shapely.get_coordinates(shapely.oriented_envelope(stay.footprint)).tolist()
    (ax, ay), (bx, by), (cx, cy) = ring[:3]
    first, second = math.hypot(bx - ax, by - ay), math.hypot(cx - bx, cy - by)
    yaw = math.atan2(by - ay, bx - ax) if first >= second else math.atan2(cy - by, cx - bx)
    return FloorBlock(
        stay.track_id,
        stay.class_name,
        stay.stage,
        stay.confidence,
        centre.x,
        centre.y,
        max(first, second),
        min(first, second),
        math.degrees(yaw),
        stay.height_m,
    )
