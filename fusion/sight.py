"""Which points in space a camera sees past the blocks that stand there."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from fusion.scene import Scene
from fusion.upright_box import Bools, Floats, Ints

_FRAME_MARGIN_PX = 12.0  # nearer to the frame's edge a small thing is cut
_NEAREST_M = 1.0


@dataclass(frozen=True)
class Sight:
    """What the cameras of a scene see of points among upright blocks.

    Attributes:
        scene: for the cameras.
        plans: (b,) polygons, metres.
        heights: (b,) metres.
    """

    scene: Scene
    plans: np.ndarray
    heights: Floats

    def pixels(self, points: Floats) -> tuple[Floats, Bools]:
        """(m, 3) points, metres, in every camera: (m, cameras, 2) ideal pixels, and whether they lie in frame."""
        views = self.scene.views
        camera = np.einsum("cij,mcj->mci", views.rotation, points[:, None] - views.position)
        ahead = camera[..., 2] > _NEAREST_M
        pixels = camera[..., :2] / np.where(ahead, camera[..., 2], 1.0)[..., None] * views.focal[:, None]
        inside = np.zeros(ahead.shape, dtype=bool)
        for column, view in enumerate(self._open_frames):
            inside[:, column] = shapely.contains_xy(view, pixels[:, column])
        return pixels, ahead & inside

    def covered(self, points: Floats, pairs: Bools, margin: float) -> Bools:
        """Whether a block stands between (m, 3) points and the cameras.

        Args:
            points: metres.
            pairs: (m, cameras) to look at; the others are not covered.
            margin: by which every plan is widened, metres; a negative one narrows it.
        """
        covered = np.zeros(pairs.shape, dtype=bool)
        row, camera = np.nonzero(pairs)
        if not len(row) or not len(self.plans):
            return covered
        eyes = self.scene.views.position[camera]
        # A sight passes over the highest block from here on; each block is then asked up to its own height.
        end = self._up_to(points[row], eyes, np.full(len(row), self.heights.max()))
        plans = shapely.buffer(self.plans, margin, join_style="mitre")
        sight, block = shapely.STRtree(plans).query(_lines(points[row], end), predicate="intersects")
        higher = self.heights[block] > points[row[sight], 2]
        sight, block = sight[higher], block[higher]
        own_end = self._up_to(points[row[sight]], eyes[sight], self.heights[block])
        hit = shapely.intersects(_lines(points[row[sight]], own_end), plans[block])
        covered[row[sight[hit]], camera[sight[hit]]] = True
        return covered

    def share_seen(self, block: int, rise: float, step: float) -> float:
        """Share of a block's deck that at least one camera sees, `rise` metres above it, in steps of `step` metres."""
        x0, y0, x1, y1 = self.plans[block].bounds
        axes = [np.arange(low + step / 2, max(high, low + step), step) for low, high in ((x0, x1), (y0, y1))]
        grid = np.stack([axis.ravel() for axis in np.meshgrid(*axes)], axis=1)
        grid = grid[shapely.contains_xy(self.plans[block], grid)]
        if not len(grid):
            return 0.0
        points = np.column_stack([grid, np.full(len(grid), self.heights[block] + rise)])
        _, inside = self.pixels(points)
        return float((inside & ~self.covered(points, inside, 0.0)).any(axis=1).mean())

    @cached_property
    def _open_frames(self) -> list[BaseGeometry]:
        """Every frame without its rim and without cranes."""
        views = [frame.outline.buffer(-_FRAME_MARGIN_PX).difference(frame.crane) for frame in self.scene.frames]
        shapely.prepare(np.array(views, dtype=object))
        return views

    @staticmethod
    def _up_to(points: Floats, eyes: Floats, height: Floats) -> Floats:
        """(n, 2) where the lines from points to eyes reach a height, at the eye at the farthest."""
        share = np.clip((height - points[:, 2]) / np.maximum(eyes[:, 2] - points[:, 2], 1e-6), 0.0, 1.0)
        return np.asarray(points[:, :2] + share[:, None] * (eyes - points)[:, :2])


def on_rays(pixels: Floats, camera: Ints, heights: Floats, scene: Scene) -> tuple[Floats, Bools]:
    """Where rays through (n, 2) ideal pixels of these cameras meet planes at (s,) heights.

    Returns:
        (n, s, 2) metres, and (n, s) whether the ray descends to the plane.
    """
    views = scene.views.take(camera)
    direction = np.concatenate([pixels / views.focal[:, None], np.ones((len(pixels), 1))], axis=1)
    direction = np.einsum("nj,nji->ni", direction, views.rotation)
    down = np.minimum(direction[:, 2], -1e-6)
    reach = (heights - views.position[:, 2:]) / down[:, None]
    places = views.position[:, None, :2] + reach[..., None] * direction[:, None, :2]
    return places, (reach > 0) & (direction[:, 2:] < -1e-3)


def _lines(start: Floats, end: Floats) -> np.ndarray:
    return np.asarray(shapely.linestrings(np.stack([start[:, :2], end], axis=1)))
