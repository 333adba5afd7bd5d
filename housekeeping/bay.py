"""Retention of one bay: which artifacts and rows go, and which are kept for a later replay."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from artifacts import ArtifactStore, Stage
from bay_observation.errors import BayObservationError
from bays import BayConfig, batch_id, slot_of
from housekeeping.forecast import KINDS
from housekeeping.report import Report
from tracking.history import BatchOutcome, History
from tracking.ledger import open_ledger

logger = logging.getLogger(__name__)

# What a task still needs: an input whose stage did not come to an end.
_NEEDED: dict[Stage, frozenset[BatchOutcome]] = {
    "observation": frozenset({BatchOutcome.INFERRED, BatchOutcome.FUSION_FAILED}),
    "fusion": frozenset({BatchOutcome.FUSED, BatchOutcome.TRACKING_FAILED}),
}
_NEXT = {"observation": "fused", "fusion": "tracked"}
# What was published a moment ago is being worked on, however old its slot is.
_JUST_PUBLISHED = timedelta(hours=1)
_LEFTOVERS_SINCE = timedelta(days=7)
_ABANDONED_S = 3600.0
_EVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def clean_bay(store: ArtifactStore, history: History, bay: BayConfig, now: datetime, *, dry_run: bool) -> Report:
    """Delete what a bay keeps no longer.

    An age counts from the slot or from the publication, whichever came later: a day that is run
    again is as new as a day of its own. Floor plans and tracks go under the lock of the bay's
    ledger, after the history has been told, so that no replay misses one on its way.

    Args:
        store: of the artifacts.
        history: of the bay.
        bay: whose `retention` counts.
        now: the time (aware).
        dry_run: delete nothing, and report what would be.

    Returns:
        What went and what was kept; faults in place of what could not be cleaned.
    """
    report = Report(dry_run)
    cleaning = _Cleaning(store, history, bay, now, report)
    for what, clean in (
        ("lists of batches", cleaning.index),
        ("frames of stopped batches", cleaning.stopped_frames),
        ("frames", lambda: cleaning.stage("capture")),
        ("observations", lambda: cleaning.stage("observation")),
        ("floor plans and tracks", cleaning.replayable),
        ("history", cleaning.history_rows),
        ("leftovers", cleaning.leftovers),
    ):
        try:
            clean()
        except BayObservationError as error:
            logger.warning("bay %s: %s: %s", bay.bay_id, what, error)
            report.faults.append(f"{bay.bay_id}, {what}: {error}")
    return report


class _Cleaning:
    def __init__(self, store: ArtifactStore, history: History, bay: BayConfig, now: datetime, report: Report) -> None:
        self._store, self._history, self._bay, self._now, self._report = store, history, bay, now, report

    def index(self) -> None:
        """The lists of batches by day, from the folders; what another program copied is found from then on."""
        if not self._report.dry_run:
            for stage in KINDS:
                self._store.index(stage, self._bay.bay_id)

    def stopped_frames(self) -> None:
        """Frames of batches that the opening hours stopped, where the observer could not delete them itself."""
        skipped = self._history.slots_of(
            self._bay.bay_id, {BatchOutcome.SKIPPED}, self._begin("frames") or _EVER, self._now - _JUST_PUBLISHED
        )
        closed = [batch_id(self._bay.bay_id, slot) for slot in skipped if self._bay.closed(slot) is not None]
        names = [name for name in closed if self._store.published("observation", self._bay.bay_id, name) is None]
        self._delete("capture", names, self._now, "frames of stopped batches")

    def stage(self, stage: Stage) -> None:
        """Artifacts of one stage that are older than their retention."""
        begin = self._begin(KINDS[stage])
        if begin is None:
            return
        names = self._store.batch_ids(stage, self._bay.bay_id, until=batch_id(self._bay.bay_id, begin))
        if needed := self._needed(stage, begin, names):
            self._report.kept.append(
                f"{self._bay.bay_id}: {len(needed)} {KINDS[stage].replace('_', ' ')} since {min(needed)}:"
                f" their batches are not {_NEXT[stage]} yet"
            )
        self._delete(stage, [name for name in names if name not in needed], begin)

    def replayable(self) -> None:
        """Floor plans and tracks, which a late batch may be tracked again from."""
        with self._alone():
            self.stage("fusion")
            begin = self._begin("tracks")
            if begin is None:
                return
            names = self._store.batch_ids("tracking", self._bay.bay_id, until=batch_id(self._bay.bay_id, begin))
            if names:
                # From this one on the next slot goes on, and every later one can be tracked again.
                self._report.kept.append(f"{self._bay.bay_id}: tracks of {names[-1]}, the state before all others")
            self._delete("tracking", names[:-1], begin)

    def history_rows(self) -> None:
        """Rows of what ended before the history begins."""
        begin = self._begin("history")
        if begin is not None:
            rows = self._history.prune(begin, self._bay.bay_id, dry_run=self._report.dry_run)
            self._report.add(self._bay.bay_id, "rows of the history", sum(rows.values()))

    def leftovers(self) -> None:
        """What killed writers left."""
        if self._report.dry_run:
            return
        since = batch_id(self._bay.bay_id, self._now - _LEFTOVERS_SINCE)
        for stage in ("observation", "fusion", "tracking"):
            freed = self._store.remove_leftovers(stage, self._bay.bay_id, since, _ABANDONED_S)
            self._report.add(self._bay.bay_id, "unfinished files", int(freed > 0), freed)

    def _begin(self, kind: str) -> datetime | None:
        return self._bay.retention.begin(kind, self._now)

    def _needed(self, stage: Stage, begin: datetime, names: list[str]) -> set[str]:
        if stage not in _NEEDED or not names:
            return set()
        waiting = self._history.slots_of(self._bay.bay_id, _NEEDED[stage], slot_of(names[0]), begin)
        return {batch_id(self._bay.bay_id, slot) for slot in waiting} & set(names)

    def _delete(self, stage: Stage, names: list[str], begin: datetime, what: str = "") -> None:
        before = min(begin, self._now - _JUST_PUBLISHED)
        count = size = 0
        for name in names:
            found = self._store.published(stage, self._bay.bay_id, name)
            if found is None or found.modified_at >= before:
                continue
            if not self._report.dry_run:
                self._store.delete(stage, self._bay.bay_id, name)
            count, size = count + 1, size + found.size
        self._report.add(self._bay.bay_id, what or KINDS[stage].replace("_", " "), count, size)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the bay's ledger, and tell the history before which slot artifacts go."""
        if self._report.dry_run:
            yield
            return
        with open_ledger(self._store, self._bay, self._history) as ledger:
            begin = self._begin("tracks")
            if begin is not None:
                ledger.note_deletion(begin)
            yield
