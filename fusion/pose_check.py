"""Which cameras no longer hang as the bay's file says, found in ordinary batches.

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

from bays import BayConfig
from bays.camera_model import angles_of
from fusion.agreement import collect
from fusion.fitting import Outlines, SizePrior, fit_boxes, sensitivity
from fusion.hypotheses import Hypotheses
from fusion.pose_drift import ERR_TOGETHER, LEAST_BLOCKS, SCALE_PX, Sighting, Turn, estimate_turn, turned
from fusion.refitting import refit
from fusion.scene import Scene, build_scene
from fusion.search import associate, suggest
from fusion.types import FusionResult
from fusion.upright_box import DEPTH, HEIGHT, PARAMETERS, WIDTH, YAW, Bools, Floats, Ints, X, Y
from inference.types import Observation

# Degrees that a camera may be turned before it is reported, and before a batch goes on without it.
# Figures that led to both: docs/calibrate_a_camera.md, from `python -m lab.evaluation.pose_check`.
TOLERANCE_DEG = 0.25
BATCH_TOLERANCE_DEG = 0.6

_WITHOUT_ONE = 0.5  # of the tolerance that a turn must still exceed without any single witness
_ABOVE_OTHERS = 3.0  # times the other cameras' median turn: where all are off a little, none is knocked
_OK_FOR_ONE = 2  # cameras in their pose for each one out of it; with fewer it cannot be known which are right
_FARTHEST_DEG = 8.0  # of a turn that is looked for
_WIDE_PRIOR = (np.array([np.log(8.5), np.log(6.5), 3.0]), np.array([1.0, 1.0, 5.0]))


class PoseVerdict(StrEnum):
    """What a pose check says of a camera."""

    OK = "ok"
    OUT_OF_POSE = "out of pose"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class PoseCheck:
    """How one camera's pose fits what the other cameras saw.

    Attributes:
        camera: its name.
        verdict: of the check.
        reason: for the verdict, to be read.
        blocks: places on the floor that it was judged by.
        marks: witnesses that it was judged by (`fusion.witness_check`).
        residual_px: median distance of its outlines from those of the blocks, pose as in the file.
        turned_px: the same once the camera is turned by the estimate.
        angle_deg: size of the turn; None where it is unknown.
        least_deg: the smallest turn that the batches leave likely.
        across_std_deg: standard deviation of where it looks, roll left out.
        pan_deg: change of the file's pan that the estimate amounts to.
        tilt_deg: change of the file's tilt.
        roll_deg: change of the file's roll.
    """

    camera: str
    verdict: PoseVerdict
    reason: str
    blocks: int = 0
    marks: int = 0
    residual_px: float | None = None
    turned_px: float | None = None
    angle_deg: float | None = None
    least_deg: float | None = None
    across_std_deg: float | None = None
    pan_deg: float | None = None
    tilt_deg: float | None = None
    roll_deg: float | None = None


@dataclass(frozen=True)
class SeenBatch:
    """One batch's silhouettes and the blocks that explain them."""

    scene: Scene
    found: Hypotheses


def seen_batch(observation: Observation, bay: BayConfig, result: FusionResult | None = None) -> SeenBatch:
    """The batch as the check needs it; without a `result` its blocks are searched for.

    Raises:
        FusionError: the observation does not fit the bay.
    """
    scene = build_scene(observation, bay)
    if result is None:
        return SeenBatch(scene, associate(suggest(scene)).chosen)
    return SeenBatch(scene, refit(collect(_hypotheses(result, scene), scene), scene, scene.outlines()))


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
            break
        out.add(max(accused, key=lambda check: (check.least_deg or 0.0, check.camera)).camera)
    if _OK_FOR_ONE * len(out) > sum(check.verdict is PoseVerdict.OK for check in judged):
        judged = [_undecided(check) for check in judged]
    return tuple(sorted(judged, key=lambda check: check.camera))


def out_of_pose(found: Hypotheses, scene: Scene, bay: BayConfig) -> tuple[str, ...]:
    """Cameras that this one batch clearly shows to be out of their pose, by name."""
    checks = check_poses([SeenBatch(scene, found)], bay, BATCH_TOLERANCE_DEG)
    return tuple(check.camera for check in checks if check.verdict is PoseVerdict.OUT_OF_POSE)


