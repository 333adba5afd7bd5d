"""Which cameras no longer hang as the bay's file says, told from ordinary batches.

What stands on the floor is known from the other cameras: every block is fitted
again without the camera that is judged, so that a camera out of its pose does not
bend its own reference. The turn that brings those blocks' outlines onto what the
camera saw is the turn that it was knocked by. The camera that is off most is taken
out of the reference of the others before they are judged again, since it bends theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import shapely
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from bays import BayConfig
from bays.camera_model import angles_of
from fusion.association import Hypotheses, associate, collect
from fusion.fitting import Outlines, SizePrior, fit_boxes
from fusion.silhouettes import Scene, build_scene
from fusion.types import FusionResult
from fusion.upright_box import (
    DEPTH,
    HEIGHT,
    PARAMETERS,
    WIDTH,
    YAW,
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
from inference.types import Observation

# Degrees that a camera may be turned before it is told, and before a batch goes on without it.
# Figures that led to both: docs/calibrate_a_camera.md, from `python -m evaluation.pose_check`.
TOLERANCE_DEG = 0.25
BATCH_TOLERANCE_DEG = 0.6

_WITNESSES = 2  # other cameras that must see a block, for it to be a reference
_LEAST_BLOCKS = 4
_SURE = 2.0  # standard deviations by which a turn must exceed the tolerance
_ABOVE_OTHERS = 3.0  # times the other cameras' median turn: where all are off a little, none is knocked
_MOST_OUT = 1 / 3  # of the cameras; with more it cannot be known which ones are right
_REFERENCE_STD_M = 0.3
_SAME_PLACE_M = 0.5
_SAME_SILHOUETTE_IOU = 0.3
_SCALE_PX = 4.0
_LEAST_STD_PX = 2.0  # of one block's outline, by which its points err together
_STEPS = 8
_ROUNDS = 3
_TURN_STEP = 1e-5  # radians, of the numeric derivative
_WIDE_PRIOR = (np.array([np.log(8.5), np.log(6.5), 3.0]), np.array([2.0, 2.0, 5.0]))


class PoseVerdict(StrEnum):
    """What a pose check says of a camera."""

    OK = "ok"
    OUT_OF_POSE = "out of pose"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class PoseCheck:
    """How one camera's pose fits what the other cameras saw.

    Attributes:
        camera: its name.
        verdict: of the check.
        reason: for the verdict, to be read.
        blocks: places on the floor that it was judged by.
        residual_px: median distance of its outlines from those of the blocks, pose as in the file.
        turned_px: the same once the camera is turned by the estimate.
        angle_deg: size of the turn; None where it cannot be told.
        angle_std_deg: its standard deviation.
        pan_deg: change of the file's pan that the estimate amounts to.
        tilt_deg: change of the file's tilt.
        roll_deg: change of the file's roll.
    """

    camera: str
    verdict: PoseVerdict
    reason: str
    blocks: int = 0
    residual_px: float | None = None
    turned_px: float | None = None
    angle_deg: float | None = None
    angle_std_deg: float | None = None
    pan_deg: float | None = None
    tilt_deg: float | None = None
    roll_deg: float | None = None


@dataclass(frozen=True)
class SeenBatch:
    """One batch's silhouettes and the blocks that explain them."""

    scene: Scene
    found: Hypotheses


def seen_batch(observation: Observation, bay: BayConfig, result: FusionResult | None = None) -> SeenBatch:
    """The batch as the check needs it; without a `result` its blocks are looked for anew.

    Raises:
        FusionError: the observation does not fit the bay.
    """
    scene = build_scene(observation, bay)
    if result is None:
        return SeenBatch(scene, associate(scene)[0])
    return SeenBatch(scene, collect(_hypotheses(result, scene), scene))


def check_poses(
    batches: Sequence[SeenBatch], bay: BayConfig, tolerance_deg: float = TOLERANCE_DEG
) -> tuple[PoseCheck, ...]:
    """Judge every camera of the bay that takes part in fusion, by name.

    Args:
        batches: of this bay. A block that stands still through several of them is one place.
        bay: whose poses are judged.
        tolerance_deg: a camera that is surely turned by more is out of pose.
    """
    out: set[str] = set()
    while True:
        judged = [_judge(camera.name, batches, frozenset(out), tolerance_deg) for camera in bay.fusion_cameras]
        judged = _against_each_other(judged)
        accused = [check for check in judged if check.verdict is PoseVerdict.OUT_OF_POSE and check.camera not in out]
        if not accused:
            return tuple(sorted(judged, key=lambda check: check.camera))
        out.add(max(accused, key=lambda check: (check.angle_deg or 0.0, check.camera)).camera)
        if len(out) > _MOST_OUT * sum(check.blocks >= _LEAST_BLOCKS for check in judged):
            return tuple(sorted((_undecided(check) for check in judged), key=lambda check: check.camera))


