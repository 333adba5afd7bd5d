"""Where a block of the floor lies on the bay's areas."""

import math

import shapely
from shapely.geometry.base import BaseGeometry

from bays import BayConfig
from legacy.records import FloorBlock

# Both sides see a block that stands on the edge of an area a little elsewhere.
_SURELY_TRACKED = 0.7


def footprint(block: FloorBlock) -> shapely.Polygon:
    """The outline on the floor, metres."""
    c, s = math.cos(math.radians(block.yaw)), math.sin(math.radians(block.yaw))
    a, b = block.length / 2, block.width / 2
    return shapely.Polygon(
        [(block.x + c * u - s * v, block.y + s * u + c * v) for u, v in ((-a, -b), (a, -b), (a, b), (-a, b))]
    )


class TrackedFloor:
    """The floor whose blocks tracking follows; the turn-over area, the aisle and the outside are none of it."""

    def __init__(self, bay: BayConfig) -> None:
        areas = [(shapely.box(a.x[0], a.y[0], a.x[1], a.y[1]), a.tracked) for a in bay.layout.areas.values()]
        floor: BaseGeometry = shapely.Polygon()
        for rectangle, is_tracked in sorted(areas, key=lambda one: -one[0].area):  # the smallest has the last word
            floor = floor.union(rectangle) if is_tracked else floor.difference(rectangle)
        self._floor = floor
        shapely.prepare(self._floor)

    def surely_holds(self, block: FloorBlock) -> bool:
        """Whether so much of a block stands on it that both sides must have it."""
        outline = footprint(block)
        if self._floor.contains(outline):
            return True
        return bool(self._floor.intersection(outline).area >= _SURELY_TRACKED * outline.area)
