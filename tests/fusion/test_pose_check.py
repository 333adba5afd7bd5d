"""Knocked cameras in yards by independent geometry (see conftest.py)."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from bays.camera_model import CameraModel, angles_of, rotation
from fusion import fuse
from fusion.pose_check import BATCH_TOLERANCE_DEG, PoseVerdict, check_poses, seen_batch
from fusion.types import FusionResult

OUT, OK, UNKNOWN = PoseVerdict.OUT_OF_POSE, PoseVerdict.OK, PoseVerdict.UNDECIDED


@pytest.fixture(scope="module")
def knocked(make_yard, demo_bay):
    """knocked("C_6", pan=1.0, tilt=0, seed=0): an observation with that camera really turned so."""

    def make(name=None, pan=0.0, tilt=0.0, seed=2000, **yard):
        def hung(camera):
            if camera.name != name:
                return camera
            change = {"pan": camera.pose.pan + pan, "tilt": camera.pose.tilt + tilt}
            return camera.model_copy(update={"pose": camera.pose.model_copy(update=change)})

        true = demo_bay.model_copy(update={"cameras": tuple(hung(camera) for camera in demo_bay.cameras)})
        yard = make_yard(seed=seed, **yard)
        return replace(yard, bay=true).observe(), yard

    return make


def verdicts(checks):
    return {check.camera: check.verdict for check in checks}


@pytest.mark.parametrize("pan", [0, 90, 179.5, -135])
@pytest.mark.parametrize(("tilt", "roll"), [(0, 0), (46, -7), (90, 0), (-30, 120)])
def test_angles_are_read_back_from_a_rotation(demo_bay, pan, tilt, roll):
    pose = demo_bay.cameras[0].pose.model_copy(update={"pan": pan, "tilt": tilt, "roll": roll})
    again = dict(zip(("pan", "tilt", "roll"), angles_of(rotation(pose)), strict=True))
    assert np.allclose(rotation(pose.model_copy(update=again)), rotation(pose), atol=1e-9)


@pytest.mark.slow(4)
def test_cameras_in_their_pose_are_not_accused(knocked, demo_bay):
    batches = [seen_batch(knocked(seed=seed)[0], demo_bay) for seed in (2003, 2004)]
    for batch in batches:
        checks = check_poses([batch], demo_bay, BATCH_TOLERANCE_DEG)
        assert OUT not in verdicts(checks).values()
        assert sum(check.verdict is OK for check in checks) >= 8
    both = check_poses(batches, demo_bay)
    assert OUT not in verdicts(both).values()
    assert sum(check.verdict is OK for check in both) >= 9


@pytest.mark.slow(3)
def test_a_knocked_camera_is_told_with_its_turn(knocked, demo_bay):
    observation, _ = knocked("C_6", pan=1.5, tilt=-0.8)
    checks = check_poses([seen_batch(observation, demo_bay)], demo_bay)
    assert [check.camera for check in checks if check.verdict is OUT] == ["C_6"]
    (found,) = (check for check in checks if check.camera == "C_6")
    assert found.pan_deg == pytest.approx(1.5, abs=0.25)
    assert found.tilt_deg == pytest.approx(-0.8, abs=0.15)
    assert found.roll_deg == pytest.approx(0.0, abs=0.3)
    assert found.residual_px > 10
    assert found.turned_px < 2.5
    assert found.blocks >= 3


@pytest.mark.slow(6)
def test_the_blocks_may_come_from_the_fusion_result(knocked, demo_bay):
    observation, _ = knocked("D_9", tilt=1.0, seed=2001)
    result = fuse(observation, demo_bay)
    checks = check_poses([seen_batch(observation, demo_bay, result)], demo_bay)
    assert [check.camera for check in checks if check.verdict is OUT] == ["D_9"]


@pytest.mark.slow(7)
def test_a_large_knock_and_a_small_one(knocked, demo_bay):
    for tilt, expected in ((3.0, ("D_6",)), (0.3, ())):
        observation, _ = knocked("D_6", tilt=tilt, seed=2002)
        assert fuse(observation, demo_bay).out_of_pose == expected


@pytest.mark.slow(7)
def test_fusion_goes_on_without_a_knocked_camera(geometry, knocked, demo_bay):
    observation, yard = knocked("C_7", pan=2.5, seed=2005)
    result = fuse(observation, demo_bay)
    assert result.out_of_pose == ("C_7",)
    assert result.missing_cameras == ("C_7",)
    assert "C_7" not in result.cameras
    assert all("C_7" not in block.cameras for block in result.blocks)
    without = replace(observation, cameras=tuple(c for c in observation.cameras if c.camera_name != "C_7"))
    expected = fuse(without, demo_bay)
    assert result.unseen.equals(expected.unseen)
    assert [block.footprint.wkb for block in result.blocks] == [block.footprint.wkb for block in expected.blocks]
    footprints, heights = [b.footprint for b in result.blocks], [b.height_m for b in result.blocks]
    assert geometry.score(footprints, heights, yard.blocks).recall >= 0.9


@pytest.mark.slow(3)
def test_cameras_that_are_all_off_a_little_are_kept(make_yard, demo_bay):
    assert fuse(make_yard(seed=2006, pose_error_deg=0.5).observe(), demo_bay).out_of_pose == ()


@pytest.mark.slow(3)
def test_bad_detections_accuse_nobody(make_yard, demo_bay):
    spoilt = make_yard(seed=2007, noise_px=5.0, missed=0.10, false=0.05)
    assert fuse(spoilt.observe(), demo_bay).out_of_pose == ()


@pytest.mark.slow(5)
def test_where_too_many_contradict_nobody_is_accused(make_yard, demo_bay):
    rng = np.random.default_rng(3)

    def hung(camera):
        turn = rng.uniform(2, 4, 2) * rng.choice([-1, 1], 2)
        change = {"pan": camera.pose.pan + turn[0], "tilt": camera.pose.tilt + turn[1]}
        return camera.model_copy(update={"pose": camera.pose.model_copy(update=change)})

    true = demo_bay.model_copy(update={"cameras": tuple(hung(camera) for camera in demo_bay.cameras)})
    observation = replace(make_yard(seed=2008), bay=true).observe()
    assert OUT not in verdicts(check_poses([seen_batch(observation, demo_bay)], demo_bay)).values()


def test_without_blocks_nothing_can_be_told(make_yard, demo_bay):
    checks = check_poses([seen_batch(make_yard(boxes=()).observe(), demo_bay)], demo_bay)
    assert set(verdicts(checks).values()) == {UNKNOWN}
    assert "shares 0 blocks with others" in checks[0].reason


def test_a_camera_without_a_frame_cannot_be_told(make_yard, demo_bay):
    observation = make_yard(boxes=(), off=("C_4",)).observe()
    checks = check_poses([seen_batch(observation, demo_bay)], demo_bay)
    (check,) = (check for check in checks if check.camera == "C_4")
    assert (check.verdict, check.reason) == (UNKNOWN, "no frame of it in these batches")


@pytest.mark.slow(1)
def test_two_cameras_that_contradict_each_other_are_not_judged(geometry, knocked, demo_bay):
    """With no third witness it cannot be known which of the two was knocked."""
    boxes = tuple(geometry.Box("block", x, y, 8.0, 5.0, 0.1, 3.0) for x in (26, 37) for y in (12, 20, 28))
    off = tuple(camera.name for camera in demo_bay.cameras if camera.name not in ("C_4", "D_4"))
    observation, _ = knocked("C_4", tilt=2.0, boxes=boxes, off=off, missed=0.0)
    checks = check_poses([seen_batch(observation, demo_bay)], demo_bay)
    assert OUT not in verdicts(checks).values()


def test_a_result_from_before_reads_with_no_camera_out_of_pose(make_yard, demo_bay):
    result = fuse(make_yard(boxes=()).observe(), demo_bay)
    state = {key: value for key, value in vars(result).items() if key != "out_of_pose"}
    old = object.__new__(FusionResult)
    vars(old).update(state)
    assert pickle.loads(pickle.dumps(old)).out_of_pose == ()


@pytest.mark.slow(2)
def test_the_estimate_agrees_with_the_cameras_own_model(knocked, demo_bay):
    """Corrected by the told turn, the file's pose looks where the camera really looks."""
    observation, _ = knocked("C_9", pan=-2.0, tilt=1.0, seed=2009)
    (check,) = (c for c in check_poses([seen_batch(observation, demo_bay)], demo_bay) if c.camera == "C_9")
    camera = demo_bay.camera("C_9")
    middle = np.array([960.0, 540.0])

    def looks(pan, tilt, roll=0.0):
        change = {"pan": camera.pose.pan + pan, "tilt": camera.pose.tilt + tilt, "roll": roll}
        return CameraModel(camera.pose.model_copy(update=change), camera.intrinsics).to_plane(middle)

    told = looks(check.pan_deg, check.tilt_deg, check.roll_deg)
    assert np.linalg.norm(told - looks(-2.0, 1.0)) < 0.12
