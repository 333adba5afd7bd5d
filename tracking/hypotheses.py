"""What may have become of the tracks that are gone from their place, and where new ones come from.

Ends are confirmed tracks that this slot did not show at their place, those whose floor no
camera saw, and blocks that left the bay of late. Begins are tentative tracks. An end stands
and is missed, has left the bay, or goes on in a begin: it stands there after all, was seen
badly, or was lifted there. A begin that goes on from no end is a new block or a false detection.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from tracking.explanation import Explanation, explain
from tracking.forms import SHAPE, Forms, X, Y, known_forms
from tracking.looks import both_seen, looks_of
from tracking.matching import cover, overlaps
from tracking.model import Model
from tracking.types import Track, TrackStatus

Floats = NDArray[np.float64]

STANDS, BAD_VIEW, MOVES = "stands", "bad view", "moves"
_WAYS = (STANDS, BAD_VIEW, MOVES)
_NEW, _FALSE, _EXITED, _MISSED = "new", "false", "exited", "missed"
_NEVER_LEFT = np.log(0.02)  # share of the exits that were reported and are none
_BADLY_PLACED = -np.log(4.0)  # log density of the centre of a bad view: a few square metres
_DISPLACED = -4.0  # log probability of standing unseen where something else is seen
_LIKELY = 0.5
_ALIKE_M = 0.5  # within which sides and heights may be one block's
_WITHIN = 0.9  # share of an outline that lies in another of which it is a part
_TOLD = 0.02  # probability from which on an alternative is named


@dataclass(frozen=True)
class Claim:
    """What is believed of an end or a begin.

    Attributes:
        what: `stands`, `bad view` or `moves` of a pair; `new` or `false` of a begin, `exited` or `missed` of an end.
        probability: of it, 0 to 1.
        alternatives: what else is possible: a track's id or one of these words, the likeliest first.
        track: the other track of a pair.
        initial: whether a new block most likely stood in the bay from the beginning, and was missed.
        away: whether a block that was lifted was most likely out of the bay in between.
    """

    what: str
    probability: float
    alternatives: tuple[tuple[str, float], ...] = ()
    track: Track | None = None
    initial: bool = False
    away: bool = False

    def said(self) -> dict[str, Any]:
        """What an event that rests on it says of it."""
        return {"probability": round(self.probability, 3), "alternatives": self.alternatives}


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Ends and begins of a slot, and what is believed of them."""

    ends: tuple[Track, ...]
    begins: tuple[Track, ...]
    explanation: Explanation
    ways: NDArray[np.int64]
    alone_ends: Floats  # (ends, 2) log probabilities: exited, missed
    alone_begins: Floats  # (begins, 2): new, false
    initial: NDArray[np.bool_]
    away: NDArray[np.bool_]  # (ends, begins)

    def of_begin(self, begin: Track) -> Claim:
        """What a tentative track is most likely."""
        column = self._begin(begin)
        shares = _shares(self.alone_begins[column]) * self.explanation.unpaired_begin(column)
        options = {_NEW: shares[0], _FALSE: shares[1]}
        options |= {end.track_id: self.explanation.pairs[row, column] for row, end in enumerate(self.ends)}
        row = next((end for end, of in self.explanation.likeliest.items() if of == column), None)
        if row is None:
            what = _NEW if options[_NEW] >= options[_FALSE] else _FALSE
            return Claim(what, float(options[what]), _others(options, what), initial=bool(self.initial[column]))
        chosen = self.ends[row]
        way = _WAYS[int(self.ways[row, column])]
        away = bool(self.away[row, column])
        return Claim(way, float(options[chosen.track_id]), _others(options, chosen.track_id), chosen, away=away)

    def as_new(self, begin: Track) -> Claim:
        """What is believed of a tentative track as a block of its own."""
        column = self._begin(begin)
        options = {end.track_id: self.explanation.pairs[row, column] for row, end in enumerate(self.ends)}
        share = _shares(self.alone_begins[column])[0] * self.explanation.unpaired_begin(column)
        return Claim(_NEW, float(share), _others(options, _NEW))

    def is_likely_new(self, begin: Track) -> bool:
        """Whether a tentative track that was seen in this slot is more likely a new block than anything else."""
        if begin.status is not TrackStatus.TENTATIVE or begin.misses:
            return False
        claim = self.of_begin(begin)
        return claim.what == _NEW and claim.probability > _LIKELY

    def of_end(self, end: Track) -> Claim:
        """What became most likely of a track that is gone from its place."""
        row = next(index for index, one in enumerate(self.ends) if one.track_id == end.track_id)
        shares = _shares(self.alone_ends[row]) * self.explanation.unpaired_end(row)
        options = {_EXITED: shares[0], _MISSED: shares[1]}
        options |= {begin.track_id: self.explanation.pairs[row, column] for column, begin in enumerate(self.begins)}
        if row in self.explanation.likeliest:
            column = self.explanation.likeliest[row]
            name = self.begins[column].track_id
            return Claim(_WAYS[int(self.ways[row, column])], float(options[name]), _others(options, name))
        what = _EXITED if options[_EXITED] > options[_MISSED] else _MISSED
        return Claim(what, float(options[what]), _others(options, what))

    def likeliest(self) -> Iterator[tuple[str, str, Claim]]:
        """Pairs of the likeliest explanation: id of the end, id of the begin, and what is believed of it."""
        for row, column in self.explanation.likeliest.items():
            yield self.ends[row].track_id, self.begins[column].track_id, self.of_begin(self.begins[column])

    def lifted(self) -> dict[str, str]:
        """Id of the end that was most likely lifted there, by id of the begin."""
        return {
            begin: end for end, begin, claim in self.likeliest() if claim.what == MOVES and claim.probability > _LIKELY
        }

    def _begin(self, begin: Track) -> int:
        return next(index for index, one in enumerate(self.begins) if one.track_id == begin.track_id)


