"""Boxes that one silhouette alone, or two of different cameras, suggest."""

import numpy as np
import shapely

from fusion.agreement import EXPLAINED, judged
from fusion.fitting import Fit, Outlines, fit_boxes
from fusion.hypotheses import Hypotheses, empty
from fusion.refitting import as_hypotheses, size_prior
from fusion.scene import Scene, floor_polygons
from fusion.upright_box import DEPTH, HEIGHT, PARAMETERS, WIDTH, YAW, Floats, Ints, X, Y

_START_HEIGHTS = np.array([0.4, 1.0, 2.0, 3.2, 4.6, 6.2, 8.0])
_MIN_START_AREA = 1.0  # square metres


def single_boxes(scene: Scene, outlines: Outlines) -> Hypotheses:
    """The best two boxes that each silhouette alone suggests."""
    rows = np.arange(len(scene.objects))
    start, owner = _starts(rows[:, None], scene)
    members = owner[:, None]
    rough = fit_boxes(start, members, outlines.thinned(2), size_prior(members, scene), scale=8.0, steps=5)
    best = _best_per_owner(rough, owner, 2)
    members = owner[best][:, None]
    fit = fit_boxes(rough.boxes[best], members, outlines, size_prior(members, scene), scale=3.0, steps=10)
    return as_hypotheses(fit, members, scene).take(_best_per_owner(fit, members[:, 0], 2))


def paired_boxes(scene: Scene, outlines: Outlines, doubtful: Ints) -> Hypotheses:
    """A box for every two silhouettes of different cameras, one of them doubtful, that may share floor."""
    if not len(doubtful):
        return empty(scene)
    ground = floor_polygons(scene.polygons, scene.views.take(scene.camera), 0.0)
    first, second = shapely.STRtree(ground).query(ground[doubtful], predicate="intersects")
    first = doubtful[first]
    other = (scene.camera[first] != scene.camera[second]) & ((first < second) | ~np.isin(second, doubtful))
    pairs = np.stack([first[other], second[other]], axis=1)
    start, owner = _starts(pairs, scene)
    if not len(start):
        return empty(scene)
    members = pairs[owner]
    rough = fit_boxes(start, members, outlines.thinned(3), size_prior(members, scene), scale=8.0, steps=4)
    best = _best_per_owner(rough, owner, 1)
    members = members[best]
    fit = fit_boxes(rough.boxes[best], members, outlines.thinned(2), size_prior(members, scene), scale=4.0, steps=6)
    found = judged(as_hypotheses(fit, members, scene), scene)
    good = np.where(found.members >= 0, found.agreement, 1.0).min(axis=1) >= EXPLAINED
    return found.take(np.flatnonzero(good))


def _starts(groups: Ints, scene: Scene) -> tuple[Floats, Ints]:
    """Boxes to start from, and the row of `groups` (g, v) of each.

    The footprint of a box of height h lies in what all its silhouettes cover on the
    floor, and also in what they cover on the plane at h: their intersection's tight
    rectangle, for several heights.
    """
    rows = np.unique(groups)
    at = np.searchsorted(rows, groups)
    views = scene.views.take(scene.camera[rows])
    shapes = scene.polygons[rows]
    ground = _intersection(floor_polygons(shapes, views, 0.0)[at])
    starts, owners = [], []
    for height in _START_HEIGHTS:
        common = shapely.intersection(ground, _intersection(floor_polygons(shapes, views, height)[at]))
        owner = np.flatnonzero(shapely.area(common) > _MIN_START_AREA)
        if len(owner):
            starts.append(_rectangles(common[owner], height))
            owners.append(owner)
    if not starts:
        return np.zeros((0, PARAMETERS)), np.zeros(0, dtype=np.int64)
    return np.concatenate(starts), np.concatenate(owners)


def _intersection(shapes: np.ndarray) -> np.ndarray:
    common = shapes[:, 0]
    for column in range(1, shapes.shape[1]):
        common = shapely.intersection(common, shapes[:, column])
    return common


def _rectangles(shapes: np.ndarray, height: float) -> Floats:
    """(n, 6) boxes over the tight rectangles of (n,) polygons."""
    ring = shapely.get_coordinates(shapely.oriented_envelope(shapes)).reshape(-1, 5, 2)
    side, other = ring[:, 1] - ring[:, 0], ring[:, 2] - ring[:, 1]
    boxes = np.empty((len(ring), PARAMETERS))
    boxes[:, [X, Y]] = (ring[:, 0] + ring[:, 2]) / 2
    boxes[:, WIDTH], boxes[:, DEPTH] = np.linalg.norm(side, axis=1), np.linalg.norm(other, axis=1)
    boxes[:, YAW] = np.arctan2(side[:, 1], side[:, 0])
    boxes[:, HEIGHT] = height
    return boxes


def _best_per_owner(fit: Fit, owner: Ints, count: int) -> Ints:
    """Rows of the cheapest fits of each owner, those that came to the same box once."""
    kept: list[int] = []
    chosen: dict[int, list[int]] = {}
    for row in np.lexsort((fit.cost, owner)):
        others = chosen.setdefault(int(owner[row]), [])
        new = all(np.abs(fit.boxes[row, [X, Y, HEIGHT]] - fit.boxes[o, [X, Y, HEIGHT]]).max() > 0.3 for o in others)
        if len(others) < count and new:
            others.append(row)
            kept.append(int(row))
    return np.array(kept, dtype=np.int64)
