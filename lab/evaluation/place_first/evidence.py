"""How much has to be seen before something is believed.

Cameras miss blocks and misread stages. A run of misses, or of equal misreadings, is
the less likely the longer it is: its chance is the rate to the power of its length.
It is believed to be the truth once that chance falls below `TrackerParameters.doubt`.
The rates are measured as the tracker goes: with the default doubt, four empty slots are
proof where 2 % of the blocks are missed, six where 10 % are.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from lab.evaluation.place_first.parameters import TrackerParameters
from lab.evaluation.place_first.types import Rates, Streak, Track

_RATE_MEMORY = 300  # observations of blocks: a dozen slots of two dozen
_RATE_PRIOR = 50  # observations that the rates of the very beginning stand for
_FALSE_MEMORY = 12  # slots
_OWN_MEMORY = 30  # observations of a block from which on its own misses weigh more than its bay's
_OTHER_STAGES = 2  # over which misreadings spread, at the least
_RATE_RANGE = (0.005, 0.5)


def empty_slots(track: Track, rates: Rates, parameters: TrackerParameters) -> int:
    """Slots in which the floor must be seen without this block before it has left.

    More for a block that is missed more often than others. That it never was missed so
    far does not tell that it cannot be.
    """
    own = (rates.missed * _OWN_MEMORY + track.gaps) / (_OWN_MEMORY + track.hits)
    return max(parameters.exit_slots, _run(max(own, rates.missed), parameters))


def patience(rates: Rates, parameters: TrackerParameters) -> int:
    """Slots in which the floor must be seen without a track that is tentative before it is given up."""
    return max(parameters.confirm_slots, _run(rates.missed, parameters) - 1)


def many_missed(rates: Rates, parameters: TrackerParameters) -> bool:
    """Whether so many blocks are missed of late that one that is first seen may have stood there before."""
    return _run(rates.missed, parameters) > parameters.confirm_slots


def many_misread(rates: Rates, parameters: TrackerParameters) -> bool:
    """Whether so many stages are misread of late that a single reading proves nothing."""
    return _run(rates.misread, parameters) > parameters.confirm_slots


def stage_readings(rates: Rates, parameters: TrackerParameters) -> int:
    """Readings of another stage, less those of the believed one, that make a change."""
    return max(parameters.reading_slots, _run(rates.misread / _OTHER_STAGES, parameters))


def sightings(rates: Rates, parameters: TrackerParameters) -> int:
    """Sightings that make a track of a new block."""
    return parameters.confirm_slots + int(many_false(rates, parameters))


def many_false(rates: Rates, parameters: TrackerParameters) -> bool:
    """Whether so many things are detected of late that are not there that some will stand twice on one place."""
    return rates.false >= parameters.false_per_slot


def vote(
    streaks: Sequence[Streak], believed: str | None, value: str | None, weight: float, slot: datetime
) -> tuple[Streak, ...]:
    """The readings against what is believed, after one more; None tells nothing and ends nothing."""
    if value is None:
        return tuple(streaks)
    if value == believed:
        return tuple(
            replace(streak, count=streak.count - 1, weight=max(0.0, streak.weight - weight))
            for streak in streaks
            if streak.count > 1
        )
    own = next((streak for streak in streaks if streak.value == value), Streak(value, 0, 0.0, slot))
    others = [streak for streak in streaks if streak.value != value]
    voted = replace(own, count=own.count + 1, weight=own.weight + weight)
    return tuple(sorted([*others, voted], key=lambda streak: streak.value))


def strongest(streaks: Sequence[Streak], count: int, weight: float = 0.0) -> Streak | None:
    """Of the streaks that have so many readings of such weight, the one with the most; None without any."""
    enough = [streak for streak in streaks if streak.count >= count and streak.weight >= weight]
    return max(enough, key=lambda streak: (streak.count, streak.weight), default=None)


def learned(rates: Rates, missed: tuple[int, int], misread: tuple[int, int], false: int) -> Rates:
    """The running means after a slot.

    Args:
        rates: before it.
        missed: standing blocks that are found again after a miss, of how many.
        misread: readings of another stage that turn out to be none, of how many.
        false: tentative tracks that were given up.
    """
    return Rates(
        _mean(rates.missed, rates.observed, *missed),
        _mean(rates.misread, rates.observed, *misread),
        rates.false + (false - rates.false) / _FALSE_MEMORY,
        min(rates.observed + missed[1], _RATE_MEMORY - _RATE_PRIOR),
    )


def _mean(rate: float, observed: int, count: int, total: int) -> float:
    mean = rate + (count - rate * total) / (_RATE_PRIOR + observed + total)
    return min(max(mean, _RATE_RANGE[0]), _RATE_RANGE[1])


def _run(rate: float, parameters: TrackerParameters) -> int:
    chance = min(max(rate, _RATE_RANGE[0]), _RATE_RANGE[1])
    return math.ceil(math.log(parameters.doubt) / math.log(chance))
