"""What a camera must see of a box, what hides it, and which floor no camera saw."""

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon

from bays import BayConfig
from fusion.scene import Scene
from fusion.upright_box import DEPTH, WIDTH, YAW, Bools, Floats, Ints, corners, project

UNSEEN_CELL_M = 0.5
_IN_SIGHT_DEPTH = 1.0  # metres in front of the lens that every corner needs to be drawn


def in_sight(boxes: Floats, scene: Scene) -> tuple[Ints, Ints, np.ndarray]:
    """All pairs of box and camera where some of the box lies in frame.

    Returns:
        Rows of the boxes, rows of the cameras, and the silhouettes, frame not applied.
    """
    count, cameras = len(boxes), len(scene.frames)
    box = np.repeat(np.arange(count), cameras)
    camera = np.tile(np.arange(cameras), count)
    if not len(box):
        return box, camera, np.empty(0, dtype=object)
    bounds = np.array([frame.outline.bounds for frame in scene.frames])[camera]
    points = corners(boxes)[box]
    views = scene.views.take(camera)
    pixels = project(points, views)
    depth = np.einsum("nkj,nj->nk", points - views.position[:, None, :], views.rotation[:, 2])
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    near = (
        (depth > _IN_SIGHT_DEPTH).all(axis=1) & (low < bounds[:, 2:]).all(axis=1) & (high > bounds[:, :2]).all(axis=1)
    )
    return box[near], camera[near], shapely.convex_hull(shapely.multipoints(pixels[near]))


def in_front(boxes: Floats, others: Floats, eyes: Floats) -> Bools:
    """Whether each of (..., 6) `boxes` can hide the like row of `others` from (..., 3) eyes.

    Two footprints that do not overlap are parted by a line along a side of one of
    them; what stands on the eye's side of that line is in front. Of overlapping
    footprints the line that parts them best is taken.
    """
    gaps, sides = [], []
    ring, other_ring = corners(boxes)[..., :4, :2], corners(others)[..., :4, :2]
    for owner in (boxes, others):
        for quarter in (0.0, np.pi / 2):
            axis = np.stack([np.cos(owner[..., YAW] + quarter), np.sin(owner[..., YAW] + quarter)], axis=-1)
            ours = np.einsum("...kj,...j->...k", ring, axis)
            theirs = np.einsum("...kj,...j->...k", other_ring, axis)
            eye = np.einsum("...j,...j->...", eyes[..., :2], axis)
            for sign in (1.0, -1.0):
                near, far = (sign * ours).max(axis=-1), (sign * theirs).min(axis=-1)
                gaps.append(far - near)
                sides.append(sign * eye < (near + far) / 2)
    best = np.argmax(gaps, axis=0)
    return np.asarray(np.take_along_axis(np.array(sides), best[None], axis=0)[0])


def footprints(boxes: Floats) -> np.ndarray:
    """(n,) polygons of (n, 6) boxes, metres."""
    if not len(boxes):
        return np.empty(0, dtype=object)
    return np.asarray(shapely.polygons(corners(boxes)[:, :4, :2]))


def shared_floor(boxes: Floats) -> tuple[Ints, Ints, Floats]:
    """Pairs i < j of (n, 6) boxes whose footprints overlap, and how much of the smaller one is shared."""
    shapes = footprints(boxes)
    if len(shapes) < 2:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    ordered = first < second
    first, second = first[ordered], second[ordered]
    smaller = np.minimum(boxes[first, WIDTH] * boxes[first, DEPTH], boxes[second, WIDTH] * boxes[second, DEPTH])
    return first, second, shapely.area(shapely.intersection(shapes[first], shapes[second])) / smaller


def unseen_floor(scene: Scene, bay: BayConfig, boxes: Floats) -> MultiPolygon:
    """The floor that no working camera saw: out of every frame, or behind a block, a crane or a silhouette.

    In cells of 0.5 m, judged at their centres. Floor on which one of `boxes`
    stands is not unseen: what is there is known.
    """
    cell = UNSEEN_CELL_M
    columns = np.arange(cell / 2, bay.layout.width, cell)
    rows = np.arange(cell / 2, bay.layout.height, cell)
    x, y = np.meshgrid(columns, rows)
    centres = np.stack([x.ravel(), y.ravel()], axis=1)
    seen = np.zeros(len(centres), dtype=bool)
    if len(boxes):
        standing = shapely.union_all(footprints(boxes))
        shapely.prepare(standing)
        seen |= shapely.contains_xy(standing, centres)
    _, camera, outlines = in_sight(boxes, scene)
    for row in range(len(scene.frames)):
        open_view = scene.free[row].difference(shapely.union_all(outlines[camera == row]))
        shapely.prepare(open_view)
        pixels, depth = _ground_pixels(centres, scene, row)
        look = ~seen & (depth > _IN_SIGHT_DEPTH)
        seen[look] = shapely.contains_xy(open_view, pixels[look])
    return _cells(~seen.reshape(x.shape), bay)


def _ground_pixels(centres: Floats, scene: Scene, row: int) -> tuple[Floats, Floats]:
    points = np.concatenate([centres, np.zeros((len(centres), 1))], axis=1)
    camera = (points - scene.views.position[row]) @ scene.views.rotation[row].T
    depth = camera[:, 2]
    return camera[:, :2] / np.maximum(depth, 0.1)[:, None] * scene.views.focal[row], depth


def _cells(chosen: Bools, bay: BayConfig) -> MultiPolygon:
    """The chosen cells of the raster as polygons, runs along x first."""
    padded = np.pad(chosen, ((0, 0), (1, 1))).astype(np.int8)
    change = np.diff(padded, axis=1)
    row, start = np.nonzero(change == 1)
    _, end = np.nonzero(change == -1)
    cell = UNSEEN_CELL_M
    runs = shapely.box(
        start * cell,
        row * cell,
        np.minimum(end * cell, bay.layout.width),
        np.minimum((row + 1) * cell, bay.layout.height),
    )
    merged = shapely.union_all(runs) if len(runs) else MultiPolygon()
    return MultiPolygon([part for part in shapely.get_parts(merged) if isinstance(part, Polygon)])
