"""A bay's tracking artifacts as a ledger: one entry per batch, in slot order, each built on the one before.

The tracker's state after a slot lies in that slot's tracking artifact. A batch starts
from the state of the latest slot before its own. If later slots were tracked already
(the batch is late, or run again with another result), they are tracked again from their
fusion artifacts, so that the ledger reads as if all had come in order.

The ledger and the history (`tracking.history`) hold the same. What a batch changes goes
into the history first, in one transaction, and is published after that, from the last
entry to the first. The batch's own entry therefore changes last of all: where a run dies
on the way, the next one finds it unchanged and does all of it again. The history holds the
digest of every entry that it was written from; where the two differ (the history is new,
it came from a backup, or the next batch came before the retry), it is corrected first.

**Nothing is lost with a file.** A slot is known when the history or the store has it.
An entry that is gone or damaged is made again from its fusion artifact. Where that is gone
as well:

- the history keeps the slot as it is;
- a late batch that would need it is left out of the tracks (`LateBatchError`);
- the bay's newest batch goes on from the state that the history has, and its slot is
  marked as a seam.

One process at a time works on a bay: `artifacts.exclusive` on the shared storage, and
besides in PostgreSQL the lock of `History.writer`, which does not depend on the mount.
"""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from artifacts import ArtifactReference, ArtifactStore, exclusive
from bay_observation.clock import every_slot_is_now
from bay_observation.errors import LateBatchError, MissingArtifactError, TrackingError, WrongArtifactError
from bays import BayConfig, batch_id, slot_of

if TYPE_CHECKING:
    from tracking.history import History, HistoryWriter, TrackedBatch
    from tracking.types import TrackerState, TrackingResult

# Clocks of processors differ; a mistyped date differs by more.
_CLOCKS_DIFFER = timedelta(minutes=15)
# How far back slots are looked at first; farther only where store and history do not agree.
_LOOKED_BACK = timedelta(days=2)
_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True)
class Tracked:
    """What tracking a batch came to; `replayed` counts the later batches that were tracked again."""

    reference: ArtifactReference
    result: "TrackingResult"
    replayed: int
    seam: str | None = None


def track(store: ArtifactStore, bay: BayConfig, fusion: ArtifactReference, history: "History") -> Tracked:
    """Enter one batch into the bay's ledger and its history.

    Raises:
        LateBatchError: the batch cannot be entered where it belongs; nothing changes.
        ArtifactError: the fusion artifact cannot be read, or another process held the ledger too long.
        TrackingError: the tracker refused the batch, or its slot lies in the future.
        HistoryError: the history cannot be written.
        ConfigError: neither the store nor the history has a lock that works between hosts.
    """
    _refuse_future(fusion)
    with open_ledger(store, bay, history) as ledger:
        return ledger.enter(fusion)


@contextmanager
def open_ledger(store: ArtifactStore, bay: BayConfig, history: "History") -> "Iterator[Ledger]":
    """The bay's ledger, alone.

    Raises:
        ArtifactError, HistoryError: another process held it too long.
        ConfigError: neither the store nor the history has a lock that works between hosts.
    """
    on_a_server = not history.database.is_sqlite
    with (
        exclusive(store, "tracking", bay.bay_id, held_elsewhere=on_a_server),
        history.writer(bay.bay_id) as writer,
    ):
        yield Ledger(store, bay, writer)


@dataclass(frozen=True, eq=False)
class _Entry:
    """A slot as it stands after a look at it: its result, and whether the store has to get it."""

    batch: "TrackedBatch"
    is_stored: bool


