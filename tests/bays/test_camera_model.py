"""The camera model against OpenCV's, and against geometry done by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bays import Intrinsics, Pose
from bays.camera_model import CameraModel, rotation

LENS = (-0.12, 0.03, 0.0005, -0.0003, 0.001)


def model(
    pan: float = 0,
    tilt: float = 45,
    roll: float = 0,
    distortion: tuple[float, ...] = (0, 0, 0, 0, 0),
    fy: float | None = None,
):
    return CameraModel(
        Pose(x=30, y=0, z=25, pan=pan, tilt=tilt, roll=roll), Intrinsics(focal_px=1450, fy=fy, distortion=distortion)
    )


@pytest.mark.parametrize(("pan", "forward"), [(0, (0, 1, 0)), (90, (1, 0, 0)), (180, (0, -1, 0)), (-90, (-1, 0, 0))])
def test_pan_is_clockwise_from_above_and_starts_at_y(pan: float, forward: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(rotation(Pose(x=0, y=0, z=1, pan=pan, tilt=0))[2], forward, atol=1e-12)


def test_the_floor_point_ahead_lies_at_the_image_centre() -> None:
    pixels, valid = model(tilt=45).project([30, 25, 0])
    assert valid
    np.testing.assert_allclose(pixels, [960, 540], atol=1e-9)


def test_u_runs_to_the_right_and_v_down() -> None:
    right, _ = model().project([31, 25, 0])
    up, _ = model().project([30, 25, 1])
    assert right[0] > 960
    assert right[1] == pytest.approx(540)
    assert up[1] < 540


def test_positive_roll_turns_the_camera_clockwise_so_that_the_picture_turns_the_other_way() -> None:
    right_of_centre, _ = model(roll=10).project([31, 25, 0])
    assert right_of_centre[1] < 540


@pytest.mark.slow(1)
@settings(deadline=None)
@given(
    pan=st.floats(-180, 180),
    tilt=st.floats(20, 80),
    roll=st.floats(-20, 20),
    points=st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 20), st.floats(0, 8)), min_size=1, max_size=8),
    fy=st.none() | st.floats(700, 2900),
)
def test_projection_agrees_with_opencv(pan: float, tilt: float, roll: float, points: list, fy: float | None) -> None:
    import cv2

    camera = model(pan, tilt, roll, LENS, fy)
    ahead = camera.position[:2] + 25 / math.tan(math.radians(tilt)) * np.array(
        [math.sin(math.radians(pan)), math.cos(math.radians(pan))]
    )
    world = np.add(np.array(points, dtype=float), [*ahead, 0])
    pixels, valid = camera.project(world)
    (fx, fy), (cx, cy) = camera.intrinsics.focal, camera.intrinsics.principal_point
    rotation_vector, _ = cv2.Rodrigues(camera.rotation)
    expected, _ = cv2.projectPoints(
        world.reshape(-1, 1, 3),
        rotation_vector,
        -camera.rotation @ camera.position,
        np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]),
        np.array(LENS),
    )
    np.testing.assert_allclose(pixels[valid], expected.reshape(-1, 2)[valid], atol=1e-5)


@settings(deadline=None)
@given(u=st.floats(0, 1920), v=st.floats(200, 1080), z=st.floats(0, 8))
def test_pixel_to_plane_and_back(u: float, v: float, z: float) -> None:
    camera = model(pan=12, tilt=47, roll=2, distortion=LENS, fy=1300)
    floor = camera.to_plane([u, v], z)
    back, valid = camera.project([*floor, z])
    assert valid
    np.testing.assert_allclose(back, [u, v], atol=1e-5)


def test_what_lies_behind_or_beyond_the_lens_is_not_projected() -> None:
    camera = model(distortion=(-0.5, 0.0, 0.0, 0.0, 0.0))
    pixels, valid = camera.project([[30, -30, 30], [30, 25, 0], [300, 25, 0]])
    assert valid.tolist() == [False, True, False]
    assert np.isnan(pixels[0]).all()
    assert np.isnan(pixels[2]).all()
    assert camera.inside(pixels).tolist() == [False, True, False]


def test_a_ray_above_the_horizon_meets_no_floor() -> None:
    assert np.isnan(model(tilt=0).to_plane([960, 100])).all()
