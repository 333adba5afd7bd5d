"""By how much a camera is turned against its bay's file: blocks known from others, brought onto what it saw.

Each block comes with its own uncertainty from the cameras that know it. The fit
frees the turn and all blocks at once, and takes the blocks out again block by
block (Schur complement, as in bundle adjustment: Triggs et al., 1999), so that a
block which others hardly fix along one direction says little about that direction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from fusion.upright_box import (
    PARAMETERS,
    Bools,
    Floats,
    Ints,
    Views,
    X,
    Y,
    corners,
    outline_edges,
    outline_lines,
    project,
    signed_distances,
)

LEAST_BLOCKS = 3  # places on the floor without which no turn is estimated

_SAME_PLACE_M = 0.5
_SAME_SILHOUETTE_IOU = 0.3
SCALE_PX = 3.0
ERR_TOGETHER = 3.0  # points of one outline err together: they are this many times less certain than they seem
_UNLIKELY = 9.0  # of a block's disagreement (chi squared of three), from which it counts less
_MOST_STEPS = 8
_CONVERGED = 2e-5  # radians
_LONGEST_STEP = 0.05  # radians
_ROUNDS = 3
_LIKELY = 3.0
_BISECTIONS = 60
_TURN_STEP, _BOX_STEP = 1e-5, 1e-4  # radians; metres, and radians of yaw
_IN_SIGHT_DEPTH = 1.0


@dataclass(frozen=True)
class Sighting:
    """What one camera saw in one batch, and the blocks that others know.

    Attributes:
        boxes: (k, 6) as the other cameras have them.
        information: (k, 6, 6) inverse of their covariance.
        pixels: (n, p, 2) points along the camera's silhouettes, ideal pixels.
        own: (n, p) the outline there is the object's own edge.
        polygons: (n,) the silhouettes.
        frame: the camera's frame.
    """

    boxes: Floats
    information: Floats
    pixels: Floats
    own: Bools
    polygons: np.ndarray
    frame: shapely.Polygon


@dataclass(frozen=True)
class Turn:
    """An estimated turn of a camera.

    Attributes:
        vector: (3,) radians about the camera's right, down and forward axes.
        covariance: (3, 3) of it.
        residual_px: median distance of outlines and blocks without the turn.
        turned_px: the same with it.
        blocks: places on the floor that it rests on.
    """

    vector: Floats
    covariance: Floats
    residual_px: float
    turned_px: float
    blocks: int

    @property
    def angle_deg(self) -> float:
        """Its size."""
        return float(np.degrees(np.linalg.norm(self.vector)))

    @property
    def across_std_deg(self) -> float:
        """Standard deviation of where the camera looks, in the less certain direction; its roll is left out."""
        return float(np.degrees(np.sqrt(np.linalg.eigvalsh(self.covariance[:2, :2])[-1])))

    @property
    def least_deg(self) -> float:
        """The smallest turn that is still likely: within `_LIKELY` standard deviations of the estimate."""
        spread, axes = np.linalg.eigh(self.covariance)
        along = axes.T @ self.vector
        if (along**2 / spread).sum() <= _LIKELY**2:
            return 0.0
        # The point of the ellipsoid that is nearest to no turn, by its Lagrange multiplier.
        low, high = -12.0, 12.0
        for _ in range(_BISECTIONS):
            pull = 10 ** ((low + high) / 2)
            outside = (along**2 * spread / (spread + 1 / pull) ** 2).sum() > _LIKELY**2
            low, high = (low, (low + high) / 2) if outside else ((low + high) / 2, high)
        return float(np.degrees(np.linalg.norm(along / (1 + spread * 10**low))))


def turned(view: Views, vector: Floats) -> Views:
    """The view turned by (3,) radians about its right, down and forward axes."""
    return Views(Rotation.from_rotvec(vector).as_matrix() @ view.rotation, view.position, view.focal)


def estimate_turn(sightings: Sequence[Sighting], view: Views) -> tuple[Turn | None, int]:
    """The turn that brings the blocks onto the camera's silhouettes, and how many places it could use.

    Args:
        sightings: of one camera. A block that stands still through several is one place.
        view: of one row, as the file has it.

    Returns:
        None with fewer than `LEAST_BLOCKS` places.
    """
    turn = None
    matched = _match(sightings, view)
    for _ in range(_ROUNDS):
        if matched.count < LEAST_BLOCKS:
            return None, matched.count
        turn = _fit(matched, view, np.zeros(3) if turn is None else turn.vector)
        again = _match(sightings, turned(view, turn.vector))
        if again.same_as(matched):
            break
        matched = again
    return turn, matched.count


@dataclass(frozen=True)
class _Matched:
    """Blocks with the silhouette that each one is, (k, ...), and the place on the floor where each stands."""

    boxes: Floats
    information: Floats
    pixels: Floats
    own: Bools
    place: Ints

    @property
    def count(self) -> int:
        """Number of places."""
        return int(self.place.max(initial=-1)) + 1

    def same_as(self, other: "_Matched") -> bool:
        return self.pixels.shape == other.pixels.shape and bool((self.pixels == other.pixels).all())


def _match(sightings: Sequence[Sighting], view: Views) -> _Matched:
    """Blocks and silhouettes that are each other's best match."""
    pairs = [(sighting, *_mutual(sighting, view)) for sighting in sightings]
    boxes = np.concatenate([sighting.boxes[block] for sighting, block, _ in pairs])
    return _Matched(
        boxes,
        np.concatenate([sighting.information[block] for sighting, block, _ in pairs]),
        np.concatenate([sighting.pixels[silhouette] for sighting, _, silhouette in pairs]),
        np.concatenate([sighting.own[silhouette] for sighting, _, silhouette in pairs]),
        _places(boxes),
    )


