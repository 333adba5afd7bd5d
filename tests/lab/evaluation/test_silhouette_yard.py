import numpy as np
import pytest
import shapely

from bay_observation.errors import SimulationError
from bays.camera_model import CameraModel
from lab.evaluation.silhouette_yard import (
    Degraded,
    YardBlock,
    best_view,
    crowded_blocks,
    noisy,
    project,
    random_yard,
    visible_silhouettes,
)


def test_the_same_seed_is_the_same_yard(bay):
    first, again, other = (random_yard(bay, seed, count=5).observe() for seed in (2000, 2000, 2001))
    polygons = [[thing.polygon for camera in one.cameras for thing in camera.objects] for one in (first, again, other)]
    assert len(polygons[0]) > 8
    assert all(np.array_equal(a, b) for a, b in zip(polygons[0], polygons[1], strict=True))
    assert len(polygons[0]) != len(polygons[2]) or not np.array_equal(polygons[0][0], polygons[2][0])


def test_two_independent_projections_agree(bay):
    rng = np.random.default_rng(3)
    points = rng.uniform((0, 0, 0), (150, 40, 8), (200, 3))
    for camera in bay.fusion_cameras:
        pixels, valid = CameraModel.of(camera).project(points)
        inside = valid & CameraModel.of(camera).inside(pixels)
        assert inside.any()
        np.testing.assert_allclose(project(camera, points)[inside], pixels[inside], atol=1e-6)


def test_an_l_lacks_a_corner_and_an_octagon_four():
    plans = {plan: YardBlock("block", 20, 20, 10, 6, 0.3, 3, plan=plan, cut=(0.4, 0.5)) for plan in ("box", "L")}
    octagon = YardBlock("block", 20, 20, 10, 6, 0.3, 3, plan="octagon", cut=(0.3, 0.3))
    assert plans["box"].footprint.area == pytest.approx(60)
    assert plans["L"].footprint.area == pytest.approx(60 * (1 - 0.4 * 0.5))
    assert len(plans["L"].footprint.exterior.coords) == 7
    assert octagon.footprint.area == pytest.approx(60 * (1 - 4 * 0.3 * 0.3 / 2))


@pytest.mark.parametrize(
    ("plan", "share", "vertices"),
    [("T", 1 - 0.4 * 0.5, 8), ("U", 1 - 0.4 * 0.5, 8), ("trapezoid", 1 - 0.4 / 2, 4), ("shell", 0.7, 18)],
)
def test_plans_and_their_areas(plan, share, vertices):
    block = YardBlock("block", 20, 20, 10, 6, 0.3, 3, plan=plan, cut=(0.4, 0.5))
    # The strip's parabolas are drawn with straight sides.
    assert block.footprint.area == pytest.approx(60 * share, rel=0.01)
    assert len(shapely.simplify(block.footprint, 1e-6).exterior.coords) - 1 == vertices


def test_a_crowd_stands_close_together(bay):
    blocks = crowded_blocks(bay, 20, 2000)
    gaps = [min(a.footprint.distance(b.footprint) for b in blocks if b is not a) for a in blocks]
    assert min(gaps) >= 0.5 * 2.0
    assert np.median(gaps) <= 0.7 * 3.0


def test_smooth_noise_moves_neighbours_alike(bay):
    square, frame = shapely.box(100, 100, 400, 400), shapely.box(0, 0, 1920, 1080)
    white, smooth = (
        noisy(square, degraded, np.random.default_rng(1), frame)
        for degraded in (Degraded(noise_px=2.0), Degraded(noise_px=0.0, smooth_px=2.0))
    )
    exact = noisy(square, Degraded(noise_px=0.0), np.random.default_rng(1), frame)
    steps = [np.diff(ring - exact, axis=0).std() for ring in (white, smooth)]
    assert (smooth - exact).std() == pytest.approx(2.0)
    assert steps[1] < 0.3 * steps[0]


def test_what_stands_in_front_hides(bay):
    camera = bay.camera("D_6")  # hangs at y = 0
    near, far = YardBlock("HP_block", 60, 15, 12, 5, 0, 8), YardBlock("panel", 60, 21.5, 8, 5, 0, 0.6)
    (whole, seen), (hidden_whole, hidden) = visible_silhouettes(camera, (near, far))
    assert seen.area == pytest.approx(whole.area)
    assert hidden.area < 0.5 * hidden_whole.area


def test_share_in_the_best_view(bay):
    assert best_view(bay, YardBlock("block", 60, 20, 9, 6, 0, 3)) == 1
    assert best_view(bay, YardBlock("block", 60, 60, 9, 6, 0, 3)) < 1


def test_degradations(bay):
    clean = random_yard(bay, 2003, count=12, degraded=Degraded(missed=0.0)).observe()
    spoilt = random_yard(bay, 2003, count=12, degraded=Degraded(missed=0.5, off=("C_2", "D_2"))).observe()
    assert {"C_2", "D_2"} == {c.camera_name for c in clean.cameras} - {c.camera_name for c in spoilt.cameras}
    assert set(spoilt.failures) == {"C_2", "D_2"}
    assert sum(len(c.objects) for c in spoilt.cameras) < 0.7 * sum(len(c.objects) for c in clean.cameras)


@pytest.mark.slow(1)
def test_a_floor_that_is_too_small_is_told(bay, monkeypatch):
    monkeypatch.setattr("lab.evaluation.silhouette_yard._TRIES", 500)
    with pytest.raises(SimulationError, match="300 blocks do not fit on 150 x 40 m"):
        random_yard(bay, 2000, count=300)
