"""Many guesses of a camera at once: slopes against small steps, refinement from afar, each guess by its own points."""

import numpy as np
import pytest

from bays import Intrinsics, Pose
from bays.camera_model import CameraModel
from fusion.resection import LENS_NAMES, POSE_NAMES, Fit, Guesses, Points, refined, step_of

POSE = Pose(x=30, y=0, z=18, pan=8, tilt=45, roll=1)
LENS = Intrinsics(focal_px=1500, fy=1450, cx=985, cy=520, distortion=(-0.1, 0.03, 4e-4, -3e-4, 0.01))


@pytest.fixture
def points():
    places = np.array([(x, y, z) for x in (22, 27, 33, 38) for y in (12, 18, 25) for z in (0.0, 1.5)])
    pixels, valid = CameraModel(POSE, LENS).project(places)
    assert valid.all()
    return Points(pixels, places)


def test_the_projection_is_the_camera_models(points):
    assert np.abs(Guesses.of([POSE], LENS).residuals(points)).max() < 1e-9


def test_slopes_are_those_of_small_steps(points):
    names = (*POSE_NAMES, *LENS_NAMES)
    guess = Guesses.of([POSE, POSE.model_copy(update={"tilt": 50.0})], LENS)
    slopes = guess.slopes(points, names)
    for column, name in enumerate(names):
        step = np.full((2, 1), 1e-5 * step_of(name))
        ahead, back = (guess.moved([name], sign * step).residuals(points) for sign in (1, -1))
        numeric = (ahead - back) / (2 * step[0, 0])
        assert slopes[..., column] == pytest.approx(numeric, rel=1e-4, abs=1e-4 * np.abs(numeric).max())


def test_guesses_from_afar_come_to_the_camera_together(points):
    starts = [POSE.model_copy(update={"x": 30 + dx, "pan": 8 + turn}) for dx in (-6, 5) for turn in (-12, 0, 14)]
    found = refined(Guesses.of(starts, LENS), points, POSE_NAMES)
    assert found.position == pytest.approx(np.tile([30, 0, 18], (6, 1)), abs=1e-3)
    assert found.exact(3).pose.tilt == pytest.approx(45, abs=1e-3)


def test_each_guess_goes_by_its_own_points(points):
    moved = Points(points.pixels + np.where(np.arange(24) < 4, 80.0, 0.0)[:, None], points.places)
    rows = np.ones((2, 24), dtype=bool)
    rows[1, :4] = False
    found = refined(Guesses.of([POSE, POSE], LENS), moved, POSE_NAMES, rows)
    assert np.linalg.norm(found.position[0] - [30, 0, 18]) > 0.1
    assert found.position[1] == pytest.approx([30, 0, 18], abs=1e-6)


def test_the_covariance_is_that_of_the_errors(points):
    rng = np.random.default_rng(4)
    found = []
    for _ in range(60):
        noisy = Points(points.pixels + rng.normal(0, 1.5, points.pixels.shape), points.places)
        camera = refined(Guesses.of([POSE], LENS), noisy, POSE_NAMES)
        found.append(camera.position[0])
        fit = Fit.of(camera, noisy, POSE_NAMES)
    stated = np.sqrt(np.diag(fit.covariance[0])[:3])
    assert np.std(found, axis=0) / stated == pytest.approx(np.ones(3), rel=0.35)
