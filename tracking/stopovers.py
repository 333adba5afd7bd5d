"""A place at which a block was seen too briefly to be believed, on its way to another.

A track is believed after some sightings. A block that is lifted again before that leaves a
tentative track behind, which is a false detection or the block's stopover: its shape tells.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tracking.forms import known_forms
from tracking.model import Model
from tracking.types import Track, TrackStatus

Floats = NDArray[np.float64]


def stopover(begin: Track, before: Track | None, tracks: Sequence[Track], model: Model) -> Track | None:
    """The tentative track in which the block of another was seen before, for less than is believed by itself.

    Args:
        begin: what the block goes on as, by now believed.
        before: the track that it goes on from; None of a new block.
        tracks: all of the slot.
        model: of the bay.
    """
    found = [track for track in tracks if _may_be(track, begin, before, model)]
    if not found:
        return None
    odds = _odds(found, begin, [track for track in tracks if track.status is not TrackStatus.TENTATIVE], before, model)
    certain = model.parameters.certain
    best = int(odds.argmax())
    return found[best] if odds[best] > math.log(certain / (1 - certain)) else None


def _may_be(track: Track, begin: Track, before: Track | None, model: Model) -> bool:
    if track.status is not TrackStatus.TENTATIVE or not track.misses or track.last_seen >= begin.first_seen:
        return False
    if before is None:
        return track.hits >= model.parameters.confirm_slots
    # On its own former floor it was measured badly.
    return track.first_seen > before.last_seen and track.doubts != before.track_id


def _odds(found: Sequence[Track], begin: Track, others: Sequence[Track], before: Track | None, model: Model) -> Floats:
    """(found,) log odds that it is the block, against a false detection and against another block that left."""
    known, seen, everyone = known_forms(found), known_forms([begin]), known_forms(others)
    hours = np.array([model.hours(track.last_seen, begin.standing_since) for track in found])
    hits = np.array([float(track.hits) for track in found])
    same = model.moves(hours) + (model.shape(known, seen, moved=True) + model.reads(found, [begin]))[:, 0]
    false = model.false(hits) + model.any_shape(known, everyone)
    if before is not None:
        return np.asarray(same - false)
    slot = np.full(1, 1 / 6)
    came, alone = model.comes(slot) + model.unknown_shape(known, everyone), model.unknown_shape(seen, everyone)
    apart = np.logaddexp(false, came + model.exits(hours)) + model.comes(hours) + alone
    return np.asarray(came + same - apart)