def weigh(tracks: Sequence[Track], slot: datetime, began: datetime | None, model: Model) -> Hypotheses:
    """All ends and begins of a slot, weighed against each other.

    Args:
        tracks: after the slot's association.
        slot: aware.
        began: the bay's first slot; None where this is it.
        model: of the bay.
    """
    tentative = [track for track in tracks if track.status is TrackStatus.TENTATIVE]
    begins = tuple(track for track in tentative if not _was_passed(track, tentative, model))
    ends = tuple(track for track in tracks if _is_end(track)) if begins else tuple(filter(_is_missing, tracks))
    others = [track for track in tracks if track.status is not TrackStatus.TENTATIVE]
    forms, at = known_forms(tracks), {track.track_id: number for number, track in enumerate(tracks)}
    known, seen, everyone = (forms.take([at[one.track_id] for one in some]) for some in (ends, begins, others))
    overlap = overlaps([end.footprint for end in ends], [begin.footprint for begin in begins])
    same_place = overlap >= model.parameters.min_overlap

    alone_ends = _alone_ends(ends, slot, np.asarray(same_place.any(axis=1), dtype=bool), model)
    landing = _landing(known, seen, same_place, model)
    hours = np.array([model.hours(begin.not_before, begin.standing_since) for begin in begins])
    unknown = model.unknown_shape(seen, everyone)
    one_shape = model.unlike_each_other(seen)
    coloured = both_seen(looks_of(ends), looks_of(begins))
    arrival = _arrival((known, seen), same_place, unknown, hours, len(everyone), coloured=coloured, model=model)
    new = model.comes(hours) + arrival + one_shape
    before = _before_the_beginning(begins, began, len(tracks), unknown, model)
    false = model.false(seen_slots(begins)) + model.anywhere + model.any_shape(seen, everyone)
    false = false + model.false_confidence(begins) + one_shape
    alone_begins = np.column_stack([np.logaddexp(new, before), false]).reshape(-1, 2)

    ways, away = _pairs(ends, begins, (known, seen), landing, slot=slot, model=model, same_place=same_place)
    ways[2] += one_shape
    for row, column in _passing_views(ends, begins):
        alone_begins[column, 1] = np.logaddexp(alone_begins[column, 1], ways[1, row, column])
        ways[1, row, column] = -np.inf
    both = np.logaddexp.reduce(alone_ends, axis=1)[:, None] + np.logaddexp.reduce(alone_begins, axis=1)[None, :]
    total = np.logaddexp.reduce(ways, axis=0)
    return Hypotheses(
        ends,
        begins,
        explain(total - both),
        ways.argmax(axis=0),
        alone_ends,
        alone_begins,
        before > new,
        away,
    )


