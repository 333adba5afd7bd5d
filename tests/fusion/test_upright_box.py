import numpy as np
import shapely

from bays.camera_model import CameraModel
from fusion.upright_box import (
    Views,
    corners,
    outline_edges,
    outline_lines,
    project,
    signed_distances,
)


def view_of(camera):
    model = CameraModel.of(camera)
    return Views(model.rotation[None], model.position[None], np.array([model.intrinsics.focal_px]))


def array(box):
    return np.array([[box.x, box.y, box.width, box.depth, box.yaw, box.height]])


def test_corners_are_those_of_the_box(geometry):
    box = geometry.Box("block", 40.0, 12.0, 8.0, 5.0, 0.4, 3.0)
    np.testing.assert_allclose(corners(array(box))[0], box.corners(), atol=1e-12)


def test_projection_agrees_with_independent_geometry_once_distortion_is_taken_out(demo_bay, geometry):
    box = geometry.Box("block", 36.0, 18.0, 8.0, 5.0, 0.4, 3.0)
    camera = demo_bay.camera("C_4")
    pixels = geometry.project(camera, box.corners())
    ideal = CameraModel.of(camera).undistort(pixels) * camera.intrinsics.focal_px
    np.testing.assert_allclose(project(corners(array(box)), view_of(camera))[0], ideal, atol=1e-5)


def test_outline_edges_bound_the_convex_hull_from_every_side(demo_bay):
    rng = np.random.default_rng(5)
    view = view_of(demo_bay.camera("C_6"))
    for _ in range(200):
        box = np.array([[rng.uniform(45, 80), rng.uniform(2, 38), *rng.uniform(2, 12, 2), rng.uniform(-4, 4), 0.0]])
        box[:, 5] = rng.uniform(0.3, 8)
        points = project(corners(box), view)
        hull = shapely.convex_hull(shapely.MultiPoint(points[0]))
        probes = points[0].mean(axis=0) + rng.normal(0, 150, (40, 2))
        distance, _ = signed_distances(outline_lines(points), outline_edges(box, view.position), probes[None])
        inside = shapely.contains_xy(hull, probes)
        np.testing.assert_array_equal(distance[0] < 0, inside)
        to_edge = shapely.distance(shapely.points(probes), hull.exterior)
        np.testing.assert_allclose(-distance[0][inside], to_edge[inside], atol=1e-6)
        assert (distance[0][~inside] <= to_edge[~inside] + 1e-6).all()
