"""Random sequences of what befalls a bay's store, beside a plain model of which slots must stay.

Batches come late, twice or never; artifacts of any stage are lost or damaged, in any number;
housekeeping deletes the old ones; the history is rebuilt; a person withdraws a slot and takes that back. The model is a
set of slots: one enters it when its tracking succeeds, and leaves it only by a withdrawal.
"""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from shapely import MultiPolygon, box

from artifacts import ArtifactReference, ArtifactStore
from bay_observation.errors import ArtifactError, LateBatchError
from bays import BayConfig, Retention, batch_id
from fusion.types import FusedBlock, FusionResult
from housekeeping import clean_bay
from tracking.history import History
from tracking.ledger import open_ledger, track

SLOTS = 8
STEPS = 12
_START = datetime(2025, 7, 2, tzinfo=UTC)
_SLOT = timedelta(minutes=10)


@dataclass
class Outcome:
    """What sequences came to.

    Attributes:
        sequences: how many were run.
        operations: in all of them.
        lost: slots that the model keeps and the history does not.
        invented: slots that the history has and the model does not.
        changed: operations that brought no new frame, and changed a line of the history all the same.
        unordered: sequences without a loss whose history is not that of an ordered run.
        refused: late batches that were left out.
        details: of each fault, the sequence's seed and operation.
    """

    sequences: int = 0
    operations: int = 0
    lost: int = 0
    invented: int = 0
    changed: int = 0
    unordered: int = 0
    refused: int = 0
    details: list[str] = field(default_factory=list)


def run_sequences(
    bay: BayConfig, count: int, seed: int = 0, progress: Callable[[int], None] = lambda _: None
) -> Outcome:
    """Run random sequences.

    Args:
        bay: gives cameras and areas.
        count: how many.
        seed: of the first.
        progress: called with the number of each that is done.
    """
    outcome = Outcome()
    with TemporaryDirectory(prefix="slot-sequences-") as folder:
        template = Path(folder) / "template"
        template.mkdir()
        with History(_url(template)) as history:
            history.database.migrate()
        ordered = _OrderedRuns(bay, template, Path(folder) / "ordered")
        root = Path(folder) / "sequence"
        # One for all: to compile the history's questions takes longer than to ask them.
        with History(_url(root)) as history:
            for number in range(count):
                shutil.copytree(template, root)
                _Sequence(bay, root, history, seed + number, outcome).run(ordered)
                history.close()
                shutil.rmtree(root)
                progress(number + 1)
    outcome.sequences = count
    return outcome