def _mutual(sighting: Sighting, view: Views) -> tuple[Ints, Ints]:
    nothing = np.zeros(0, dtype=np.int64)
    points = corners(sighting.boxes)
    depth = (points - view.position[0]) @ view.rotation[0, 2]
    rows = np.flatnonzero((depth > _IN_SIGHT_DEPTH).all(axis=1))
    if not len(rows) or not len(sighting.polygons):
        return nothing, nothing
    hulls = np.asarray(shapely.convex_hull(shapely.multipoints(project(points[rows], view.take(np.zeros_like(rows))))))
    hulls = np.asarray(shapely.intersection(hulls, sighting.frame))
    block, silhouette = shapely.STRtree(sighting.polygons).query(hulls, predicate="intersects")
    shared = shapely.area(shapely.intersection(hulls[block], sighting.polygons[silhouette]))
    union = shapely.area(hulls[block]) + shapely.area(sighting.polygons[silhouette]) - shared
    overlap = np.zeros((len(rows), len(sighting.polygons)))
    overlap[block, silhouette] = shared / union
    best = overlap.argmax(axis=1)
    mutual = (overlap.argmax(axis=0)[best] == np.arange(len(rows))) & (overlap.max(axis=1) >= _SAME_SILHOUETTE_IOU)
    return rows[mutual], best[mutual]


def _places(boxes: Floats) -> Ints:
    """(k,) number of the place on the floor that each box stands at; near ones are the same place."""
    if not len(boxes):
        return np.zeros(0, dtype=np.int64)
    near = cdist(boxes[:, [X, Y]], boxes[:, [X, Y]]) < _SAME_PLACE_M
    return np.asarray(connected_components(near, directed=False)[1], dtype=np.int64)


def _fit(matched: _Matched, view: Views, start: Floats) -> Turn:
    """Gauss-Newton on the turn alone, the blocks taken out."""
    vector = start
    for _ in range(_MOST_STEPS):
        information, pull = _evidence(matched, view, vector)
        weight = _weights(information, pull)
        step = -np.linalg.solve(
            np.einsum("k,kij->ij", weight, information) + np.eye(3) * 1e-3, np.einsum("k,ki->i", weight, pull)
        )
        vector = vector + np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        if np.abs(step).max() < _CONVERGED:
            break
    information, pull = _evidence(matched, view, vector)
    weight = _weights(information, pull)
    # Places that contradict one another more than their uncertainty allows make the turn less certain.
    excess = float((weight * _disagreement(information, pull)).sum()) / (3 * max(1, matched.count - 1))
    covariance = np.linalg.inv(np.einsum("k,kij->ij", weight, information) + np.eye(3) * 1e-3) * max(1.0, excess)
    return Turn(
        vector,
        covariance,
        _typical(matched, view),
        _typical(matched, turned(view, vector)),
        matched.count,
    )


