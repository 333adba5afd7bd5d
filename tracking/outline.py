"""The outline of a standing block, from many measurements of it.

Each measurement is weighted by its inverse variance, as a Kalman filter of a block
that does not move would. The past weighs at most as much as `memory_slots`
measurements, so that the outline cannot become deaf to what is measured now.
"""

import math
from dataclasses import dataclass

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


def smooth(known: Outline, measured: Outline, parameters: TrackerParameters) -> Outline:
    """What is known of a block after one more measurement of it."""
    known_std = max(known.std_m, measured.std_m / math.sqrt(parameters.memory_slots))
    spread = math.hypot(known_std, measured.std_m)
    if spread == 0:
        return measured
    gain = (known_std / spread) ** 2
    return Outline(
        _blend(known.footprint, measured.footprint, gain),
        known.height_m + gain * (measured.height_m - known.height_m),
        known_std * measured.std_m / spread,
    )


def _blend(known: Polygon, measured: Polygon, gain: float) -> Polygon:
    """Move `known` towards `measured` by `gain`: corner by corner, or as a whole where corners do not pair."""
    ours, theirs = _corners(known), _corners(measured)
    if len(ours) == len(theirs) and not (known.interiors or measured.interiors):
        turns = np.add.outer(np.arange(len(ours)), np.arange(len(ours))) % len(ours)
        apart = ((theirs[turns] - ours) ** 2).sum(axis=-1)
        nearest = int(apart.sum(axis=-1).argmin())
        if apart[nearest].max() <= _SAME_CORNER**2 * known.area:
            blended = Polygon(ours + gain * (theirs[turns[nearest]] - ours))
            if blended.is_valid:
                return blended
    base = measured if gain > 0.5 else known
    centre = (1 - gain) * _centre(known) + gain * _centre(measured)
    return shapely.transform(base, lambda points: points + (centre - _centre(base)))


def _corners(polygon: Polygon) -> NDArray[np.float64]:
    """(N, 2) metres, counter-clockwise, without the closing repetition."""
    ring = polygon.exterior
    corners = np.asarray(shapely.get_coordinates(ring)[:-1])
    return corners if shapely.is_ccw(ring) else corners[::-1]


def _centre(polygon: Polygon) -> NDArray[np.float64]:
    return np.asarray(shapely.get_coordinates(polygon.centroid)[0])
