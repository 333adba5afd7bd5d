"""A bay with a lively day behind it, for the dashboard to show: history, floor plans, and frames of its newest slots.

A day of the simulated yard as fusion would report it (`lab.evaluation.tracking_days`), moved to
end now, goes through the tracker into the history. One camera is off in the last hours, some slots
are lost. The newest slots also have rendered frames, with outlines as perfect models would see them.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from artifacts import ArtifactStore
from bays import BayConfig, batch_id
from capture_async.types import CameraFailure, CaptureBatch, CapturedImage, FailureReason
from fusion.types import FusionResult
from inference.types import CameraObservation, DetectedObject, Observation
from lab.evaluation.tracking_days import SLOT, Spoilt, simulated_day
from lab.simulation.labels import label_frame
from lab.simulation.rendering import FrameSource, Renderer
from lab.simulation.yard import Yard
from tracking import Tracker
from tracking.history import BatchOutcome, History, TrackedBatch
from tracking.types import TrackerState

OFF = "D_7"
"""The camera that is off in the last hours."""

_OFF_SLOTS = 9
_LOST = 0.03


def fill_day(
    store: ArtifactStore,
    history: History,
    bay: BayConfig,
    *,
    seed: int,
    newest: datetime,
    slots: int = 144,
    framed: int,
) -> None:
    """Fill a bay's history and store with a day.

    Args:
        store: where floor plans and frames go.
        history: of the bay, which it does not know yet.
        bay: with pose and intrinsics of its cameras.
        seed: of the yard and of what goes wrong.
        newest: the last slot (aware).
        slots: how many there are.
        framed: how many of the newest slots have frames.
    """
    spoilt = Spoilt(off=(OFF,), off_slots=(slots - _OFF_SLOTS, slots), lost=_LOST)
    day = simulated_day(bay, seed, spoilt, slots, run_on=0)
    moved = newest - day.slots[-1]
    names = [camera.name for camera in bay.cameras]
    state: TrackerState | None = None
    tracked = []
    for plan in day.results:
        at = replace(plan, batch_id=batch_id(bay.bay_id, plan.slot + moved))
        store.save("fusion", bay.bay_id, at.batch_id, at)
        result = Tracker(bay, state).update(at)
        state = result.state
        reference = store.save("tracking", bay.bay_id, at.batch_id, result)
        tracked.append(TrackedBatch(result, reference.sha256, at.cameras, at.missing_cameras))
    with history.writer(bay.bay_id) as writer:
        writer.replace(None, tracked)
    known = {one.slot for one in tracked}
    for number, slot in enumerate(time + moved for time in day.slots):
        off = {OFF: FailureReason.TIMED_OUT.value} if number >= slots - _OFF_SLOTS else {}
        there = [name for name in names if name not in off]
        history.record(bay.bay_id, slot, BatchOutcome.CAPTURED, cameras=there, failures=off)
        if slot not in known:
            history.record(bay.bay_id, slot, BatchOutcome.INFERENCE_FAILED, "the inference server did not answer")
    _add_frames(store, bay, Yard(bay, seed=seed, blocks=24 + seed % 7), day.results[len(day.results) - framed :], moved)


def _add_frames(
    store: ArtifactStore, bay: BayConfig, yard: Yard, plans: tuple[FusionResult, ...], moved: timedelta
) -> None:
    renderer = Renderer(bay)
    frames = FrameSource(yard, renderer)
    for plan in plans:
        slot = plan.slot + moved
        name = batch_id(bay.bay_id, slot)
        images = tuple(CapturedImage(camera, bay.bay_id, slot, frames(camera, plan.slot)) for camera in plan.cameras)
        failures = tuple(
            CameraFailure(camera, FailureReason.TIMED_OUT, "no answer in 10 s") for camera in plan.missing_cameras
        )
        seen = tuple(_seen(renderer, bay, yard, camera, plan.slot, slot) for camera in plan.cameras)
        store.save("capture", bay.bay_id, name, CaptureBatch(name, bay.bay_id, images, failures))
        store.save("observation", bay.bay_id, name, Observation(name, bay.bay_id, seen))


def _seen(  # noqa: PLR0917 - six things make a frame
    renderer: Renderer, bay: BayConfig, yard: Yard, camera: str, time: datetime, slot: datetime
) -> CameraObservation:
    intrinsics = bay.camera(camera).intrinsics
    size = (0, 0) if intrinsics is None else (intrinsics.width, intrinsics.height)
    objects = tuple(
        DetectedObject(label.class_name, 0.95, label.box, label.polygon, label.stage, 0.9 if label.stage else 0.0)
        for label in label_frame(renderer, camera, yard.at(time))
        if len(label.polygon) >= 3
    )
    return CameraObservation(camera, slot + SLOT / 20, size, objects)
