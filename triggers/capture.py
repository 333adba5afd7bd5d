"""The capture of one slot, inside the bay's own triggerer: the one process with a route to its cameras."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from artifacts import ArtifactReference, ArtifactStore, report_backlog
from bay_observation import clock
from bay_observation.errors import BayObservationError, ConfigError, InferenceError
from bays import BayConfig, load_bay, slot_of
from bays.capture_window import capture_window
from capture_async.publication import Capture, publish_capture, published_capture
from triggers.events import CaptureEvent
from triggers.main_clock import main_clock, refusal
from triggers.onvif_hook import OnvifHook
from triggers.stats import airflow_stats

if TYPE_CHECKING:
    from capture_async import Credentials
    from capture_async.types import CaptureBatch
    from inference.serving.client import InferenceClient

# An inference server that hangs must not hold up the event of a capture that is published.
_SERVER_LIMIT_S = 2.0


class CaptureTrigger(BaseTrigger):
    """Captures all cameras of a bay for one slot and publishes one capture artifact.

    A camera is asked only within the bay's `capture_window` of the slot, by the clock of the
    main server; later a published capture is kept and handed on, and without one the event is
    `outside_window`.

    Idempotent per bay and slot, since a triggerer that takes this trigger over runs it
    from the start: an artifact that is published already is handed on without touching a
    camera, and of two that run at the same time the first one's is kept. Below the bay's
    camera quorum nothing is published, so that a retry takes new frames. Ended from outside
    (its task marked failed, its triggerer stopped) it lets go of its cameras and publishes
    nothing; there is no `on_kill`, which Airflow also calls where it only moves a trigger.
    Login and password come from the Airflow Connection `onvif_{bay_id}`, here and
    nowhere else: arguments and events of a trigger are stored and logged.

    Args:
        bay_id: the bay.
        batch_id: `bays.batch_id` of the slot.
        timeout: seconds for the whole run; the capture itself has the bay's `capture_deadline`.
        replaces: sha256 of a published artifact that must not be handed on: a cleared task
            asks for new frames.
    """

    def __init__(self, *, bay_id: str, batch_id: str, timeout: float, replaces: str | None = None) -> None:
        super().__init__()
        self.bay_id = bay_id
        self.batch_id = batch_id
        self.timeout = timeout
        self.replaces = replaces
        self._clock_offsets: dict[str, float] = {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Classpath and keyword arguments from which a triggerer builds this trigger."""
        return (
            "triggers.capture.CaptureTrigger",
            {
                "bay_id": self.bay_id,
                "batch_id": self.batch_id,
                "timeout": self.timeout,
                "replaces": self.replaces,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Capture and publish; yields one event, also for every error of this project."""
        try:
            async with asyncio.timeout(self.timeout):
                event = await self._capture()
        except TimeoutError:
            reason = f"capture {self.batch_id} took more than {self.timeout:g} s: does the shared storage hang?"
            event = CaptureEvent("failed", self.batch_id, error=reason)
        except BayObservationError as error:
            retry = not isinstance(error, ConfigError)
            event = CaptureEvent("failed", self.batch_id, error=str(error), retry=retry)
        if event.error:
            self.log.error("%s", event.error)
        yield TriggerEvent(event.to_dict())

    async def _capture(self) -> CaptureEvent:
        # One step in a thread before the cameras are asked and one after: each costs all other triggers a turn.
        bay, store, refused, published = await asyncio.to_thread(self._look)
        if published is not None:
            self.log.info("%s is published already; no camera is asked again", published[0].path)
            return await asyncio.to_thread(self._handed_on, bay, store, published)
        if refused:
            self.log.warning("%s: no camera is asked: %s", self.batch_id, refused)
            return CaptureEvent("outside_window", self.batch_id, error=refused)
        batch = await self._ask_cameras(bay)
        if len(batch.images) < bay.camera_quorum:
            await asyncio.to_thread(self._record_health, store, batch)
            await self._note_observer(store)
            return CaptureEvent("below_quorum", self.batch_id, counts=_counts(batch, bay), failures=_reasons(batch))
        standing = await publish_capture(store, bay, batch, self.replaces)
        if standing[1] is batch:
            self.log.info("%s published: %d of %d cameras", standing[0].path, len(batch.images), len(bay.cameras))
        await self._note_observer(store)
        return await asyncio.to_thread(self._handed_on, bay, store, standing)

    def _look(self) -> tuple[BayConfig, ArtifactStore, str | None, Capture | None]:
        """The bay, the store, why no camera may be asked, and the capture that may be handed on."""
        bay, store = load_bay(self.bay_id), ArtifactStore()
        # Here as well as in the task: a triggerer may take this trigger over long after it was made.
        refused = refusal(bay, slot_of(self.batch_id))
        # What a cleared task would replace is kept once the time for new frames is over.
        replaces = None if refused else self.replaces
        return bay, store, refused, published_capture(store, bay, self.batch_id, replaces)

    def _handed_on(self, bay: BayConfig, store: ArtifactStore, capture: Capture) -> CaptureEvent:
        """The event of a published capture, after what is kept and sent of it."""
        reference, batch = capture
        self._record_health(store, batch)
        if store.spool is not None:
            report_backlog(airflow_stats(), [store.spool.backlog(bay.bay_id)], datetime.now(UTC))
        return captured_event(reference, batch, bay)

    async def _ask_cameras(self, bay: BayConfig) -> "CaptureBatch":
        # Only the triggerer asks cameras; workers import this module too.
        from capture_async import pooled_service
        from capture_async.metrics import LoopLag, report_capture

        async with pooled_service(bay, await self._credentials(bay)) as service:
            began = time.monotonic()
            with LoopLag() as lag:
                batch = await service.capture(slot_of(self.batch_id))
            seconds = time.monotonic() - began
            self._clock_offsets = service.clock_offsets()
        # In a thread: the first metric of a process looks its server's name up.
        await asyncio.to_thread(report_capture, airflow_stats(), batch, duration_s=seconds, loop_lag_s=lag.largest_s)
        return batch

    def _record_health(self, store: ArtifactStore, batch: "CaptureBatch") -> None:
        """Take the capture into its bay's camera health, which must neither fail nor hold up a capture."""
        from capture_async.health import record_health

        try:
            store.check()
            record_health(store.root, batch)
        except BayObservationError as error:
            self.log.warning("camera health of %s: %s", batch.batch_id, error)

    async def _note_observer(self, store: ArtifactStore) -> None:
        """Leave word of this host on the store, which must neither fail nor hold up a capture."""
        # What it imports takes a process half a second the first time, and not on the loop.
        client = await asyncio.to_thread(_inference_client, self.bay_id)
        try:
            async with asyncio.timeout(_SERVER_LIMIT_S):
                await client.health()
            served = True
        except (InferenceError, TimeoutError):
            served = False
        offsets = self._clock_offsets

        def write() -> None:
            from capture_async.observer_note import observer_note, write_observer_note

            now = datetime.now(UTC)
            note = observer_note(store.spool, self.bay_id, now, inference_server=served, clock_offsets=offsets)
            write_observer_note(store.root, self.bay_id, note)

        try:
            await asyncio.to_thread(write)
        except BayObservationError as error:
            self.log.warning("word of the observer of %s: %s", self.bay_id, error)

    async def _credentials(self, bay: BayConfig) -> "Credentials | None":
        """Login of the bay's cameras.

        Raises:
            ConfigError: the bay's provider asks cameras, and Airflow has no such Connection.
        """
        from capture_async import ImageProviderFactory, warm_up

        # The first capture of a process loads the provider's libraries: half a second, and not on the loop.
        await warm_up(bay.image_provider)
        if not ImageProviderFactory.provider_class(bay.image_provider).needs_credentials:
            return None
        return await OnvifHook.of_bay(bay.bay_id).aget_conn()


def captured_event(reference: ArtifactReference, batch: "CaptureBatch", bay: BayConfig) -> CaptureEvent:
    """The event of a published capture. Blocks, see `MainClock`."""
    lateness = spread = None
    if batch.images and not clock.every_slot_is_now():
        taken = sorted((image.captured_at - batch.slot).total_seconds() for image in batch.images)
        lateness, spread = round(median(taken), 1), round(taken[-1] - taken[0], 1)
        if capture_window(bay, batch.slot) is not None:
            lateness = round(lateness + main_clock.offset().total_seconds(), 1)
    counts, reasons = _counts(batch, bay), _reasons(batch)
    return CaptureEvent("captured", batch.batch_id, reference, counts, reasons, lateness, spread)


def _inference_client(bay_id: str) -> "InferenceClient":
    from inference.serving.client import InferenceClient

    return InferenceClient(bay_id)


def _counts(batch: "CaptureBatch", bay: BayConfig) -> dict[str, int]:
    return {"cameras": len(bay.cameras), "images": len(batch.images), "failures": len(batch.failures)}


def _reasons(batch: "CaptureBatch") -> dict[str, str]:
    return {failure.camera_name: failure.reason.value for failure in batch.failures}