def _weights(information: Floats, pull: Floats) -> Floats:
    """(places,) soft-L1 weights: a place that wants another turn than the rest may be a false match."""
    return np.asarray(1 / np.sqrt(1 + _disagreement(information, pull) / _UNLIKELY))


def _disagreement(information: Floats, pull: Floats) -> Floats:
    """(places,) chi squared of each place against the present turn."""
    step = np.linalg.solve(information + np.eye(3) * 1e-3, pull[..., None])[..., 0]
    return np.asarray((pull * step).sum(axis=1))


def _typical(matched: _Matched, view: Views) -> float:
    """Median size of the residuals that count, pixels."""
    distance, _, counts = _residual(matched, view)
    return float(np.median(np.abs(distance[counts]))) if counts.any() else 0.0


def _residual(matched: _Matched, view: Views) -> tuple[Floats, Ints, Bools]:
    """Signed distances (k, p) in pixels, the nearest edges, and which points count."""
    count = len(matched.boxes)
    edges = outline_edges(matched.boxes, np.broadcast_to(view.position[0], (count, 3)))
    lines = outline_lines(project(corners(matched.boxes), view.take(np.zeros(count, dtype=np.int64))))
    distance, nearest = signed_distances(lines, edges, matched.pixels)
    return distance, nearest, matched.own | (distance > 0)


def _evidence(matched: _Matched, view: Views, vector: Floats) -> tuple[Floats, Floats]:
    """What each place says of the turn: information (places, 3, 3) and gradient (places, 3).

    A block that stands still through several batches is one place, and says what its mean says.
    """
    now = turned(view, vector)
    distance, nearest, counts = _residual(matched, now)
    residual = np.where(counts, distance, 0.0)
    slope = np.where(counts[..., None], _slopes(matched, now, nearest, distance), 0.0)
    weight = 1 / np.sqrt(1 + (residual / SCALE_PX) ** 2) / (SCALE_PX * ERR_TOGETHER) ** 2
    weighted = slope * weight[..., None]
    normal = np.swapaxes(weighted, 1, 2) @ slope
    gradient = (np.swapaxes(weighted, 1, 2) @ residual[..., None])[..., 0]
    of_box = normal[:, 3:, 3:] + matched.information + np.eye(PARAMETERS) * 1e-6
    through = np.linalg.solve(of_box, np.swapaxes(normal[:, :3, 3:], 1, 2))
    information = normal[:, :3, :3] - normal[:, :3, 3:] @ through
    pull = gradient[:, :3] - (np.swapaxes(through, 1, 2) @ gradient[:, 3:, None])[..., 0]
    times = np.bincount(matched.place)
    informations, pulls = np.zeros((len(times), 3, 3)), np.zeros((len(times), 3))
    np.add.at(informations, matched.place, information)
    np.add.at(pulls, matched.place, pull)
    return informations / times[:, None, None], pulls / times[:, None]


def _slopes(matched: _Matched, view: Views, nearest: Ints, distance: Floats) -> Floats:
    """(k, p, 9) change of each point's distance with the turn and with its box, its nearest edge held."""
    count = len(matched.boxes)
    steps = np.concatenate([np.full(3, _TURN_STEP), np.full(PARAMETERS, _BOX_STEP)])
    moved = np.repeat(matched.boxes[None], len(steps), axis=0)
    rotation = np.repeat(view.rotation, len(steps), axis=0)
    for axis in range(3):
        rotation[axis] = turned(view, np.eye(3)[axis] * _TURN_STEP).rotation[0]
    for parameter in range(PARAMETERS):
        moved[3 + parameter, :, parameter] += _BOX_STEP
    shape = (len(steps), count)
    views = Views(
        np.broadcast_to(rotation[:, None], (*shape, 3, 3)),
        np.broadcast_to(view.position[0], (*shape, 3)),
        np.broadcast_to(view.focal[0], shape),
    )
    normal, offset = outline_lines(project(corners(moved), views))
    index = np.broadcast_to(nearest, (len(steps), *nearest.shape))
    across = np.take_along_axis(normal[..., 0], index, axis=-1)
    down = np.take_along_axis(normal[..., 1], index, axis=-1)
    after = across * matched.pixels[..., 0] + down * matched.pixels[..., 1] - np.take_along_axis(offset, index, axis=-1)
    return np.moveaxis((after - distance) / steps[:, None, None], 0, -1)
