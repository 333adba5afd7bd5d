"""A batch as geometry: which stretches of an outline are the object's own edge, what of a frame is open floor."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from fusion.scene import build_scene
from inference.types import DetectedObject


@pytest.fixture
def observation(geometry, make_yard):
    return make_yard(boxes=(geometry.Box("panel", 54.5, 25.2, 9.0, 6.5, 0.02, 1.2),), missed=0.0).observe()


@pytest.mark.parametrize(("class_name", "ends"), [("welder", True), ("crane", True), ("pinjig", False)])
def test_within_a_box_of_equipment_an_outline_is_not_the_blocks_own(observation, demo_bay, class_name, ends):
    """What stands on a deck or before a block is part of its mask or a notch in it, as it happens."""
    before = build_scene(observation, demo_bay)
    row = int(before.camera[0])
    seen, model = before.frames[row].observation, before.frames[row].model
    corner = before.objects[0].polygon[0].astype(float)
    ideal = model.undistort(corner[None])[0] * model.intrinsics.focal_px
    point = int(np.argmin(np.linalg.norm(before.pixels[0] - ideal, axis=1)))
    box = np.concatenate([corner - 40, corner + 40]).astype(np.float32)
    more = replace(seen, objects=(*seen.objects, DetectedObject(class_name, 0.9, box)))
    cameras = tuple(more if camera is seen else camera for camera in observation.cameras)
    scene = build_scene(replace(observation, cameras=cameras), demo_bay)
    assert not before.at_edge[0, point]
    assert scene.at_edge[0, point] == ends
    assert scene.at_edge[0].sum() < len(scene.at_edge[0]) / 2
    hidden = shapely.area(before.free[row]) - shapely.area(scene.free[row])
    assert (hidden > 1500) == ends
