"""Claimed deviations against errors that are known."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bays.camera_model import CameraModel
from fusion import fuse
from fusion.fitting import moved_by, turned_across
from fusion.occlusion import known_outlines
from fusion.scene import build_scene
from fusion.search import FINAL_SCALE_PX, find_blocks
from fusion.uncertainty import _counted_twice, _cut_off, measure


def measured(yard):
    search = find_blocks(build_scene(yard.observe(), yard.bay))
    outlines = known_outlines(search.chosen, search.scene)
    return measure(search.chosen, search.scene, outlines, FINAL_SCALE_PX)


@pytest.mark.slow(2)
def test_the_size_of_shifts_follows_from_the_batch(make_yard):
    steady = measured(make_yard(seed=2011, count=12, missed=0.0))
    shaken = measured(make_yard(seed=2011, count=12, missed=0.0, pose_error_deg=0.5))
    # Half a degree at 1450 px, along one of two axes.
    assert shaken.shifts.shift_px == pytest.approx(1450 * np.radians(0.5) / np.sqrt(2), rel=0.4)
    assert shaken.shifts.roll < 1  # the cameras turn across their view and not about it
    assert steady.shifts.shift_px < 1.0
    assert steady.shifts.noise_px == pytest.approx(2.0, rel=0.5)
    assert np.median(shaken.doubts.typical) > 4 * np.median(steady.doubts.typical)


@pytest.mark.slow(2)
def test_a_pose_that_is_off_does_not_bend_heights(make_yard, geometry):
    yard = make_yard(seed=2012, count=12, missed=0.0, pose_error_deg=0.5)
    blocks = fuse(yard.observe(), yard.bay).blocks
    scores = geometry.score([b.footprint for b in blocks], [b.height_m for b in blocks], yard.blocks)
    assert scores.recall == 1
    assert scores.height_error < 0.1


def test_a_block_that_the_frame_cuts_is_uncertain_along_that_axis(make_yard, geometry, demo_bay):
    block = geometry.Box("block", 60.0, 20.0, 9.0, 6.0, 0.0, 3.5)
    names = [camera.name for camera in demo_bay.fusion_cameras]
    alone = tuple(name for name in names if name != "D_6")
    camera = demo_bay.camera("D_6")
    cut = camera.model_copy(update={"pose": camera.pose.model_copy(update={"x": 60.0 + 20.5, "pan": 0.0})})
    bay = demo_bay.model_copy(update={"cameras": tuple(cut if c is camera else c for c in demo_bay.cameras)})
    (found,) = fuse(make_yard(boxes=(block,), bay=bay, missed=0.0, off=alone).observe(), bay).blocks
    x, y = found.position_std_xy_m
    assert x > 3 * y
    assert abs(found.footprint.centroid.x - 60.0) < 3 * x
    assert found.sides_std_m[0] > 3 * found.sides_std_m[1]
    assert found.position_std_m == pytest.approx(np.hypot(x, y) / np.sqrt(2))


@pytest.mark.slow(2)
@pytest.mark.parametrize("height", [0.5, 3.0])
def test_the_edge_of_two_frames_is_no_edge_of_the_block(make_yard, geometry, demo_bay, height):
    """Both end where one end of the block is still out of view; a low one's corner lies on two edges there."""
    pair = {
        camera.name: camera.model_copy(update={"pose": camera.pose.model_copy(update={"x": 60.0, "pan": pan})})
        for camera, pan in ((demo_bay.camera("C_6"), 180.0), (demo_bay.camera("D_6"), 0.0))
    }
    bay = demo_bay.model_copy(update={"cameras": tuple(pair.get(c.name, c) for c in demo_bay.cameras)})
    alone = tuple(camera.name for camera in demo_bay.fusion_cameras if camera.name not in pair)
    for x in (77.0, 78.0, 79.0, 80.0):
        block = geometry.Box("panel" if height < 1 else "block", x, 20.0, 12.0, 6.0, 0.05, height)
        for seed in (2301, 2302):
            yard = make_yard(boxes=(block,), bay=bay, seed=seed, missed=0.0, off=alone)
            (found,) = fuse(yard.observe(), bay).blocks
            # Of a side of which 8 to 12 m are seen, what blocks of its class are says the rest.
            assert 2.0 < found.sides_std_m[0] < 6.0
            assert 1.0 < found.position_std_xy_m[0] < 3.0
            assert found.sides_std_m[1] < 0.1
            assert abs(found.footprint.centroid.x - x) < 2 * found.position_std_xy_m[0]


