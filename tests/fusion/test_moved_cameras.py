"""A camera was moved between batches: each batch is fused, judged and refined with the poses of its day."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from bay_observation.errors import CalibrationError
from bays import EarlierCalibration, load_bay, slot_of
from fusion.__main__ import main
from fusion.refining import refine_poses
from fusion.scene import build_scene

MOVED = datetime(2025, 7, 3, tzinfo=UTC)  # after the yard's slot


def with_moved(bay, moved=MOVED, name="C_4", **lens):
    """The bay after one camera was hung 3 m further on and turned; its file keeps how it hung."""

    def hung(camera):
        pose = camera.pose.model_copy(update={"x": camera.pose.x + 3, "pan": camera.pose.pan + 8})
        earlier = (EarlierCalibration(until=moved, pose=camera.pose, intrinsics=camera.intrinsics),)
        intrinsics = camera.intrinsics.model_copy(update=lens)
        return camera.model_copy(update={"pose": pose, "intrinsics": intrinsics, "earlier": earlier})

    return bay.model_copy(update={"cameras": tuple(hung(c) if c.name == name else c for c in bay.cameras)})


@pytest.fixture(scope="module")
def seen(make_yard):
    return make_yard(seed=3, count=4).observe()


def test_a_batch_is_seen_by_the_cameras_of_its_day(seen, demo_bay):
    before, after = build_scene(seen, demo_bay), build_scene(seen, with_moved(demo_bay, focal_px=2000.0))
    for name in ("rotation", "position", "focal"):
        np.testing.assert_array_equal(getattr(after.views, name), getattr(before.views, name))
    np.testing.assert_array_equal(after.pixels, before.pixels)


def test_a_batch_after_the_move_is_seen_by_the_moved_camera(seen, demo_bay):
    row = [frame.name for frame in build_scene(seen, demo_bay).frames].index("C_4")
    moved = build_scene(seen, with_moved(demo_bay, slot_of(seen.batch_id), focal_px=2000.0))
    assert moved.views.position[row, 0] == demo_bay.camera("C_4").pose.x + 3
    assert moved.views.focal[row] == 2000


def test_batches_before_the_move_refine_nothing(seen, demo_bay):
    with pytest.raises(CalibrationError, match=r"is older than 2025-07-03.*take later batches"):
        refine_poses([seen], with_moved(demo_bay))


@pytest.fixture
def moved_file(make_bay, demo_bay, seen, store):
    cameras = [json.loads(camera.model_dump_json(exclude_none=True)) for camera in with_moved(demo_bay).cameras]
    store.save("observation", "demo_bay", seen.batch_id, seen)
    return make_bay("demo_bay", enabled=False, cameras=cameras)


@pytest.mark.parametrize("command", ["check-poses", "refine-poses"])
def test_commands_take_batches_since_the_move_alone(moved_file, command, capsys):
    assert main([command, "demo_bay"]) == 3
    assert "no observation of bay demo_bay" in capsys.readouterr().err


@pytest.mark.slow(1)
def test_a_calibration_since_a_moment_keeps_the_pose_before_it(moved_file, points, capsys):
    before = load_bay("demo_bay").camera("C_4")
    command = ["calibrate", "demo_bay", "--camera", "C_4", "--points", str(points), "--force", "--since"]
    assert main([*command, "2025-07-02 09:00"]) == 2
    assert "C_4 was moved at 2025-07-03" in capsys.readouterr().err
    assert main([*command, (datetime.now(UTC) + timedelta(hours=1)).isoformat()]) == 2
    assert "lies in the future" in capsys.readouterr().err
    assert main([*command, "2025-07-04 09:00"]) == 0
    camera = load_bay("demo_bay").camera("C_4")
    assert [one.until for one in camera.earlier] == [MOVED, datetime(2025, 7, 4, 0, 0, tzinfo=UTC)]
    assert (camera.earlier[1].pose, camera.earlier[0]) == (before.pose, before.earlier[0])
    assert camera.pose.pan == pytest.approx(before.earlier[0].pose.pan, abs=0.05)
