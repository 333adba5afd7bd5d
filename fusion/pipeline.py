"""Observation of one slot in, blocks on the floor out."""

from dataclasses import replace

import numpy as np

from bays import BayConfig
from fusion.association import Hypotheses, associate, choose, collect, refit, worth_of
from fusion.blocks import Placed, fused_blocks
from fusion.fitting import Outlines
from fusion.occlusion import behind_undetected, hiding, must_have_seen
from fusion.pose_check import out_of_pose
from fusion.scene import Scene, build_scene
from fusion.types import FusionResult
from fusion.uncertainty import position_std
from fusion.upright_box import Bools, Floats
from fusion.visibility import unseen_floor
from fusion.visual_hull import fitted_plans
from inference.types import Observation

_FINAL_SCALE_PX = 2.5
# A block whose centre is less certain than this has no place on a floor plan: of a block of which one
# frame shows a corner, all that is known is that its floor is hidden (`FusionResult.unseen`).
_NOWHERE_M = 2.5


def fuse(observation: Observation, bay: BayConfig) -> FusionResult:
    """Find the blocks that explain what all cameras saw.

    Every block is an upright box on the floor, fitted to all its silhouettes at once
    (`fusion.association`, `fusion.fitting`), or an upright prism where these contradict
    every box (`fusion.visual_hull`). The result does not depend on the order
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
    std = position_std(found, scene, _evidence(found, scene), _FINAL_SCALE_PX)
    certain = std <= _NOWHERE_M
    found, missed, std = found.take(certain), missed[certain], std[certain]
    shapes, heights, std = fitted_plans(found, std, scene)
    working = tuple(frame.name for frame in scene.frames)
    return FusionResult(
        batch_id=observation.batch_id,
        bay_id=bay.bay_id,
        blocks=fused_blocks(Placed(found, missed, shapes, heights, std), scene, bay),
        unseen=unseen_floor(scene, bay, found.boxes),
        cameras=working,
        missing_cameras=tuple(sorted({camera.name for camera in bay.fusion_cameras} - set(working))),
        out_of_pose=out,
    )


def _without(observation: Observation, names: tuple[str, ...]) -> Observation:
    """The observation without what these cameras saw."""
    return replace(observation, cameras=tuple(c for c in observation.cameras if c.camera_name not in names))


def _settled(found: Hypotheses, expected: Floats, scene: Scene) -> tuple[Hypotheses, Bools]:
    """The blocks fitted once more now that it is known who stands in front of whom, ghosts dropped."""
    for _ in range(2):
        available = np.ones(len(scene.objects), dtype=bool)
        available[found.members[found.members >= 0]] = False
        found = collect(found, scene, available)
        found = refit(found, scene, _evidence(found, scene), _FINAL_SCALE_PX)
        found = found.take(choose(found, scene, expected))
    while True:
        missed = must_have_seen(found, scene) & (found.members < 0)
        worth = worth_of(found, missed, scene, expected)
        if not (worth <= 0).any():
            return found, missed
        # One at a time, the least supported first: without it others may be hidden no longer.
        found = found.take(np.arange(len(found)) != int(worth.argmin()))


def _evidence(found: Hypotheses, scene: Scene) -> Outlines:
    """The outlines, where it is known what may hide each of them."""
    return scene.outlines(hiding(found, scene), behind_undetected(found, scene))
