"""How likely one reading of the floor is: every term of the tracker's account of the evidence.

Blocks stand for hours and are lifted between two slots, so there is no motion to
extrapolate. What speaks for an identity is the block's shape, measured to centimetres,
its place, its class and stage; what speaks against it are the other ways in which the
same floor plan can have come about. Each is a probability or a density, of lengths in
metres and of places per square metre of floor, so that all of them can be weighed against
each other. They are combined in `tracking.explanation`, for the whole floor at once.

The form follows joint probabilistic data association (Fortmann, Bar-Shalom and Scheffe
1983, "Sonar tracking of multiple targets using joint probabilistic data association"),
with tracks that begin and end as in Musicki and Evans 2004 ("Joint integrated
probabilistic data association"). Deviations have heavy tails: Student's t, six degrees of
freedom, since a part of the measurements is far worse than what is claimed.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from tracking.captures import Captures
from tracking.forms import HEIGHT, LONG, SHAPE, SHORT, TENTHS, YAW, Forms, X, Y, tenth_of
from tracking.looks import Looks, looks_of, steps, unlikeness
from tracking.parameters import TrackerParameters
from tracking.types import Rates, Track

Floats = NDArray[np.float64]

_TAIL = 6.0  # degrees of freedom of Student's t
_NORM = math.lgamma((_TAIL + 1) / 2) - math.lgamma(_TAIL / 2) - 0.5 * math.log(_TAIL * math.pi)
_ALIKE_M = 0.03  # standard deviation by which all sightings of a side or a height are wrong alike
_RANGE = 4.0  # standard deviations over which the sightings of one block may spread
_MOST_ALIKE = 4.0  # sightings that count, of those that are off alike: one cause may last
_SIZES_M3 = 560.0  # range of long side x short side x height over which unknown blocks are spread
_OWN_CLAIM = 4.0  # deviations that what is known of all blocks counts for against a block's own
_JIG_STD_M, _SPOT_STD_M = 0.25, 1.5  # how exactly a block is set down where another has left
_LIKE_OTHERS = 0.7  # share of the unknown blocks that are of a size that is usual in the bay
_SIDE_SPREAD_M, _HEIGHT_SPREAD = 1.2, 0.25  # how widely: metres, and share of the height
_YAW_STD = 0.02  # radians
_LEAST_STAND = 0.05  # a block may stand through any closure
_ADVANCES = 0.2  # of the blocks that are lifted, those that are seen at a later stage afterwards
CHANGES_PER_HOUR = 0.04  # share of the blocks that stand which reach their next stage within an hour
_OTHER_STAGES = 3  # over which misreadings spread
# By how much the colours of one block that stands are off, of one that was lifted, and of two of one stage, in CIELAB
# units: measured on rendered frames through the shipped models (`inference/weights/README.md`).
_STOOD_PAINT, _MOVED_PAINT, _OTHER_PAINT = 1.0, 1.25, 3.3
_OTHER_TAIL = 2.0  # degrees of freedom: colours of blocks are of a few kinds
_ALIKE_PAINT = 2.5  # by which all views of one block may be off alike: light, what stands on it or before it
_REPAINTED = 1e-5  # chance that a block looks like another one though its stage is the same
_MISREAD_PAINT = 0.1  # of the misreadings of a stage, those of which the colour is another one too
_JIG_TWINS = 0.2  # of the blocks that come to where another has left, those of its size: jigs are set for a shape
_NEVER = 1e-300
LIKELIEST_LOOK = math.log(4 * (_OTHER_PAINT / _STOOD_PAINT) ** 2)  # no look can be likelier, against any
SHIFT_HOURS = 2.0  # for which a bay stays as busy as it is
_SHIFT_LIFTS = 2.0  # that the mean of day and night stands for; blocks are lifted in shifts, hardly at night
RUN_PRIOR = 6.0  # slots that what is known of runs at the very beginning stands for
_UNKNOWN = 4.0  # sightings that what is known of confidences at the very beginning stands for
_AS_HIGH, _HEIGHTS_M = 0.8, 8.0  # share of the bad views that show the block's height; range of the heights of others
_ALOFT, _AWAY = 0.2, 0.006  # share of the lifts that show a block at neither place for a slot more, and the least
_RETURN_HOURS = 6.0  # in which half of the blocks that come back are back
_MOVES = 0.6  # of the blocks that leave their place, those that go to another one of the bay


class Model:
    """The terms, for one bay, one slot and what was learned so far.

    Args:
        rates: what was learned.
        parameters: the bay's.
        floor_m2: floor of the bay, square metres.
        captures: when the frames of slots were taken.
    """

    def __init__(
        self, rates: Rates, parameters: TrackerParameters, floor_m2: float, captures: Captures | None = None
    ) -> None:
        self.rates = rates  # the scatter is learned within a slot
        self.parameters = parameters
        self.anywhere = -math.log(max(floor_m2, 1.0))
        self.any_size = -math.log(_SIZES_M3)
        self.captures = captures or Captures()
        self.hours = self.captures.hours

    # -- what a block does ---------------------------------------------------------------

    def busy_hours(self, hours: Floats) -> Floats:
        """Hours of a bay as busy as the mean of day and night that bring as much as the latest so many hours.

        How busy it is has a gamma distribution about 1, narrowed by the lifts of late (a doubly stochastic Poisson
        process, Cox 1955); it goes back to 1 over `SHIFT_HOURS`, so that a night or a closure counts as itself.
        """
        busy = (_SHIFT_LIFTS + self.rates.lifts) / (_SHIFT_LIFTS + self.rates.lifts_expected)
        return np.asarray(hours - (busy - 1) * SHIFT_HOURS * np.expm1(-np.maximum(hours, 0.0) / SHIFT_HOURS))

    def stands(self, hours: Floats) -> Floats:
        """Log probability that a block is still at its place after so long."""
        expected = self.rates.leave_per_hour * self.busy_hours(hours)
        return np.asarray(np.log(np.maximum(np.exp(-expected), _LEAST_STAND)))

    def leaves(self, hours: Floats) -> Floats:
        """Log probability that it is not."""
        stays = np.minimum(np.exp(self.stands(hours)), 1 - 1e-6)
        return np.asarray(np.log1p(-stays))

    def moves(self, hours: Floats) -> Floats:
        """Log probability that it has gone to another place of the bay."""
        return self.leaves(hours) + math.log(_MOVES)

    def aloft(self, slots: Floats) -> Floats:
        """Log probability that a lifted block is seen at neither place for so many slots: in the crane, or away."""
        return np.asarray(np.maximum(np.maximum(slots, 0.0) * math.log(_ALOFT), math.log(_AWAY)))

    def exits(self, hours: Floats) -> Floats:
        """Log probability that it has left the bay."""
        return self.leaves(hours) + math.log(1 - _MOVES)

    def returns(self, away: Floats, within: Floats) -> Floats:
        """Log probability that a block comes back so many hours after it left the bay, within the last of these.

        Turned over or painted, blocks come back within hours; one that is long gone hardly does (a Pareto tail).
        """
        away = np.maximum(away, within) + 1e-3
        before = away - np.maximum(within, 1e-3)
        share = min(1.0, _RETURN_HOURS * self.parameters.return_per_hour)
        return np.asarray(np.log(share * (_still_away(before) - _still_away(away))))

    def comes(self, hours: Floats) -> Floats:
        """Log of the expected number of blocks that come to the bay within so long."""
        return np.asarray(np.log(self.rates.come_per_hour * self.busy_hours(np.maximum(hours, 1e-3))))

    # -- what cameras do -----------------------------------------------------------------

    def missed(self, slots: Floats) -> Floats:
        """Log probability that a block that stands is not found in so many slots in a row.

        However well the mean is known, no run is like another: a crane before a block stays for an hour, a bad view for
        a slot. And long runs, which end as exits, are learned too seldom.
        """
        first, again = math.log(self.rates.missed), math.log(self.rates.missed_again)
        on = _goes_on(self.rates.missed_on, 0.0, slots - 2)
        return np.asarray(np.where(slots > 0, first, 0.0) + np.where(slots > 1, again, 0.0) + on)

    def false(self, slots: Floats) -> Floats:
        """Log of the expected number of false detections of a slot that are seen in so many slots."""
        return np.asarray(
            math.log(self.rates.false) + _goes_on(self.rates.false_again, self.rates.false_slots, slots - 1)
        )

    def false_confidence(self, begins: Sequence[Track]) -> Floats:
        """(n,) log of how much likelier a false detection is than a block to have such a confidence, as learned."""
        nothing = [0.0] * TENTHS
        blocks = np.array(self.rates.block_confidences or nothing)
        false = np.array(self.rates.false_confidences or nothing)
        of_blocks = (blocks + _UNKNOWN / TENTHS) / (blocks.sum() + _UNKNOWN)
        # Until some are known, false detections are half like blocks, half like anything.
        expected = (of_blocks + 1 / TENTHS) / 2
        of_false = (false + _UNKNOWN * expected) / (false.sum() + _UNKNOWN)
        tenths = [tenth_of(begin.confidence) for begin in begins]
        return np.asarray(np.log(of_false / of_blocks)[tenths])

    # -- what is measured ----------------------------------------------------------------

    def _scatter(self) -> Floats:
        """(3,) standard deviation of one measurement of long side, short side and height."""
        return np.array([self.rates.side_m, self.rates.side_m, self.rates.height_m])

    def shape(self, known: Forms, seen: Forms, *, moved: bool) -> Floats:
        """(known, seen) log density of the seen sides and heights, if it is that block."""
        counts = 1 / known.shape_count[:, None] + 1 / seen.shape_count[None, :]
        return self._shape(seen.values[None, :, SHAPE] - known.values[:, None, SHAPE], counts, moved)

    def paired_shape(self, known: Forms, seen: Forms, *, moved: bool) -> Floats:
        """(n,) the same, pairs in order.

        Where the block moved, other cameras see it, from another side: a bias is added to the scatter.
        """
        counts = 1 / known.shape_count + 1 / seen.shape_count
        return self._shape(seen.values[:, SHAPE] - known.values[:, SHAPE], counts, moved)

    def alike_off(self, known: Forms, seen: Forms) -> Floats:
        """(n,) log of how much less likely deviations that recur are than `paired_shape` says; pairs in order.

        That holds a mean, whose tail is of a single sighting that is far off. Where even the nearest ones of both are,
        each counts.
        """
        least = np.maximum(np.maximum(seen.low - known.high, known.low - seen.high), 0.0)
        spread = self._scatter() ** 2 * (1 + 1 / known.shape_count[:, None]) + _ALIKE_M**2
        again = np.clip(np.minimum(known.shape_count, seen.shape_count), 1.0, _MOST_ALIKE) - 1
        return np.asarray(-again * (_TAIL + 1) / 2 * np.log1p(least**2 / (_TAIL * spread)).sum(axis=-1))

    def unlike_each_other(self, seen: Forms) -> Floats:
        """(n,) log of how much less likely sightings of one block differ as these do, than as the scatter has it.

        Of two bad views of a standing block that may be so; what came, or was lifted there, has one shape.
        """
        scatter = self._scatter()
        spread = np.where(seen.shape_count[:, None] > 0, seen.high - seen.low, 0.0)
        beyond = np.maximum(spread - _RANGE * scatter, 0.0)
        return np.asarray(-(_TAIL + 1) / 2 * np.log1p(beyond**2 / (2 * _TAIL * scatter**2)).sum(axis=-1))

    def likeliest_shape(self, seen: Forms) -> Floats:
        """(n,) the log density of the same that no known block, moved or not, can exceed."""
        return self._shape(np.zeros((len(seen), 3)), 1 / seen.shape_count, False)

    def _shape(self, apart: Floats, counts: Floats, moved: bool) -> Floats:
        bias = self.parameters.bias_m**2 if moved else 0.0
        spread = self._scatter() ** 2 * counts[..., None] + bias
        # One logarithm of three factors, not three: there may be a pair for each two blocks of a bay.
        tail = np.log((1 + apart**2 / (_TAIL * spread)).prod(axis=-1))
        return np.asarray(3 * _NORM - 0.5 * np.log(spread.prod(axis=-1)) - (_TAIL + 1) / 2 * tail)

    def place(self, known: Forms, seen: Forms) -> Floats:
        """(n,) log density of the seen centre and direction, if the block stands; pairs in order."""
        spread = self._claim(known, seen) * (known.std_m**2 / known.count + seen.std_m**2 / seen.count)
        spread = spread + self.parameters.slack_m**2
        apart = seen.values[:, [X, Y]] - known.values[:, [X, Y]]
        centre = _log_t(apart, spread[:, None]).sum(axis=-1)
        lever = np.abs(known.values[:, LONG] - known.values[:, SHORT]) / 2
        turned = np.sin(seen.values[:, YAW] - known.values[:, YAW]) * lever
        spread = ((_YAW_STD * lever) ** 2 + self.rates.side_m**2) * (1 / known.count + 1 / seen.count)
        # Relative to its mode: of a direction nothing is known otherwise either.
        return np.asarray(centre + _log_t(turned, spread) - _log_t(np.zeros_like(turned), spread))

    def _claim(self, known: Forms, seen: Forms) -> Floats:
        """(n,) true over claimed variance of the places: as all blocks have it, or more where these scatter more.

        How well a block is seen depends on where it stands, and is alike as long as it stands there: what is known of
        its variance is the scaled inverse chi squared posterior of its own sightings, with the bay's as the prior.
        """
        squares = _OWN_CLAIM * self.rates.claim + known.squares + seen.squares
        return np.maximum(squares / (_OWN_CLAIM + known.freedom + seen.freedom), self.rates.claim)

    def plan_deviation(self, known: Forms, seen: Forms) -> Floats:
        """(n,) by how much centre or a side is off at the most, in standard deviations, if the block stands."""
        place = self._claim(known, seen) * (known.std_m**2 / known.count + seen.std_m**2 / seen.count)
        place = np.sqrt(place + self.parameters.slack_m**2)
        side = self.rates.side_m * np.sqrt(1 / known.shape_count + 1 / seen.shape_count)
        apart = np.abs(seen.values - known.values)[:, [X, Y, LONG, SHORT]]
        return np.asarray((apart / np.column_stack([place, place, side, side])).max(axis=1))

    def set_down(self, distance_m: Floats) -> Floats:
        """Log density of the centre of a block set down where another has left, by its distance from that one's."""
        share = self.parameters.reuse_share
        exact, near = (
            math.log(share / 2) - math.log(2 * math.pi * std**2) - distance_m**2 / (2 * std**2)
            for std in (_JIG_STD_M, _SPOT_STD_M)
        )
        return np.asarray(np.logaddexp(np.logaddexp(exact, near), self.anywhere))

    def any_shape(self, seen: Forms, others: Forms) -> Floats:
        """(seen,) log density of sides and height of any block: spread widely about those of the bay's, and beyond."""
        beyond = np.full(len(seen), self.any_size + math.log(1 - _LIKE_OTHERS))
        if not len(others):
            return beyond
        width = np.column_stack(
            [np.full((len(others), 2), _SIDE_SPREAD_M), _HEIGHT_SPREAD * others.values[:, HEIGHT] + 0.1]
        )
        apart = (seen.values[None, :, SHAPE] - others.values[:, None, SHAPE]) / width[:, None]
        density = -0.5 * (apart**2).sum(axis=-1) - np.log(width * math.sqrt(2 * math.pi)).sum(axis=-1)[:, None]
        return np.asarray(np.logaddexp(beyond, math.log(_LIKE_OTHERS / len(others)) + _log_sum(density, axis=0)))

    def unknown_shape(self, seen: Forms, others: Forms) -> Floats:
        """(seen,) the same of a block that is not known so far: any, or a twin of one that is known."""
        anything = math.log(1 - self.parameters.twin_share) + self.any_shape(seen, others)
        if not len(others):
            return np.asarray(anything)
        alike = _log_sum(self.shape(others, seen, moved=True), axis=0) - math.log(len(others))
        return np.asarray(np.logaddexp(anything, math.log(self.parameters.twin_share) + alike))

    def replacing_shape(
        self, left: Forms, seen: Forms, unknown: Floats, hours: Floats, blocks: int, *, coloured: NDArray[np.bool_]
    ) -> Floats:
        """(left, seen) log density of sides and height of a block that comes to where another has left.

        A twin comes to one of all the places that are left: after a night these are many. Where no camera saw the
        colours of both, nothing could ever tell the twin from the block, and none is assumed.

        Args:
            left: blocks that left.
            seen: blocks that came.
            unknown: `unknown_shape` of these.
            hours: (seen,) or () within which they came.
            blocks: that stood before.
            coloured: (left, seen) whether a camera saw the colours of both.
        """
        twins = np.where(coloured, _JIG_TWINS / np.maximum(blocks * np.exp(self.leaves(hours)), 1.0), 0.0)
        alike = np.log(np.maximum(twins, _NEVER)) + self.shape(left, seen, moved=True)
        return np.asarray(np.logaddexp(np.log1p(-twins) + unknown, alike))

    def bad_view(self, sightings: Floats) -> Floats:
        """Log density of a shape that is not the block's, seen so many times: a part of it, or two in one.

        Bad views differ from each other; that these do not speaks against them.
        """
        alike = -np.log(self._scatter() * math.sqrt(4 * math.pi)).sum()
        again = math.log(self.parameters.bad_view) + self.any_size - alike
        return np.asarray(math.log(self.parameters.bad_view) + self.any_size + (sightings - 1) * again)

    def same_height(self, known: Forms, seen: Forms) -> Floats:
        """(n,) log of how much likelier the seen height is in a bad view of the known block than any; pairs in order.

        A view of a part of a block, or of two in one, is mostly as high as the block.
        """
        variance = self.rates.height_m**2 * (1 / known.shape_count + 1 / seen.shape_count) + self.parameters.bias_m**2
        alike = _log_t(seen.values[:, HEIGHT] - known.values[:, HEIGHT], variance) + math.log(_AS_HIGH * _HEIGHTS_M)
        return np.asarray(np.logaddexp(alike, math.log(1 - _AS_HIGH)))

    def reads(self, known: Sequence[Track], seen: Sequence[Track], stood_hours: Floats | None = None) -> Floats:
        """(known, seen) log likelihood ratio of class and looks as read of the one, for a block known as the other.

        Against a block of any class and looks. `stood_hours`: see `looks`.
        """
        wrong = self.parameters.class_misread
        same_class = _equal([t.class_name for t in known], [t.class_name for t in seen])
        of_class = np.where(same_class, math.log(3 * (1 - wrong)), math.log(1.5 * wrong))
        return np.asarray(of_class + self.looks(looks_of(known), looks_of(seen), stood_hours))

    def looks(
        self,
        known: Looks,
        seen: Looks,
        stood_hours: Floats | float | None = None,
        *,
        paired: bool = False,
    ) -> Floats:
        """(known, seen), or (n,) of pairs in order: log likelihood ratio of stage and paint for a block of that look.

        Readings of one block err alike: two of a stage count at most. A block that is lifted is often at its next
        stage; while it stands, for `stood_hours` (known, seen), it reaches that but once in a day. At another stage it
        is painted otherwise, like any block; what makes a stage misread may change the colour as well.
        """
        apart, views = unlikeness(known, seen, paired=paired)
        return self._looks(known, seen, stood_hours, apart, views, paired=paired)

    def by_colour(self, known: Looks, seen: Looks, stood_hours: float | None = None) -> Floats:
        """The same where a camera saw the colours of both, else 0; of pairs in order where the block stood.

        A stage alone is no reason to doubt a block: its readings are counted first (`tracking.evidence`).
        """
        paired = stood_hours is not None
        if not (known.cameras and seen.cameras):
            return np.zeros(len(known) if paired else (len(known), len(seen)))
        apart, views = unlikeness(known, seen, paired=paired)
        return np.where(views > 0, self._looks(known, seen, stood_hours, apart, views, paired=paired), 0.0)

    def _looks(
        self,
        known: Looks,
        seen: Looks,
        stood_hours: Floats | float | None,
        apart: Floats,
        views: Floats,
        *,
        paired: bool,
    ) -> Floats:
        misread = self.rates.misread
        step = steps(known, seen, self.parameters.stages, paired=paired)
        readings = np.clip(seen.readings, 1.0, 2.0)
        on: Floats | float = _ADVANCES
        if stood_hours is not None:
            on = np.minimum(_ADVANCES, CHANGES_PER_HOUR * stood_hours)
        paint = _paint(apart, views, moved=stood_hours is None)
        erred = (misread / _OTHER_STAGES) ** readings * (_MISREAD_PAINT + (1 - _MISREAD_PAINT) * paint)
        ahead = np.log(4 * (on ** np.maximum(np.nan_to_num(step), 1.0) / 2 + erred))
        back, same = np.log(4 * erred), np.log(4 * (1 - on - misread) * paint)
        unknown = np.log((1 - on) * paint + on)
        return np.asarray(np.select([np.isnan(step), step == 0, step > 0], [unknown, same, ahead], back))


