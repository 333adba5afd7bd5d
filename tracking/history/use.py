"""How much of each area's floor was used, day by day."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from bays import Area, BayConfig
from tracking.history.history import History, ObservedTime, nested_areas
from tracking.history.slots import local_day
from tracking.history.stays import recorded_stays
from tracking.history.types import Stay

_HOUR_S = 3600.0


@dataclass(frozen=True)
class AreaUse:
    """How an area's floor was used on a day.

    Attributes:
        day: of the bay's clock; of a period that begins or ends within it, the part in the period.
        area: its name; blocks in areas within it count as well.
        area_m2: of its floor.
        blocks: different blocks that stood there.
        used_m2h: their footprints times the time for which they were seen standing.
        observed_h: of the day, while which the bay was observed.
        share: of the floor, while it was observed, 0 to 1.
    """

    day: date
    area: str
    area_m2: float
    blocks: int
    used_m2h: float
    observed_h: float
    share: float


def area_use(history: History, bay: BayConfig, start: datetime, end: datetime) -> list[AreaUse]:
    """The use of every tracked area, for each day of [start, end) that was observed, in order of day and area.

    Args:
        history: of the bay.
        bay: the bay.
        start: begin of the period (aware).
        end: its end (aware).

    Raises:
        HistoryError: the history has nothing of the bay.
        NotObservedError: no slot of the period was tracked.
    """
    history.observed_dwell(bay, start, end)  # refuses a period that was not observed
    stays = recorded_stays(history, bay.bay_id, start, end)
    within = {name: set(nested_areas(bay, name)) for name, area in bay.layout.areas.items() if area.tracked}
    found: list[AreaUse] = []
    for day, begin, over in _days(bay, start, end):
        observed = history.observed_time(bay, begin, over)
        if observed.whole <= timedelta():
            continue
        seconds = _seconds(stays, observed, begin, over)
        hours = observed.whole.total_seconds() / _HOUR_S
        for name, names in within.items():
            here = [(stay, length) for stay, length in seconds if stay.area in names]
            found.append(_use(day, name, bay.layout.areas[name], here, hours))
    return found


def _seconds(
    stays: Sequence[Stay], observed: ObservedTime, begin: datetime, over: datetime
) -> list[tuple[Stay, float]]:
    since = np.array([max(stay.since, begin).timestamp() for stay in stays])
    until = np.array([min(stay.until or over, over).timestamp() for stay in stays])
    lengths = observed.within(since, np.maximum(since, until))
    return [(stay, float(length)) for stay, length in zip(stays, lengths, strict=True) if length > 0]


def _use(day: date, name: str, area: Area, here: Sequence[tuple[Stay, float]], observed_h: float) -> AreaUse:
    floor = (area.x[1] - area.x[0]) * (area.y[1] - area.y[0])
    used = sum(stay.footprint.area * length for stay, length in here) / _HOUR_S
    blocks = len({stay.track_id for stay, _ in here})
    return AreaUse(day, name, floor, blocks, used, observed_h, used / (floor * observed_h))


def _days(bay: BayConfig, start: datetime, end: datetime) -> list[tuple[date, datetime, datetime]]:
    """The bay's days in the period, each with its part of it."""
    days: list[tuple[date, datetime, datetime]] = []
    day = start.astimezone(bay.zone).date()
    while True:
        begin, over = local_day(bay, day)
        if begin >= end:
            return days
        days.append((day, max(begin, start), min(over, end)))
        day += timedelta(days=1)


@dataclass(frozen=True)
class Difference:
    """What a block did between two moments.

    `change` is `came`, `left`, `moved` or `stage`; `before` and `after` are its stays, None where it was not there.
    """

    track_id: str
    change: str
    before: Stay | None
    after: Stay | None


def differences(history: History, bay: BayConfig, first: datetime, second: datetime) -> list[Difference]:
    """Blocks whose place, stage or presence differs between two moments, in order of track.

    Unlike events this needs no slot in between, and what was undone in between is not listed.

    Raises:
        HistoryError: the history has nothing of the bay; a time is naive.
        NotObservedError: the bay was not observed yet at the first moment, or one lies in the future.
    """
    stays: dict[str, list[Stay | None]] = defaultdict(lambda: [None, None])
    for number, moment in enumerate((first, second)):
        for stay in history.standing(bay.bay_id, at=moment):
            stays[stay.track_id][number] = stay
    found = []
    for track_id, (before, after) in sorted(stays.items()):
        change = _change(before, after)
        if change:
            found.append(Difference(track_id, change, before, after))
    return found


def _change(before: Stay | None, after: Stay | None) -> str:
    if before is None or after is None:
        return "came" if before is None else "left"
    if before.standing_since != after.standing_since:
        return "moved"
    return "stage" if before.stage != after.stage else ""
