"""capture_images: the task that asks a bay's cameras, through the bay's own triggerer."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from artifacts import ArtifactStore, store_timeout
from bay_observation.errors import ArtifactError, StoreUnavailableError
from bays import BayConfig, batch_id, load_bay
from capture_async.publication import published_capture
from operators._common import fired_here, run_slot, task_errors
from operators._history import record_outcome
from triggers import CaptureTrigger
from triggers.capture import captured_event
from triggers.events import CaptureEvent
from triggers.main_clock import refusal

# Seconds that publishing may take on top of the bay's capture_deadline, besides the time
# in which a store that hangs is waited for: once to look, once to publish.
_PUBLISH_GRACE = 20.0
# Airflow's own timeout stands behind the trigger's, for a triggerer that restarts or is away.
_TRIGGERER_GRACE = timedelta(minutes=2)
# Key in the task's state: which capture a cleared task must not be given again.
_SUPERSEDED = "superseded_capture"


class ObservationOperator(BaseOperator):
    """Defers to `CaptureTrigger`; wakes to check the event and push the capture's reference.

    A capture that is published already is handed on without a deferral and without asking a
    camera; a task that was cleared takes new frames, on its first try or on a later one.

    Live cameras are asked only within the bay's `capture_window` of the slot, by the clock of
    the main server. Before and after it a published capture is kept and handed on; without one
    the task is skipped, and with it the rest of the run. The reason is logged, kept as XCom
    `reason`, and recorded in the history.

    Fails, to be retried, below the bay's camera quorum; above it the missing cameras
    travel with the batch, so that later stages know which floor no camera saw.

    Not to be started from the trigger (`start_from_trigger`): Airflow then creates the
    trigger without the task's queue, and it would run outside of the bay's network.

    Args:
        bay_id: the bay.
        deferrable: capture in a triggerer of the task's queue; otherwise in the worker, which then needs the
            route to the cameras and their login.
        kwargs: of `BaseOperator`. `execution_timeout` bounds the capture as well.
    """

    template_fields: Sequence[str] = ("bay_id",)

    def __init__(self, *, bay_id: str, deferrable: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bay_id = bay_id
        self.deferrable = deferrable

    def execute(self, context: Context) -> dict[str, Any]:
        """Hand the slot to the bay's triggerer, unless its capture is there already."""
        with task_errors():
            bay = load_bay(self.bay_id)
            batch = batch_id(bay.bay_id, run_slot(context))
            refused = refusal(bay, run_slot(context))
            replaces = None if refused else self._superseded(batch, context)
            published = published_capture(ArtifactStore(), bay, batch, replaces)
        if published is None:
            if refused:
                self._skip(batch, refused, context)
            return self.execute_complete(context, self._ask_cameras(bay, batch, replaces))
        # Without a deferral: it could be over before Airflow has seen that it began.
        reference, capture = published
        why = f", {refused}" if refused else ""
        self.log.info("%s is published already and handed on; no camera is asked%s", reference.path, why)
        captured = captured_event(reference, capture, bay)
        if not refused:
            _record(bay, captured)
        return _pushed(captured)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Check the trigger's event; push reference, counts and missing cameras as XCom."""
        with task_errors():
            bay = load_bay(self.bay_id)
            batch = batch_id(bay.bay_id, run_slot(context))
            captured = CaptureEvent.from_dict(event, bay_id=bay.bay_id, batch_id=batch)
        if captured.status == "outside_window":
            self._skip(batch, captured.error, context)
        _record(bay, captured)
        if captured.status == "failed":
            failure = AirflowException if captured.retry else AirflowFailException
            raise failure(captured.error or f"capture {batch} failed without a reason")
        for camera, reason in captured.failures.items():
            self.log.warning("no frame of camera %s: %s", camera, reason)
        images = captured.counts.get("images", 0)
        if captured.reference is None or images < bay.camera_quorum:
            missing = ", ".join(f"{camera} ({reason})" for camera, reason in sorted(captured.failures.items()))
            raise AirflowException(
                f"batch {batch}: frames of {images} cameras where bay {bay.bay_id} wants {bay.camera_quorum};"
                f" missing: {missing or 'unknown'}"
            )
        self.log.info("batch %s: %d of %d cameras, %s", batch, images, len(bay.cameras), captured.reference.path)
        self._warn_of_lateness(captured)
        return _pushed(captured)

    def resume(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """As `execute_complete`: the name under which a task wakes that was deferred by version 0.1."""
        return self.execute_complete(context, event)

    def _skip(self, batch: str, reason: str, context: Context) -> NoReturn:
        from tracking.history import BatchOutcome

        reason = f"no camera was asked: {reason}"
        self.log.warning("batch %s: %s", batch, reason)
        context["ti"].xcom_push(key="reason", value=reason)
        record_outcome(self.bay_id, batch, BatchOutcome.SKIPPED, reason, only_new=True)
        raise AirflowSkipException(f"batch {batch}: {reason}")

    def _warn_of_lateness(self, captured: CaptureEvent) -> None:
        from tracking.history import LATE_S

        for what, seconds in (
            ("taken after the slot", captured.lateness_s),
            ("apart from each other", captured.spread_s),
        ):
            if seconds is not None and seconds >= LATE_S:
                self.log.warning("batch %s: its frames were %.0f s %s", captured.batch_id, seconds, what)

    def _ask_cameras(self, bay: BayConfig, batch: str, replaces: str | None) -> Mapping[str, Any]:
        """The event of the capture; does not return where the task defers."""
        timeout = bay.capture_deadline + _PUBLISH_GRACE + 2 * store_timeout()
        if self.execution_timeout is not None:  # Airflow does not count deferred time
            timeout = min(timeout, self.execution_timeout.total_seconds())
        self.log.info("batch %s: %d cameras, quorum %d", batch, len(bay.cameras), bay.camera_quorum)
        trigger = CaptureTrigger(bay_id=bay.bay_id, batch_id=batch, timeout=timeout, replaces=replaces)
        if self.deferrable:
            longest = timedelta(seconds=timeout) + _TRIGGERER_GRACE
            self.defer(trigger=trigger, method_name="execute_complete", timeout=longest)
        return fired_here(trigger)

    def _superseded(self, batch: str, context: Context) -> str | None:
        """Digest of the capture that this try must not be given again: the one from before the clearing.

        The first try after a clearing notes what was published by then; its retries read the
        note, since what they find may be the new capture or still the old one. Airflow keeps
        a task's state from try to try, and counts how often its run was cleared.
        """
        cleared = context["dag_run"].clear_number or 0
        if cleared == 0:
            return None
        state = context["task_state_store"]
        noted = state.get(_SUPERSEDED)
        if not isinstance(noted, dict) or noted.get("clear_number") != cleared:
            noted = {"clear_number": cleared, "sha256": self._published_digest(batch)}
            state.set(_SUPERSEDED, noted)
        return str(noted["sha256"]) or None

    def _published_digest(self, batch: str) -> str:
        try:
            published = ArtifactStore().find("capture", self.bay_id, batch)
        except StoreUnavailableError:
            raise  # what must be replaced is not known: better a retry than the old frames
        except ArtifactError as error:
            self.log.warning("%s", error)  # the trigger does not hand on what is damaged either
            return ""
        return published.sha256 if published else ""


def _record(bay: BayConfig, captured: CaptureEvent) -> None:
    """Record in the history which cameras gave a frame, and whether they were enough."""
    from tracking.history import BatchOutcome

    enough = captured.status == "captured" and captured.counts.get("images", 0) >= bay.camera_quorum
    asked = captured.status != "failed"
    record_outcome(
        bay.bay_id,
        captured.batch_id,
        BatchOutcome.CAPTURED if enough else BatchOutcome.CAPTURE_FAILED,
        "" if enough else captured.error or f"fewer cameras than the quorum of {bay.camera_quorum} gave a frame",
        cameras={camera.name for camera in bay.cameras} - captured.failures.keys() if asked else None,
        failures=captured.failures,
        lateness_s=captured.lateness_s,
        spread_s=captured.spread_s,
    )


def _pushed(captured: CaptureEvent) -> dict[str, Any]:
    pushed = {} if captured.reference is None else captured.reference.to_dict()
    return {**pushed, "captured_count": captured.counts["images"], "failures": dict(captured.failures)}
