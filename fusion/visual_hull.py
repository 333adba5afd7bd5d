"""Footprints of blocks that are not boxes.

Where several silhouettes contradict the fitted box, the footprint is carved: floor
whose upright column any camera would see in front of open view, and does not, goes
(the visual hull of Laurentini 1994, of an upright prism instead of a free solid).
Height and margin are those that then explain the silhouettes best, and the box
stays unless the prism explains them clearly better.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from fusion.agreement import agreement_of
from fusion.hypotheses import Hypotheses
from fusion.occlusion import nearer, owners
from fusion.scene import Scene
from fusion.upright_box import HEIGHT, Floats, Ints, project
from fusion.visibility import footprints

_CONTRADICTED_PX = 2.0  # mean distance between the outlines of box and silhouettes from which the box is doubted
_LEAST_CAMERAS = 3  # two masks that are both cut short would carve a box
_CLEARLY_BETTER = 0.65  # of the box's disagreement is what the prism may leave
_PROMISING = 0.9  # of it is what the first one, as high as the box, may leave to be worth improving
_ROOM_M = 2.0  # how far beyond the box the block may reach
_HEIGHT_STEP_M, _MOST_STEPS = 0.2, 4
_HIGHER_M = _HEIGHT_STEP_M * _MOST_STEPS
_MARGINS_PX = (1.0, 0.0, 3.0)
_LEVELS = (0.0, 0.5, 1.0)  # of the height, where columns are looked at
_CARVED_STD = 0.05  # of the way from the box's centre to the plan's, its standard deviation
_NARROWEST_M = 0.6  # spikes and slits narrower than this are noise
_SIMPLIFY_M = 0.15
_ABOVE_TOP_M = 1.0  # a camera must hang so far above a plane to be looked back through onto it


def fitted_plans(found: Hypotheses, std: Floats, scene: Scene) -> tuple[np.ndarray, Floats, Floats]:
    """Footprints of the boxes, and of prisms where several silhouettes contradict the box.

    Args:
        found: fitted boxes.
        std: (h,) standard deviations of their centres, metres.
        scene: all silhouettes.

    Returns:
        (h,) footprints in floor metres, (h,) heights in metres, (h,) standard deviations of the
        footprints' centres, metres.
    """
    shapes, std, heights = footprints(found.boxes), std.copy(), found.boxes[:, HEIGHT].copy()
    member = found.members >= 0
    per_pixel = shapely.length(scene.polygons) / shapely.area(scene.polygons)
    apart = np.where(member, (1 - found.agreement) / per_pixel[np.maximum(found.members, 0)], 0.0)
    apart = apart.sum(axis=1) / np.maximum(found.sizes, 1)
    owner = owners(found, scene)
    for row in np.flatnonzero((found.sizes >= _LEAST_CAMERAS) & (apart > _CONTRADICTED_PX)):
        prism = _Carving(found, scene, owner, int(row)).best()
        if prism is not None:
            std[row] = np.hypot(std[row], _CARVED_STD * shapes[row].centroid.distance(prism[0].centroid))
            shapes[row], heights[row] = prism
    return shapes, heights, std


@dataclass(frozen=True)
class _Prism:
    """An upright prism, metres, and how well it agrees with each silhouette."""

    plan: Polygon
    height: float
    agreement: Floats


class _Carving:
    """One block's silhouettes, and the prisms that they leave."""

    def __init__(self, found: Hypotheses, scene: Scene, owner: Ints, row: int) -> None:
        self._box, self._agreement = found.boxes[row], found.agreement[row]
        self._scene = scene
        self._room = shapely.buffer(footprints(found.boxes[row][None])[0], _ROOM_M, join_style="mitre")
        cameras = np.flatnonzero(found.members[row] >= 0)
        highest = self._box[HEIGHT] + _HIGHER_M + _ABOVE_TOP_M
        self._cameras = cameras[scene.views.position[cameras, 2] > highest]
        self._silhouettes = found.members[row, self._cameras]
        self._closed = [self._not_open(found, owner, row, int(camera)) for camera in self._cameras]

    def best(self) -> tuple[Polygon, float] | None:
        """Footprint and height that explain the silhouettes clearly better than the box does; None if none do."""
        if len(self._cameras) < _LEAST_CAMERAS:
            return None
        first = self._prism(float(self._box[HEIGHT]), _MARGINS_PX[0])
        before = 1 - self._agreement[self._cameras]
        if first is None or 1 - _agreeing(first) > _PROMISING * before.mean():
            return None
        prisms = self._heights(first)
        top = max(prisms, key=_agreeing).height
        prisms += [prism for margin in _MARGINS_PX[1:] if (prism := self._prism(top, margin)) is not None]
        best = max(prisms, key=_agreeing)
        after = 1 - best.agreement
        clearly = after.mean() <= _CLEARLY_BETTER * before.mean() and (after < before).sum() >= _LEAST_CAMERAS
        return (best.plan, best.height) if clearly else None

    def _not_open(self, found: Hypotheses, owner: Ints, row: int, camera: int) -> BaseGeometry:
        """Pixels about the box where this camera does not see that the block is absent."""
        window = self._silhouette(self._room, self._box[HEIGHT] + _HIGHER_M, camera)
        others = np.flatnonzero((self._scene.camera == camera) & (owner >= 0) & (owner != row))
        eye = self._scene.views.position[camera]
        behind = others[_behind(found, row, owner[others], eye)]
        open_view = shapely.union_all([self._scene.free[camera], *self._scene.polygons[behind]])
        return window.difference(open_view)

    def _heights(self, first: _Prism) -> list[_Prism]:
        """The first prism, and lower and higher ones as long as they then agree better."""
        prisms = [first]
        for step in (-_HEIGHT_STEP_M, _HEIGHT_STEP_M):
            last = first
            for _ in range(_MOST_STEPS):
                prism = self._prism(last.height + step, _MARGINS_PX[0])
                if prism is None or _agreeing(prism) <= _agreeing(last):
                    break
                prisms.append(prism)
                last = prism
        return prisms

    def _prism(self, top: float, margin: float) -> _Prism | None:
        """What the silhouettes, widened by `margin` pixels, leave of a prism of that height."""
        if top <= 0:
            return None
        plan = _regular(self._carved(top, margin))
        return None if plan is None else _Prism(plan, top, self._agreements(plan, top))

    def _carved(self, top: float, margin: float) -> BaseGeometry:
        common: BaseGeometry = self._room
        for camera, closed in zip(self._cameras, self._closed, strict=True):
            widened = shapely.buffer(closed, margin, quad_segs=2) if margin else closed
            for level in _LEVELS:
                common = common.intersection(self._on_plane(widened, int(camera), level * top))
        return common

    def _on_plane(self, region: BaseGeometry, camera: int, z: float) -> BaseGeometry:
        views = self._scene.views
        rotation, position, focal = views.rotation[camera], views.position[camera], views.focal[camera]

        def ground(pixels: Floats) -> Floats:
            direction = np.column_stack([pixels / focal, np.ones(len(pixels))]) @ rotation
            return np.asarray(position[:2] + (z - position[2]) / direction[:, 2:] * direction[:, :2])

        plane: BaseGeometry = shapely.transform(region, ground)
        return shapely.make_valid(plane)

    def _agreements(self, plan: Polygon, top: float) -> Floats:
        outlines = np.array([self._silhouette(plan, top, int(camera)) for camera in self._cameras], dtype=object)
        return agreement_of(outlines, self._silhouettes, self._scene)

    def _silhouette(self, plan: Polygon, top: float, camera: int) -> BaseGeometry:
        """Of the upright prism over the plan: its walls and its top."""
        ring = shapely.get_coordinates(plan.exterior)
        solid = np.stack([np.column_stack([ring, np.full(len(ring), z)]) for z in (0.0, top)])
        low, high = project(solid, self._scene.views.take(np.array([camera, camera])))
        walls = np.stack([low[:-1], low[1:], high[1:], high[:-1]], axis=1)
        faces = [*np.asarray(shapely.convex_hull(shapely.multipoints(walls))), shapely.make_valid(Polygon(high))]
        return shapely.union_all(faces)


def _agreeing(prism: _Prism) -> float:
    return float(prism.agreement.mean())


def _behind(found: Hypotheses, row: int, others: Ints, eye: Floats) -> np.ndarray:
    """Whether hypothesis `row` can hide each of the others from that eye."""
    return np.array([bool(nearer(found, np.array([row]), int(other), eye)[0]) for other in others], dtype=bool)


def _regular(shape: BaseGeometry) -> Polygon | None:
    """The largest part without holes, spikes, slits and needless vertices; None where nothing is left."""
    half = _NARROWEST_M / 2
    opened = shapely.buffer(shape, -half, join_style="mitre")
    opened = shapely.buffer(opened, half, join_style="mitre")
    parts = [part for part in shapely.get_parts(opened) if isinstance(part, Polygon) and part.area > 0]
    if not parts:
        return None
    largest = max(parts, key=lambda part: float(part.area))
    plan = shapely.simplify(Polygon(largest.exterior), _SIMPLIFY_M)
    return plan if isinstance(plan, Polygon) and plan.is_valid and plan.area > 0 else None
