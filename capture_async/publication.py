"""One capture per bay and slot: the first one stands, and one that was cancelled publishes nothing.

The same trigger can run twice at the same time: a triggerer that was cut off goes on until
it notices, while another has its triggers already. And a trigger can end while a thread of
it still writes: its task was marked failed, its triggerer stops, its time is over.
"""

import asyncio
import logging
import threading

from artifacts import ArtifactReference, ArtifactStore
from bay_observation.errors import ArtifactError
from bays import BayConfig
from capture_async.types import CaptureBatch

logger = logging.getLogger(__name__)

Capture = tuple[ArtifactReference, CaptureBatch]
"""A published capture and what it holds."""


def published_capture(
    store: ArtifactStore, bay: BayConfig, batch_id: str, replaces: str | None = None
) -> Capture | None:
    """The capture of a slot that may be handed on, None where cameras must be asked.

    Args:
        store: where captures are published.
        bay: whose capture; below its `camera_quorum` one is not handed on.
        batch_id: `bays.batch_id` of the slot.
        replaces: sha256 of a capture that must not be handed on.
    """
    try:
        reference = store.find("capture", bay.bay_id, batch_id)
        if reference is None or reference.sha256 == replaces:
            return None
        batch: CaptureBatch = store.load(reference)
    except ArtifactError as error:
        # A damaged or outdated file is no capture: new frames replace it.
        logger.warning("captured again, because of %s", error)
        return None
    return (reference, batch) if len(batch.images) >= bay.camera_quorum else None


async def publish_capture(
    store: ArtifactStore, bay: BayConfig, batch: CaptureBatch, replaces: str | None = None
) -> Capture:
    """Publish a capture, or hand on the one that was published while this one was taken.

    Cancelled before the file is visible, nothing is published and no part of it is left,
    also when the thread that writes it hangs for long and wakes long after.

    Where the store fails it is spooled on this host, and that is as good: see `ArtifactStore`.

    Raises:
        ArtifactError: it cannot be written.
    """
    abandoned = threading.Event()

    def before_commit() -> None:
        if abandoned.is_set():
            raise _AbandonedError(f"capture {batch.batch_id} is not published: its trigger has ended")
        if (other := published_capture(store, bay, batch.batch_id, replaces)) is not None:
            raise _AnotherWasFirst(other)

    def save() -> Capture:
        try:
            saved = store.save(
                "capture", bay.bay_id, batch.batch_id, batch, before_commit=before_commit, replaces=replaces
            )
            return saved, batch
        except _AnotherWasFirst as first:
            logger.info("%s was published meanwhile; it stands", first.capture[0].path)
            return first.capture
        except _AbandonedError as error:
            logger.warning("%s", error)  # the trigger that waited for this thread has ended
            raise

    try:
        return await asyncio.to_thread(save)
    finally:
        # However it is left: a thread that still writes must not publish after that.
        abandoned.set()


class _AbandonedError(ArtifactError):
    """The trigger that waited for this capture has ended."""


class _AnotherWasFirst(Exception):  # noqa: N818 - a way out of the store, not an error
    def __init__(self, capture: Capture) -> None:
        self.capture = capture
