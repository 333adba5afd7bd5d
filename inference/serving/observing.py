"""One batch from capture artifact to Observation artifact, the same in server and task."""

import time
from collections.abc import Callable
from typing import Protocol

from artifacts import ArtifactReference, ArtifactStore
from bays import BayConfig, load_bay
from inference.serving.messages import Observed


def observe_capture(
    capture: ArtifactReference,
    bay: BayConfig,
    store: ArtifactStore,
    *,
    device: str | None = None,
    check_abandoned: Callable[[], None] = lambda: None,
) -> Observed:
    """Load a capture, run the bay's models on it, publish the Observation.

    Args:
        capture: the capture artifact.
        bay: the bay whose models and conditions apply.
        store: holds the capture, and takes the Observation.
        device: torch's name of a device; None takes the first GPU, or the CPU without one.
        check_abandoned: called between model calls and before the Observation becomes visible;
            an exception that it raises ends the batch and is passed on.

    Raises:
        ArtifactError: the capture cannot be read, or the Observation cannot be written.
        InferenceError: a checkpoint cannot be used, or a model failed.
    """
    from inference.service import InferenceService  # torch: only where it runs

    began = time.monotonic()
    batch = store.load(capture)
    service = InferenceService.for_bay(bay, device)
    observation = service.observe(batch, min_brightness=bay.conditions.min_brightness, check_abandoned=check_abandoned)
    published = store.save("observation", bay.bay_id, capture.batch_id, observation, before_commit=check_abandoned)
    return Observed(
        reference=published,
        frames=len(observation.cameras),
        objects=sum(len(camera.objects) for camera in observation.cameras),
        failures=dict(observation.failures),
        seconds=time.monotonic() - began,
    )


class Work(Protocol):
    """What a server does for its clients. Its methods are called in threads."""

    def observe(self, capture: ArtifactReference, check_abandoned: Callable[[], None]) -> Observed:
        """Process a batch; one at a time."""

    def is_published(self, observed: Observed) -> bool:
        """Whether an earlier result can be used again."""

    def loads(self) -> int:
        """How many times models were loaded so far."""


class StoredBatches:
    """Batches of the store, through the models of one device.

    A bay's file is read again for each batch. Models that it newly names are loaded then, and
    the old ones stay in memory: restart the server after changing them.
    """

    def __init__(self, device: str | None = None) -> None:
        self.device = device

    def observe(self, capture: ArtifactReference, check_abandoned: Callable[[], None]) -> Observed:
        """See `observe_capture`."""
        bay = load_bay(capture.bay_id)
        return observe_capture(capture, bay, ArtifactStore(), device=self.device, check_abandoned=check_abandoned)

    def is_published(self, observed: Observed) -> bool:
        """Whether the published Observation still exists and is whole."""
        return ArtifactStore().is_whole(observed.reference)

    def loads(self) -> int:
        """How many times this process has loaded models."""
        from inference.service import InferenceService

        return InferenceService.loaded()