def seen_slots(tracks: Sequence[Track]) -> Floats:
    """Sightings of each."""
    return np.array([float(track.hits) for track in tracks])


def _was_passed(track: Track, tentative: Sequence[Track], model: Model) -> bool:
    """Whether a tentative track that was seen but briefly may be where the block of a later one was on its way."""
    if not track.misses or track.hits >= model.parameters.confirm_slots:
        return False
    later = [one for one in tentative if not one.misses and one.first_seen > track.last_seen]
    apart = np.abs(known_forms(later).values[:, SHAPE] - known_forms([track]).values[:, SHAPE])
    return bool((apart <= _ALIKE_M).all(axis=1).any())


def _passing_views(ends: Sequence[Track], begins: Sequence[Track]) -> Iterator[tuple[int, int]]:
    """Ends, each with a begin that was cut off from it and is seen no longer: it may have gone on from either."""
    for column, begin in enumerate(begins):
        for row, end in enumerate(ends):
            if begin.misses and begin.doubts == end.track_id:
                yield row, column


def _is_missing(track: Track) -> bool:
    return track.status in (TrackStatus.MISSED, TrackStatus.LEAVING)


def _is_end(track: Track) -> bool:
    return _is_missing(track) or track.status in (TrackStatus.UNOBSERVED, TrackStatus.EXITED)


def _alone_ends(ends: Sequence[Track], slot: datetime, displaced: NDArray[np.bool_], model: Model) -> Floats:
    """(ends, 2) log probability of having left the bay, and of standing at the place, missed."""
    hours = np.array([model.hours(end.last_seen, slot) for end in ends])
    # It left before the first slot that missed it: had it left later, it would have been missed before as well.
    until_missed = np.array([model.hours(end.last_seen, end.missed_since or slot) for end in ends])
    misses = np.array([float(end.misses) for end in ends])
    absent = np.array([end.status is TrackStatus.EXITED for end in ends], dtype=bool)
    exited = np.where(absent, 0.0, model.exits(until_missed))
    missed = model.stands(hours) + model.missed(misses) + np.where(displaced, _DISPLACED, 0.0)
    return np.column_stack([exited, np.where(absent, -np.inf, missed)]).reshape(-1, 2)


def _landing(known: Forms, seen: Forms, same_place: NDArray[np.bool_], model: Model) -> Floats:
    """(begins,) log density of a centre: near that of a block that has left, or anywhere."""
    if not len(known):
        return np.full(len(seen), model.anywhere)
    apart = np.linalg.norm(known.values[:, None, [X, Y]] - seen.values[None, :, [X, Y]], axis=-1)
    return np.asarray(np.where(same_place, model.set_down(apart), model.anywhere).max(axis=0))


def _arrival(
    forms: tuple[Forms, Forms],
    same_place: NDArray[np.bool_],
    unknown: Floats,
    hours: Floats,
    blocks: int,
    *,
    coloured: NDArray[np.bool_],
    model: Model,
) -> Floats:
    """(begins,) log density of centre and shape of a block that comes: where one has left, or anywhere."""
    known, seen = forms
    anywhere = model.anywhere + unknown
    if not len(known):
        return anywhere
    apart = np.linalg.norm(known.values[:, None, [X, Y]] - seen.values[None, :, [X, Y]], axis=-1)
    there = model.set_down(apart) + model.replacing_shape(known, seen, unknown, hours, blocks, coloured=coloured)
    return np.asarray(np.where(same_place, there, anywhere).max(axis=0))


def _before_the_beginning(
    begins: Sequence[Track], began: datetime | None, blocks: int, unknown: Floats, model: Model
) -> Floats:
    """(begins,) log of the expected number of such blocks that stood in the bay's first slot, and were missed."""
    early = np.array([begin.not_before == began for begin in begins], dtype=bool)
    missed = np.log(max(blocks, 1)) + model.missed(np.ones(len(begins)))
    return np.asarray(np.where(early, missed + model.anywhere + unknown, -np.inf))