def _judge(name: str, batches: Sequence[SeenBatch], out: frozenset[str], tolerance_deg: float) -> PoseCheck:
    """The verdict on one camera; an accusation must stand without any single witness."""
    check = _measured(name, batches, out, tolerance_deg)
    if check.verdict is not PoseVerdict.OUT_OF_POSE:
        return check
    for witness in sorted(_witnesses(name, batches) - out):
        without = _measured(name, batches, out | {witness}, _WITHOUT_ONE * tolerance_deg)
        if without.verdict is not PoseVerdict.OUT_OF_POSE:
            reason = f"{check.reason}; but by the word of {witness} alone"
            return replace(check, verdict=PoseVerdict.UNDECIDED, reason=reason)
    return check


def _measured(name: str, batches: Sequence[SeenBatch], out: frozenset[str], tolerance_deg: float) -> PoseCheck:
    sightings, view = [], None
    for batch in batches:
        row = _row(batch.scene, name)
        if row is not None:
            sightings.append(_sighting(batch, row, out))
            view = batch.scene.views.take(np.array([row]))
    if view is None:
        return PoseCheck(name, PoseVerdict.UNDECIDED, "no frame of it in these batches")
    turn, blocks = estimate_turn(sightings, view)
    if turn is None:
        reason = f"it shares {blocks} blocks with others, and {LEAST_BLOCKS} are needed"
        return PoseCheck(name, PoseVerdict.UNDECIDED, reason, blocks)
    verdict, reason = _verdict(turn, tolerance_deg)
    before, after = angles_of(view.rotation[0]), angles_of(turned(view, turn.vector).rotation[0])
    pan, tilt, roll = ((b - a + 180) % 360 - 180 for a, b in zip(before, after, strict=True))
    return PoseCheck(
        name,
        verdict,
        reason,
        turn.blocks,
        residual_px=turn.residual_px,
        turned_px=turn.turned_px,
        angle_deg=turn.angle_deg,
        least_deg=turn.least_deg,
        across_std_deg=turn.across_std_deg,
        pan_deg=pan,
        tilt_deg=tilt,
        roll_deg=roll,
    )


def _row(scene: Scene, name: str) -> int | None:
    return next((row for row, frame in enumerate(scene.frames) if frame.name == name), None)


def _witnesses(name: str, batches: Sequence[SeenBatch]) -> set[str]:
    """Cameras that see a block which this one may see."""
    witnesses: set[str] = set()
    for batch in batches:
        row = _row(batch.scene, name)
        if row is not None:
            near = _about_in_frame(batch.found.boxes, batch.scene, row)
            seeing = np.flatnonzero((batch.found.members[near] >= 0).any(axis=0))
            witnesses |= {batch.scene.frames[column].name for column in seeing}
    return witnesses - {name}


def _verdict(turn: Turn, tolerance: float) -> tuple[PoseVerdict, str]:
    measured = f"turned by {turn.angle_deg:.2f} degrees"
    if turn.least_deg > tolerance:
        return PoseVerdict.OUT_OF_POSE, f"{measured}, surely by more than {tolerance:g}"
    if turn.across_std_deg > tolerance / 2:
        return (
            PoseVerdict.UNDECIDED,
            f"{measured} ± {turn.across_std_deg:.2f}, too uncertain for {tolerance:g}",
        )
    return PoseVerdict.OK, f"{measured} ± {turn.across_std_deg:.2f}"


def _against_each_other(judged: list[PoseCheck]) -> list[PoseCheck]:
    """Where all cameras are off a little, the one that is off a little more has not been knocked."""
    result = []
    for check in judged:
        others = [o.least_deg for o in judged if o.camera != check.camera and o.least_deg is not None]
        usual = float(np.median(others)) if others else 0.0
        if (
            check.verdict is PoseVerdict.OUT_OF_POSE
            and check.least_deg is not None
            and check.least_deg < _ABOVE_OTHERS * usual
        ):
            reason = f"{check.reason}; but the others are off as well, by {usual:.2f} in the median"
            check = replace(check, verdict=PoseVerdict.UNDECIDED, reason=reason)  # noqa: PLW2901
        result.append(check)
    return result