def out_of_pose(found: Hypotheses, scene: Scene, bay: BayConfig) -> tuple[str, ...]:
    """Cameras that this one batch clearly shows to be out of their pose, by name."""
    checks = check_poses([SeenBatch(scene, found)], bay, BATCH_TOLERANCE_DEG)
    return tuple(check.camera for check in checks if check.verdict is PoseVerdict.OUT_OF_POSE)


@dataclass(frozen=True)
class _Sighting:
    """What one camera saw in one batch, and the blocks that the others know: boxes (k, 6)."""

    boxes: Floats
    pixels: Floats  # (n, p, 2) points along its silhouettes
    own: Bools  # (n, p)
    polygons: np.ndarray  # (n,)
    frame: shapely.Polygon


@dataclass(frozen=True)
class _Matched:
    """Blocks with the silhouette that each one is: boxes (k, 6), pixels (k, p, 2), own (k, p)."""

    boxes: Floats
    pixels: Floats
    own: Bools


@dataclass(frozen=True)
class _Turn:
    """An estimated turn: vector (3,) radians about the camera's right, down and forward axes."""

    vector: Floats
    covariance: Floats
    residual: Floats  # (k, p) pixels, at the file's pose
    turned: Floats  # (k, p) pixels, after the turn


def _judge(name: str, batches: Sequence[SeenBatch], out: frozenset[str], tolerance_deg: float) -> PoseCheck:
    sightings, view = [], None
    for batch in batches:
        row = next((i for i, frame in enumerate(batch.scene.frames) if frame.name == name), None)
        if row is not None:
            sightings.append(_sighting(batch, row, out))
            view = batch.scene.views.take(np.array([row]))
    if view is None:
        return PoseCheck(name, PoseVerdict.CANNOT_TELL, "no frame of it in these batches")
    matched, turn = _estimate(sightings, view)
    places = _places(matched.boxes)
    blocks = int(places.max() + 1) if len(places) else 0
    if turn is None or blocks < _LEAST_BLOCKS:
        return PoseCheck(
            name,
            PoseVerdict.CANNOT_TELL,
            f"{blocks} blocks that two other cameras see as well; {_LEAST_BLOCKS} are needed",
            blocks,
        )
    angle = float(np.linalg.norm(turn.vector))
    direction = turn.vector / angle if angle else np.array([1.0, 0.0, 0.0])
    std = float(np.sqrt(direction @ turn.covariance @ direction))
    angle, std = float(np.degrees(angle)), float(np.degrees(std))
    verdict, reason = _verdict(angle, std, tolerance_deg)
    before = angles_of(view.rotation[0])
    after = angles_of(_turned(view, turn.vector).rotation[0])
    pan, tilt, roll = ((b - a + 180) % 360 - 180 for a, b in zip(before, after, strict=True))
    counts = turn.residual != 0
    return PoseCheck(
        name,
        verdict,
        reason,
        blocks,
        residual_px=float(np.median(np.abs(turn.residual[counts]))) if counts.any() else 0.0,
        turned_px=float(np.median(np.abs(turn.turned[counts]))) if counts.any() else 0.0,
        angle_deg=angle,
        angle_std_deg=std,
        pan_deg=pan,
        tilt_deg=tilt,
        roll_deg=roll,
    )


def _verdict(angle: float, std: float, tolerance: float) -> tuple[PoseVerdict, str]:
    measured = f"turned by {angle:.2f} ± {std:.2f} degrees"
    if angle - _SURE * std > tolerance:
        return PoseVerdict.OUT_OF_POSE, f"{measured}, more than {tolerance:g}"
    if std > tolerance / _SURE:
        return PoseVerdict.CANNOT_TELL, f"{measured}, too uncertain to tell {tolerance:g}"
    return PoseVerdict.OK, measured


def _against_each_other(judged: list[PoseCheck]) -> list[PoseCheck]:
    """Where all cameras are off a little, the one that is off a little more has not been knocked."""
    result = []
    for check in judged:
        others = [o.angle_deg for o in judged if o.camera != check.camera and o.angle_deg is not None]
        usual = float(np.median(others)) if others else 0.0
        if (
            check.verdict is PoseVerdict.OUT_OF_POSE
            and check.angle_deg is not None
            and check.angle_deg < _ABOVE_OTHERS * usual
        ):
            reason = f"{check.reason}; but the others are off as well, by {usual:.2f} in the median"
            check = replace(check, verdict=PoseVerdict.CANNOT_TELL, reason=reason)  # noqa: PLW2901
        result.append(check)
    return result