@pytest.mark.parametrize(("own", "common", "least", "most"), [(1.0, 0.0, 1.0, 1.6), (0.0, 1.0, 8.0, 8.0), (1, 1, 3, 6)])
def test_shifts_that_a_camera_gives_all_its_silhouettes_count_once(own, common, least, most):
    rng = np.random.default_rng(5)
    cameras = np.tile(np.arange(12).reshape(3, 4), (8, 1))  # 24 blocks in 4 views each
    shifts = own * rng.normal(size=(*cameras.shape, 2)) + common * rng.normal(size=(12, 2))[cameras]
    parts = SimpleNamespace(shifts=shifts, present=np.ones(cameras.shape, dtype=bool))
    assert least <= _counted_twice(parts, cameras) <= most


def test_what_is_cut_off_a_normal_distribution():
    covariance = np.array([[[4.0, 1.0], [1.0, 2.0]]])
    force = np.array([[-0.3, 0.0]])
    drawn = np.random.default_rng(4).multivariate_normal(-covariance[0] @ force[0], covariance[0], 400_000)
    left = drawn[drawn @ force[0] > 0]
    np.testing.assert_allclose(_cut_off(covariance, force)[0], left.T @ left / len(left), rtol=0.02)
    np.testing.assert_allclose(_cut_off(covariance, 0 * force), covariance)


def test_a_shift_is_what_a_turn_of_the_camera_does(demo_bay):
    """Points at infinity, seen by the camera and by the same one turned a little."""
    focal = float(CameraModel.of(demo_bay.camera("C_4")).intrinsics.focal_px)
    pixels = np.random.default_rng(2).uniform(-600, 600, (1, 20, 2))
    rays = np.concatenate([pixels / focal, np.ones((1, 20, 1))], axis=-1)
    normal = np.broadcast_to(np.array([0.6, 0.8]), pixels.shape)
    slopes = turned_across(normal, pixels, np.array([focal]))
    # A turn about the right axis moves the image along v, one about the down axis along u.
    for parameter, axis in enumerate(([0, 1, 0], [-1, 0, 0], [0, 0, 1])):
        step = 1e-6
        shift = np.zeros((1, 3))
        shift[0, parameter] = focal * step
        turned = rays @ Rotation.from_rotvec(np.array(axis) * step).as_matrix().T
        moved = focal * turned[..., :2] / turned[..., 2:]
        change = ((moved - pixels) * normal).sum(axis=-1) / (focal * step)
        np.testing.assert_allclose(slopes[..., parameter], change, atol=1e-4)
        np.testing.assert_allclose(moved_by(shift, pixels, np.array([focal])), moved, atol=1e-6)


@pytest.mark.slow(2)
def test_poses_that_are_off_do_not_bend_flat_panels(make_yard, geometry, demo_bay):
    """A shift of 9 pixels is as much as such a panel is high in the image."""
    panels = tuple(geometry.Box("panel", x, y, 9.0, 6.0, 0.1, 0.4) for x in (30.0, 60.0, 90.0) for y in (12.0, 28.0))
    off = []
    for seed in (2113, 2114):
        blocks = fuse(make_yard(boxes=panels, seed=seed, missed=0.0, pose_error_deg=0.5).observe(), demo_bay).blocks
        assert len(blocks) == len(panels)
        off += [(block.height_m - 0.4) / block.height_std_m for block in blocks]
    assert abs(np.mean(off)) < 0.7
    assert np.sqrt(np.mean(np.square(off))) < 1.8


@pytest.mark.slow(3)
def test_cameras_that_are_all_off_alike_are_seen_to_disagree(make_yard, demo_bay):
    right, off = (fuse(make_yard(count=14, seed=2110, pose_error_deg=off).observe(), demo_bay) for off in (0.0, 0.25))
    assert right.pose_disagreement_deg < 0.05
    assert off.pose_disagreement_deg > 0.1
