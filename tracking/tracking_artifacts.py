"""A bay's tracking artifacts, and how the history is brought in line with them.

The artifacts are the truth: each holds the tracker's whole state after its slot, and each
slot is built on the one before. The history is a copy that notes the digest of every
artifact that it was written from, which shows where the two differ.
"""

from collections.abc import Iterator, Sequence

from artifacts import ArtifactStore
from bay_observation.errors import ArtifactError
from tracking.history.types import TrackedBatch
from tracking.history.writing import HistoryWriter
from tracking.types import TrackingResult


class TrackingArtifacts:
    """The tracking artifacts of one bay."""

    def __init__(self, store: ArtifactStore, bay_id: str) -> None:
        self._store, self._bay_id = store, bay_id

    def batch_ids(self) -> list[str]:
        """Batches that were tracked, in slot order: their names end in it."""
        return self._store.batch_ids("tracking", self._bay_id)

    def digest(self, batch_id: str) -> str:
        """The sha256 of a batch's artifact.

        Raises:
            ArtifactError: it is gone or damaged.
        """
        return self._found(batch_id)[1]

    def result(self, batch_id: str) -> TrackingResult:
        """What the tracker made of a batch.

        Raises:
            ArtifactError: the artifact is gone or damaged.
        """
        return self._found(batch_id)[0]

    def tracked(self, batch_id: str) -> TrackedBatch:
        """The same for the history, with the cameras of the batch's fusion artifact, if it is still there.

        Raises:
            ArtifactError: an artifact is damaged, or the tracking artifact is gone.
        """
        result, sha256 = self._found(batch_id)
        reference = self._store.find("fusion", self._bay_id, batch_id)
        if reference is None:
            return TrackedBatch(result, sha256)
        fused = self._store.load(reference)
        return TrackedBatch(result, sha256, fused.cameras, fused.missing_cameras)

    def _found(self, batch_id: str) -> tuple[TrackingResult, str]:
        reference = self._store.find("tracking", self._bay_id, batch_id)
        if reference is None:
            raise ArtifactError(f"batch {batch_id} has no tracking artifact any more")
        return self._store.load(reference), reference.sha256


def out_of_sync_batches(writer: HistoryWriter, stored: TrackingArtifacts, batch_ids: Sequence[str]) -> list[str]:
    """Batches whose artifacts the history does not hold, from the first such on.

    Looks back from the newest until both agree: what lies before was written in the same
    order from the same stored.

    Args:
        writer: of the bay.
        stored: its artifacts.
        batch_ids: in slot order.
    """
    agreed = len(batch_ids)
    while agreed and not _agrees(writer, stored, batch_ids[agreed - 1]):
        agreed -= 1
    return list(batch_ids[agreed:])


def rewrite_history(writer: HistoryWriter, stored: TrackingArtifacts, batch_ids: Sequence[str]) -> None:
    """Write these batches, up to the newest of the bay, in place of all that the history holds from the first on.

    Raises:
        ArtifactError: an artifact is damaged.
        HistoryError: the history does not end where the first of them begins.
    """
    if batch_ids:
        writer.replace(result_before(stored, batch_ids[0]), tracked_batches(stored, batch_ids))


def result_before(stored: TrackingArtifacts, batch_id: str) -> TrackingResult | None:
    """The result of the slot before a batch's; None for the bay's first.

    Raises:
        ArtifactError: its artifact is damaged.
    """
    earlier = [each for each in stored.batch_ids() if each < batch_id]
    return stored.result(earlier[-1]) if earlier else None


def tracked_batches(stored: TrackingArtifacts, batch_ids: Sequence[str]) -> Iterator[TrackedBatch]:
    """Batches for the history, each read when it is asked for."""
    return (stored.tracked(batch_id) for batch_id in batch_ids)


def _agrees(writer: HistoryWriter, stored: TrackingArtifacts, batch_id: str) -> bool:
    written = writer.digest(batch_id)
    return written is not None and written == stored.digest(batch_id)
