"""Drift between stored observations: which slots are compared, and the answer for a person or a program."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from rich.table import Table

from artifacts import ArtifactStore
from bay_observation.errors import NotObservedError
from bays import BayConfig, batch_id, slot_of
from inference.drift import MEASURES, WINDOW, CameraDrift, Reference
from inference.types import Observation

_WEEK, _DAY = timedelta(days=7), timedelta(days=1)
# Slots of the reference that are read: runs of as many as are compared, spread evenly over it.
_MOST_READ = 28
_SOON = timedelta(days=3)  # how far back the last slots are looked for
_AN_INSTANT = timedelta(seconds=1)
_RATIOS_KEPT_S = 600.0


@dataclass(frozen=True)
class StoredDrift:
    """A comparison.

    Attributes:
        slots: first and last slot that were looked at.
        reference: first and last slot of the reference.
        counts: how many observed slots of each were compared.
        cameras: the farthest off first.
    """

    bay_id: str
    slots: tuple[datetime, datetime]
    reference: tuple[datetime, datetime]
    counts: tuple[int, int]
    cameras: tuple[CameraDrift, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; None for what could not be measured."""
        return {
            "bay_id": self.bay_id,
            "slots": [slot.isoformat() for slot in self.slots],
            "reference": [slot.isoformat() for slot in self.reference],
            "compared": {"slots": self.counts[0], "reference": self.counts[1]},
            "cameras": [
                {
                    "camera": camera.camera_name,
                    "drifted": camera.drifted,
                    "ratio": round(camera.ratio, 3),
                    "reason": camera.reason,
                    "measures": {
                        one.measure: {name: round(getattr(one, name), 4) for name in ("usual", "now", "off", "limit")}
                        for one in camera.measures
                    },
                    "classes": {
                        one.class_name: {
                            name: _plain(getattr(one, name))
                            for name in ("usual_count", "count", "usual_confidence", "confidence", "paint")
                        }
                        for one in camera.classes
                    },
                }
                for camera in self.cameras
            ],
        }

    def tables(self, bay: BayConfig, *, classes: bool = False) -> Iterator[Table]:
        """For a person: each camera's measures now, and how far off in units of what is allowed."""
        first, last, begin, end = (
            f"{slot.astimezone(bay.zone):%Y-%m-%d %H:%M}" for slot in (*self.slots, *self.reference)
        )
        title = f"{self.bay_id}: {self.counts[0]} slots {first} to {last}, against {self.counts[1]} of {begin} to {end}"
        table = Table("camera", "off by", *MEASURES, title=title, title_justify="left")
        for camera in self.cameras:
            values = {one.measure: one for one in camera.measures}
            cells = (values.get(name) for name in MEASURES)
            shown = ["–" if one is None else f"{one.now:.2f} ({one.off:+.2f})" for one in cells]
            table.add_row(camera.camera_name, f"{camera.ratio:.0%}", *shown, style="red" if camera.drifted else "")
        yield table
        if classes:
            yield self._classes()

    def _classes(self) -> Table:
        table = Table("camera", "class", "a frame", "usually", "confidence", "usually", "paint", title="By class")
        for camera in self.cameras:
            for one in camera.classes:
                numbers = (one.count, one.usual_count, one.confidence, one.usual_confidence, one.paint)
                shown = ("–" if math.isnan(number) else f"{number:.2f}" for number in numbers)
                table.add_row(camera.camera_name, one.class_name, *shown)
        return table


