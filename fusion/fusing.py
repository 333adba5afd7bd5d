"""Observation of one slot in, blocks on the floor out."""

from dataclasses import replace

import numpy as np
import shapely

from bays import BayConfig
from fusion.association import Hypotheses, associate, choose, collect, refit, worth_of
from fusion.blocks import fused_blocks, position_std
from fusion.pose_check import out_of_pose
from fusion.silhouettes import CANNOT_TELL_PX, Scene, build_scene
from fusion.types import FusionResult
from fusion.upright_box import PARAMETERS, Bools, Floats, Ints
from fusion.visibility import in_front, in_sight, unseen_floor
from inference.types import Observation

_MUST_SEE = 0.5  # share of a silhouette in open view from which a camera must have seen it
_FINAL_SCALE_PX = 2.5
_NOWHERE_M = 4.0  # a block whose centre is less certain than this has no place on a floor plan


def fuse(observation: Observation, bay: BayConfig) -> FusionResult:
    """Find the blocks that explain what all cameras saw.

    Every block is an upright box on the floor, fitted to all its silhouettes at once
    (`fusion.association`, `fusion.fitting`). The result does not depend on the order
    of cameras or objects.

    Args:
        observation: of one batch of this bay; pixels as the cameras sent them, distortion included.
        bay: with pose and intrinsics of every camera that takes part in fusion.

    Returns:
        Footprints in floor-frame metres. Cameras of the bay without a
        `CameraObservation` are in `missing_cameras`, and so are those that this batch shows to be
        out of their pose (`out_of_pose`); floor that no other camera saw is `unseen`.

    Raises:
        FusionError: the observation is of another bay, names a camera that the bay does
            not have or twice, or an image whose size is not that of the camera's intrinsics.
    """
    scene = build_scene(observation, bay)
    found, missed = _settled(*associate(scene), scene)
    out = out_of_pose(found, scene, bay)
    if out:
        scene = build_scene(_without(observation, out), bay)
        found, missed = _settled(*associate(scene), scene)
    working = tuple(frame.name for frame in scene.frames)
    return FusionResult(
        batch_id=observation.batch_id,
        bay_id=bay.bay_id,
        blocks=fused_blocks(found, missed, scene, bay),
        unseen=unseen_floor(scene, bay, found.boxes),
        cameras=working,
        missing_cameras=tuple(sorted({camera.name for camera in bay.fusion_cameras} - set(working))),
        out_of_pose=out,
    )


def _without(observation: Observation, names: tuple[str, ...]) -> Observation:
    """The observation without what these cameras saw."""
    return replace(observation, cameras=tuple(c for c in observation.cameras if c.camera_name not in names))


def _settled(found: Hypotheses, expected: Floats, scene: Scene) -> tuple[Hypotheses, Bools]:
    """The blocks fitted once more now that it is known who stands in front of whom, ghosts dropped.

    Dropped too is what cannot be placed: of a block of which one frame shows a corner,
    all that is known is that its floor is hidden (`FusionResult.unseen`).
    """
    for _ in range(2):
        available = np.ones(len(scene.objects), dtype=bool)
        available[found.members[found.members >= 0]] = False
        found = collect(found, scene, available)
        outlines = scene.outlines(_hiding(found, scene), _behind_undetected(found, scene))
        found = refit(found, scene, outlines, _FINAL_SCALE_PX)
        found = found.take(choose(found, expected))
    while True:
        missed = must_have_seen(found, scene) & (found.members < 0)
        worth = worth_of(found, missed, expected)
        if not (worth <= 0).any():
            placed = position_std(found) <= _NOWHERE_M
            return found.take(placed), missed[placed]
        # One at a time, the least supported first: without it others may be hidden no longer.
        found = found.take(np.arange(len(found)) != int(worth.argmin()))


def must_have_seen(found: Hypotheses, scene: Scene) -> Bools:
    """(h, cameras) whether most of the block is in that camera's open view.

    Cranes, blocks in front (as seen by that camera, or as known from others where it
    failed to detect them), and silhouettes that belong to no block hide it. Silhouettes
    of blocks behind do not: where those are seen, it would be seen.
    """
    result = np.zeros(found.members.shape, dtype=bool)
    owner = owners(found, scene)
    box, camera, outline = in_sight(found.boxes, scene)
    detected = found.members[box, camera] >= 0
    for row, column, shape in zip(box, camera, outline, strict=True):
        own = np.flatnonzero((scene.camera == column) & (owner != row))
        placed = owner[own] >= 0
        hiding = own[~placed | _nearer(found, np.maximum(owner[own], 0), row, scene.views.position[column])]
        unseen = np.flatnonzero((camera == column) & (box != row) & ~detected)
        unseen = unseen[_nearer(found, box[unseen], row, scene.views.position[column])]
        frame = scene.frames[column]
        visible = shape.intersection(frame.outline).difference(frame.crane)
        visible = visible.difference(shapely.union_all([*scene.polygons[hiding], *outline[unseen]]))
        result[row, column] = visible.area > _MUST_SEE * shape.area
    return result


def owners(found: Hypotheses, scene: Scene) -> Ints:
    """(n,) hypothesis that uses each silhouette, -1 for none."""
    owner = np.full(len(scene.objects), -1, dtype=np.int64)
    row, column = np.nonzero(found.members >= 0)
    owner[found.members[row, column]] = row
    return owner


def _nearer(found: Hypotheses, rows: Ints, than: int | Ints, eye: Floats) -> Bools:
    """Whether each of (n,) hypotheses can hide hypothesis `than` from (3,) or (n, 3) eyes."""
    boxes = found.boxes[rows]
    others = np.broadcast_to(found.boxes[than], boxes.shape)
    return in_front(boxes, others, np.broadcast_to(eye, (len(boxes), 3)))


def _hiding(found: Hypotheses, scene: Scene) -> Bools:
    """(m,) for each contact of outlines (`Scene.beside`), whether the other object may hide this one there."""
    owner = owners(found, scene)
    mine, other = owner[scene.beside[:, 0]], owner[scene.beside[:, 2]]
    known = (mine >= 0) & (other >= 0)
    eyes = scene.views.position[scene.camera[scene.beside[known, 0]]]
    hiding = np.ones(len(scene.beside), dtype=bool)
    hiding[known] = _nearer(found, other[known], mine[known], eyes)
    return hiding


def _behind_undetected(found: Hypotheses, scene: Scene) -> Bools:
    """(n, k) outline points where a block may hide the silhouette that this camera failed to detect itself."""
    hidden = np.zeros(scene.at_edge.shape, dtype=bool)
    owner = owners(found, scene)
    box, camera, outline = in_sight(found.boxes, scene)
    for index in np.flatnonzero(found.members[box, camera] < 0):
        others = np.flatnonzero((scene.camera == camera[index]) & (owner >= 0) & (owner != box[index]))
        eyes = scene.views.position[camera[index]]
        behind = others[
            in_front(
                np.broadcast_to(found.boxes[box[index]], (len(others), PARAMETERS)),
                found.boxes[owner[others]],
                np.broadcast_to(eyes, (len(others), 3)),
            )
        ]
        points = shapely.points(scene.pixels[behind])
        hidden[behind] |= shapely.dwithin(points, outline[index], CANNOT_TELL_PX)
    return hidden