def _undecided(check: PoseCheck) -> PoseCheck:
    if check.verdict is not PoseVerdict.OUT_OF_POSE:
        return check
    reason = f"{check.reason}; but too many cameras contradict one another to know which are right"
    return replace(check, verdict=PoseVerdict.UNDECIDED, reason=reason)


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
    )


def _sighting(batch: SeenBatch, row: int, out: frozenset[str]) -> Sighting:
    """The camera's silhouettes, and the blocks as the cameras other than it and `out` know them."""
    scene, found = batch.scene, batch.found
    others = np.array([i != row and frame.name not in out for i, frame in enumerate(scene.frames)])
    members = np.where(others, found.members, -1)
    rows = np.flatnonzero((members >= 0).any(axis=1))
    rows = rows[_about_in_frame(found.boxes[rows], scene, row)]
    bent = (members[rows] != found.members[rows]).any(axis=1)
    outlines = scene.outlines()
    boxes = found.boxes[rows]
    if bent.any():
        boxes[bent] = _fitted(boxes[bent], members[rows[bent]], outlines)
    information = _information(boxes, members[rows], outlines)
    own = np.flatnonzero(scene.camera == row)
    return Sighting(
        boxes, information, scene.pixels[own], outlines.own[own], scene.polygons[own], scene.frames[row].outline
    )


def _about_in_frame(boxes: Floats, scene: Scene, row: int) -> Bools:
    """(k,) whether the box may show in the camera's frame, were it turned by up to `_FARTHEST_DEG`."""
    view = scene.views.take(np.full(len(boxes), row))
    centres = np.stack([boxes[:, X], boxes[:, Y], boxes[:, HEIGHT] / 2], axis=-1)
    direction = np.einsum("nij,nj->ni", view.rotation, centres - view.position)
    margin = np.tan(np.radians(_FARTHEST_DEG)) * scene.views.focal[row]
    low, high = np.array(scene.frames[row].outline.bounds).reshape(2, 2)
    pixels = direction[:, :2] / np.maximum(direction[:, 2:], 1.0) * view.focal[:, None]
    ahead = direction[:, 2] > 1.0
    return np.asarray(ahead & (pixels > low - margin).all(axis=1) & (pixels < high + margin).all(axis=1))


def _fitted(boxes: Floats, members: Ints, outlines: Outlines) -> Floats:
    """(k, 6) boxes fitted to these members alone."""
    return fit_boxes(boxes, _packed(members), outlines.thinned(2), _wide_prior(len(boxes)), steps=6).boxes


def _information(boxes: Floats, members: Ints, outlines: Outlines) -> Floats:
    """(k, 6, 6) inverse of the boxes' covariance, from these members; what they leave unexplained widens it."""
    if not len(boxes):
        return np.zeros((0, PARAMETERS, PARAMETERS))
    parts = sensitivity(boxes, _packed(members), outlines.thinned(2), _wide_prior(len(boxes)), scale=SCALE_PX)
    unexplained = parts.noise**2 + (parts.shifts**2).sum(axis=-1) / 2
    count = np.maximum(parts.present.sum(axis=1), 1)
    misfit = np.where(parts.present, unexplained, 0.0).sum(axis=1) / count
    seen = parts.information / (ERR_TOGETHER**2 * np.maximum(misfit, SCALE_PX**2)[:, None, None])
    return np.asarray(seen + parts.prior)


def _packed(members: Ints) -> Ints:
    """Members first, as wide as the block that most cameras see."""
    order = np.argsort(members < 0, axis=1, kind="stable")
    return np.asarray(np.take_along_axis(members, order, axis=1)[:, : int((members >= 0).sum(axis=1).max())])


def _wide_prior(count: int) -> SizePrior:
    return SizePrior(*(np.broadcast_to(value, (count, 3)) for value in _WIDE_PRIOR))
