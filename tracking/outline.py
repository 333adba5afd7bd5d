"""The outline of a standing block, from many measurements of it.

Each measurement is weighted by its inverse variance, as a Kalman filter of a block
that does not move would. The past weighs at most as much as `memory_slots`
measurements, so that the outline cannot become deaf to what is measured now.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from bays import TrackerParameters
from fusion.types import FusedBlock

# Of a block's mean side. A footprint of which a corner is farther off is another view of the block: no corners pair.
_SAME_CORNER = 0.3


@dataclass(frozen=True, eq=False)
class Outline:
    """Footprint (metres, floor frame), height (metres), and standard deviation of the centre (metres)."""

    footprint: Polygon
    height_m: float
    std_m: float


def outline_of(block: FusedBlock, parameters: TrackerParameters) -> Outline:
    """One measurement; a standard deviation of 0 is one that fusion did not give."""
    std = float(block.position_std_m) or parameters.default_std_m
    return Outline(block.footprint, float(block.height_m), max(std, parameters.least_std_m))


def smooth(known: Sequence[Outline], measured: Sequence[Outline], parameters: TrackerParameters) -> list[Outline]:
    """What is known of each block after one more measurement of it, pairs in order."""
    least = [theirs.std_m / math.sqrt(parameters.memory_slots) for theirs in measured]
    stds = [max(ours.std_m, std) for ours, std in zip(known, least, strict=True)]
    spreads = [math.hypot(std, theirs.std_m) for std, theirs in zip(stds, measured, strict=True)]
    gains = [(std / spread) ** 2 if spread else 1.0 for std, spread in zip(stds, spreads, strict=True)]
    footprints = _blend([one.footprint for one in known], [one.footprint for one in measured], np.array(gains))
    return [
        Outline(footprint, ours.height_m + gain * (theirs.height_m - ours.height_m), std * theirs.std_m / spread)
        if spread
        else theirs
        for ours, theirs, footprint, gain, std, spread in zip(
            known, measured, footprints, gains, stds, spreads, strict=True
        )
    ]


def _blend(known: Sequence[Polygon], measured: Sequence[Polygon], gains: NDArray[np.float64]) -> list[Polygon]:
    """Move each of `known` towards `measured` by its gain: by corners, or as a whole where these do not pair."""
    result: list[Polygon | None] = [None] * len(known)
    ours, theirs = np.asarray(known, dtype=object), np.asarray(measured, dtype=object)
    counts = shapely.get_num_coordinates(ours)
    whole = (shapely.get_num_interior_rings(ours) == 0) & (shapely.get_num_interior_rings(theirs) == 0)
    whole &= counts == shapely.get_num_coordinates(theirs)
    for count in np.unique(counts[whole]):
        rows = np.flatnonzero(whole & (counts == count))
        for row, blended in zip(*_by_corners(ours[rows], theirs[rows], gains[rows]), strict=True):
            result[rows[row]] = blended
    return [
        _as_a_whole(known[row], measured[row], float(gains[row])) if blended is None else blended
        for row, blended in enumerate(result)
    ]


def _by_corners(
    known: NDArray[np.object_], measured: NDArray[np.object_], gains: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Of outlines with equally many corners, the rows whose corners pair, and their blended outlines."""
    ours, theirs = _corners(known), _corners(measured)
    turns = _turns(ours.shape[1])
    apart = ((theirs[:, turns] - ours[:, None]) ** 2).sum(axis=-1)
    nearest = apart.sum(axis=-1).argmin(axis=-1)
    every = np.arange(len(known))
    pair = np.flatnonzero(apart[every, nearest].max(axis=-1) <= _SAME_CORNER**2 * shapely.area(known))
    turned = theirs[pair[:, None], turns[nearest[pair]]]
    blended = shapely.polygons(ours[pair] + gains[pair, None, None] * (turned - ours[pair]))
    valid = shapely.is_valid(blended)
    return pair[valid], blended[valid]


def _as_a_whole(known: Polygon, measured: Polygon, gain: float) -> Polygon:
    base = measured if gain > 0.5 else known
    centre = (1 - gain) * _centre(known) + gain * _centre(measured)
    return shapely.transform(base, lambda points: points + (centre - _centre(base)))


@cache
def _turns(corners: int) -> NDArray[np.int64]:
    """(N, N) the indices of a ring's corners, from each of them on."""
    return np.add.outer(np.arange(corners), np.arange(corners)) % corners


def _corners(polygons: NDArray[np.object_]) -> NDArray[np.float64]:
    """(n, N, 2) metres, counter-clockwise, without the closing repetition; of polygons with equally many corners."""
    rings = shapely.get_exterior_ring(polygons)
    corners = shapely.get_coordinates(rings).reshape(len(polygons), -1, 2)[:, :-1]
    return np.where(shapely.is_ccw(rings)[:, None, None], corners, corners[:, ::-1])


def _centre(polygon: Polygon) -> NDArray[np.float64]:
    return np.asarray(shapely.get_coordinates(polygon.centroid)[0])
