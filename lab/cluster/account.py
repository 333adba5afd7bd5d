"""What became of the slots of a bay: the promise is that each one captured is tracked once, in order."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from artifacts import ArtifactStore
from bays import batch_id
from lab.cluster.cluster import Cluster
from tracking import replay
from tracking.history import BatchOutcome, History


@dataclass(frozen=True)
class Account:
    """Batches of one bay.

    Attributes:
        bay_id: the bay.
        sent: slots that were sent.
        captured: slots of which there is a capture.
        tracked: slots of which there is a tracking result on which history and artifact agree.
        wrong: what breaks the promise, one sentence each.
    """

    bay_id: str
    sent: tuple[datetime, ...]
    captured: tuple[datetime, ...]
    tracked: tuple[datetime, ...]
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        counts = f"{len(self.sent)} sent, {len(self.captured)} captured, {len(self.tracked)} tracked"
        return "; ".join([f"{self.bay_id}: {counts}", *self.wrong])


def account(cluster: Cluster, bay_id: str, slots: Sequence[datetime]) -> Account:
    """Compare artifacts and history of a bay with what its batches come to when each is tracked once, in slot order.

    The bay's whole day is tracked again, here, from its fusion artifacts: a batch that was
    tracked twice, left out, or out of order gives another digest from that slot on.

    Args:
        cluster: that ran the bay from its first slot.
        bay_id: the bay.
        slots: what was sent (aware).

    Raises:
        ArtifactError: an artifact is damaged.
        HistoryUnavailableError: PostgreSQL does not answer.
    """
    store = ArtifactStore(cluster.data())
    found = [store.find("fusion", bay_id, batch) for batch in store.batch_ids("fusion", bay_id)]
    results = replay(cluster.bays[bay_id], None, [store.load(reference) for reference in found if reference])
    # As if read back from the store, which is how the next slot finds it.
    right = {
        result.batch_id: store.reference("tracking", bay_id, result.batch_id, pickle.loads(pickle.dumps(result))).sha256
        for result in results
    }
    with cluster.on_host(), History(cluster.history_db) as history:
        recorded = {
            batch.slot: batch for batch in history.batches(bay_id, min(slots), max(slots) + timedelta(seconds=1))
        }
    captured, tracked, wrong = [], [], []
    for slot in sorted(slots):
        batch = batch_id(bay_id, slot)
        if store.find("capture", bay_id, batch) is None:
            continue
        captured.append(slot)
        entry, line = store.find("tracking", bay_id, batch), recorded.get(slot)
        if entry is None:
            wrong.append(f"{batch} was captured and not tracked")
        elif entry.sha256 != right.get(batch):
            wrong.append(f"{batch} is not what its fusion comes to in order")
        elif line is None or line.outcome != BatchOutcome.TRACKED or line.sha256 != entry.sha256:
            wrong.append(f"{batch}: the history has something else: {line}")
        else:
            tracked.append(slot)
    return Account(bay_id, tuple(sorted(slots)), tuple(captured), tuple(tracked), tuple(wrong))