def _paint(apart: Floats, views: Floats, *, moved: bool) -> Floats:
    """Likelihood ratio of so unlike colours in so many views, for one block against any two of one stage.

    1 where they are not known. Two-dimensional Student's t; what recurs in more than one view counts again, as in
    `Model.alike_off`.
    """
    same = _MOVED_PAINT if moved else _STOOD_PAINT
    squares = np.nan_to_num(apart) ** 2
    alike = (1 + squares / (_TAIL * same**2)) ** (-(_TAIL + 2) / 2) / same**2
    again = (1 + squares / (_TAIL * _ALIKE_PAINT**2)) ** (-(np.clip(views, 1.0, _MOST_ALIKE) - 1) * (_TAIL + 2) / 2)
    other = (1 + squares / (_OTHER_TAIL * _OTHER_PAINT**2)) ** (-(_OTHER_TAIL + 2) / 2) / _OTHER_PAINT**2
    return np.asarray(np.where(np.isnan(apart), 1.0, np.maximum(alike * again / other, _REPAINTED)))


def _still_away(hours: Floats) -> Floats:
    """Of the blocks that come back, the share that has not yet."""
    return np.asarray(1 / (1 + hours / _RETURN_HOURS))


def _goes_on(share: float, known: float, slots: Floats) -> Floats:
    """Log probability that a run goes on for so many slots more, each with that share.

    The share is known no better than by the `known` slots that it was learned from: it has a beta distribution, and
    each slot more makes the next one likelier (beta-binomial, or Polya's urn: runs have heavy tails).
    """
    known += RUN_PRIOR
    on, more = share * known, np.maximum(slots, 0.0)
    return np.asarray(gammaln(on + more) - gammaln(on) - gammaln(known + more) + gammaln(known))


def _equal(first: Sequence[str], second: Sequence[str]) -> NDArray[np.bool_]:
    return np.asarray(np.asarray(first, dtype=object)[:, None] == np.asarray(second, dtype=object)[None, :], dtype=bool)


def _log_t(deviation: Floats, variance: Floats) -> Floats:
    return np.asarray(_NORM - 0.5 * np.log(variance) - (_TAIL + 1) / 2 * np.log1p(deviation**2 / (_TAIL * variance)))


def _log_sum(values: Floats, axis: int) -> Floats:
    top = values.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(values - top).sum(axis=axis)) + np.squeeze(top, axis=axis))
