"""Stored captures as files, in the layout that the image provider `file` reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from artifacts import ArtifactStore
from bay_observation.errors import BacktestError
from bays import batch_id, slot_of
from capture_async.types import CaptureBatch


@dataclass(frozen=True)
class Exported:
    """What was written: frames in all, and the cameras without one by slot."""

    slots: tuple[datetime, ...]
    frames: int
    missing: dict[datetime, tuple[str, ...]]


def stored_slots(store: ArtifactStore, bay_id: str, start: datetime, end: datetime) -> list[datetime]:
    """Slots of [start, end) whose capture is stored, in order."""
    slots = (slot_of(batch) for batch in store.batch_ids("capture", bay_id))
    return [slot for slot in slots if start <= slot < end]


def export_frames(store: ArtifactStore, bay_id: str, slots: Sequence[datetime], folder: Path) -> Exported:
    """Write the frames of stored captures to `{folder}/{camera_name}/{bay_id}_{camera_name}_{YYYYmmddHHMMSS}.jpg`.

    Byte for byte as the camera sent them. The moment in a name is the slot and not that of
    the frame, so that the provider finds each frame in its own slot: a capture that was
    taken again may be of an hour later.

    Raises:
        ArtifactError: a capture is gone or damaged.
        BacktestError: a file cannot be written.
    """
    frames, missing = 0, {}
    for slot in slots:
        batch = _capture(store, bay_id, slot)
        if batch.failures:
            missing[slot] = tuple(sorted(failure.camera_name for failure in batch.failures))
        for image in batch.images:
            path = folder / image.camera_name / f"{bay_id}_{image.camera_name}_{slot:%Y%m%d%H%M%S}.jpg"
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(image.jpeg)
            except OSError as error:
                raise BacktestError(f"{path}: cannot be written: {error.strerror or error}") from error
            frames += 1
    return Exported(tuple(slots), frames, missing)


def _capture(store: ArtifactStore, bay_id: str, slot: datetime) -> CaptureBatch:
    name = batch_id(bay_id, slot)
    reference = store.find("capture", bay_id, name)
    if reference is None:
        raise BacktestError(f"batch {name} has no stored capture")
    batch: CaptureBatch = store.load(reference)
    return batch
