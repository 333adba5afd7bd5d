"""What silhouettes leave of a block's floor: the visual hull of an upright prism.

Floor whose upright column any camera would see in front of open view, and does not, goes
(Laurentini 1994, of an upright prism instead of a free solid). It is where
`fusion.plans` starts from for blocks that are no boxes.
"""

import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from fusion.hypotheses import Hypotheses
from fusion.occlusion import nearer
from fusion.scene import Scene
from fusion.upright_box import HEIGHT, Floats, Ints, project
from fusion.visibility import footprints

_ROOM_M = 2.0  # how far beyond the box the block may reach
_HIGHER_M = 0.8  # than the box: as high as columns are looked for
_MARGIN_PX = 1.0  # by which silhouettes are widened: what noise takes away cannot be given back
_LEVELS = (0.0, 0.5, 1.0)  # of the height, where columns are looked at
_NARROWEST_M = 0.6  # spikes and slits narrower than this are noise
_SIMPLIFY_M = 0.15
_ABOVE_TOP_M = 1.0  # a camera must hang so far above a plane to be looked back through onto it


def carved_plan(found: Hypotheses, scene: Scene, owner: Ints, row: int) -> Polygon | None:
    """The plan that the silhouettes of one block leave of its box and the room about it, metres.

    Args:
        found: fitted boxes.
        scene: all silhouettes.
        owner: (n,) hypothesis of each silhouette, -1 for none.
        row: of the block.

    Returns:
        None where nothing is left, or no camera hangs above the block.
    """
    return _Carving(found, scene, owner, row).plan()


class _Carving:
    """One block's silhouettes, and the floor that they leave."""

    def __init__(self, found: Hypotheses, scene: Scene, owner: Ints, row: int) -> None:
        self._box = found.boxes[row]
        self._scene = scene
        self._room = shapely.buffer(footprints(found.boxes[row][None])[0], _ROOM_M, join_style="mitre")
        cameras = np.flatnonzero(found.members[row] >= 0)
        highest = self._box[HEIGHT] + _HIGHER_M + _ABOVE_TOP_M
        self._cameras = cameras[scene.views.position[cameras, 2] > highest]
        self._closed = [self._not_open(found, owner, row, int(camera)) for camera in self._cameras]

    def plan(self) -> Polygon | None:
        """What is left of the room about the box, for a prism as high as the box."""
        return _regular(self._carved(float(self._box[HEIGHT]), _MARGIN_PX)) if len(self._cameras) else None

    def _not_open(self, found: Hypotheses, owner: Ints, row: int, camera: int) -> BaseGeometry:
        """Pixels about the box where this camera does not see that the block is absent."""
        window = self._silhouette(self._room, self._box[HEIGHT] + _HIGHER_M, camera)
        others = np.flatnonzero((self._scene.camera == camera) & (owner >= 0) & (owner != row))
        eye = self._scene.views.position[camera]
        behind = others[_behind(found, row, owner[others], eye)]
        open_view = shapely.union_all([self._scene.free[camera], *self._scene.polygons[behind]])
        return window.difference(open_view)

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

    def _silhouette(self, plan: Polygon, top: float, camera: int) -> BaseGeometry:
        """Of the upright prism over the plan: its walls and its top."""
        ring = shapely.get_coordinates(plan.exterior)
        solid = np.stack([np.column_stack([ring, np.full(len(ring), z)]) for z in (0.0, top)])
        low, high = project(solid, self._scene.views.take(np.array([camera, camera])))
        walls = np.stack([low[:-1], low[1:], high[1:], high[:-1]], axis=1)
        faces = [*np.asarray(shapely.convex_hull(shapely.multipoints(walls))), shapely.make_valid(Polygon(high))]
        return shapely.union_all(faces)


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
