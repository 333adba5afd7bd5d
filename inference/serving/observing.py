"""One batch from capture artifact to Observation artifact: what server and task do alike."""

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
    go_on: Callable[[], None] = lambda: None,
) -> Observed:
    """Load a capture, let the bay's models look at it, publish the Observation.

    Args:
        capture: the capture artifact.
        bay: whose models and conditions.
        store: holds the capture, and takes the Observation.
        device: torch's name of a device; None takes the first GPU, or the CPU without one.
        go_on: called between the models' calls and before the Observation becomes visible;
            what it raises ends the work and is passed on.

    Raises:
        ArtifactError: the capture cannot be read, or the Observation cannot be written.
        InferenceError: a checkpoint cannot be used, or a model failed.
    """
    from inference.service import InferenceService  # torch: only where it runs

    began = time.monotonic()
    batch = store.load(capture)
    service = InferenceService.for_bay(bay, device)
    observation = service.observe(batch, min_brightness=bay.conditions.min_brightness, go_on=go_on)
    published = store.save("observation", bay.bay_id, capture.batch_id, observation, before_commit=go_on)
    return Observed(
        reference=published,
        frames=len(observation.cameras),
        objects=sum(len(camera.objects) for camera in observation.cameras),
        failures=dict(observation.failures),
        seconds=time.monotonic() - began,
    )


class Work(Protocol):
    """What a server does for its clients. Both are called in threads."""

    def observe(self, capture: ArtifactReference, go_on: Callable[[], None]) -> Observed:
        """Do a batch; one at a time."""

    def stands(self, observed: Observed) -> bool:
        """Whether what was done before can be handed on as it is."""

    def loads(self) -> int:
        """How often models were loaded so far."""


class StoredBatches:
    """Batches of the store, through the models of one device.

    A bay's file is read again for each batch. Models that it names anew are loaded then, and
    stay beside the old ones: restart the server after changing them.
    """

    def __init__(self, device: str | None = None) -> None:
        self.device = device

    def observe(self, capture: ArtifactReference, go_on: Callable[[], None]) -> Observed:
        """See `observe_capture`."""
        bay = load_bay(capture.bay_id)
        return observe_capture(capture, bay, ArtifactStore(), device=self.device, go_on=go_on)

    def stands(self, observed: Observed) -> bool:
        """Whether the published Observation is still there, whole."""
        return ArtifactStore().is_whole(observed.reference)

    def loads(self) -> int:
        """How often this process has loaded models."""
        from inference.service import InferenceService

        return InferenceService.loaded()
