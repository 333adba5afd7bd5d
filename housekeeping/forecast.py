"""How long the store's disk lasts, when bays go on as in the last days and retention stays as it is."""

import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean

from artifacts import ArtifactStore, Stage
from bays import BayConfig, batch_id, slot_of

KINDS: dict[Stage, str] = {
    "capture": "frames",
    "observation": "observations",
    "fusion": "floor_plans",
    "tracking": "tracks",
}
"""Which key of a bay's `retention` says how long a stage's artifacts are kept."""

_LOOKED_AT = timedelta(days=7)
_SAMPLES = 50
_DAY = timedelta(days=1)
_LONGEST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Growth:
    """How one kind grows: bytes a day, the days of it that are there, and the days for which it is kept."""

    bytes_a_day: float
    days_held: float
    days_kept: float

    def after(self, days: float) -> float:
        """Bytes by which it has grown after some days: nothing more once it is as old as it may get."""
        return self.bytes_a_day * max(0.0, min(days, self.days_kept - self.days_held))


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the store's disk has, and where that leads.

    Attributes:
        disk: bytes of the file system; 0 where it has no size, as S3.
        free: bytes of it.
        bytes_a_day: that the bays write.
        more: bytes that will be taken in addition at most; None where something is kept forever.
        days_left: until the file system is full; None where it does not get full in ten years.
    """

    disk: int
    free: int
    bytes_a_day: float
    more: float | None
    days_left: int | None

    def lines(self) -> Iterable[str]:
        """The forecast for people."""
        grows = "grows for ever" if self.more is None else f"grows by {self.more / 1e9:.1f} GB more at most"
        yield f"the bays write {self.bytes_a_day / 1e9:.2f} GB a day; with today's retention the store {grows}"
        if self.disk:
            until = "not full within ten years" if self.days_left is None else f"full in {self.days_left} days"
            yield f"disk: {self.free / 1e9:.1f} of {self.disk / 1e9:.1f} GB free, {until}"


def forecast(store: ArtifactStore, bays: Sequence[BayConfig], now: datetime) -> Forecast:
    """Look at what bays wrote in the last week, and at the disk.

    Args:
        store: whose disk.
        bays: that write to it.
        now: the time (aware).

    Raises:
        StoreUnavailableError: the store fails.
    """
    growths = [growth for bay in bays for growth in _growths(store, bay, now)]
    disk, free = 0, 0
    if store.has_locks:
        usage = shutil.disk_usage(store.root)
        disk, free = usage.total, usage.free
    more = sum(growth.after(math.inf) for growth in growths)
    return Forecast(
        disk,
        free,
        sum(growth.bytes_a_day for growth in growths),
        None if math.isinf(more) else more,
        days_until_full(growths, free) if disk else None,
    )


def days_until_full(growths: Sequence[Growth], free: float) -> int | None:
    """Days until some kinds have grown by more than what is free; None where that takes over ten years."""
    low, high = 0, _LONGEST_DAYS
    if sum(growth.after(high) for growth in growths) <= free:
        return None
    while low < high:
        middle = (low + high) // 2
        if sum(growth.after(middle) for growth in growths) > free:
            high = middle
        else:
            low = middle + 1
    return low


def _growths(store: ArtifactStore, bay: BayConfig, now: datetime) -> Iterable[Growth]:
    since = batch_id(bay.bay_id, now - _LOOKED_AT)
    for stage, kind in KINDS.items():
        names = store.batch_ids(stage, bay.bay_id, since)
        sizes = [found.size for name in names[-_SAMPLES:] if (found := store.published(stage, bay.bay_id, name))]
        if sizes:
            first = store.oldest(stage, bay.bay_id) or names[0]
            held = max(0.0, (now - slot_of(first)) / _DAY)
            days = min(held, _LOOKED_AT / _DAY) or 1.0
            yield Growth(fmean(sizes) * len(names) / days, held, bay.retention.days(kind))
