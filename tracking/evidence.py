"""How readings add up, and what is learned from them.

A class, a stage or work is believed to have changed after a run of readings whose chance,
if they are mere misreadings, falls below `TrackerParameters.doubt`. How often cameras miss,
misread and see what is not there, how far they are off, and how much is lifted in the bay,
is measured as the tracker goes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from tracking.forms import HEIGHT, LONG, SHORT, TENTHS, Forms, X, Y, tenth_of
from tracking.model import CHANGES_PER_HOUR, RUN_PRIOR, SHIFT_HOURS
from tracking.parameters import TrackerParameters
from tracking.types import Rates, Streak, Track

WORK, REST = "work", "rest"  # readings of the equipment at a block
_PRIOR = 50  # sightings that the rates of the very beginning stand for
_MOST = 1500  # sightings that count at most: two days of a dozen slots' worth of two dozen blocks
_SLOTS = 36  # that the mean of false detections remembers
_CERTAIN_HOURS = 0.5  # that it takes in the mean until a lift is certain
_BLOCK_HOURS, _HOURS = 1500.0, 60.0  # that the rates of lifts remember
_WORK_HOURS = 2.0  # in the mean, that equipment stays at a block, or away from it
_WORK_CERTAIN = 0.98  # probability from which on it is believed to have come or gone: what is false comes twice
_GAP_HOURS, _FEWEST_STAGES = 1.0, 2  # between two sightings, from which on they are no slots in a row; see there
_FAR = 9.0  # squared deviations that a single measurement counts for at most: outliers teach nothing
_OTHER_STAGES = 2  # over which misreadings spread, at the least
_SHARE = (0.005, 0.5)
_MOST_RUN_SLOTS, _MOST_CONFIDENCES = 60.0, 60.0  # that what is known of them stands for at most
_ALIKE = 0.1  # sightings of one block are alike: ten count as one
_AGAIN = (0.02, 0.9)


@dataclass(frozen=True)
class Lesson:
    """What a slot teaches.

    Attributes:
        found: tracks before it that were found at their place.
        given_up: tentative tracks that were dropped as false detections.
        misread: readings of another stage that turned out to be none, of how many.
        overlooked: readings of no equipment that turned out wrong, of how many at blocks that are worked on.
        imagined: readings of equipment that turned out wrong, of how many at other blocks.
        left, came: blocks that left their place, and that came to the bay.
        block_hours, hours: time since the slot before, for all blocks together and for the bay.
    """

    found: Sequence[Track]
    given_up: Sequence[Track]
    misread: tuple[int, int]
    overlooked: tuple[int, int]
    imagined: tuple[int, int]
    left: int
    came: int
    block_hours: float
    hours: float


def stage_readings(rates: Rates, parameters: TrackerParameters, hours: float) -> int:
    """Readings of another stage, less those of the believed one, that make a change within so many hours.

    After a closure a change is nothing unlikely, and there are fewer occasions to be wrong.
    """
    if hours > _GAP_HOURS:
        misread = _clipped(rates.misread, _SHARE)
        odds = _odds(-math.expm1(-CHANGES_PER_HOUR * hours)) / _odds(parameters.certain)
        return max(_FEWEST_STAGES, _readings(odds, (1 - misread) / (misread / _OTHER_STAGES)))
    return max(parameters.reading_slots, _run(rates.misread / _OTHER_STAGES, parameters))


def likely_last_stage(rates: Rates, parameters: TrackerParameters, readings: int, hours: float) -> bool:
    """Whether so many readings of a later stage, the last before a block left, are rather a change than misread.

    Of a block that stays another reading decides. There are some 4000 occasions a day to be wrong, and few exits.
    """
    changed, misread = CHANGES_PER_HOUR * hours, (_clipped(rates.misread, _SHARE) / _OTHER_STAGES) ** readings
    return changed / (changed + misread) >= parameters.certain


def many_misread(rates: Rates, parameters: TrackerParameters) -> bool:
    """Whether so many stages are misread of late that a single reading proves nothing."""
    return _run(rates.misread, parameters) > parameters.confirm_slots


def work_readings(rates: Rates, parameters: TrackerParameters, *, working: bool, hours: float) -> int:
    """Readings of equipment, or of none where a block is worked on, less those against it, that make a change.

    By Bayes' rule: a change within so many hours against so many wrong readings.
    """
    overlooked, imagined = _clipped(rates.overlooked, _SHARE), _clipped(rates.imagined, _SHARE)
    likelier = (1 - imagined) / overlooked if working else (1 - overlooked) / imagined
    odds = _odds(-math.expm1(-hours / _WORK_HOURS)) / _odds(_WORK_CERTAIN)
    return max(parameters.work_slots, _readings(odds, likelier))


def _readings(odds: float, likelier: float) -> int:
    """How many, each so much likelier, make odds of 1."""
    return max(1, math.ceil(-math.log(odds) / math.log(max(likelier, 1.1))))


def _odds(chance: float) -> float:
    return max(chance, 1e-6) / max(1 - chance, 1e-6)


def vote(
    streaks: Sequence[Streak],
    believed: str | None,
    value: str | None,
    weight: float,
    slot: datetime,
    *,
    after: datetime | None = None,
) -> tuple[Streak, ...]:
    """The readings against what is believed, after one more; None says nothing and ends nothing.

    `after` is the latest slot before this one in which the block was seen.
    """
    if value is None:
        return tuple(streaks)
    if value == believed:
        return tuple(
            replace(streak, count=streak.count - 1, weight=max(0.0, streak.weight - weight))
            for streak in streaks
            if streak.count > 1
        )
    own = next((streak for streak in streaks if streak.value == value), Streak(value, 0, 0.0, slot, after))
    others = [streak for streak in streaks if streak.value != value]
    voted = replace(own, count=own.count + 1, weight=own.weight + weight)
    return tuple(sorted([*others, voted], key=lambda streak: streak.value))


def without(streaks: Sequence[Streak], since: datetime, values: Sequence[str | None]) -> tuple[Streak, ...]:
    """The readings against what is believed, but for those values, which were read from that slot on."""
    kept = [replace(streak, count=streak.count - values.count(streak.value)) for streak in streaks]
    return tuple(streak for streak in kept if streak.since < since and streak.count > 0)


def reading(working: bool | None) -> str | None:
    """What was read of the equipment at a block."""
    return None if working is None else WORK if working else REST


def strongest(streaks: Sequence[Streak], count: int, weight: float = 0.0) -> Streak | None:
    """Of the streaks that have so many readings of such weight, the one with the most; None without any."""
    enough = [streak for streak in streaks if streak.count >= count and streak.weight >= weight]
    return max(enough, key=lambda streak: (streak.count, streak.weight), default=None)


def learned(rates: Rates, lesson: Lesson) -> Rates:
    """The running means after a slot."""
    found, runs = len(lesson.found), [track.misses for track in lesson.found if track.misses]
    long = [misses for misses in runs if misses > 1]
    seen = sum(track.hits for track in lesson.given_up)
    run_slots = sum(long) - len(long)
    awaited = rates.lifts_awaited + rates.leave_per_hour * lesson.block_hours + rates.come_per_hour * lesson.hours
    still, fades = math.exp(-lesson.hours / _CERTAIN_HOURS), math.exp(-lesson.hours / SHIFT_HOURS)
    return replace(
        rates,
        missed=_mean(rates.missed, rates.observed, len(runs), found),
        missed_again=_of_runs(rates.missed_again, rates.runs, len(long), len(runs)),
        runs=min(rates.runs + len(runs), _MOST_RUN_SLOTS),
        missed_on=_of_runs(rates.missed_on, rates.run_slots, run_slots - len(long), run_slots),
        run_slots=min(rates.run_slots + run_slots, _MOST_RUN_SLOTS),
        misread=_mean(rates.misread, rates.observed, *lesson.misread),
        overlooked=_mean(rates.overlooked, rates.observed, *lesson.overlooked),
        imagined=_mean(rates.imagined, rates.observed, *lesson.imagined),
        false=_clipped(rates.false + (len(lesson.given_up) - rates.false) / _SLOTS, (0.01, 10.0)),
        false_again=_of_runs(rates.false_again, rates.false_slots, seen - len(lesson.given_up), seen),
        leave_per_hour=_clipped(
            rates.leave_per_hour
            + (lesson.left - rates.leave_per_hour * lesson.block_hours) / (_BLOCK_HOURS + lesson.block_hours),
            (0.01, 2.0),
        ),
        lifts=(rates.lifts + lesson.left + lesson.came) * fades,
        lifts_expected=(rates.lifts_expected + awaited * (1 - still)) * fades,
        lifts_awaited=awaited * still,
        come_per_hour=_clipped(
            rates.come_per_hour + (lesson.came - rates.come_per_hour * lesson.hours) / (_HOURS + lesson.hours),
            (0.2, 60.0),
        ),
        false_slots=min(rates.false_slots + seen, _MOST_RUN_SLOTS),
        observed=min(rates.observed + found, _MOST),
        block_confidences=_counted(rates.block_confidences, lesson.found, _ALIKE),
        false_confidences=_counted(rates.false_confidences, lesson.given_up, 1.0),
    )


def _counted(counts: tuple[float, ...], tracks: Sequence[Track], weight: float) -> tuple[float, ...]:
    if not tracks:
        return counts
    after = np.array(counts or [0.0] * TENTHS)
    np.add.at(after, [tenth_of(track.confidence) for track in tracks], weight)
    return tuple((after * min(1.0, _MOST_CONFIDENCES / after.sum())).tolist())


def calibrated(rates: Rates, known: Forms, seen: Forms) -> Rates:
    """The scatter of measurements after those of standing blocks in one slot, pairs in order."""
    if not len(known):
        return rates
    apart = seen.values - known.values
    share = 1 / (1 + 1 / np.maximum(known.shape_count, 1.0))
    place = apart[:, [X, Y]] ** 2 / (known.std_m**2 / known.count + seen.std_m**2)[:, None]
    return replace(
        rates,
        side_m=_scatter(rates.side_m, apart[:, [LONG, SHORT]] ** 2 * share[:, None], rates.observed),
        height_m=_scatter(rates.height_m, apart[:, [HEIGHT]] ** 2 * share[:, None], rates.observed),
        claim=_scatter(rates.claim**0.5, place, rates.observed) ** 2,
    )


def _scatter(std: float, squares: NDArray[np.float64], observed: int) -> float:
    kept = np.minimum(squares, _FAR * std**2)
    weight = len(kept) / (_PRIOR + observed + len(kept))
    return float(min(max(math.sqrt(std**2 + weight * (float(kept.mean()) - std**2)), 0.01), 1.5))


def _mean(rate: float, observed: int, count: int, total: int) -> float:
    return _clipped(rate + (count - rate * total) / (_PRIOR + observed + total), _SHARE)


def _of_runs(rate: float, known: float, on: int, total: int) -> float:
    """A share of the slots after which another one of the same run followed, learned from so many so far."""
    return _clipped(rate + (on - rate * total) / (RUN_PRIOR + known + total), _AGAIN)


def _clipped(value: float, limits: tuple[float, float]) -> float:
    return min(max(value, limits[0]), limits[1])


def _run(rate: float, parameters: TrackerParameters) -> int:
    return math.ceil(math.log(parameters.doubt) / math.log(_clipped(rate, _SHARE)))


def majority(values: Iterable[str | None]) -> str | None:
    """The most frequent value, the first in order of the alphabet of several; None without any."""
    counts: dict[str, int] = {}
    for value in values:
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    return min(counts, key=lambda value: (-counts[value], value), default=None)
