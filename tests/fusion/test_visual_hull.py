"""Footprints that are not boxes: carved where silhouettes say so, and only there."""

import numpy as np
import pytest

from fusion import fuse


@pytest.mark.parametrize(("plan", "cut"), [("L", (0.45, 0.5)), ("octagon", (0.3, 0.3))])
@pytest.mark.parametrize("name", ["panel", "block"])
def test_a_plan_that_is_no_box_is_found(geometry, make_yard, demo_bay, plan, cut, name):
    height = {"panel": 0.8, "block": 3.5}[name]
    block = geometry.Box(name, 48.0, 20.0, 11.0, 8.0, 0.2, height, plan=plan, cut=cut)
    (found,) = fuse(make_yard(boxes=(block,), missed=0.0).observe(), demo_bay).blocks
    assert geometry.iou(found.footprint, block.footprint) > 0.9
    assert abs(found.height_m - height) < 0.3


def test_boxes_stay_boxes(make_yard):
    yard = make_yard(seed=2010, noise_px=3.0)
    blocks = fuse(yard.observe(), yard.bay).blocks
    assert len(blocks) > 20
    assert all(len(block.footprint.exterior.coords) == 5 for block in blocks)


def test_two_cameras_do_not_carve_what_one_of_them_alone_contradicts(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 48.0, 20.0, 10.0, 7.0, 0.2, 3.5)
    yard = make_yard(boxes=(box,), missed=0.0)
    observation = yard.observe()
    liar = next(camera for camera in observation.cameras if camera.objects)
    outline = liar.objects[0].polygon
    middle = outline.mean(axis=0)
    shrunk = np.where(outline[:, :1] > middle[0], middle + 0.5 * (outline - middle), outline)
    lie = geometry.detected("block", shrunk, 0.9)
    cameras = [
        liar.__class__(c.camera_name, c.captured_at, c.image_size, (lie,)) if c is liar else c
        for c in observation.cameras
    ]
    (found,) = fuse(observation.__class__(observation.batch_id, observation.bay_id, tuple(cameras)), demo_bay).blocks
    assert geometry.iou(found.footprint, box.footprint) > 0.85
