"""Prisms fitted to outlines that were drawn from known ones."""

import numpy as np
import pytest
import shapely
from scipy.spatial.transform import Rotation
from shapely import Polygon

from bays.camera_model import CameraModel
from fusion.fitting import Shifts
from fusion.plan_fitting import BlockOutlines, criteria, fit_plan, noise_of, usual_shifts
from fusion.plans import _doubts, _fitted
from fusion.prism import FreePlan, RightAngledPlan, prism_silhouettes
from fusion.upright_box import Views

_L = np.array([0.0, 5.0, 4.0, 0.0, 1.0, -5.0, -4.0])  # direction, then distances of six sides from the middle
_MIDDLE = np.array([48.0, 20.0])
_NAMES = ("C_4", "C_6", "D_4", "D_6")


@pytest.fixture
def seen(demo_bay):
    """`seen(ring, height, noise, shift)`: outlines of the prism in four views, shifted as by turns of the cameras."""

    def see(ring, height, noise=1.0, shift=0.0, seed=4):
        models = [CameraModel.of(demo_bay.camera(name)) for name in _NAMES]
        views = Views(
            np.array([m.rotation for m in models]),
            np.array([m.position for m in models]),
            np.array([float(m.intrinsics.focal_px) for m in models]),
        )
        rng = np.random.default_rng(seed)
        turns = rng.normal(0, shift, (len(models), 3)) / views.focal[:, None]
        turned = Views(Rotation.from_rotvec(turns).as_matrix() @ views.rotation, views.position, views.focal)
        pixels = np.array(
            [
                shapely.get_coordinates(
                    shapely.line_interpolate_point(shapely.boundary(one), np.linspace(0, 0.979, 48), normalized=True)
                )
                for one in prism_silhouettes(ring, height, turned)
            ]
        )
        pixels = pixels + rng.normal(0, noise, pixels.shape)
        return BlockOutlines(pixels, np.ones(pixels.shape[:2], dtype=bool), views)

    return see


def test_a_fit_finds_back_the_plan_and_the_height(seen):
    plan = RightAngledPlan(_MIDDLE)
    start = _L + np.array([0.05, 0.4, -0.3, 0.3, -0.3, 0.4, 0.2])
    fit = fit_plan(plan, start, 2.6, seen(plan.ring(_L), 3.0), Shifts(3.0, 1.0))
    true = Polygon(plan.ring(_L))
    assert fit.plan.intersection(true).area / fit.plan.union(true).area > 0.99
    assert fit.height == pytest.approx(3.0, abs=0.05)
    assert noise_of(fit)[0] == pytest.approx(1.0, abs=0.25)


def test_shifted_silhouettes_do_not_bend_the_plan(seen):
    plan = RightAngledPlan(_MIDDLE)
    outlines = seen(plan.ring(_L), 3.0, shift=8.0)
    free, stiff = (fit_plan(plan, _L, 3.0, outlines, Shifts(shift, 1.0)) for shift in (8.0, 0.01))
    area = Polygon(plan.ring(_L)).area
    assert abs(free.plan.area - area) < 0.02 * area
    assert abs(free.plan.area - area) < abs(stiff.plan.area - area)
    assert np.abs(free.shifts).max() > 3.0


def test_the_criterion_takes_the_simplest_plan_that_explains(seen):
    box = np.array([0.0, 5.0, 4.0, -5.0, -4.0])
    for true, best in ((box, 0), (_L, 1)):
        outlines = seen(RightAngledPlan(_MIDDLE).ring(true), 3.0)
        l_start = _L if best else np.array([0.0, 5.0, 4.0, 4.0, 3.6, -5.0, -4.0])
        fits = [
            fit_plan(RightAngledPlan(_MIDDLE), box, 3.0, outlines, Shifts(3.0, 1.0)),
            fit_plan(RightAngledPlan(_MIDDLE), l_start, 3.0, outlines, Shifts(3.0, 1.0)),
            fit_plan(FreePlan(6), RightAngledPlan(_MIDDLE).ring(l_start).ravel(), 3.0, outlines, Shifts(3.0, 1.0)),
        ]
        assert criteria(fits, Shifts(3.0, 1.0)).argmin() == best


def test_a_ring_that_crosses_itself_is_no_start(seen):
    bow = np.array([[-4, -3], [4, 3], [4, -3], [-4, 3]], dtype=float) + _MIDDLE
    square = np.array([[-4, -3], [4, -3], [4, 3], [-4, 3]], dtype=float) + _MIDDLE
    assert fit_plan(FreePlan(4), bow.ravel(), 3.0, seen(square, 3.0), Shifts(3.0, 1.0)) is None