class DriftWatch:
    """Follows a bay's cameras as slots come: the reference is read once a day, the last slots every ten minutes.

    Args:
        bay_id: whose.
        now: seconds of a clock that only goes forward; for tests.
    """

    def __init__(self, bay_id: str, now: Callable[[], float] = time.monotonic) -> None:
        self._bay_id, self._now = bay_id, now
        self._reference: tuple[date, Reference] | None = None
        self._kept: dict[str, float] = {}
        self._asked_at: float | None = None

    def ratios(self, store: ArtifactStore) -> dict[str, float]:
        """How far each camera is off, in units of what is allowed.

        Raises:
            NotObservedError: too few slots were observed.
            ArtifactError: an observation cannot be read.
        """
        if self._asked_at is None or self._now() - self._asked_at >= _RATIOS_KEPT_S:
            self._asked_at, self._kept = self._now(), {}  # one that cannot be said now is not asked at once again
            last = _last(store, self._bay_id, None, WINDOW)
            recent = _load(store, self._bay_id, last)
            self._kept = {one.camera_name: one.ratio for one in self._usual(store, last).compare(recent)}
        return self._kept

    def _usual(self, store: ArtifactStore, last: Sequence[str]) -> Reference:
        first = slot_of(last[0])
        if self._reference is None or self._reference[0] != first.date():
            chosen = _chosen(store, self._bay_id, _week_before(first), WINDOW)
            self._reference = (first.date(), Reference(_load(store, self._bay_id, chosen)))
        return self._reference[1]


def compare_stored(
    store: ArtifactStore,
    bay: BayConfig,
    *,
    at: datetime | None = None,
    reference: tuple[datetime, datetime] | None = None,
    window: int = WINDOW,
) -> StoredDrift:
    """Hold the last observed slots of a bay against a reference.

    Args:
        store: of the observations.
        bay: whose.
        at: the last slots up to this time (aware); None for the newest ones.
        reference: begin and end (aware); None for the seven days that end one day before.
        window: how many last slots.

    Raises:
        NotObservedError: too few slots of either were observed.
        ArtifactError: an observation cannot be read.
    """
    last = _last(store, bay.bay_id, at, window)
    first = slot_of(last[0])
    chosen = _chosen(store, bay.bay_id, reference or _week_before(first), window)
    usual = Reference(_load(store, bay.bay_id, chosen), window)
    recent = _load(store, bay.bay_id, last)
    return StoredDrift(
        bay.bay_id,
        (first, slot_of(last[-1])),
        (slot_of(chosen[0]), slot_of(chosen[-1])),
        (len(recent), len(chosen)),
        tuple(usual.compare(recent)),
    )


def spread_runs(batches: Sequence[str], window: int) -> list[str]:
    """Runs of neighbouring batches, spread evenly over all of them; all, where that is not many."""
    runs = [batches[start : start + window] for start in range(0, len(batches), window)]
    every = max(1, -(-len(runs) // _MOST_READ))
    return [batch for run in runs[::every] for batch in run]


def _last(store: ArtifactStore, bay_id: str, at: datetime | None, window: int) -> list[str]:
    newest = store.newest("observation", bay_id)
    if newest is None:
        raise NotObservedError(f"{store.location}: nothing of bay {bay_id} was ever observed")
    end = slot_of(newest) if at is None else at
    found = _batches(store, bay_id, end - _SOON, end + _AN_INSTANT)[-window:]
    if not found:
        raise NotObservedError(f"no slot of bay {bay_id} in the three days before {end.isoformat()} was observed")
    return found


def _week_before(first: datetime) -> tuple[datetime, datetime]:
    return first - _DAY - _WEEK, first - _DAY


def _chosen(store: ArtifactStore, bay_id: str, reference: tuple[datetime, datetime], window: int) -> list[str]:
    return spread_runs(_batches(store, bay_id, *reference), window)


def _batches(store: ArtifactStore, bay_id: str, start: datetime, end: datetime) -> list[str]:
    return store.batch_ids("observation", bay_id, batch_id(bay_id, start), batch_id(bay_id, end))


def _load(store: ArtifactStore, bay_id: str, batches: Sequence[str]) -> list[Observation]:
    found = (store.fetch("observation", bay_id, batch) for batch in batches)
    return [seen for seen in found if isinstance(seen, Observation)]


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
