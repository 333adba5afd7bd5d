"""Whether a floor plan can be right as a whole.

A bay does not empty within a slot, and its blocks do not all step aside by the same half metre:
then the floor plan is wrong, by a camera knocked out of its pose, a wrong time, a model
that failed. What such a slot shows counts for nothing.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tracking.forms import Forms, X, Y
from tracking.model import Model
from tracking.types import Track

_FEWEST = 5  # blocks from which on they can be judged as a whole
_SIGMAS = 4.0
_SHIFT_M = 0.6  # the shortest shift of all blocks that is none of theirs
_ALIKE_M = 0.3
_REACH_M = 8.0


def implausible(
    known: Sequence[Track],
    pairs: Mapping[int, int],
    unseen: set[int],
    *,
    forms: tuple[Forms, Forms],
    hours: float,
    model: Model,
) -> str:
    """What speaks against the floor plan, in words; empty where nothing does.

    Args:
        known: tracks that have not exited.
        pairs: index of the sighting at its place by index of the track.
        unseen: tracks at whose floor too few cameras looked.
        forms: of the tracks, and of all sightings.
        hours: since the slot before.
        model: of the bay.
    """
    standing = [i for i, track in enumerate(known) if track.on_floor and not track.misses and i not in unseen]
    if len(standing) < _FEWEST:
        return ""
    shift = _common_shift(forms[0].take(standing), forms[1], model)
    if shift:
        return shift
    lost = sum(index not in pairs for index in standing)
    chance = 1 - math.exp(float(model.stands(np.array([hours]))[0])) * (1 - model.rates.missed)
    expected = chance * len(standing)
    limit = max(model.parameters.doubted_share * len(standing), expected + _SIGMAS * math.sqrt(expected))
    return f"{lost} of {len(standing)} blocks are gone at once" if lost > limit else ""


def _common_shift(forms: Forms, seen: Forms, model: Model) -> str:
    """Most blocks stand beside their places, all by the same way."""
    if not len(seen):
        return ""
    way = seen.values[None, :, [X, Y]] - forms.values[:, None, [X, Y]]
    shape = np.where(np.linalg.norm(way, axis=-1) <= _REACH_M, model.shape(forms, seen, moved=True), -np.inf)
    found = np.flatnonzero(np.isfinite(shape.max(axis=1)))
    if len(found) < max(_FEWEST, model.parameters.doubted_share * len(forms)):
        return ""
    ways = way[found, shape[found].argmax(axis=1)]
    middle = np.median(ways, axis=0)
    length = float(np.linalg.norm(middle))
    alike = float((np.linalg.norm(ways - middle, axis=1) <= _ALIKE_M).mean())
    if length < _SHIFT_M or alike < max(model.parameters.doubted_share, 0.7):
        return ""
    return f"{round(alike * len(found))} of {len(forms)} blocks are shifted alike, by {length:.1f} m"
