"""Whether the block at a track's place is still the track's block.

A block is set down where another has just left, two change places: what stands there
overlaps what stood there, and only its shape, and centimetres of place, tell. One sighting
may not tell enough, so that the latest few are looked at together, in the latest slot and in
those before it. Here it is only asked where another explanation is possible at all; which
one holds is decided by `tracking.explanation`, for all of them at once.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tracking.forms import KEPT, Forms, Stack, X, Y, known_forms, stack_of
from tracking.looks import Looks, LookStack, both_seen, looks_of
from tracking.model import LIKELIEST_LOOK, Model
from tracking.types import Track, TrackStatus

Floats = NDArray[np.float64]

_MOST = KEPT - 1  # of the latest sightings that are looked at
_POSSIBLE = math.log(0.01)  # odds of another explanation from which on it is looked into
_LIKELY = math.log(20.0)  # the same for a tentative track
_ONLY_LIKELY = -40.0  # log density of a shape below which it is not this block's at all


def doubted(seen: Sequence[Track], absent: Sequence[Track], hours: float, model: Model) -> dict[int, int]:
    """Tracks whose latest sightings may be another block's.

    Args:
        seen: tracks that were seen at their place in this slot, with that sighting.
        absent: tracks that were not, and may stand at another's place.
        hours: since the slot before.
        model: of the bay.

    Returns:
        By index into `seen`, how many of the latest sightings are in doubt.
    """
    if not seen:
        return {}
    # What a tentative track is, is open anyway.
    least = np.array([_LIKELY if track.status is TrackStatus.TENTATIVE else _POSSIBLE for track in seen])
    stack = stack_of(seen)
    divided = stack.divided(_MOST)
    gone = known_forms(absent), looks_of(absent)
    odds = _odds(divided, LookStack(seen).divided(_MOST), gone, hours, model).reshape(_MOST, -1)
    worst: dict[int, tuple[float, int]] = {}
    for count in range(1, _MOST + 1):
        for index in _begun_with(stack, divided, np.flatnonzero(odds[count - 1] > least), count, model):
            best = worst.get(int(index))
            if best is None or odds[count - 1, index] > best[0]:
                worst[int(index)] = (float(odds[count - 1, index]), count)
    return {index: count for index, (_, count) in worst.items()}


def _begun_with(
    stack: Stack, divided: tuple[Forms, Forms], tracks: NDArray[np.int64], count: int, model: Model
) -> NDArray[np.int64]:
    """Those tracks of which the first of so many latest sightings is rather like the later ones than like those before.

    A mean over a change, half of it from before, is unlike both.
    """
    if count == 1 or not len(tracks):
        return tracks
    number = len(divided[0]) // _MOST  # of tracks
    before, later = divided[0].take(tracks + (count - 1) * number), divided[1].take(tracks + (count - 2) * number)
    first = stack.single(count).take(tracks)
    was, became = (model.place(form, first) + model.paired_shape(form, first, moved=False) for form in (before, later))
    return tracks[became >= was]


def _odds(
    divided: tuple[Forms, Forms], looks: tuple[Looks, Looks], gone: tuple[Forms, Looks], hours: float, model: Model
) -> Floats:
    """Log odds that so many of a track's latest sightings are not its own, in the order of `Stack.divided`.

    -inf where they are too few. All numbers of sightings are worked out at once: a number of a track is one row, and
    only rows of one number are weighed against each other.
    """
    before, latest = divided
    number = np.arange(len(before)) // (len(before) // _MOST)
    result = np.full(len(before), -np.inf)
    fit = np.flatnonzero((before.count > 0) & (latest.count > 0))
    if not len(fit):
        return result
    everyone = before.take(fit[number[fit] == 0])
    before, latest = before.take(fit), latest.take(fit)
    time = np.array([hours])
    looked, looks_now = (one.take(fit) for one in looks)
    own_shape = model.paired_shape(before, latest, moved=False) + model.alike_off(before, latest)
    own_look = model.by_colour(looked, looks_now, hours)
    stays = float(model.stands(time)[0]) + model.place(before, latest) + own_shape + own_look
    leaves, moves, arrives = (float(of(time)[0]) for of in (model.leaves, model.moves, model.comes))
    # Nothing else can be likelier than this. Most blocks stand, and are not looked into any further.
    comes_near = max(moves, leaves + arrives) + model.set_down(np.zeros(1))
    most = (
        comes_near
        + np.maximum(model.likeliest_shape(latest), 0.0)
        + np.where(own_look != 0, LIKELIEST_LOOK, 0.0)
        - stays
    )
    rows = np.flatnonzero(np.maximum(most, model.bad_view(latest.count) - own_shape) > _POSSIBLE)
    if not len(rows):
        return result
    fit, before, latest = fit[rows], before.take(rows), latest.take(rows)
    stays, own_shape = stays[rows], own_shape[rows]
    looked, looks_now = looked.take(rows), looks_now.take(rows)
    replaced = leaves - stays
    nearby = model.set_down(np.hypot(*(latest.values[:, [X, Y]] - before.values[:, [X, Y]]).T))
    # Another block has come here: an unknown one, one that is missing, or one that this one has changed places with.
    unknown = model.unknown_shape(latest, everyone)
    coloured = both_seen(looked, looks_now)
    unknown = arrives + np.diag(model.replacing_shape(before, latest, unknown, time, len(everyone), coloured=coloured))
    shape = model.shape(before, latest, moved=True) + model.by_colour(looked, looks_now)
    # (row, column): the block of the row is at the place of the column. On the diagonal it was lifted itself, and
    # set down beside its place, or turned.
    together = number[fit][:, None] == number[fit][None, :]
    comes = np.where(together & (shape > _ONLY_LIKELY), moves + shape + nearby[None, :], -np.inf)
    alone = np.maximum(replaced + nearby + unknown, np.diag(comes) - stays)
    alone = np.maximum(alone, model.bad_view(latest.count) - own_shape)
    if len(gone[1]):
        missing = model.shape(gone[0], latest, moved=True) + model.by_colour(gone[1], looks_now)
        alone = np.maximum(alone, replaced + nearby + moves + missing.max(axis=0))
    gain = comes - (stays + np.maximum(alone, 0.0))[None, :]
    exchange = gain + gain.T
    np.fill_diagonal(exchange, -np.inf)
    result[fit] = np.maximum(np.maximum(alone, exchange.max(axis=1)), _in_a_cycle(gain))
    return result


def _in_a_cycle(gain: Floats) -> Floats:
    """(n,) 0 where the likeliest way to give all blocks a place moves this one, else -inf: cycles of any length."""
    worth = np.where(np.isfinite(gain), gain, -1e6)
    np.fill_diagonal(worth, 0.0)
    if (worth - np.diag(np.diag(worth))).max(initial=-1e6) <= 0:
        return np.full(len(gain), -np.inf)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return np.where(rows == columns, -np.inf, 0.0)
