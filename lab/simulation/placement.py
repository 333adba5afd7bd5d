"""Where a block may stand: inside one working area, clear of its neighbours."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon, box

from bays import BayConfig
from lab.simulation.objects import SimulatedBlock, rectangle

MIN_CLEARANCE_M = 0.8
_AREA_MARGIN_M = 0.45  # from the block to the border of its area: two margins are more than the clearance
_TRIES = 60

# class -> ((width), (depth), (height)) in metres, from the smallest to the largest.
DIMENSIONS = {
    "panel": ((8.0, 14.0), (6.0, 10.0), (0.6, 1.5)),
    "block": ((8.0, 16.0), (6.0, 12.0), (2.5, 6.0)),
    "HP_block": ((8.0, 14.0), (6.0, 10.0), (4.0, 8.0)),
}


@dataclass(frozen=True)
class Site:
    """A rectangle that blocks may stand in; `area` names it in the bay's layout."""

    area: str | None
    x: tuple[float, float]
    y: tuple[float, float]


@dataclass(frozen=True)
class Pose2D:
    """A place for a block: centre (metres), yaw (degrees) and the site it belongs to."""

    center: tuple[float, float]
    yaw_deg: float
    site: Site


class Floor:
    """The sites of a bay, and the search for a free place on them."""

    def __init__(self, bay: BayConfig) -> None:
        self._bay = bay
        areas = bay.layout.areas
        work = {name: area for name, area in areas.items() if area.tracked}
        # An area that holds another is no site of its own: a block across the inner
        # border would belong to either, depending on who names it.
        self.sites = tuple(
            Site(name, area.x, area.y)
            for name, area in work.items()
            if not any(
                other != name
                and area.x[0] <= inner.x[0]
                and inner.x[1] <= area.x[1]
                and area.y[0] <= inner.y[0]
                and inner.y[1] <= area.y[1]
                for other, inner in work.items()
            )
        )
        if not areas:
            self.sites = (Site(None, (0.0, bay.layout.width), (0.0, bay.layout.height)),)
        self._forbidden = [
            box(area.x[0], area.y[0], area.x[1], area.y[1]) for area in areas.values() if not area.tracked
        ]

    def area_at(self, x: float, y: float) -> str | None:
        """Name of the smallest area that holds the point; None where there is none."""
        holding = [
            ((area.x[1] - area.x[0]) * (area.y[1] - area.y[0]), name)
            for name, area in self._bay.layout.areas.items()
            if area.x[0] <= x <= area.x[1] and area.y[0] <= y <= area.y[1]
        ]
        return min(holding)[1] if holding else None

    def free_place(
        self,
        rng: np.random.Generator,
        size: tuple[float, float],
        blocks: Iterable[SimulatedBlock],
        closed: Sequence[Polygon] = (),
        not_in: str | None = None,
    ) -> Pose2D | None:
        """A free place for a footprint of that (width, depth), or None when none was found.

        `closed` is floor that is not to be used again yet; `not_in` an area to leave out.
        """
        standing = np.array([block.footprint for block in blocks], dtype=object)
        shut = np.array([*closed, *self._forbidden], dtype=object)
        sites = [site for site in self.sites if site.area is None or site.area != not_in]
        for pose, clearance in self._candidates(rng, size, sites):
            outline = Polygon(rectangle(pose.center, pose.yaw_deg, *size))
            if shut.size and shapely.intersects(outline, shut).any():
                continue
            if not standing.size or shapely.distance(outline, standing).min() >= clearance + 1e-6:
                return pose
        return None

    def _candidates(
        self, rng: np.random.Generator, size: tuple[float, float], sites: Sequence[Site]
    ) -> Iterator[tuple[Pose2D, float]]:
        """Places to try with the clearance that they want, the pleasant ones first."""
        if not sites:
            return
        for attempt in range(_TRIES):
            # With room to walk around at first; along the borders, as in a yard that saves floor, then anywhere.
            clearance = MIN_CLEARANCE_M + (1.0 if attempt < _TRIES // 2 else 0.0)
            site = sites[int(rng.integers(len(sites)))]
            snug = rng.random() < 0.8
            share = rng.random(2)
            if snug:
                share = np.where(rng.random(2) < 0.5, share * 0.08, 1 - share * 0.08)
            pose = self._pose(site, size, _yaw(rng, turned=bool(rng.random() < 0.35)), share)
            if pose is not None:
                yield pose, clearance
        corners = [(site, turned, x, y) for site in sites for turned in (False, True) for x in (0, 1) for y in (0, 1)]
        for index in rng.permutation(len(corners)):
            site, turned, x, y = corners[int(index)]
            pose = self._pose(site, size, _yaw(rng, turned=turned), np.array([x, y], dtype=float))
            if pose is not None:
                yield pose, MIN_CLEARANCE_M

    def _pose(self, site: Site, size: tuple[float, float], yaw: float, share: NDArray[np.float64]) -> Pose2D | None:
        """The place at that (x, y) share of the room that the site leaves to the footprint's centre."""
        half = np.abs(rectangle((0.0, 0.0), yaw, *size)).max(axis=0) + _AREA_MARGIN_M
        low = np.array([site.x[0], site.y[0]]) + half
        high = np.array([site.x[1], site.y[1]]) - half
        if (low > high).any():
            return None
        x, y = np.round(low + share * (high - low), 3)
        return Pose2D((float(x), float(y)), yaw, site) if self.area_at(x, y) == site.area else None


def draw_size(rng: np.random.Generator, class_name: str, reach: float = 1.0) -> tuple[float, float, float]:
    """Width, depth and height of a new block, metres; `reach` under 1 keeps to the smaller ones."""
    (w0, w1), (d0, d1), (h0, h1) = DIMENSIONS[class_name]
    w, d, h = rng.random(3)
    return (
        round(w0 + w * reach * (w1 - w0), 1),
        round(d0 + d * reach * (d1 - d0), 1),
        round(h0 + h * (h1 - h0), 2),
    )


def _yaw(rng: np.random.Generator, *, turned: bool) -> float:
    """A few degrees off the hall's direction, or off the one across it."""
    return round(float(np.clip(rng.normal(0.0, 2.2), -6.0, 6.0)) + (90.0 if turned else 0.0), 2)
