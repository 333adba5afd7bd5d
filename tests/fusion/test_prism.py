"""Silhouettes of prisms against the yards' own geometry, slopes against differences."""

import numpy as np
import pytest
import shapely

from bays.camera_model import CameraModel
from fusion.prism import OWN, FreePlan, RightAngledPlan, SidedPlan, beside, prism_silhouettes
from fusion.upright_box import Views

_L = np.array([[-5, -4], [5, -4], [5, 0], [0, 0], [0, 4], [-5, 4]], dtype=float) + np.array([48.0, 20.0])


def views_of(bay, *names):
    models = [CameraModel.of(bay.camera(name)) for name in names]
    return Views(
        np.array([m.rotation for m in models]),
        np.array([m.position for m in models]),
        np.array([float(m.intrinsics.focal_px) for m in models]),
    )


def along(silhouettes):
    """(v, 40, 2) points of the outlines."""
    shares = np.linspace(0.01, 0.97, 40)
    return np.array(
        [
            shapely.get_coordinates(shapely.line_interpolate_point(shapely.boundary(one), shares, normalized=True))
            for one in silhouettes
        ]
    )


def test_silhouettes_are_those_of_independent_geometry(geometry, demo_bay):
    bay = geometry.with_focal(demo_bay, 1450, distortion=False)
    block = geometry.Box("block", 48.0, 20.0, 10.0, 8.0, 0.3, 3.5, plan="U", cut=(0.4, 0.5))
    ring = shapely.get_coordinates(block.footprint.exterior)[:-1]
    names = ("C_4", "C_6", "D_4", "D_6")
    for name, found in zip(names, prism_silhouettes(ring, 3.5, views_of(bay, *names)), strict=True):
        middle = bay.camera(name).intrinsics.principal_point
        seen = shapely.transform(geometry.silhouette(bay.camera(name), block), lambda pixels, at=middle: pixels - at)
        assert geometry.iou(found, seen) > 0.999


def test_distances_are_signed_and_exact_beside_a_side(demo_bay):
    views = views_of(demo_bay, "C_4", "D_6")
    pixels = along(prism_silhouettes(_L, 3.0, views))
    pixels += np.random.default_rng(3).normal(0, 5, pixels.shape)
    sides = beside(_L, 3.0, pixels, views)
    for row, covered in enumerate(prism_silhouettes(_L, 3.0, views)):
        inside = shapely.contains_xy(covered, pixels[row])
        apart = shapely.distance(shapely.boundary(covered), shapely.points(pixels[row]))
        assert ((sides.distance[row] < 0) == inside).all()
        assert (np.abs(sides.distance[row]) <= apart + 1e-6).all()
        assert np.median(np.abs(np.abs(sides.distance[row]) - apart)) < 1e-6


def test_slopes_are_those_of_differences(demo_bay):
    views = views_of(demo_bay, "C_4", "D_6")
    pixels = along(prism_silhouettes(_L, 3.0, views)) + np.array([1.5, 0.7])
    sides = beside(_L, 3.0, pixels, views)
    step = 1e-5
    for vertex, axis in ((1, 0), (3, 1)):
        moved = _L.copy()
        moved[vertex, axis] += step
        change = (beside(moved, 3.0, pixels, views).distance - sides.distance) / step
        assert np.median(np.abs(change - sides.to_ring[:, :, vertex, axis])) < 0.05
        assert np.mean(np.abs(change - sides.to_ring[:, :, vertex, axis]) < 0.2) > 0.9
    change = (beside(_L, 3.0 + step, pixels, views).distance - sides.distance) / step
    assert np.mean(np.abs(change - sides.to_height) < 0.2) > 0.9


@pytest.mark.parametrize(
    ("plan", "parameters"),
    [
        (FreePlan(3), np.array([0.0, 0.0, 4.0, 0.0, 0.0, 3.0])),
        (RightAngledPlan(np.array([2.0, 1.0])), np.array([0.3, 4.0, 3.0, 0.0, 1.0, -2.0, -1.0])),
        (
            SidedPlan(np.array([2.0, 1.0]), np.array([0, 1, 0, OWN, 1])),
            np.array([0.3, 4.0, 3.0, -2.0, -2.5, -1.5, 4.3]),
        ),
    ],
)
def test_slopes_of_a_plan_are_those_of_differences(plan, parameters):
    step = 1e-6
    for index, slope in enumerate(np.moveaxis(plan.slopes(parameters), -1, 0)):
        moved = parameters.copy()
        moved[index] += step
        np.testing.assert_allclose((plan.ring(moved) - plan.ring(parameters)) / step, slope, atol=1e-4)


def test_sides_that_are_parallel_stay_so():
    plan = SidedPlan(np.array([2.0, 1.0]), np.array([0, 1, OWN, 1]))
    ring = plan.ring(np.array([0.3, 4.0, 3.0, 5.0, -1.0, 0.3 + np.pi + 0.4]))
    side = np.roll(ring, -1, axis=0) - ring
    assert len(ring) == 4
    assert abs(side[1, 0] * side[3, 1] - side[1, 1] * side[3, 0]) < 1e-9
    assert abs(side[0] @ side[1]) < 1e-9
    assert abs(side[2] @ side[1]) > 0.1