def _undecided(check: PoseCheck) -> PoseCheck:
    if check.verdict is not PoseVerdict.OUT_OF_POSE:
        return check
    reason = f"{check.reason}; but too many cameras contradict one another to know which are right"
    return replace(check, verdict=PoseVerdict.CANNOT_TELL, reason=reason)


def _hypotheses(result: FusionResult, scene: Scene) -> Hypotheses:
    """The result's blocks as boxes that have not collected a silhouette yet."""
    boxes = np.empty((len(result.blocks), PARAMETERS))
    for row, block in enumerate(result.blocks):
        ring = shapely.get_coordinates(shapely.oriented_envelope(block.footprint))
        side, other = ring[1] - ring[0], ring[2] - ring[1]
        boxes[row, [X, Y]] = (ring[0] + ring[2]) / 2
        boxes[row, [WIDTH, DEPTH]] = np.linalg.norm(side), np.linalg.norm(other)
        boxes[row, YAW] = np.arctan2(side[1], side[0])
        boxes[row, HEIGHT] = block.height_m
    shape = (len(boxes), len(scene.frames))
    return Hypotheses(
        boxes,
        np.full(shape, -1, dtype=np.int64),
        np.zeros(shape),
        np.zeros(shape, dtype=bool),
        np.zeros((len(boxes), PARAMETERS, PARAMETERS)),
    )


def _sighting(batch: SeenBatch, row: int, out: frozenset[str]) -> _Sighting:
    """The camera's silhouettes, and the blocks as the cameras other than it and `out` know them."""
    scene, found = batch.scene, batch.found
    others = np.array([i != row and frame.name not in out for i, frame in enumerate(scene.frames)])
    members = np.where(others, found.members, -1)
    rows = np.flatnonzero((members >= 0).sum(axis=1) >= _WITNESSES)
    own = np.flatnonzero(scene.camera == row)
    outlines = scene.outlines()
    boxes = _without(found.boxes[rows], members[rows], outlines)
    return _Sighting(boxes, scene.pixels[own], outlines.own[own], scene.polygons[own], scene.frames[row].outline)


def _without(boxes: Floats, members: Ints, outlines: Outlines) -> Floats:
    """(k, 6) boxes fitted to these members alone; only those that they fix."""
    if not len(boxes):
        return boxes
    # Members first, so that the fit is as wide as the block that most cameras see.
    order = np.argsort(members < 0, axis=1, kind="stable")
    width = int((members >= 0).sum(axis=1).max())
    columns = np.take_along_axis(members, order, axis=1)[:, :width]
    prior = SizePrior(*(np.broadcast_to(value, (len(boxes), 3)) for value in _WIDE_PRIOR))
    fit = fit_boxes(boxes, columns, outlines.thinned(2), prior, steps=4)
    covariance = np.linalg.inv(fit.information + np.eye(PARAMETERS) * 1e-9)
    spread = np.sqrt(np.maximum(covariance[:, X, X] + covariance[:, Y, Y], 0.0))
    return np.asarray(fit.boxes[spread < _REFERENCE_STD_M])


def _estimate(sightings: Sequence[_Sighting], view: Views) -> tuple[_Matched, _Turn | None]:
    """The turn that brings the blocks onto the camera's silhouettes, and which is which."""
    vector, turn = np.zeros(3), None
    matched = _match(sightings, view)
    for _ in range(_ROUNDS):
        if len(matched.boxes) < _LEAST_BLOCKS:
            return matched, None
        turn = _fit_turn(matched, view, vector)
        vector = turn.vector
        again = _match(sightings, _turned(view, vector))
        if len(again.boxes) <= len(matched.boxes):
            break
        matched = again
    return matched, turn


def _match(sightings: Sequence[_Sighting], view: Views) -> _Matched:
    """Blocks and silhouettes that are each other's best match."""
    boxes, pixels, own = [np.zeros((0, PARAMETERS))], [], []
    for sighting in sightings:
        block, silhouette = _mutual(sighting, view)
        boxes.append(sighting.boxes[block])
        pixels.append(sighting.pixels[silhouette])
        own.append(sighting.own[silhouette])
    return _Matched(np.concatenate(boxes), np.concatenate(pixels), np.concatenate(own))


