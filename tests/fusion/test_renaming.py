"""Marks of a grid that were taken for their neighbours: every point fits, and the camera hangs elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from bays import Pose
from bays.camera_model import CameraModel
from fusion.calibration import FloorPoint, calibrate
from fusion.renaming import far_off, misnamed, renamings

pytestmark = pytest.mark.slow(1)

STEP = 6.0
GRID = {f"M{i * 6 + j + 1}": (3 + STEP * i, 5 + STEP * j, 0.0) for i in range(24) for j in range(6)}


@pytest.fixture
def named(geometry, demo_bay):
    """named("C_4", taken_for): the marks that a camera sees, each named as the one at `taken_for` of its place."""

    def make(name, taken_for=lambda x, y: (x, y), seed=0):
        camera = demo_bay.camera(name)
        by_place = {place[:2]: mark for mark, place in GRID.items()}
        rng = np.random.default_rng(seed)
        points = []
        for (x, y), mark in by_place.items():
            ((u, v),) = geometry.project(camera, np.array([[x, y, 0.0]]))
            other = by_place.get(tuple(np.round(taken_for(x, y), 6)))
            if 20 <= u <= 1900 and 20 <= v <= 1060 and other is not None:
                u, v = np.array([u, v]) + rng.normal(0, 1, 2)
                points.append((mark, FloorPoint(other, float(u), float(v), *GRID[other])))
        return camera, points

    return make


def rough(pose: Pose, seed: int) -> Pose:
    """As a file has it that was written from a drawing: every value at the end of what it may be off by."""
    rng = np.random.default_rng(seed)
    off = dict(zip(("x", "y", "z", "pan", "tilt"), rng.choice((-1, 1), 5) * (0.5, 0.5, 0.5, 5, 5), strict=True))
    return pose.model_copy(update={key: getattr(pose, key) + value for key, value in off.items()})


@pytest.mark.parametrize("name", ["C_2", "C_4", "D_6"])
@pytest.mark.parametrize("seed", range(3))
def test_marks_named_one_too_far_are_told_with_their_right_names(named, name, seed):
    camera, points = named(name, lambda x, y: (x + STEP, y), seed)
    result = calibrate([point for _, point in points], camera.intrinsics)
    assert result.moved_m(camera.pose) == pytest.approx(STEP, abs=0.5)
    (said,) = misnamed(result, camera.model_copy(update={"pose": rough(camera.pose, seed)}), GRID)
    assert f"were the marks taken for others? {points[0][1].name} is {points[0][0]}, " in said
    names = [dict(other.names) for other in renamings(result, GRID)]
    assert {point.name: mark for mark, point in points} in names


def test_half_a_turn_of_the_grid_is_told(named):
    """The hall's plan was read from its other end."""
    wide, deep = 2 * 3 + 23 * STEP, 2 * 5 + 5 * STEP
    camera, points = named("C_4", lambda x, y: (wide - x, deep - y))
    result = calibrate([point for _, point in points], camera.intrinsics)
    assert result.turned_deg(camera.pose) == pytest.approx(180, abs=1)
    (said,) = misnamed(result, camera, GRID)
    assert f"{points[0][1].name} is {points[0][0]}, " in said


@pytest.mark.parametrize("name", ["C_2", "C_4", "D_6", "D_9"])
def test_right_names_and_a_rough_pose_raise_no_alarm(named, name):
    camera, points = named(name)
    result = calibrate([point for _, point in points], camera.intrinsics)
    for seed in range(20):
        given = camera.model_copy(update={"pose": rough(camera.pose, seed)})
        assert misnamed(result, given, GRID) == far_off(result, given) == []


def test_a_placeholder_raises_no_alarm_and_is_told(named):
    """Nothing is nearer to a pose in the middle of the hall that looks down."""
    camera, points = named("C_4")
    result = calibrate([point for _, point in points], camera.intrinsics)
    given = camera.model_copy(update={"pose": Pose(x=75, y=20, z=10, pan=0, tilt=90)})
    assert misnamed(result, given, GRID) == []
    (said,) = far_off(result, given)
    assert "right where it was moved or the file's pose is a guess" in said


def test_marks_without_symmetry_have_no_other_answer(named):
    camera, points = named("C_4", lambda x, y: (x + STEP, y))
    result = calibrate([point for _, point in points], camera.intrinsics)
    rng = np.random.default_rng(4)
    marks = {name: (x + rng.uniform(-1, 1), y + rng.uniform(-1, 1), z) for name, (x, y, z) in GRID.items()}
    marks |= {point.name: GRID[point.name] for _, point in points}
    assert [other.names for other in renamings(result, marks)] == [()]
    assert misnamed(result, camera, marks) == []
    assert len(far_off(result, camera)) == 1


def test_another_answer_sees_the_marks_where_they_were_clicked(named):
    """By projection by the other pose, also of marks that were measured to some centimetres."""
    camera, points = named("C_4", lambda x, y: (x, y + STEP))
    rng = np.random.default_rng(5)
    marks = {name: (*(place[:2] + rng.normal(0, 0.01, 2)), 0.0) for name, place in GRID.items()}
    clicked = [replace(one, x=marks[one.name][0], y=marks[one.name][1]) for _, one in points]
    result = calibrate(clicked, camera.intrinsics)
    others = [other for other in renamings(result, marks) if other.names]
    assert others
    for other in others:
        right = dict(other.names)
        pixels, _ = CameraModel(other.pose, result.intrinsics).project(
            [marks[right.get(one.name, one.name)] for one in clicked]
        )
        assert np.linalg.norm(pixels - [(one.u, one.v) for one in clicked], axis=1).max() < 8
