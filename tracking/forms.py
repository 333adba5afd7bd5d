"""Where blocks stand and how large they are, as means of what was measured of them.

A form is six numbers: centre (x, y), long and short side, height (metres), direction of
the long side (radians, modulo pi). Sides and direction are those of the rectangle that has
the footprint's second moments of area: they change little where a corner is measured wrongly,
unlike those of an enclosing rectangle.

The latest sightings of a track are kept apart from the others, for a few slots, so that a
track can be cut where it turns out that they are another block's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from fusion.types import FusedBlock
from tracking.looks import Colours, LookStack, colours_of, merged, with_colours
from tracking.parameters import TrackerParameters
from tracking.types import Form, Sighting, Track, changed

Floats = NDArray[np.float64]

X, Y, LONG, SHORT, HEIGHT, YAW = range(6)
SHAPE = slice(LONG, HEIGHT + 1)
KEPT = 4  # sightings that are kept apart
TENTHS = 10  # of the range of confidences, over which they are counted
_STAY_COUNT = 6.0
_FAR = 9.0  # squared deviations that one coordinate of a sighting counts for at most
# Standard deviations of a side and of a height of a block that is seen well, metres.
_SIDE_M, _HEIGHT_M = 0.1, 0.06
_RESTORED_COUNT = 24
_NOTHING = (0.0,) * 7  # as `_numbers` of what is not there


@dataclass(frozen=True, eq=False)
class Forms:
    """Means of measurements: (n, 6) `values`, and (n,) how many stand behind place and shape, and their claimed std.

    `low`, `high`: (n, 3) the least and the greatest of sides and height among them; what is settled counts as one.
    `squares`, `freedom`: (n,) how far the places lie from their mean: sum of squares in claimed variances, of which
    a single sighting counts for so much at most, and its degrees of freedom.
    """

    values: Floats
    count: Floats
    shape_count: Floats
    std_m: Floats
    low: Floats
    high: Floats
    squares: Floats
    freedom: Floats

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> "Forms":
        """Those rows."""
        chosen = np.asarray(rows, dtype=int)
        return Forms(*(every[chosen] for every in self._all()))

    def _all(self) -> tuple[Floats, ...]:
        return (self.values, self.count, self.shape_count, self.std_m, self.low, self.high, self.squares, self.freedom)


def sightings_of(blocks: Sequence[FusedBlock], slot: datetime, parameters: TrackerParameters) -> list[Sighting]:
    """What was measured of each block."""
    values = _measured([block.footprint for block in blocks]).tolist()
    return [
        Sighting(
            slot,
            *(x, y, long, short, yaw),
            float(block.height_m),
            max(float(block.position_std_m) or parameters.default_std_m, parameters.least_std_m),
            block.class_name,
            block.stage,
            float(block.stage_confidence),
            block.working,
            _shape_weight(block),
            colours_of(block),
        )
        for (x, y, long, short, yaw), block in zip(values, blocks, strict=True)
    ]


def _shape_weight(block: FusedBlock) -> float:
    """By the inverse of the variance: 1 where fusion states no deviation, little where a side is hardly known."""
    worst = max(*(side / _SIDE_M for side in block.sides_std_m), block.height_std_m / _HEIGHT_M)
    return float(1 / (1 + worst**2))


def forms_of(sightings: Sequence[Sighting]) -> Forms:
    """Each sighting alone."""
    return Stack([(None, (each,)) for each in sightings]).known()


def form_of(footprint: Polygon, height_m: float, std_m: float, count: int) -> Form:
    """The form of a block of which only the smoothed outline is known, by so many sightings."""
    x, y, long_m, short_m, yaw = _measured([footprint])[0].tolist()
    weight = float(min(count, _RESTORED_COUNT))
    return Form(x, y, long_m, short_m, yaw, height_m, std_m, weight, weight)


def tenth_of(confidence: float) -> int:
    """Of 0 to 1, the tenth that it lies in."""
    return min(TENTHS - 1, max(0, int(confidence * TENTHS)))


def known_forms(tracks: Sequence[Track]) -> Forms:
    """The forms of tracks, by all their sightings."""
    return stack_of(tracks).known()


def stack_of(tracks: Sequence[Track]) -> "Stack":
    """The measurements of tracks."""
    return Stack([(track.form, track.recent) for track in tracks])


class Stack:
    """Measurements of several tracks: what is settled, and the latest sightings, the last one last."""

    def __init__(self, tracks: Sequence[tuple[Form | None, tuple[Sighting, ...]]]) -> None:
        rows: list[float] = []
        weights: list[float] = []
        for form, recent in tracks:
            spare = KEPT - len(recent)
            rows += _NOTHING if form is None else _numbers(form)
            weights += (0.0, 0.0) if form is None else (form.count, form.shape_count)
            rows += _NOTHING * spare
            weights += (0.0, 0.0) * spare
            for each in recent:
                rows += _numbers(each)
                weights += (1.0, each.shape_weight)
        self._rows = np.array(rows).reshape(-1, KEPT + 1, len(_NOTHING))
        self._weights = np.array(weights).reshape(-1, KEPT + 1, 2)

    def known(self, without: int = 0) -> Forms:
        """The means without so many of the latest sightings; a count of 0 where none is left."""
        last = KEPT + 1 - without
        return _means(self._rows[:, :last], self._weights[:, :last])

    def divided(self, most: int) -> tuple[Forms, Forms]:
        """The means before the latest 1, 2, … `most` sightings, and those of them: a row for each track and number.

        All tracks with the latest one come first. A count is 0 where nothing is left, or no earlier sighting is kept.
        """
        numbers = np.arange(1, most + 1)[:, None, None]
        late = (np.arange(KEPT + 1) > KEPT - numbers)[..., None]
        enough = (self._weights[:, 1:, 0].sum(axis=1) > numbers[:, 0])[..., None, None]
        rows = np.tile(self._rows, (most, 1, 1))
        before, latest = (
            np.where(which, self._weights, 0.0).reshape(-1, *self._weights.shape[1:])
            for which in (~late, late & enough)
        )
        return _means(rows, before), _means(rows, latest)

    def single(self, back: int) -> Forms:
        """The sighting that is so many back, 1 for the latest."""
        at = slice(KEPT + 1 - back, KEPT + 2 - back)
        return _means(self._rows[:, at], self._weights[:, at])


def with_sighting(track: Track, sighting: Sighting, parameters: TrackerParameters) -> Track:
    """The track with one sighting more, the oldest of the latest ones settled."""
    recent = (*track.recent, sighting)
    settled, paint = track.form, track.paint
    if len(recent) > KEPT:
        settled = _settled(settled, recent[0], parameters.memory_slots)
        paint, recent = with_colours(paint, recent[0], stage=track.stage), recent[1:]
    return changed(track, form=settled, recent=recent, paint=paint)


def joined_form(
    before: Track, after: Track, parameters: TrackerParameters, *, moved: bool
) -> tuple[Form | None, tuple[Sighting, ...], Colours]:
    """What is settled of a block that both tracks turn out to be, its latest sightings, and its settled paint.

    Its shape is that of both; where it moved, its place is that of `after`.
    """
    paint = merged(LookStack([before]).known().colours(0), after.paint if after.stage == before.stage else {})
    if moved:
        old = _mean(before.form, before.recent)
        # Of one stay, more than a few sightings say little more about the shape: its bias stays.
        known = old and replace(old, count=0.0, shape_count=min(old.shape_count, _STAY_COUNT))
        form = _merged(known, after.form) if known and after.form else known or after.form
        return form, after.recent, paint
    track = before
    if after.form is not None:
        settled = _mean(before.form, before.recent)
        form = after.form if settled is None else _merged(settled, after.form)
        track = replace(before, form=form, recent=(), paint=paint)
    for sighting in after.recent:
        track = with_sighting(track, sighting, parameters)
    return track.form, track.recent, track.paint


def _merged(old: Form, new: Form) -> Form:
    place = new.count / max(old.count + new.count, 1e-9)
    shape = new.shape_count / max(old.shape_count + new.shape_count, 1e-9)
    turn = (new.yaw - old.yaw + np.pi / 2) % np.pi - np.pi / 2
    return Form(
        old.x + place * (new.x - old.x),
        old.y + place * (new.y - old.y),
        old.long_m + shape * (new.long_m - old.long_m),
        old.short_m + shape * (new.short_m - old.short_m),
        float((old.yaw + place * turn) % np.pi),
        old.height_m + shape * (new.height_m - old.height_m),
        old.std_m + place * (new.std_m - old.std_m),
        old.count + new.count,
        old.shape_count + new.shape_count,
    )


def _settled(form: Form | None, sighting: Sighting, most: int) -> Form:
    settled = _mean(form, (sighting,))
    assert settled is not None  # noqa: S101 - one sighting is enough
    return replace(settled, count=min(settled.count, float(most)), shape_count=min(settled.shape_count, float(most)))


def _mean(form: Form | None, sightings: Sequence[Sighting]) -> Form | None:
    """The running mean after further sightings."""
    for each in sightings:
        one = Form(
            each.x, each.y, each.long_m, each.short_m, each.yaw, each.height_m, each.std_m, 1.0, each.shape_weight
        )
        form = one if form is None else _merged(form, one)
    return form


def _numbers(one: Form | Sighting) -> tuple[float, ...]:
    return one.x, one.y, one.long_m, one.short_m, one.height_m, one.yaw, one.std_m


def _means(rows: Floats, weights: Floats) -> Forms:
    """Weighted means of (n, k, 7) numbers; directions are taken modulo pi."""
    place, shape = weights[..., 0], weights[..., 1]
    count, shape_count = place.sum(axis=1), shape.sum(axis=1)
    of_place = place / np.maximum(count, 1e-9)[:, None]
    of_shape = shape / np.maximum(shape_count, 1e-9)[:, None]
    means = np.einsum("nk,nkv->nv", of_place, rows)
    values = means[:, : YAW + 1]
    values[:, SHAPE] = np.einsum("nk,nkv->nv", of_shape, rows[..., SHAPE])
    some = rows[np.arange(len(rows)), place.argmax(axis=1), YAW] if len(rows) else np.zeros(0)
    turn = (rows[..., YAW] - some[:, None] + np.pi / 2) % np.pi - np.pi / 2
    values[:, YAW] = (some + (of_place * turn).sum(axis=1)) % np.pi
    std_m = np.where(count > 0, means[:, YAW + 1], 1.0)
    some_of = (shape > 0)[..., None]
    low = np.where(some_of, rows[..., SHAPE], np.inf).min(axis=1, initial=np.inf)
    high = np.where(some_of, rows[..., SHAPE], -np.inf).max(axis=1, initial=-np.inf)
    apart = rows[..., : Y + 1] - values[:, None, : Y + 1]
    squares = place[..., None] * (apart / np.maximum(rows[..., YAW + 1 :], 1e-9)) ** 2
    freedom = 2 * np.maximum((place > 0).sum(axis=1) - 1, 0)
    return Forms(
        values, count, shape_count, std_m, low, high, np.minimum(squares, _FAR).sum(axis=(1, 2)), freedom.astype(float)
    )


def _measured(footprints: Sequence[Polygon]) -> Floats:
    """(n, 5): centre, long and short side, direction of the long side; by Green's theorem."""
    if not footprints:
        return np.zeros((0, 5))
    rings = shapely.get_exterior_ring(np.asarray(footprints, dtype=object))
    points, owner = shapely.get_coordinates(rings, return_index=True)
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    origin = points[first]
    local = points - origin[owner]
    inside = np.flatnonzero(owner[:-1] == owner[1:])
    (x0, y0), (x1, y1) = local[inside].T, local[inside + 1].T
    cross, of = x0 * y1 - x1 * y0, owner[inside]

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(of, weights=values * cross, minlength=len(footprints)))

    area = total(np.ones_like(x0)) / 2
    area = np.where(np.abs(area) < 1e-9, 1e-9, area)
    cx, cy = total(x0 + x1) / (6 * area), total(y0 + y1) / (6 * area)
    xx = total(x0 * x0 + x0 * x1 + x1 * x1) / (12 * area) - cx**2
    yy = total(y0 * y0 + y0 * y1 + y1 * y1) / (12 * area) - cy**2
    xy = total(x0 * y1 + 2 * x0 * y0 + 2 * x1 * y1 + x1 * y0) / (24 * area) - cx * cy
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    long, short = np.sqrt(12 * np.maximum(middle + half, 1e-9)), np.sqrt(12 * np.maximum(middle - half, 1e-9))
    yaw = (np.arctan2(2 * xy, xx - yy) / 2) % np.pi
    return np.column_stack([cx + origin[:, 0], cy + origin[:, 1], long, short, yaw])
