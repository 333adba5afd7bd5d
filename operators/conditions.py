"""check_should_proceed: whether a batch is worth the models' time (수행 여부 판단)."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk.definitions.context import Context

from artifacts import ArtifactReference, ArtifactStore
from bay_observation.errors import ArtifactError, BayObservationError, CaptureError
from bays import BayConfig, batch_id, load_bay, slot_of
from operators._common import captured, run_slot, task_errors
from operators._history import record_outcome

if TYPE_CHECKING:
    from capture_async.types import CaptureBatch, CapturedImage

_log = logging.getLogger(__name__)


def check_execution_conditions(bay_id: str, reference: Mapping[str, Any] | None, **context: Any) -> bool:
    """The callable of `ShortCircuitOperator`: False skips the rest of the run.

    The reason is logged, kept as XCom `reason`, and recorded in the history. Without a
    reference (a person marked `capture_images` as success) it takes the capture that is
    published for the run's slot. Frames of a slot outside of the opening hours are deleted:
    nobody has asked for them, and they are most of what cameras give.

    Args:
        bay_id: the bay.
        reference: to the capture.
        context: of the task.
    """
    closed = None
    with task_errors():
        found = captured(bay_id, reference, cast(Context, context))
        if found is None:
            batch = batch_id(bay_id, run_slot(cast(Context, context)))
            verdict = Verdict(False, "capture_images was marked success by hand, and no capture is published")
        else:
            batch, bay = found.batch_id, load_bay(bay_id)
            closed = judge_time(bay, slot_of(batch))  # before the frames are read
            verdict = closed or judge_frames(bay, _noted_greys(bay, found))
    _log.info("batch %s: %s: %s", batch, "proceed" if verdict.proceed else "stop", verdict.reason)
    context["ti"].xcom_push(key="reason", value=verdict.reason)
    if not verdict.proceed:
        from tracking.history import BatchOutcome

        record_outcome(bay_id, batch, BatchOutcome.SKIPPED, verdict.reason)
        if closed is not None:
            _discard_frames(bay_id, batch)
    return verdict.proceed


@dataclass(frozen=True)
class Verdict:
    """Whether to go on with a batch, and why (not)."""

    proceed: bool
    reason: str


def judge_time(bay: BayConfig, slot: datetime) -> Verdict | None:
    """What speaks against an (aware) slot, by the bay's own clock; None when nothing does."""
    closed = bay.closed(slot)
    return None if closed is None else Verdict(False, closed)


def greys_of(images: "Sequence[CapturedImage]") -> dict[str, float | None]:
    """Mean grey of each frame, 0 to 255, by camera; None for one that cannot be read."""
    with ThreadPoolExecutor() as pool:
        return dict(zip((image.camera_name for image in images), pool.map(_brightness, images), strict=True))


def judge_frames(bay: BayConfig, greys: Mapping[str, float | None]) -> Verdict:
    """Whether enough cameras gave a frame that is bright enough.

    Args:
        bay: its quorum and its limit.
        greys: see `greys_of`.
    """
    if len(greys) < bay.camera_quorum:
        return Verdict(False, f"frames of {len(greys)} cameras, the quorum is {bay.camera_quorum}")
    limit = bay.conditions.min_brightness
    dark = [
        f"{camera} ({'unreadable' if grey is None else f'{grey:.0f}'})"
        for camera, grey in greys.items()
        if grey is None or grey < limit
    ]
    bright = len(greys) - len(dark)
    counted = f"{bright} of {len(greys)} frames have a mean grey of {limit:g} or more"
    if dark:
        counted += f"; dark: {', '.join(dark)}"
    if bright < bay.camera_quorum:
        return Verdict(False, f"{counted}; the quorum is {bay.camera_quorum}")
    return Verdict(True, counted)


def _noted_greys(bay: BayConfig, capture: "ArtifactReference[CaptureBatch]") -> dict[str, float | None]:
    """How bright a capture's frames are, which is also left on the store for who looks after the cameras."""
    from capture_async.observer_note import BrightnessNote, write_brightness

    store = ArtifactStore()
    greys = greys_of(store.load(capture).images)
    readable = {camera: grey for camera, grey in greys.items() if grey is not None}
    try:
        write_brightness(store.root, bay.bay_id, BrightnessNote(slot_of(capture.batch_id), readable))
    except BayObservationError as error:
        _log.warning("batch %s: how bright its frames are is not noted: %s", capture.batch_id, error)
    return greys


def _discard_frames(bay_id: str, batch: str) -> None:
    """Delete a capture that no stage has used; what cannot be deleted now is left to housekeeping."""
    store = ArtifactStore()
    try:
        if store.find("observation", bay_id, batch) is None:
            store.delete("capture", bay_id, batch)
    except ArtifactError as error:
        _log.warning("batch %s: its frames are not deleted: %s", batch, error)


def _brightness(image: "CapturedImage") -> float | None:
    """Mean grey of a frame, 0 to 255; None when it cannot be read."""
    import cv2

    try:
        return float(cv2.cvtColor(image.decode(), cv2.COLOR_BGR2GRAY).mean())
    except CaptureError as error:
        _log.warning("%s", error)
        return None
