"""A bay's tracking artifacts as a ledger: one entry per batch, in slot order, each built on the one before.

The tracker's state after a slot lies in that slot's tracking artifact. A batch starts
from the state of the latest slot before its own. If later slots were tracked already
(the batch is late, or run again with another result), they are tracked again from their
fusion artifacts, so that the ledger reads as if all had come in order.

Entries are published from the last to the first. The batch's own entry therefore changes
last: where a run dies on the way, the next one finds it unchanged and does all of it again.
"""

import fcntl
import os
import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifacts import ArtifactReference, ArtifactStore
from bay_observation.errors import ArtifactError, TrackingError
from bays import BayConfig

if TYPE_CHECKING:
    from tracking.types import TrackingResult

_LOCK_PATIENCE = 300.0
_LOCK_POLL = 0.2


@dataclass(frozen=True)
class Tracked:
    """What tracking a batch came to; `replayed` counts the later batches that were tracked again."""

    reference: ArtifactReference
    result: "TrackingResult"
    replayed: int


def track(store: ArtifactStore, bay: BayConfig, fusion: ArtifactReference) -> Tracked:
    """Enter one batch into the bay's ledger.

    Raises:
        ArtifactError: the fusion artifact, the state before it, or a later batch's fusion
            artifact cannot be read.
        TrackingError: the tracker refused the batch, or another process held the ledger too long.
    """
    with _exclusive(store, bay.bay_id):
        entries = store.batch_ids("tracking", bay.bay_id)  # sorted by slot: the names end in it
        earlier = [batch for batch in entries if batch < fusion.batch_id]
        later = [batch for batch in entries if batch > fusion.batch_id]
        result = _advance(store, bay, _state_after(store, bay.bay_id, earlier), fusion)
        if later and _is_entered(store, bay.bay_id, fusion.batch_id, result):
            later = []
        results = [(fusion.batch_id, result)]
        for batch in later:
            results.append((batch, _advance(store, bay, results[-1][1], _fusion_of(store, bay.bay_id, batch))))
        for batch, entry in reversed(results):
            reference = store.save("tracking", bay.bay_id, batch, entry)
    return Tracked(reference, result, len(later))


def _advance(
    store: ArtifactStore, bay: BayConfig, before: "TrackingResult | None", fusion: ArtifactReference
) -> "TrackingResult":
    from tracking import Tracker

    state = None if before is None else before.state
    # As if read back from the store: an entry's bytes are the same whether the one before
    # it was tracked a moment ago or came from its file.
    result: TrackingResult = pickle.loads(pickle.dumps(Tracker(bay, state).update(store.load(fusion))))
    return result


def _state_after(store: ArtifactStore, bay_id: str, earlier: list[str]) -> "TrackingResult | None":
    if not earlier:
        return None
    reference = store.find("tracking", bay_id, earlier[-1])
    return None if reference is None else store.load(reference)


def _fusion_of(store: ArtifactStore, bay_id: str, batch: str) -> ArtifactReference:
    reference = store.find("fusion", bay_id, batch)
    if reference is None:
        raise ArtifactError(
            f"batch {batch} was tracked, and must be tracked again after an earlier one, but its fusion artifact"
            " is gone: run its fusion again first"
        )
    return reference


def _is_entered(store: ArtifactStore, bay_id: str, batch: str, result: "TrackingResult") -> bool:
    """Whether the ledger holds exactly this result for the batch."""
    try:
        reference = store.find("tracking", bay_id, batch)
        return reference is not None and pickle.dumps(store.load(reference)) == pickle.dumps(result)
    except ArtifactError:
        return False  # a damaged entry is no entry: it is written again, and those after it


@contextmanager
def _exclusive(store: ArtifactStore, bay_id: str) -> Iterator[None]:
    """Hold the bay's ledger alone.

    A `flock` on a file of the store. Linux carries it over NFS from version 4 on (and over
    version 3 with lockd); a mount with `nolock` or `local_lock=flock`, and many FUSE file
    systems, keep it to one host. There, `max_active_runs=1` of the tracking DAG is what is left.
    """
    folder = store.root / "tracking" / bay_id
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be opened: {error.strerror or error}") from error
    try:
        deadline = time.monotonic() + _LOCK_PATIENCE
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                raise TrackingError(f"{path}: held by another process for {_LOCK_PATIENCE:g} s: is one stuck?")
            time.sleep(_LOCK_POLL)
        yield
    finally:
        os.close(descriptor)  # and the lock with it


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
