"""Frames of the store: stored captures, and what the models saw in them."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from artifacts import ArtifactStore
from bay_observation.errors import DatasetError, NotObservedError
from bays import BayConfig, batch_id
from capture_async.types import CaptureBatch
from inference.datasets.types import LabelledFrame
from inference.types import Observation


def stored_batches(store: ArtifactStore, bay: BayConfig, start: datetime, end: datetime) -> list[str]:
    """Ids of the batches of [start, end) (aware) whose frames are stored, in slot order.

    Raises:
        NotObservedError: there is none.
    """
    found = store.batch_ids("capture", bay.bay_id, batch_id(bay.bay_id, start), batch_id(bay.bay_id, end))
    if not found:
        raise NotObservedError(
            f"{store.location}: no frames of {bay.bay_id} from {_local(bay, start)} to {_local(bay, end)}: see"
            f" `bay-observation store list {bay.bay_id}`; retention.frames says how long they are kept"
        )
    return found


def capture(store: ArtifactStore, bay: BayConfig, batch: str) -> CaptureBatch:
    """The frames of a stored batch.

    Raises:
        DatasetError: there are none.
        ArtifactError: they cannot be read.
    """
    reference = store.find("capture", bay.bay_id, batch)
    if reference is None:
        raise DatasetError(f"batch {batch} has no stored frames")
    found: CaptureBatch = store.load(reference)
    return found


def observation(store: ArtifactStore, bay: BayConfig, batch: str) -> Observation | None:
    """What the models saw in a stored batch; None where they have not looked at it.

    Raises:
        ArtifactError: it cannot be read.
    """
    found = store.fetch("observation", bay.bay_id, batch)
    return found if isinstance(found, Observation) else None


def observed_frames(
    store: ArtifactStore, bay: BayConfig, batches: Sequence[str]
) -> Iterator[tuple[str, list[LabelledFrame] | None]]:
    """Each batch's frames with what the models saw in them; None for a batch that they have not looked at."""
    for batch in batches:
        seen = observation(store, bay, batch)
        yield batch, None if seen is None else labelled(capture(store, bay, batch), seen)


def labelled(batch: CaptureBatch, seen: Observation) -> list[LabelledFrame]:
    """The frames of a batch that the models have seen, with what is in them."""
    images = {image.camera_name: image for image in batch.images}
    return [
        LabelledFrame.observed(images[camera.camera_name], camera)
        for camera in seen.cameras
        if camera.camera_name in images
    ]


def _local(bay: BayConfig, moment: datetime) -> str:
    return f"{moment.astimezone(bay.zone):%Y-%m-%d %H:%M}"
