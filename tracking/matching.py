"""Which sighting lies at the place of which track: an assignment problem, solved by `scipy.optimize`.

Only places are paired here. Whether what stands at a track's place is still that track's
block is asked afterwards, by `tracking.doubt` and `tracking.explanation`.
"""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from shapely import Polygon

from tracking.forms import Forms
from tracking.looks import looks_at, looks_of
from tracking.model import Model
from tracking.types import Sighting, Track

Floats = NDArray[np.float64]

_WORST = -60.0  # log likelihood below which one misfit is as good as another


def match_places(
    tracks: Sequence[Track],
    known: Forms,
    footprints: Sequence[Polygon],
    seen: Forms,
    *,
    sightings: Sequence[Sighting],
    least: Floats,
    hours: float,
    model: Model,
) -> dict[int, int]:
    """Pair tracks with sightings that overlap them, by how well place, shape and colour fit.

    Args:
        tracks: those that have not exited.
        known: their forms.
        footprints: of the sightings.
        seen: their forms.
        sightings: all that was measured.
        least: for each sighting, the overlap from which it lies at a track's place.
        hours: since the slot before.
        model: of the bay.

    Returns:
        Index of the sighting by index of the track.
    """
    if not tracks or not footprints:
        return {}
    overlap = overlaps([track.footprint for track in tracks], footprints)
    rows, columns = np.nonzero((overlap >= least) & (overlap > 0))
    if not len(rows):
        return {}
    fit = np.zeros(overlap.shape)
    pairs = known.take(rows), seen.take(columns)
    worth = model.place(*pairs) + model.paired_shape(*pairs, moved=False)
    if any(sighting.paint for sighting in sightings):
        worth += model.by_colour(looks_of(tracks).take(rows), looks_at(sightings).take(columns), hours)
    # A little for overlap, where two fit equally badly.
    fit[rows, columns] = np.maximum(worth, _WORST) - _WORST + 1 + overlap[rows, columns]
    chosen = linear_sum_assignment(fit, maximize=True)
    return {int(row): int(column) for row, column in zip(*chosen, strict=True) if fit[row, column] > 0}


def cover(shape: Polygon, other: Polygon) -> float:
    """Share of `other`'s floor that `shape` covers."""
    return float(shape.intersection(other).area / max(other.area, 1e-9))


def overlaps(first: Sequence[Polygon], second: Sequence[Polygon]) -> Floats:
    """(len(first), len(second)): how much footprints overlap, 0 to 1.

    Intersection over union; or, where that is larger, four fifths of the share of the
    smaller footprint that the other covers: a block of which only a part was seen is
    still at its place.
    """
    result = np.zeros((len(first), len(second)))
    if not first or not second:
        return result
    left, right = np.asarray(first, dtype=object), np.asarray(second, dtype=object)
    columns, rows = shapely.STRtree(left).query(right, predicate="intersects")
    shared = shapely.area(shapely.intersection(left[rows], right[columns]))
    left_area, right_area = shapely.area(left[rows]), shapely.area(right[columns])
    union = np.maximum(left_area + right_area - shared, 1e-9)
    smaller = np.maximum(np.minimum(left_area, right_area), 1e-9)
    result[rows, columns] = np.maximum(shared / union, 0.8 * shared / smaller)
    return result
