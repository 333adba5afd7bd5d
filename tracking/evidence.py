"""How much has to be seen before something is believed.

Cameras miss blocks and misread stages. A run of misses, or of equal misreadings, is
the less likely the longer it is: its chance is the rate to the power of its length.
It is believed to be the truth once that chance falls below `TrackerParameters.doubt`.
The rates are measured as the tracker goes: on a good day two slots are proof, on a
bad one four.
"""

import math
from dataclasses import replace
from datetime import datetime

from tracking.parameters import TrackerParameters
from tracking.types import Rates, Streak, Track

_RATE_MEMORY = 150  # observations of blocks: half a dozen slots of two dozen
_FALSE_MEMORY = 12  # slots
_OWN_MEMORY = 30  # observations of a block from which on its own misses weigh more than its bay's
_RATE_RANGE = (0.005, 0.5)


def empty_slots(track: Track, rates: Rates, parameters: TrackerParameters) -> int:
    """Slots in which the floor must be seen without this block before it has left."""
    own = (rates.missed * _OWN_MEMORY + track.gaps) / (_OWN_MEMORY + track.hits)
    return max(parameters.exit_slots, _run(own, parameters))


def stage_readings(rates: Rates, parameters: TrackerParameters) -> int:
    """Readings of another stage, less those of the believed one, that make a change."""
    return max(parameters.reading_slots, _run(rates.misread, parameters))


def sightings(rates: Rates, parameters: TrackerParameters) -> int:
    """Sightings that make a track of a new block."""
    return parameters.confirm_slots + int(many_false(rates, parameters))


def many_false(rates: Rates, parameters: TrackerParameters) -> bool:
    """Whether so many things are detected of late that are not there that some will stand twice on one place."""
    return rates.false >= parameters.false_per_slot


def vote(
    streak: Streak | None, believed: str | None, value: str | None, weight: float, slot: datetime
) -> Streak | None:
    """The readings against what is believed, after one more; None tells nothing and ends nothing."""
    if value is None:
        return streak
    if value == believed:
        if streak is None or streak.count == 1:
            return None
        return replace(streak, count=streak.count - 1, weight=max(0.0, streak.weight - weight))
    if streak is not None and streak.value == value:
        return replace(streak, count=streak.count + 1, weight=streak.weight + weight)
    return streak if streak is not None and streak.count > 1 else Streak(value, 1, weight, slot)


def learned(rates: Rates, missed: tuple[int, int], misread: tuple[int, int], false: int) -> Rates:
    """The running means after a slot.

    Args:
        rates: before it.
        missed: standing blocks that are found again after a miss, of how many.
        misread: readings of another stage that turn out to be none, of how many.
        false: tentative tracks that were given up.
    """
    return Rates(
        _mean(rates.missed, *missed),
        _mean(rates.misread, *misread),
        rates.false + (false - rates.false) / _FALSE_MEMORY,
    )


def _mean(rate: float, count: int, total: int) -> float:
    mean = rate + (count - rate * total) / (_RATE_MEMORY + total)
    return min(max(mean, _RATE_RANGE[0]), _RATE_RANGE[1])


def _run(rate: float, parameters: TrackerParameters) -> int:
    chance = min(max(rate, _RATE_RANGE[0]), _RATE_RANGE[1])
    return math.ceil(math.log(parameters.doubt) / math.log(chance))