def _pairs(
    ends: Sequence[Track],
    begins: Sequence[Track],
    forms: tuple[Forms, Forms],
    landing: Floats,
    *,
    slot: datetime,
    same_place: NDArray[np.bool_],
    model: Model,
) -> tuple[Floats, NDArray[np.bool_]]:
    """(3, ends, begins) log likelihood of each way in which an end goes on in a begin: stands, bad view, moves.

    And (ends, begins) whether one that moves was most likely out of the bay in between.
    """
    known, seen = forms
    ways = np.full((3, len(ends), len(begins)), -np.inf)
    if not ends or not begins:
        return ways, np.zeros(ways.shape[1:], dtype=bool)
    hours = np.array([[model.hours(end.last_seen, begin.standing_since) for begin in begins] for end in ends])
    left = np.array([model.hours(end.last_seen, end.missed_since or slot) for end in ends])
    aloft = np.array([[float(end.misses - begin.hits - begin.misses) for begin in begins] for end in ends])
    apart = np.array([[begin.first_seen > end.last_seen for begin in begins] for end in ends], dtype=bool)
    absent = np.array([[end.status is TrackStatus.EXITED] for end in ends], dtype=bool)
    reads = model.reads(ends, begins)
    # What left the bay is back within the time in which the begin came, whenever it left.
    within = np.array([model.hours(begin.not_before, begin.standing_since) for begin in begins])
    gone = [end.missed_since or slot for end in ends]
    absence = np.array([[model.hours(since, begin.standing_since) for begin in begins] for since in gone])
    returns = model.returns(absence, within[None, :])
    lifted, away = _lifted(left, hours, aloft, returns, model)
    lifted = np.where(absent, returns, lifted)
    ways[2] = lifted + landing[None, :] + model.shape(known, seen, moved=True) + reads
    rows, columns = np.nonzero(same_place & apart)
    pairs = known.take(rows), seen.take(columns)
    stays = np.where(absent, _NEVER_LEFT, model.stands(hours)) + model.reads(ends, begins, hours)
    stays = stays[rows, columns]
    placed = pairs[0].count > 0
    place = np.where(placed, model.place(*pairs), model.anywhere)
    alike_off = model.alike_off(*pairs)
    ways[0, rows, columns] = stays + place + model.paired_shape(*pairs, moved=False) + alike_off
    ways[2, rows, columns] += alike_off
    partly = [
        _is_part(ends[int(row)].footprint, begins[int(column)].footprint)
        for row, column in zip(rows, columns, strict=True)
    ]
    # The one of the two that was seen less often is the bad view: a track may begin with one.
    fewer = np.minimum(seen_slots(ends)[rows], seen_slots(begins)[columns])
    badly = stays + _BADLY_PLACED + model.bad_view(fewer) + model.same_height(*pairs)
    ways[1, rows, columns] = np.where(np.array(partly, dtype=bool), badly, -np.inf)
    return np.where(apart[None], ways, -np.inf), away


def _lifted(
    left: Floats, hours: Floats, slots: Floats, returns: Floats, model: Model
) -> tuple[Floats, NDArray[np.bool_]]:
    """(ends, begins) log probability of a lift from place to place, and whether the block was likely out of the bay.

    It left before the first slot that missed it, and hung in the crane in the slots between, or was out of the bay in
    these; or it was overlooked in them, and was lifted in the last one.
    """
    between = np.maximum(slots, 0.0)
    hung = model.moves(left)[:, None] + model.aloft(between)
    out = np.where(between > 0, model.exits(left)[:, None] + returns, -np.inf)
    missed = model.missed(between.ravel()).reshape(between.shape)
    later = np.where(between > 0, missed + model.moves(hours / (between + 1)), -np.inf)
    away = (model.aloft(between) == model.aloft(np.array(np.inf))) & (np.logaddexp(hung, out) > later)
    return np.logaddexp(np.logaddexp(hung, out), later), away


def _is_part(first: Polygon, second: Polygon) -> bool:
    """Whether one outline lies within the other."""
    return max(cover(first, second), cover(second, first)) >= _WITHIN


def _shares(values: Floats) -> Floats:
    top = np.exp(values - values.max())
    return np.asarray(top / top.sum())


def _others(options: dict[str, float], chosen: str) -> tuple[tuple[str, float], ...]:
    rest = [(name, round(float(share), 3)) for name, share in options.items() if name != chosen and share >= _TOLD]
    return tuple(sorted(rest, key=lambda one: (-one[1], one[0])))