class Ledger:
    """One bay's entries and its history, under their locks (see `open_ledger`)."""

    def __init__(self, store: ArtifactStore, bay: BayConfig, writer: "HistoryWriter") -> None:
        from tracking.tracking_artifacts import TrackingArtifacts

        self._store, self._bay, self._writer = store, bay, writer
        self._stored = TrackingArtifacts(store, bay.bay_id)
        # Both of the slots that were looked at: see `_names`.
        self._held: dict[str, str] = {}
        self._withdrawn: dict[str, str] = {}
        self._undone: set[str] = set()
        self._agreeing: set[str] = set()

    @property
    def known(self) -> list[str]:
        """Every slot of store or history, in order, but for those that were withdrawn."""
        return self._names(None, None)

    def enter(self, fusion: ArtifactReference) -> Tracked:
        """Enter one batch; see `track`."""
        batch = fusion.batch_id
        from_here_on = self._names(slot_of(batch), None)
        if batch in self._withdrawn:
            raise LateBatchError(
                f"batch {batch} was withdrawn ({self._withdrawn[batch]}): to have it again run"
                f" `bay-observation history withdraw {self._bay.bay_id} {batch} --undo`"
            )
        earlier, later = self._before(slot_of(batch)), [name for name in from_here_on if name > batch]
        chain = self._chain(earlier)
        state, seam = self._state_after(earlier, chain)
        if seam is not None and (later or batch in self._held):
            raise LateBatchError(f"batch {batch} is left out of the tracks: {seam}, and later slots were tracked since")
        entered = self._advance(state, fusion)
        if batch in from_here_on and self._is_stored(entered):
            self.correct()
            return self._tracked([entered])
        try:
            again = self._replay(entered.result.state, batch, later)
        except LateBatchError:
            if self._differs(entered):
                raise
            again = []  # the same result: it was built upon, and only its own artifact is gone
        self._write(chain, [entered, *again], earlier, seam)
        return self._tracked([entered, *again], seam)

    def correct(self, *, all_slots: bool = False) -> int:
        """Bring the history to what the entries hold, and make entries again that are gone.

        What cannot be made again stays in the history as it is.

        Args:
            all_slots: look at every slot; otherwise back from the newest until store and history agree.

        Returns:
            How many slots of the history differed.
        """
        names = self.known if all_slots else self._before(None)
        chain = self._chain(names, all_slots=all_slots)
        changed = sum(1 for entry in chain if entry is not None and self._differs(entry.batch))
        self._write(chain, [], names, None)
        return changed

    def take_artifacts(self) -> datetime | None:
        """Write the history again from the stored artifacts alone.

        What they do not have is deleted, for artifacts that were begun again; but what
        housekeeping deleted by the bay's retention stays in the history.

        Returns:
            The slot up to which the history stays as it was, None where all of it was written again.
        """
        known = self.known
        names = [name for name in self._stored.batch_ids() if name not in self._withdrawn]
        kept = self._kept_by_retention(known, names)
        if kept is None:
            self._writer.clear()
            self._writer.replace(None, (self._stored.tracked(name) for name in names))
            return None
        self._writer.replace(self._stored.result(kept), (self._stored.tracked(name) for name in names if name > kept))
        return slot_of(kept)

    def note_deletion(self, before: datetime) -> None:
        """Tell the history, before the first one goes, that the artifacts of slots before a time are deleted."""
        self._writer.note_deletion(before)

    def take_history(self) -> str:
        """Publish an entry of the newest slot from the history alone; its batch id.

        Raises:
            TrackingError: the history has nothing of the bay.
        """
        from tracking.history import TrackedBatch
        from tracking.types import TrackingResult

        newest_slot = self._writer.newest()
        if newest_slot is None:
            raise TrackingError(
                f"the history has no tracked slot of bay {self._bay.bay_id}: there is nothing to restore"
            )
        newest, state = batch_id(self._bay.bay_id, newest_slot), self._writer.restored_state()
        result = TrackingResult(newest, self._bay.bay_id, state.tracks, (), state)
        sha256 = self._store.reference("tracking", self._bay.bay_id, newest, result).sha256
        self._writer.mark_restored(newest, sha256, "the tracker's state was restored from the history")
        self._publish([TrackedBatch(result, sha256)])
        return newest

    def withdraw(self, batch: str, why: str) -> int:
        """Take a slot out of tracks and history; how many later ones were tracked again.

        Raises:
            LateBatchError: a later slot cannot be tracked again, or the state before is lost; nothing changes.
            TrackingError: the ledger has no such batch.
        """
        from_here_on = self._names(slot_of(batch), None)
        if batch not in from_here_on:
            raise TrackingError(f"bay {self._bay.bay_id} has no tracked batch {batch}: nothing is withdrawn")
        earlier, later = self._before(slot_of(batch)), [name for name in from_here_on if name > batch]
        chain = self._chain(earlier)
        state, seam = self._state_after(earlier, chain)
        if seam is not None:
            raise LateBatchError(f"batch {batch} cannot be withdrawn: {seam}")
        again = self._replay(state, batch, later)
        self._write(chain, [], earlier, None)
        before = (
            chain[-1].batch.result if chain and chain[-1] else self._stored.result(earlier[-1]) if earlier else None
        )
        self._writer.withdraw(batch, why, before, again)
        self._held.pop(batch, None)
        if again:
            self._publish(again)
        return len(again)

    def undo_withdrawal(self, batch: str) -> Tracked:
        """Enter a withdrawn batch again.

        Raises:
            TrackingError: it was not withdrawn.
            LateBatchError, ArtifactError: it cannot be entered; it stays withdrawn.
        """
        self._names(slot_of(batch), None)
        if batch not in self._withdrawn:
            raise TrackingError(f"batch {batch} is not withdrawn")
        self._undone.add(batch)
        try:
            return self.enter(self._fusion_of(batch, batch))
        finally:
            self._undone.discard(batch)

    # -- what stands before a batch ----------------------------------------------------------------

    def _names(self, since: datetime | None, until: datetime | None) -> list[str]:
        """Slots of store or history within [since, until), in order, but for those that were withdrawn.

        It costs what lies in between: a batch that comes in its time asks about two days of a year.
        """
        bounds = ["" if slot is None else batch_id(self._bay.bay_id, slot) for slot in (since, until)]
        held = self._writer.digests(since, until)
        self._held |= held
        self._withdrawn |= self._writer.withdrawn(since, until)
        for name in self._undone:
            self._withdrawn.pop(name, None)
        stored = self._stored.batch_ids(*bounds)
        return sorted({*stored, *held} - self._withdrawn.keys() - self._undone)

    def _before(self, slot: datetime | None) -> list[str]:
        """The slots before one (all when None), back to one on which store and history agree, or to the first."""
        if slot is None:
            newest = [name for name in (self._stored.newest(), self._writer.newest_batch()) if name]
            if not newest:
                return []
            slot = slot_of(max(newest)) + _MOMENT
        end, span = slot, _LOOKED_BACK
        while True:
            names = self._names(end - span, end)
            if any(self._agrees(name) for name in reversed(names)) or not self._names(None, end - span):
                return names
            span *= 4

    def _kept_by_retention(self, known: Sequence[str], names: Sequence[str]) -> str | None:
        """The first of the artifacts, where what the history has before it was deleted by retention."""
        before = self._writer.artifacts_before()
        if before is None or not names or names[0] not in self._held:
            return None
        return names[0] if known[0] < min(names[0], batch_id(self._bay.bay_id, before)) else None

    def _chain(self, names: Sequence[str], *, all_slots: bool = False) -> list[_Entry | None]:
        """The slots at the end of `names` on which store and history do not agree; None for one that is lost.

        Looks back from the newest until both agree: what lies before was written in the same
        order from the same entries.
        """
        agreed = 0 if all_slots else len(names)
        while agreed and not self._agrees(names[agreed - 1]):
            agreed -= 1
        chain: list[_Entry | None] = []
        made_again = False
        for index in range(agreed, len(names)):
            entry = None if made_again else self._read(names[index])
            if entry is None:
                before = names[max(0, index - 1) : index]
                entry = self._made_again(before, chain, names[index]) or self._read(names[index])
                made_again = entry is not None and not entry.is_stored
            chain.append(entry)
        return chain

    def _agrees(self, name: str) -> bool:
        if name in self._agreeing:
            return True
        try:
            agrees = name in self._held and self._held[name] == self._stored.digest(name)
        except (MissingArtifactError, WrongArtifactError):
            return False
        if agrees:
            self._agreeing.add(name)
        return agrees

    def _read(self, name: str) -> _Entry | None:
        try:
            return _Entry(self._stored.tracked(name), True)
        except (MissingArtifactError, WrongArtifactError):
            return None

    def _made_again(self, before: Sequence[str], chain: Sequence[_Entry | None], name: str) -> _Entry | None:
        """An entry from its fusion artifact, None where that or the state before it is lost."""
        fusion = self._fusion(name)
        if fusion is None:
            return None
        state, seam = self._state_after(before, chain)
        return None if seam is not None else _Entry(self._advance(state, fusion), False)

    def _state_after(
        self, names: Sequence[str], chain: Sequence[_Entry | None]
    ) -> "tuple[TrackerState | None, str | None]":
        """The state after the last of some slots, and where it is not the tracker's own, why."""
        if not names:
            return None, None
        if chain:
            if chain[-1] is not None:
                return chain[-1].batch.result.state, None
            return self._writer.restored_state(), f"tracking and fusion artifact of {names[-1]} are gone"
        return self._stored.result(names[-1]).state, None

    # -- tracking ----------------------------------------------------------------------------------

    def _advance(self, state: "TrackerState | None", fusion: ArtifactReference) -> "TrackedBatch":
        from tracking import Tracker
        from tracking.history import TrackedBatch

        fused = self._store.load(fusion)
        # As if read back from the store: an entry's bytes are the same whether the one before
        # it was tracked a moment ago or came from its file.
        result: TrackingResult = pickle.loads(pickle.dumps(Tracker(self._bay, state).update(fused)))
        sha256 = self._store.reference("tracking", self._bay.bay_id, result.batch_id, result).sha256
        return TrackedBatch(result, sha256, fused.cameras, fused.missing_cameras)

    def _replay(self, state: "TrackerState | None", batch: str, later: Sequence[str]) -> "list[TrackedBatch]":
        again: list[TrackedBatch] = []
        for name in later:
            again.append(self._advance(state, self._fusion_of(name, batch)))
            state = again[-1].result.state
        return again

    def _fusion_of(self, name: str, batch: str) -> ArtifactReference:
        reference = self._fusion(name)
        if reference is None:
            raise LateBatchError(
                f"batch {batch} is left out of the tracks: slot {name} would have to be tracked again, and its fusion"
                " artifact is gone or damaged: run that fusion again, then clear this task"
            )
        return reference

    def _fusion(self, name: str) -> ArtifactReference | None:
        """Reference to a slot's fusion artifact, None where it is gone or damaged."""
        try:
            return self._store.find("fusion", self._bay.bay_id, name)
        except WrongArtifactError:
            return None

    def _is_stored(self, entry: "TrackedBatch") -> bool:
        """Whether the store holds exactly this result for the batch."""
        try:
            return self._stored.digest(entry.result.batch_id) == entry.sha256
        except (MissingArtifactError, WrongArtifactError):
            return False

    # -- writing -----------------------------------------------------------------------------------

    def _differs(self, batch: "TrackedBatch") -> bool:
        return self._held.get(batch.result.batch_id) != batch.sha256

    def _write(
        self, chain: Sequence[_Entry | None], new: "Sequence[TrackedBatch]", earlier: Sequence[str], seam: str | None
    ) -> None:
        """Write slots into the history, from the first that differs on; then publish what the store lacks of the chain.

        Args:
            chain: the slots before the batch on which store and history do not agree.
            new: the batch, and what follows it.
            earlier: names of all slots before the batch, of which the chain's are the last.
            seam: why the batch does not build on the slot before it.
        """
        lost = max((number for number, entry in enumerate(chain) if entry is None), default=-1)
        usable = [*(entry.batch for entry in chain[lost + 1 :] if entry is not None), *new]
        first = next((number for number, batch in enumerate(usable) if self._differs(batch)), len(usable))
        written = usable[first:]
        if written and first == 0 and lost >= 0:
            # No state is left to go back to: what the history has stays, and what is newer is added.
            newest = self._writer.newest_batch() or ""
            written = [batch for batch in written if batch.result.batch_id > newest]
            if written:
                self._writer.append(written, seam or f"the artifacts of {earlier[lost - len(chain)]} are gone")
        elif written:
            agreed = len(earlier) - len(chain)
            before = usable[first - 1].result if first else self._stored.result(earlier[agreed - 1]) if agreed else None
            self._writer.replace(before, written)
        self._held |= {batch.result.batch_id: batch.sha256 for batch in written}
        self._publish([entry.batch for entry in chain if entry is not None and not entry.is_stored])

    def _tracked(self, batches: "Sequence[TrackedBatch]", seam: str | None = None) -> Tracked:
        self._publish(batches)
        result = batches[0].result
        reference = self._store.reference("tracking", self._bay.bay_id, result.batch_id, result)
        return Tracked(reference, result, len(batches) - 1, seam)

    def _publish(self, batches: "Sequence[TrackedBatch]") -> None:
        """Publish entries, the first one last."""
        for batch in reversed(batches):
            self._store.save("tracking", self._bay.bay_id, batch.result.batch_id, batch.result)


def _refuse_future(fusion: ArtifactReference) -> None:
    slot = slot_of(fusion.batch_id)
    if not every_slot_is_now() and slot > datetime.now(UTC) + _CLOCKS_DIFFER:
        raise TrackingError(
            f"batch {fusion.batch_id}: its slot lies in the future: every batch until then would be late; it is refused"
        )
