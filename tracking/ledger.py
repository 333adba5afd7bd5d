"""A bay's tracking artifacts as a ledger: one entry per batch, in slot order, each built on the one before.

The tracker's state after a slot lies in that slot's tracking artifact. A batch starts
from the state of the latest slot before its own. If later slots were tracked already
(the batch is late, or run again with another result), they are tracked again from their
fusion artifacts, so that the ledger reads as if all had come in order.

The ledger is the truth, the history (`tracking.history`) a copy for questions. What a
batch changes goes into the history first, in one transaction, and is published after
that, from the last entry to the first. The batch's own entry therefore changes last of
all: where a run dies on the way, the next one finds it unchanged and does all of it again.
A history that differs from the ledger all the same (it is new, it came from a backup, or
the next batch came before the retry) is corrected before it is written to: it holds the
digest of every entry that it was written from.

One process at a time works on a bay: `artifacts.exclusive` on the shared storage, and
besides in PostgreSQL the lock of `History.writer`, which does not depend on the mount.
"""

import pickle
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from artifacts import ArtifactReference, ArtifactStore, exclusive
from bay_observation.errors import ArtifactError
from bays import BayConfig

if TYPE_CHECKING:
    from tracking.history import History, HistoryWriter, TrackedBatch
    from tracking.tracking_artifacts import TrackingArtifacts
    from tracking.types import TrackingResult


@dataclass(frozen=True)
class Tracked:
    """What tracking a batch came to; `replayed` counts the later batches that were tracked again."""

    reference: ArtifactReference
    result: "TrackingResult"
    replayed: int


def track(store: ArtifactStore, bay: BayConfig, fusion: ArtifactReference, history: "History") -> Tracked:
    """Enter one batch into the bay's ledger and its history.

    Raises:
        ArtifactError: the fusion artifact, the state before it, or a later batch's fusion
            artifact cannot be read; or another process held the ledger too long.
        TrackingError: the tracker refused the batch.
        HistoryError: the history cannot be written.
        ConfigError: neither the store nor the history has a lock that works between hosts.
    """
    from tracking.tracking_artifacts import TrackingArtifacts, out_of_sync_batches, result_before, tracked_batches

    on_a_server = not history.database.is_sqlite
    with (
        exclusive(store, "tracking", bay.bay_id, held_elsewhere=on_a_server),
        history.writer(bay.bay_id) as writer,
    ):
        stored = TrackingArtifacts(store, bay.bay_id)
        names = stored.batch_ids()
        earlier = [batch for batch in names if batch < fusion.batch_id]
        later = [batch for batch in names if batch > fusion.batch_id]
        before = stored.result(earlier[-1]) if earlier else None
        tracked = [_advance(store, bay, before, fusion)]
        if _is_entered(stored, tracked[0]):
            _correct(writer, stored, names, tracked[0])
            return Tracked(_reference(store, tracked[0]), tracked[0].result, 0)
        for batch in later:
            tracked.append(_advance(store, bay, tracked[-1].result, _fusion_of(store, bay.bay_id, batch)))
        missing = out_of_sync_batches(writer, stored, earlier)
        if missing:
            before = result_before(stored, missing[0])
        writer.replace(before, chain(tracked_batches(stored, missing), tracked))
        for entry in reversed(tracked):
            reference = store.save("tracking", bay.bay_id, entry.result.batch_id, entry.result)
    return Tracked(reference, tracked[0].result, len(later))


def _advance(
    store: ArtifactStore, bay: BayConfig, before: "TrackingResult | None", fusion: ArtifactReference
) -> "TrackedBatch":
    from tracking import Tracker
    from tracking.history import TrackedBatch

    state = None if before is None else before.state
    fused = store.load(fusion)
    # As if read back from the store: an entry's bytes are the same whether the one before
    # it was tracked a moment ago or came from its file.
    result: TrackingResult = pickle.loads(pickle.dumps(Tracker(bay, state).update(fused)))
    sha256 = store.reference("tracking", bay.bay_id, result.batch_id, result).sha256
    return TrackedBatch(result, sha256, fused.cameras, fused.missing_cameras)


def _reference(store: ArtifactStore, entry: "TrackedBatch") -> ArtifactReference:
    return store.reference("tracking", entry.result.bay_id, entry.result.batch_id, entry.result)


def _fusion_of(store: ArtifactStore, bay_id: str, batch: str) -> ArtifactReference:
    reference = store.find("fusion", bay_id, batch)
    if reference is None:
        raise ArtifactError(
            f"batch {batch} was tracked, and must be tracked again after an earlier one, but its fusion artifact"
            " is gone: run its fusion again first"
        )
    return reference


def _is_entered(stored: "TrackingArtifacts", entry: "TrackedBatch") -> bool:
    """Whether the ledger holds exactly this result for the batch."""
    try:
        return stored.digest(entry.result.batch_id) == entry.sha256
    except ArtifactError:
        return False  # a damaged entry is no entry: it is written again, and those after it


def _correct(writer: "HistoryWriter", stored: "TrackingArtifacts", names: list[str], entry: "TrackedBatch") -> None:
    """Bring the history to what the ledger holds, where a batch changes nothing in the ledger."""
    from tracking.tracking_artifacts import out_of_sync_batches, rewrite_history

    missing = out_of_sync_batches(writer, stored, names)
    if writer.digest(entry.result.batch_id) != entry.sha256:
        missing = [batch for batch in names if batch >= min([entry.result.batch_id, *missing[:1]])]
    rewrite_history(writer, stored, missing)
