"""The bay and the day that the documentation's examples speak of."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from shapely import MultiPolygon, box

from bays import BayConfig, batch_id
from fusion.types import FusedBlock, FusionResult
from inference.types import CameraObservation, DetectedObject, Observation
from tracking import Tracker
from tracking.history import History, TrackedBatch

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
BATCH = "3bay_north_20250702-071000"


@dataclass(frozen=True)
class Day:
    """References to what is published for the batch of the examples."""

    bay: BayConfig
    capture: Any
    observation: Any
    fusion: Any
    tracking: Any


@pytest.fixture
def day(make_bay, store, make_capture, tmp_path) -> Day:
    """Bay 3bay_north: a block that was lifted to another area, a panel that stands, a camera that is off."""
    frames = tmp_path / "frames"
    bay = make_bay("3bay_north", image_provider="file", image_provider_config={"base_path": str(frames)})
    _write_grey_frames(bay, frames)
    state = None
    for number in range(-4, 1):
        slot = SLOT + number * timedelta(minutes=10)
        floor = _floor(bay, slot, moved=number >= -1)
        result = Tracker(bay, state).update(floor)
        fusion = store.save("fusion", bay.bay_id, floor.batch_id, floor)
        tracking = store.save("tracking", bay.bay_id, floor.batch_id, result)
        state = result.state
    return Day(
        bay,
        store.save("capture", bay.bay_id, BATCH, make_capture(bay, SLOT, count=11)),
        store.save("observation", bay.bay_id, BATCH, _observation(bay)),
        fusion,
        tracking,
    )


@pytest.fixture
def kept_history(day, store, monkeypatch) -> None:
    """The history of that day, of yesterday's evening and of now."""
    monkeypatch.delenv("HISTORY_DB", raising=False)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    now -= timedelta(minutes=now.minute % 10)
    evening = now.astimezone(day.bay.zone).replace(hour=0, minute=0) - timedelta(hours=2)
    starts = (
        SLOT.replace(hour=0, minute=0) - timedelta(hours=1),
        SLOT.replace(hour=3, minute=0),
        SLOT,
        evening.astimezone(UTC),
    )
    slots = [start + number * timedelta(minutes=10) for start in starts for number in range(-4, 1)]
    state, before = None, None
    with History.at(store.root) as history, history.writer(day.bay.bay_id) as writer:
        for slot in [*slots, now]:
            floor = _floor(day.bay, slot, moved=slot >= SLOT - timedelta(minutes=10))
            floor = replace(floor, blocks=(*floor.blocks, *_others(day.bay)))
            result = Tracker(day.bay, state).update(floor)
            sha256 = hashlib.sha256(floor.batch_id.encode()).hexdigest()
            writer.replace(before, [TrackedBatch(result, sha256, floor.cameras, floor.missing_cameras)])
            state, before = result.state, result


def _write_grey_frames(bay: BayConfig, folder: Path) -> None:
    """In place of the bay's cameras, taken now."""
    frame = cv2.imencode(".jpg", np.full((1080, 1920, 3), 128, np.uint8))[1].tobytes()
    for camera in bay.cameras:
        path = folder / camera.name / f"{bay.bay_id}_{camera.name}_{datetime.now(UTC):%Y%m%d%H%M%S}.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(frame)


def _floor(bay: BayConfig, slot: datetime, *, moved: bool) -> FusionResult:
    names = tuple(camera.name for camera in bay.cameras if camera.name != "C_4")
    block = FusedBlock("block", _box(36 + 15 * moved, 10, 8, 6), 4.0, "A13" if moved else "A12", "welding", 0.9, names)
    panel = FusedBlock("panel", _box(8, 30, 12, 8), 0.8, "A27", "fit_up", 0.9, names)
    unseen = MultiPolygon([box(60, 20, 80, 32)])
    return FusionResult(
        batch_id(bay.bay_id, slot), bay.bay_id, (block, panel), unseen, cameras=names, missing_cameras=("C_4",)
    )


def _others(bay: BayConfig) -> list[FusedBlock]:
    """Ten panels, so that the pages' block has its number."""
    names = ("A1D", "A1E", "A1F", "A1G", "A14", "A19", "A1A", "A1B", "A1C", "A26")
    areas = {name: bay.layout.areas[name] for name in names}
    return [
        FusedBlock("panel", _box(sum(a.x) / 2, sum(a.y) / 2, 8, 6), 0.8, name, "fit_up", 0.9, ("C_2", "D_2"))
        for name, a in areas.items()
    ]


def _box(x: float, y: float, length: float, width: float) -> Any:
    return box(x - length / 2, y - width / 2, x + length / 2, y + width / 2)


def _observation(bay: BayConfig) -> Observation:
    found = DetectedObject("block", 0.9, [10, 20, 110, 90], [[10, 20], [110, 20], [110, 90], [10, 90]], "welding", 0.8)
    cameras = tuple(CameraObservation(camera.name, SLOT, (1920, 1080), (found,)) for camera in bay.cameras[:11])
    return Observation(BATCH, bay.bay_id, cameras, {"D_11": "timed out"})