def test_the_covariance_says_how_far_fits_scatter(seen):
    plan = RightAngledPlan(_MIDDLE)
    box = np.array([0.0, 5.0, 4.0, -5.0, -4.0])
    fits = [
        fit_plan(plan, box, 3.0, seen(plan.ring(box), 3.0, shift=4.0, seed=seed), Shifts(4.0, 1.0))
        for seed in range(25)
    ]
    centres = np.array([fit.plan.centroid.coords[0] for fit in fits])
    slope = np.array([0.0, 0.5, 0.0, 0.5, 0.0])  # of the middle along x
    noise, _ = noise_of(fits[0])
    claimed = [np.sqrt(slope @ fit.covariance(Shifts(4.0, noise))[:5, :5] @ slope) for fit in fits]
    assert centres[:, 0].std() == pytest.approx(np.median(claimed), rel=0.45)


def test_sides_too_short_to_be_told_are_left_out(seen):
    plan = RightAngledPlan(_MIDDLE)
    outlines = seen(plan.ring(_L), 3.0)
    notched = np.concatenate([_L, [0.0, 0.0]])
    notched[5:] = [-4.95, -3.95, -5.0, -4.0]  # a corner stepped by 5 cm
    fit = _fitted(plan, notched, 3.0, outlines, Shifts(0.5, 1.0))
    assert len(fit.ring) == 6
    assert fit.plan.symmetric_difference(Polygon(plan.ring(_L))).area < 0.5


def test_a_block_that_stays_a_box_is_as_doubtful_as_measured_or_more(seen):
    plan, box = RightAngledPlan(_MIDDLE), np.array([0.0, 5.0, 4.0, -5.0, -4.0])
    outlines, shifts = seen(plan.ring(box), 3.0), Shifts(0.5, 1.0)
    fit = fit_plan(plan, box, 3.0, outlines, shifts)
    measured = np.array([0.5, 0.4, 0.3, 0.2, 0.1])
    np.testing.assert_allclose(_doubts([fit], np.zeros(1), shifts, (fit.plan, fit.height), measured), measured)
    certain = _doubts([fit], np.zeros(1), shifts, (fit.plan, fit.height), 0 * measured)
    assert (certain > 0.001).all()
    assert (certain < 0.05).all()
    another = fit_plan(FreePlan(4), fit.ring.ravel() + 0.3, 3.0, outlines, shifts)
    apart = _doubts([fit, another], np.zeros(2), shifts, (fit.plan.buffer(0.4), fit.height), 0 * measured)
    assert (apart[2:4] > 0.5).all()


def test_a_side_that_nothing_shows_is_as_open_as_blocks_are_wide(seen):
    plan, box, usual = RightAngledPlan(_MIDDLE), np.array([0.0, 5.0, 4.0, -5.0, -4.0]), Shifts(0.5, 1.0)
    outlines = seen(plan.ring(box), 3.0)
    cut = BlockOutlines(outlines.pixels, np.zeros_like(outlines.own), outlines.views)
    known, open_ = (np.sqrt(np.diag(fit_plan(plan, box, 3.0, one, usual).covariance(usual))) for one in (outlines, cut))
    assert (known[1:] < 0.05).all()
    assert open_[1:] == pytest.approx(np.full(5, 5.0))


def test_the_size_of_shifts_follows_from_plans_where_no_block_is_a_box(seen):
    plan, allowed = RightAngledPlan(_MIDDLE), Shifts(1.0, 1.0)
    for shift, least, most in ((0.0, 0.05, 0.3), (4.0, 3.0, 5.0)):
        outlines = [seen(plan.ring(_L), 3.0, shift=shift, seed=seed) for seed in range(8)]
        fits = [fit_plan(plan, _L, 3.0, one, allowed) for one in outlines]
        assert least <= usual_shifts(fits, allowed, allowed, 0).shift_px < most
    assert usual_shifts([], allowed, allowed, 0) == allowed
    assert usual_shifts(fits, allowed, allowed, 800).shift_px == pytest.approx(1.0, abs=0.1)


def test_points_far_off_count_less_and_the_noise_says_what_that_costs(seen):
    plan = RightAngledPlan(_MIDDLE)
    costs = []
    for noise in (0.5, 5.0):
        fit = fit_plan(plan, _L, 3.0, seen(plan.ring(_L), 3.0, noise=noise), Shifts(0.5, noise))
        costs.append(fit.noise_px / noise_of(fit)[0])
    assert 1.0 <= costs[0] < 1.05 < costs[1] < 1.3
