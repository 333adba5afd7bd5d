"""Upright prisms over polygon plans, and how an outline's points lie about their silhouettes.

The silhouette of a prism is what its walls and its top cover together. Its outline
consists of projected edges: of the base, of the top, and upright ones. Each point of an
observed outline is compared with the edge that is nearest to it, so that the distance
and its change with every vertex follow in closed form.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import shapely

from fusion.upright_box import Bools, Floats, Ints, Views, project

OWN = -1  # see `SidedPlan`
_SHORTEST_PX = 1e-6
_PARALLEL = 1e-6  # sine of the least angle between sides that meet


class Plan(Protocol):
    """A family of polygon plans: how its ring follows from its parameters."""

    def ring(self, parameters: Floats) -> Floats:
        """(n, 2) vertices, metres."""

    def slopes(self, parameters: Floats) -> Floats:
        """(n, 2, p) change of the vertices with each parameter."""


@dataclass(frozen=True)
class FreePlan:
    """Any polygon of n vertices; its parameters are their coordinates."""

    count: int

    def ring(self, parameters: Floats) -> Floats:
        """(n, 2) vertices, metres."""
        return parameters.reshape(self.count, 2)

    def slopes(self, parameters: Floats) -> Floats:
        """(n, 2, p) change of the vertices with each parameter."""
        return np.eye(len(parameters)).reshape(self.count, 2, len(parameters))


@dataclass(frozen=True)
class RightAngledPlan:
    """A polygon whose n sides stand at right angles: box, L, T, U.

    Its parameters are the direction of the even sides' normals (radians), then every
    side's distance from `origin` (2,) along its normal, metres.
    """

    origin: Floats

    def ring(self, parameters: Floats) -> Floats:
        """(n, 2) vertices, metres; vertex i lies between sides i - 1 and i."""
        even, odd = self._distances(parameters[1:])
        along, across = _axes(parameters[0])
        return np.asarray(self.origin + even[:, None] * along + odd[:, None] * across)

    def slopes(self, parameters: Floats) -> Floats:
        """(n, 2, p) change of the vertices with each parameter."""
        sides = len(parameters) - 1
        even, odd = self._distances(parameters[1:])
        along, across = _axes(parameters[0])
        slopes = np.zeros((sides, 2, sides + 1))
        slopes[:, :, 0] = even[:, None] * across - odd[:, None] * along
        vertex = np.arange(sides)
        before = (vertex - 1) % sides
        slopes[vertex, :, 1 + np.where(vertex % 2 == 0, vertex, before)] = along
        slopes[vertex, :, 1 + np.where(vertex % 2 == 0, before, vertex)] = across
        return slopes

    @staticmethod
    def _distances(sides: Floats) -> tuple[Floats, Floats]:
        """(n,) distances of the even and of the odd side that meet at each vertex."""
        before, is_even = np.roll(sides, 1), np.arange(len(sides)) % 2 == 0
        return np.where(is_even, sides, before), np.where(is_even, before, sides)


@dataclass(frozen=True)
class SidedPlan:
    """A polygon of n sides, some of them at right angles to each other: trapezoid, octagon, box with a slanted corner.

    Its parameters are a direction (radians), then every side's distance from `origin` (2,) along its normal,
    metres, then the directions of the normals of those sides that have one of their own.

    Attributes:
        origin: (2,) metres.
        turns: (n,) 0 of a side whose normal has the common direction, 1 of one at a right angle to it,
            `OWN` of a side that has its own.
    """

    origin: Floats
    turns: Ints

    def ring(self, parameters: Floats) -> Floats:
        """(n, 2) vertices, metres; vertex i lies between sides i - 1 and i."""
        normal, distance = self._sides(parameters)
        return np.asarray(self.origin + np.einsum("nij,nj->ni", *_corners(normal, distance)))

    def slopes(self, parameters: Floats) -> Floats:
        """(n, 2, p) change of the vertices with each parameter."""
        count = len(self.turns)
        normal, distance = self._sides(parameters)
        to_vertex, pair = _corners(normal, distance)
        vertex = np.einsum("nij,nj->ni", to_vertex, pair)
        along = np.column_stack([-normal[:, 1], normal[:, 0]])
        column = np.where(self.turns == OWN, count + np.cumsum(self.turns == OWN), 0)
        slopes = np.zeros((count, 2, len(parameters)))
        around = np.arange(count)
        for which, side in ((0, (around - 1) % count), (1, around)):
            slopes[around, :, 1 + side] += to_vertex[:, :, which]
            # A side that turns about the origin comes nearer to the vertex, or goes away from it.
            turned = -(along[side] * vertex).sum(axis=1)
            slopes[around, :, column[side]] += to_vertex[:, :, which] * turned[:, None]
        return slopes

    def _sides(self, parameters: Floats) -> tuple[Floats, Floats]:
        """(n, 2) unit normals and (n,) distances."""
        count = len(self.turns)
        angle = parameters[0] + np.pi / 2 * self.turns
        angle[self.turns == OWN] = parameters[1 + count :]
        return np.column_stack([np.cos(angle), np.sin(angle)]), parameters[1 : 1 + count]


@dataclass(frozen=True)
class Sides:
    """Points of outlines beside the nearest edges of a prism's silhouettes.

    Attributes:
        distance: (v, k) pixels, negative inside the silhouette.
        normal: (v, k, 2) unit normals of the edges, pointing to where distances grow.
        to_ring: (v, k, n, 2) change of the distances with every vertex of the plan, pixels per metre.
        to_height: (v, k) change with the height.
    """

    distance: Floats
    normal: Floats
    to_ring: Floats
    to_height: Floats


def prism_silhouettes(ring: Floats, height: float, views: Views) -> np.ndarray:
    """(v,) silhouettes of the prism over the (n, 2) ring, in ideal pixels, frames not applied."""
    return _covered(ring, _projected(ring, height, views))


def beside(ring: Floats, height: float, pixels: Floats, views: Views) -> Sides:
    """Compare (v, k, 2) points with the silhouettes of the prism in v views."""
    count = len(ring)
    projected = _projected(ring, height, views)
    points = np.concatenate([projected[:, 0], projected[:, 1]], axis=1)  # (v, 2n, 2): base, then top
    around = np.arange(count)
    start = np.concatenate([around, around + count, around])
    end = np.concatenate([np.roll(around, -1), np.roll(around, -1) + count, around + count])
    edge, inside = _nearest_edges(_covered(ring, projected), points[:, start], points[:, end], pixels)
    view = np.arange(len(pixels))[:, None]
    first, second = start[edge], end[edge]
    a, b = points[view, first], points[view, second]
    side = b - a
    length = np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), _SHORTEST_PX)
    normal = np.stack([side[..., 1], -side[..., 0]], axis=-1) / length
    distance = ((pixels - a) * normal).sum(axis=-1)
    turned = np.where((distance > 0) == inside, -1.0, 1.0)
    normal, distance = normal * turned[..., None], distance * turned
    share = np.clip(((pixels - a) * side).sum(axis=-1) / length[..., 0] ** 2, 0.0, 1.0)
    moved = _pixels_per_metre(ring, height, views)
    to_ring, to_height = np.zeros((*distance.shape, count, 2)), np.zeros(distance.shape)
    column = np.arange(pixels.shape[1])
    for vertex, weight in ((first, 1 - share), (second, share)):
        slope = -weight[..., None] * np.einsum("vki,vkij->vkj", normal, moved[view, vertex])
        to_ring[view, column, vertex % count] += slope[..., :2]
        to_height += np.where(vertex >= count, slope[..., 2], 0.0)
    return Sides(distance, normal, to_ring, to_height)


def _corners(normal: Floats, distance: Floats) -> tuple[Floats, Floats]:
    """(n, 2, 2) from the distances of the sides that meet at each vertex to that vertex, and (n, 2) these distances."""
    before = np.roll(normal, 1, axis=0)
    cross = before[:, 0] * normal[:, 1] - before[:, 1] * normal[:, 0]
    cross = np.where(np.abs(cross) < _PARALLEL, _PARALLEL, cross)[:, None]
    first, second = np.column_stack([normal[:, 1], -normal[:, 0]]), np.column_stack([-before[:, 1], before[:, 0]])
    return np.stack([first / cross, second / cross], axis=2), np.column_stack([np.roll(distance, 1), distance])


def _axes(yaw: float) -> tuple[Floats, Floats]:
    return np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])


def _solid(ring: Floats, height: float) -> Floats:
    """(2, n, 3): base, then top."""
    return np.stack([np.column_stack([ring, np.full(len(ring), z)]) for z in (0.0, height)])


def _projected(ring: Floats, height: float, views: Views) -> Floats:
    """(v, 2, n, 2) pixels of base and top."""
    each = np.stack([np.arange(len(views.focal))] * 2, axis=1)
    solid = np.broadcast_to(_solid(ring, height), (len(each), 2, len(ring), 3))
    return project(solid, views.take(each))


def _covered(ring: Floats, projected: Floats) -> np.ndarray:
    """(v,) what walls and top cover together."""
    if _is_convex(ring):
        return np.asarray(shapely.convex_hull(shapely.multipoints(projected.reshape(len(projected), -1, 2))))
    low, high = projected[:, 0], projected[:, 1]
    walls = np.stack([low, np.roll(low, -1, axis=1), np.roll(high, -1, axis=1), high], axis=2)
    faces = np.asarray(shapely.convex_hull(shapely.multipoints(walls)))
    tops = np.asarray(shapely.make_valid(shapely.polygons(high)))
    return np.asarray(shapely.union_all(np.concatenate([faces, tops[:, None]], axis=1), axis=1))


def _is_convex(ring: Floats) -> bool:
    side = np.roll(ring, -1, axis=0) - ring
    after = np.roll(side, -1, axis=0)
    bend = side[:, 0] * after[:, 1] - side[:, 1] * after[:, 0]
    return bool((bend >= 0).all() or (bend <= 0).all())


def _nearest_edges(covered: np.ndarray, start: Floats, end: Floats, pixels: Floats) -> tuple[Ints, Bools]:
    """(v, k) the edge on which the outline is nearest to each point, and whether the point lies inside."""
    shapely.prepare(covered)
    inside = shapely.contains_xy(covered[:, None], pixels[..., 0], pixels[..., 1])
    lines = shapely.shortest_line(shapely.boundary(covered)[:, None], shapely.points(pixels))
    nearest = shapely.get_coordinates(lines)[::2].reshape(pixels.shape)
    return _distances(nearest, start, end).argmin(axis=-1), np.asarray(inside)


def _distances(points: Floats, start: Floats, end: Floats) -> Floats:
    """(v, k, e) squared distances of (v, k, 2) points from (v, e, 2) to (v, e, 2) line segments."""
    side = (end - start)[:, None]
    square = np.maximum((side**2).sum(axis=-1), _SHORTEST_PX**2)
    offset = points[:, :, None] - start[:, None]
    share = np.clip((offset * side).sum(axis=-1) / square, 0.0, 1.0)
    apart = offset - share[..., None] * side
    return np.asarray((apart**2).sum(axis=-1))


def _pixels_per_metre(ring: Floats, height: float, views: Views) -> Floats:
    """(v, 2n, 2, 3) change of the pixels of base and top with a move in space."""
    points = _solid(ring, height).reshape(-1, 3)
    camera = np.einsum("vij,vnj->vni", views.rotation, points[None] - views.position[:, None])
    depth = camera[..., 2:]
    slope = views.rotation[:, None, :2] - (camera[..., :2] / depth)[..., None] * views.rotation[:, None, 2:]
    return np.asarray(slope / depth[..., None] * views.focal[:, None, None, None])