def _mutual(sighting: _Sighting, view: Views) -> tuple[Ints, Ints]:
    points = corners(sighting.boxes)
    each = view.take(np.zeros(len(points), dtype=np.int64))
    ahead = (np.einsum("nkj,nj->nk", points - each.position[:, None, :], each.rotation[:, 2]) > 1.0).all(axis=1)
    if not ahead.any() or not len(sighting.polygons):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    rows = np.flatnonzero(ahead)
    hulls = shapely.convex_hull(shapely.multipoints(project(points[rows], each.take(rows))))
    hulls = shapely.intersection(hulls, sighting.frame)
    block, silhouette = shapely.STRtree(sighting.polygons).query(hulls, predicate="intersects")
    shared = shapely.area(shapely.intersection(hulls[block], sighting.polygons[silhouette]))
    union = shapely.area(hulls[block]) + shapely.area(sighting.polygons[silhouette]) - shared
    overlap = np.zeros((len(rows), len(sighting.polygons)))
    overlap[block, silhouette] = shared / union
    best = overlap.argmax(axis=1)
    mutual = (overlap.argmax(axis=0)[best] == np.arange(len(rows))) & (overlap.max(axis=1) >= _SAME_SILHOUETTE_IOU)
    return rows[mutual], best[mutual]


def _fit_turn(matched: _Matched, view: Views, start: Floats) -> _Turn:
    """Levenberg-Marquardt with soft-L1 over the outlines' points, the blocks held."""
    vector, damping = start, 1e-3
    residual, slope, weight, cost = _linearise(matched, view, vector)
    for _ in range(_STEPS):
        information = np.einsum("kpi,kp,kpj->ij", slope, weight, slope)
        gradient = np.einsum("kpi,kp,kp->i", slope, weight, residual)
        damped = information + np.diag(np.diag(information)) * damping + np.eye(3) * 1e-9
        tried = vector - np.linalg.solve(damped, gradient)
        after = _linearise(matched, view, tried)
        if after[3] < cost:
            vector, damping = tried, damping / 5
            (residual, slope, weight, cost) = after
        else:
            damping *= 8
    before = _linearise(matched, view, np.zeros(3))[0]
    return _Turn(vector, _covariance(matched, slope, weight, residual), before, residual)


def _linearise(matched: _Matched, view: Views, vector: Floats) -> tuple[Floats, Floats, Floats, float]:
    """Residuals (k, p), slopes (k, p, 3), weights (k, p) and the robust cost at a turn."""
    count = len(matched.boxes)
    points = corners(matched.boxes)

    def lines(turn: Floats) -> tuple[Floats, Floats]:
        return outline_lines(project(points, _turned(view, turn).take(np.zeros(count, dtype=np.int64))))

    edges = outline_edges(matched.boxes, np.broadcast_to(view.position[0], (count, 3)))
    distance, nearest = signed_distances(lines(vector), edges, matched.pixels)
    counts = matched.own | (distance > 0)
    residual = np.where(counts, distance, 0.0)
    slope = np.empty((*distance.shape, 3))
    for axis in range(3):
        normal, offset = lines(vector + np.eye(3)[axis] * _TURN_STEP)
        along = np.take_along_axis(normal, nearest[..., None], axis=1)
        moved = (along * matched.pixels).sum(axis=-1) - np.take_along_axis(offset, nearest, axis=1)
        slope[..., axis] = np.where(counts, (moved - distance) / _TURN_STEP, 0.0)
    square = (residual / _SCALE_PX) ** 2
    return residual, slope, 1 / np.sqrt(1 + square), float((np.sqrt(1 + square) - 1).sum())


def _covariance(matched: _Matched, slope: Floats, weight: Floats, residual: Floats) -> Floats:
    """Of the turn, from how much the places on the floor contradict one another (a cluster-robust sandwich).

    The points of one block err together, and so do those of a block that stands still
    through several batches: they count as one witness.
    """
    places = _places(matched.boxes)
    information = np.einsum("kpi,kp,kpj->ij", slope, weight, slope) + np.eye(3) * 1e-9
    pull = np.einsum("kpi,kp,kp->ki", slope, weight, residual)
    strength = np.einsum("kpi,kp,kpj->kij", slope, weight, slope)
    count = int(places.max()) + 1
    by_place, strengths = np.zeros((count, 3)), np.zeros((count, 3, 3))
    np.add.at(by_place, places, pull)
    np.add.at(strengths, places, strength)
    points = np.maximum((weight * (slope != 0).any(axis=2)).sum(), 1.0) / count
    least = np.einsum("kij->ij", strengths) * _LEAST_STD_PX**2 * points
    spread = by_place.T @ by_place * count / max(1, count - 3)
    inverse = np.linalg.inv(information)
    return np.asarray(inverse @ (spread + least) @ inverse)


def _turned(view: Views, vector: Floats) -> Views:
    turn = Rotation.from_rotvec(vector).as_matrix()
    return Views(turn @ view.rotation, view.position, view.focal)


def _places(boxes: Floats) -> Ints:
    """(k,) number of the place on the floor that each box stands at; near ones are the same place."""
    if not len(boxes):
        return np.zeros(0, dtype=np.int64)
    near = cdist(boxes[:, [X, Y]], boxes[:, [X, Y]]) < _SAME_PLACE_M
    return np.asarray(connected_components(near, directed=False)[1], dtype=np.int64)