class _Sequence:
    def __init__(self, bay: BayConfig, root: Path, history: History, seed: int, outcome: Outcome) -> None:
        self.bay, self.store, self.history, self.seed, self.outcome = bay, ArtifactStore(root), history, seed, outcome
        self.random = random.Random(seed)
        self.model: set[int] = set()
        self.withdrawn: set[int] = set()
        self.has_lost = self.has_accident = False

    def run(self, ordered: "_OrderedRuns") -> None:
        operations = [self.enter, self.enter, self.enter, self.lose, self.damage, self.retain, self.rebuild]
        operations += [self.withdraw, self.undo]
        before = self.export()
        for _ in range(STEPS):
            operation = self.random.choice(operations)
            brings_frames = operation()
            after = self.export()
            self.outcome.operations += 1
            self.compare(operation.__name__)
            if not brings_frames and after != before:
                self.outcome.changed += 1
                self.outcome.details.append(f"seed {self.seed}: {operation.__name__} changed lines without a new frame")
            before = after
        if not self.has_lost and self.export() != ordered.export(frozenset(self.model)):
            self.outcome.unordered += 1
            self.outcome.details.append(f"seed {self.seed}: not the history of an ordered run of {sorted(self.model)}")

    # -- operations: each says whether it brought a new frame, or was a person's deliberate act ------

    def enter(self) -> bool:
        number = self.random.randrange(SLOTS)
        fusion = self.publish(number)
        known = number in self.model
        try:
            track(self.store, self.bay, fusion, self.history)
        except LateBatchError:
            self.outcome.refused += 1
            return False
        self.model.add(number)
        return not known

    def lose(self) -> bool:
        for path in self.files(self.random.randrange(1, 6)):
            path.unlink()
            self.has_lost = self.has_accident = True
        return False

    def damage(self) -> bool:
        for path in self.files(1):
            content = path.read_bytes()
            path.write_bytes(self.random.choice([content[:50], b"nothing of ours", content[:-9] + b"\0" * 9]))
            self.has_lost = self.has_accident = True
        return False

    def retain(self) -> bool:
        """Housekeeping at a time when some slots are older than a day, which is how long they are kept."""
        kept: dict[str, int | Literal["forever"]] = {"floor_plans": 1, "tracks": self.random.choice([1, "forever"])}
        bay = self.bay.model_copy(update={"retention": Retention.model_validate(kept)})
        for path in self.store.root.glob("*/*/*/result.pkl"):
            os.utime(path, (_START.timestamp(), _START.timestamp()))
        now = _at(self.random.randrange(SLOTS)) + timedelta(days=1)
        report = clean_bay(self.store, self.history, bay, now, dry_run=False)
        self.outcome.details += [f"seed {self.seed}: {fault}" for fault in report.faults]
        self.has_lost = self.has_lost or bool(report.freed)
        return False

    def rebuild(self) -> bool:
        """Store and history compared; the store alone where nothing went but by retention."""
        with open_ledger(self.store, self.bay, self.history) as ledger:
            if not ledger.known:
                return False
            if self.has_accident or self.random.random() < 0.5:
                ledger.correct(all_slots=True)
            else:
                ledger.take_artifacts()
        return False

    def withdraw(self) -> bool:
        if not self.model:
            return False
        number = self.random.choice(sorted(self.model))
        try:
            with open_ledger(self.store, self.bay, self.history) as ledger:
                ledger.withdraw(batch_id(self.bay.bay_id, _at(number)), "a person's reason (kim)")
        except (LateBatchError, ArtifactError):
            return False
        self.model.discard(number)
        self.withdrawn.add(number)
        return True

    def undo(self) -> bool:
        if not self.withdrawn:
            return False
        number = self.random.choice(sorted(self.withdrawn))
        try:
            with open_ledger(self.store, self.bay, self.history) as ledger:
                ledger.undo_withdrawal(batch_id(self.bay.bay_id, _at(number)))
        except (LateBatchError, ArtifactError):
            return False
        self.withdrawn.discard(number)
        self.model.add(number)
        return True

    # -- looks ---------------------------------------------------------------------------------------

    def publish(self, number: int) -> ArtifactReference:
        fused = fused_floor(self.bay, number)
        return self.store.save("fusion", self.bay.bay_id, fused.batch_id, fused)

    def files(self, most: int) -> list[Path]:
        found = sorted(self.store.root.glob("*/*/*/result.pkl"))
        return self.random.sample(found, min(most, len(found)))

    def export(self) -> list[str]:
        # Digests change where a state was restored; what people read is in the other lines.
        return [line for line in self.history.export(self.bay.bay_id) if '"table": "history_batches"' not in line]

    def compare(self, operation: str) -> None:
        batches = self.history.batches(self.bay.bay_id, _START, _at(SLOTS))
        held = {round((batch.slot - _START) / _SLOT) for batch in batches if batch.sha256}
        for words, slots in (("lost", self.model - held), ("invented", held - self.model)):
            if slots:
                setattr(self.outcome, words, getattr(self.outcome, words) + len(slots))
                self.outcome.details.append(f"seed {self.seed}: {operation} {words} {sorted(slots)}")
        self.model = held  # each fault counts once


class _OrderedRuns:
    """Histories of sets of slots, each tracked in order."""

    def __init__(self, bay: BayConfig, template: Path, root: Path) -> None:
        self._bay, self._template, self._root = bay, template, root
        self._exports: dict[frozenset[int], list[str]] = {}

    def export(self, slots: frozenset[int]) -> list[str]:
        if slots not in self._exports:
            root = self._root / ("-".join(map(str, sorted(slots))) or "none")
            shutil.copytree(self._template, root)
            with History(_url(root)) as history:
                sequence = _Sequence(self._bay, root, history, 0, Outcome())
                for number in sorted(slots):
                    track(sequence.store, self._bay, sequence.publish(number), history)
                self._exports[slots] = sequence.export()
        return self._exports[slots]


def fused_floor(bay: BayConfig, number: int) -> FusionResult:
    """A floor plan of a slot: one block stands, one changes its place and its stage, one leaves, one comes."""
    noise = random.Random(number)
    places = [("A25", 6, 6, "welding"), ("A13", 50, 10, "welding") if number < 3 else ("A1A", 106, 28, "painting")]
    places += [("A1F", 122, 8, "welding")] if number < 4 else [("A1C", 138, 30, "welding")]
    blocks = []
    for area, x, y, stage in places:
        dx, dy = noise.gauss(0, 0.03), noise.gauss(0, 0.03)
        outline = box(x - 4 + dx, y - 3 + dy, x + 4 + dx, y + 3 + dy)
        blocks.append(FusedBlock("block", outline, 4.0, area, stage, 0.9, ("C_2", "D_4"), {}, 0.05, (), 0.9))
    cameras = tuple(camera.name for camera in bay.cameras)
    return FusionResult(batch_id(bay.bay_id, _at(number)), bay.bay_id, tuple(blocks), MultiPolygon(), cameras)


def _at(number: int) -> datetime:
    return _START + number * _SLOT


def _url(root: Path) -> str:
    return f"sqlite:///{root / 'history.db'}"
