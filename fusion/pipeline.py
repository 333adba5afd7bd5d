"""Observation of one slot in, blocks on the floor out."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from bays import BayConfig
from fusion.blocks import Placed, fused_blocks
from fusion.occlusion import known_outlines
from fusion.plans import fitted_plans
from fusion.pose_check import out_of_pose
from fusion.scene import Frame, Scene, build_scene
from fusion.search import FINAL_SCALE_PX, Search, find_blocks
from fusion.types import FusionResult
from fusion.uncertainty import measure
from fusion.visibility import unseen_floor
from inference.types import Observation

# A block whose centre is less certain than this has no place on a floor plan: of a block of which one
# frame shows a corner, all that is known is that its floor is hidden (`FusionResult.unseen`).
_NOWHERE_M = 4.0


def fuse(observation: Observation, bay: BayConfig) -> FusionResult:
    """Find the blocks that explain what all cameras saw.

    Every block is an upright box on the floor, fitted to all its silhouettes at once
    (`fusion.search`, `fusion.fitting`), or an upright prism over another polygon where these
    prove it (`fusion.plans`). The result does not depend on the order
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
    search = find_blocks(build_scene(observation, bay))
    out = out_of_pose(search.chosen, search.scene, bay)
    if out:
        search = find_blocks(build_scene(_without(observation, out), bay))
    scene, placed = search.scene, _placed(search)
    working = tuple(frame.name for frame in scene.frames)
    return FusionResult(
        batch_id=observation.batch_id,
        bay_id=bay.bay_id,
        blocks=fused_blocks(placed, scene, bay),
        unseen=unseen_floor(scene, bay, placed.found.boxes),
        cameras=working,
        missing_cameras=tuple(sorted({camera.name for camera in bay.fusion_cameras} - set(working))),
        out_of_pose=out,
        captured_at=_middle_of_times(scene.frames),
        pose_disagreement_deg=_as_angle(placed.shift_px, scene) if len(placed.found) else None,
    )


def _as_angle(pixels: float, scene: Scene) -> float:
    """Degrees that this many pixels are in the middle of a usual image of the scene."""
    return float(np.degrees(np.arctan(pixels / np.median(scene.views.focal))))


def _middle_of_times(frames: Sequence[Frame]) -> datetime | None:
    """The median, which one camera with a wrong clock does not move; the earlier of two in the middle."""
    times = sorted(frame.observation.captured_at for frame in frames)
    return times[(len(times) - 1) // 2] if times else None


def _without(observation: Observation, names: tuple[str, ...]) -> Observation:
    """The observation without what these cameras saw."""
    return replace(observation, cameras=tuple(c for c in observation.cameras if c.camera_name not in names))


def _placed(search: Search) -> Placed:
    """Where and how certainly the found blocks stand; those that may stand anywhere are left out."""
    scene = search.scene
    outlines = known_outlines(search.chosen, scene)
    measured = measure(search.chosen, scene, outlines, FINAL_SCALE_PX)
    certain = measured.doubts.typical <= _NOWHERE_M
    measured = measured.take(certain)
    return Placed(
        measured.found, search.missed[certain], fitted_plans(measured, scene, outlines), measured.shifts.shift_px
    )
