"""capture_images: the task that asks a bay's cameras, through the bay's own triggerer."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from artifacts import ArtifactStore
from bay_observation.errors import ArtifactError
from bays import batch_id, load_bay
from operators._common import run_slot, task_errors
from triggers import CaptureTrigger
from triggers.events import CaptureEvent

# Seconds that publishing may take on top of the bay's capture_deadline.
_PUBLISH_GRACE = 60.0
# Airflow's own timeout stands behind the trigger's, for a triggerer that restarts or is away.
_TRIGGERER_GRACE = timedelta(minutes=2)


class ObservationOperator(BaseOperator):
    """Defers at once to `CaptureTrigger`; wakes to check the event and push the capture's reference.

    Fails, to be retried, below the bay's camera quorum; above it the missing cameras
    travel with the batch, so that later stages know which floor nobody saw. A retry takes
    over what was published before it; a task that was cleared takes new frames.

    Not to be started from the trigger (`start_from_trigger`): Airflow then creates the
    trigger without the task's queue, and it would run outside of the bay's network.
    """

    template_fields: Sequence[str] = ("bay_id",)

    def __init__(self, *, bay_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bay_id = bay_id

    def execute(self, context: Context) -> None:
        """Hand the slot to the bay's triggerer."""
        with task_errors():
            bay = load_bay(self.bay_id)
            batch = batch_id(bay.bay_id, run_slot(context))
            replaces = self._superseded(batch, context)
        timeout = bay.capture_deadline + _PUBLISH_GRACE
        self.log.info("batch %s: %d cameras, quorum %d", batch, len(bay.cameras), bay.camera_quorum)
        self.defer(
            trigger=CaptureTrigger(bay_id=bay.bay_id, batch_id=batch, timeout=timeout, replaces=replaces),
            method_name="resume",
            timeout=timedelta(seconds=timeout) + _TRIGGERER_GRACE,
        )

    def resume(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Check what the trigger told; push reference, counts and missing cameras as XCom."""
        with task_errors():
            bay = load_bay(self.bay_id)
            batch = batch_id(bay.bay_id, run_slot(context))
            told = CaptureEvent.from_dict(event, bay_id=bay.bay_id, batch_id=batch)
        if told.status == "failed":
            failure = AirflowException if told.retry else AirflowFailException
            raise failure(told.error or f"capture {batch} failed without a reason")
        for camera, reason in told.failures.items():
            self.log.warning("no frame of camera %s: %s", camera, reason)
        images = told.counts.get("images", 0)
        if told.reference is None or images < bay.camera_quorum:
            missing = ", ".join(f"{camera} ({reason})" for camera, reason in sorted(told.failures.items()))
            raise AirflowException(
                f"batch {batch}: frames of {images} cameras where bay {bay.bay_id} wants {bay.camera_quorum};"
                f" missing: {missing or 'unknown'}"
            )
        self.log.info("batch %s: %d of %d cameras, %s", batch, images, len(bay.cameras), told.reference.path)
        return {**told.reference.to_dict(), "captured_count": images, "failures": dict(told.failures)}

    def _superseded(self, batch: str, context: Context) -> str | None:
        """Digest of the capture that a cleared task must not be given again."""
        ti = context["ti"]
        # Clearing a task raises max_tries above its retries; a retry does not.
        tries_before_clearing = getattr(ti, "max_tries", 0) - (self.retries or 0)
        if tries_before_clearing <= 0 or ti.try_number != tries_before_clearing + 1:
            return None
        try:
            published = ArtifactStore().find("capture", self.bay_id, batch)
        except ArtifactError as error:
            self.log.warning("%s", error)  # the trigger does not hand on what is damaged either
            return None
        return published.sha256 if published else None
