"""The tracking artifacts of one bay: each holds the tracker's whole state after its slot."""

from artifacts import ArtifactStore
from bay_observation.errors import MissingArtifactError, WrongArtifactError
from fusion.types import FusionResult
from tracking.history.types import TrackedBatch
from tracking.types import TrackingResult


class TrackingArtifacts:
    """The tracking artifacts of one bay."""

    def __init__(self, store: ArtifactStore, bay_id: str) -> None:
        self._store, self._bay_id = store, bay_id

    def batch_ids(self, since: str = "", until: str = "") -> list[str]:
        """Batches that were tracked, from `since` on and before `until`, in slot order: their names end in it."""
        return self._store.batch_ids("tracking", self._bay_id, since, until)

    def newest(self) -> str | None:
        """The newest batch that was tracked."""
        return self._store.newest("tracking", self._bay_id)

    def digest(self, batch_id: str) -> str:
        """The sha256 of a batch's artifact.

        Raises:
            MissingArtifactError: it is gone.
            WrongArtifactError: it is damaged.
        """
        return self._found(batch_id)[1]

    def result(self, batch_id: str) -> TrackingResult:
        """What the tracker made of a batch.

        Raises:
            MissingArtifactError: it is gone.
            WrongArtifactError: it is damaged.
        """
        return self._found(batch_id)[0]

    def tracked(self, batch_id: str) -> TrackedBatch:
        """The same for the history, with the cameras of the batch's fusion artifact, if it is still there.

        Raises:
            MissingArtifactError: the tracking artifact is gone.
            WrongArtifactError: it is damaged.
        """
        result, sha256 = self._found(batch_id)
        try:
            fused = self._store.fetch("fusion", self._bay_id, batch_id)
        except WrongArtifactError:
            fused = None
        if not isinstance(fused, FusionResult):
            return TrackedBatch(result, sha256)
        return TrackedBatch(result, sha256, fused.cameras, fused.missing_cameras)

    def _found(self, batch_id: str) -> tuple[TrackingResult, str]:
        found = self._store.fetch_with_digest("tracking", self._bay_id, batch_id)
        if found is None:
            raise MissingArtifactError(f"batch {batch_id} has no tracking artifact any more")
        result, sha256 = found
        assert isinstance(result, TrackingResult)  # noqa: S101 - of this stage the store has nothing else
        return result, sha256
