"""The outline of a standing block, from many measurements of it.

Each measurement is weighted by its inverse variance, as a Kalman filter of a block
that does not move would. The standard deviation has a lower bound, so that the past
weighs no more than a handful of slots and the outline cannot become deaf to what is
measured now.
"""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from tracking.parameters import TrackerParameters

# A footprint that overlaps the known one less is another view of the block: its corners have no partners there.
_SAME_SHAPE_IOU = 0.5


@dataclass(frozen=True, eq=False)
class Outline:
    """Footprint (metres, floor frame), height (metres), and standard deviation of the centre (metres)."""

    footprint: Polygon
    height_m: float
    std_m: float


def smooth(known: Outline, measured: Outline, parameters: TrackerParameters) -> Outline:
    """What is known of a block after one more measurement of it."""
    known_std = max(known.std_m, parameters.least_std_m)
    measured_std = max(measured.std_m, parameters.least_std_m)
    spread = math.hypot(known_std, measured_std)
    if known.footprint.centroid.distance(measured.footprint.centroid) > parameters.shift_sigmas * spread:
        # Pushed a little, or worse known than claimed: either way the latest is what there is.
        return Outline(measured.footprint, measured.height_m, measured_std)
    if spread == 0:
        return measured
    gain = (known_std / spread) ** 2
    return Outline(
        _blend(known.footprint, measured.footprint, gain),
        known.height_m + gain * (measured.height_m - known.height_m),
        max(known_std * measured_std / spread, parameters.least_std_m),
    )


def _blend(known: Polygon, measured: Polygon, gain: float) -> Polygon:
    """Move `known` towards `measured` by `gain`: corner by corner, or as a whole where corners do not pair."""
    known_corners, measured_corners = _corners(known), _corners(measured)
    union = known.union(measured).area
    same = union > 0 and known.intersection(measured).area >= _SAME_SHAPE_IOU * union
    if same and len(known_corners) == len(measured_corners) and not (known.interiors or measured.interiors):
        turns = [np.roll(measured_corners, turn, axis=0) for turn in range(len(measured_corners))]
        nearest = min(turns, key=lambda corners: float(((corners - known_corners) ** 2).sum()))
        blended = Polygon(known_corners + gain * (nearest - known_corners))
        if blended.is_valid:
            return blended
    base = measured if gain > 0.5 else known
    centre = (1 - gain) * _centre(known) + gain * _centre(measured)
    return shapely.transform(base, lambda points: points + (centre - _centre(base)))


def _corners(polygon: Polygon) -> NDArray[np.float64]:
    """(N, 2) metres, counter-clockwise, without the closing repetition."""
    return np.asarray(shapely.get_coordinates(shapely.orient_polygons(polygon).exterior)[:-1])


def _centre(polygon: Polygon) -> NDArray[np.float64]:
    return np.asarray(shapely.get_coordinates(polygon.centroid)[0])
