"""Plans that are no boxes are found where silhouettes prove them, and only there."""

import numpy as np
import pytest

from fusion import fuse, plans
from fusion.plans import _right_angled, _without_seam
from fusion.prism import OWN, RightAngledPlan

pytestmark = pytest.mark.slow(1)


@pytest.mark.parametrize(
    ("plan", "cut", "name"),
    [
        ("L", (0.45, 0.5), "panel"),
        ("L", (0.45, 0.5), "block"),
        ("T", (0.5, 0.5), "block"),
        ("U", (0.4, 0.5), "block"),
        ("trapezoid", (0.5, 0.5), "block"),
        ("octagon", (0.3, 0.3), "panel"),
        ("octagon", (0.3, 0.3), "block"),
        ("shell", (0.5, 0.5), "block"),
    ],
)
def test_a_plan_that_is_no_box_is_found(geometry, make_yard, demo_bay, plan, cut, name):
    height = {"panel": 0.8, "block": 3.5}[name]
    block = geometry.Box(name, 48.0, 20.0, 11.0, 8.0, 0.2, height, plan=plan, cut=cut)
    (found,) = fuse(make_yard(boxes=(block,), missed=0.0).observe(), demo_bay).blocks
    assert geometry.iou(found.footprint, block.footprint) > 0.93
    assert found.footprint.centroid.distance(block.footprint.centroid) < 0.1
    assert abs(found.height_m - height) < 0.15


def test_what_is_said_of_plans_that_are_no_boxes_is_as_sure_as_it_is_right(make_yard):
    """Sides that nothing shows made some of them doubtful by kilometres."""
    yard = make_yard(seed=2310, count=8, plans=("L",), missed=0.0)
    blocks = fuse(yard.observe(), yard.bay).blocks
    proven = [block for block in blocks if len(block.cameras) > 2]
    assert len(proven) == 6
    assert all(len(block.footprint.exterior.coords) == 7 for block in proven)
    assert max(block.position_std_m for block in proven) < 0.05


def test_octagons_are_found_where_what_is_carved_has_another_number_of_corners(make_yard, geometry):
    yard = make_yard(seed=2400, count=8, plans=("octagon",), missed=0.0)
    blocks = [block for block in fuse(yard.observe(), yard.bay).blocks if len(block.cameras) > 2]
    right = [max(geometry.iou(block.footprint, true.footprint) for true in yard.blocks) for block in blocks]
    assert len(blocks) >= 5
    assert min(right) > 0.95


def test_boxes_stay_boxes(make_yard):
    yard = make_yard(seed=2010, noise_px=3.0)
    blocks = fuse(yard.observe(), yard.bay).blocks
    assert len(blocks) > 20
    assert all(len(block.footprint.exterior.coords) == 5 for block in blocks)


def test_cameras_do_not_carve_what_one_of_them_alone_contradicts(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 48.0, 20.0, 10.0, 7.0, 0.2, 3.5)
    yard = make_yard(boxes=(box,), missed=0.0)
    observation = yard.observe()
    liar = next(camera for camera in observation.cameras if camera.objects)
    outline = liar.objects[0].polygon
    middle = outline.mean(axis=0)
    shrunk = np.where(outline[:, :1] > middle[0], middle + 0.5 * (outline - middle), outline)
    lie = geometry.detected("block", shrunk, 0.9)
    cameras = [
        liar.__class__(c.camera_name, c.captured_at, c.image_size, (lie,)) if c is liar else c
        for c in observation.cameras
    ]
    (found,) = fuse(observation.__class__(observation.batch_id, observation.bay_id, tuple(cameras)), demo_bay).blocks
    assert geometry.iou(found.footprint, box.footprint) > 0.85


def _seen_by(names, plan, geometry, make_yard, bay):
    """A block in the middle, and what fusion says of it, seen by these cameras alone."""
    off = tuple(camera.name for camera in bay.fusion_cameras if camera.name not in names)
    block = geometry.Box("block", 48.0, 20.0, 11.0, 8.0, 0.2, 3.5, plan=plan, cut=(0.45, 0.5))
    (found,) = fuse(make_yard(boxes=(block,), missed=0.0, off=off).observe(), bay).blocks
    return block, found


def test_one_camera_that_sees_no_box_leaves_more_doubt_than_one_that_does(geometry, make_yard, demo_bay):
    (_, box), (true, found) = (_seen_by(("D_6",), plan, geometry, make_yard, demo_bay) for plan in ("box", "L"))
    assert len(found.footprint.exterior.coords) == 5
    assert found.position_std_m > 4 * box.position_std_m
    assert found.footprint.centroid.distance(true.footprint.centroid) < 3 * found.position_std_m


@pytest.mark.parametrize("names", [("C_6", "D_6"), ("D_6", "C_4"), ("C_4", "D_4")])
def test_two_cameras_prove_a_plan_that_is_no_box(geometry, make_yard, demo_bay, names):
    true, found = _seen_by(names, "L", geometry, make_yard, demo_bay)
    assert geometry.iou(found.footprint, true.footprint) > 0.97
    assert found.footprint.centroid.distance(true.footprint.centroid) < 0.04
    assert found.position_std_m < 0.04


def test_a_plan_of_which_a_side_is_open_stays_a_box_that_is_in_doubt(
    geometry, make_yard, demo_bay, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(plans, "_CLOSED_M", 1e-4)
    true, found = _seen_by(("C_6", "D_6"), "L", geometry, make_yard, demo_bay)
    assert len(found.footprint.exterior.coords) == 5
    assert found.footprint.centroid.distance(true.footprint.centroid) < 3 * found.position_std_m


def test_of_an_octagon_the_sides_at_right_angles_stay_so():
    ring = np.array([[1, 4], [-1, 4.1], [-5, 2], [-5, -2], [-1, -4], [1, -4], [5.1, -2], [5, 2]], dtype=float)
    plan, start = plans._sided(ring)
    assert (plan.turns != OWN).sum() == 4
    np.testing.assert_allclose(plan.ring(start), ring, atol=0.3)
    assert plans._sided(np.array([[0, 0], [4, 0], [5, 3], [2, 5], [-1, 3]], dtype=float)) is None


def test_sides_at_right_angles_follow_a_ring():
    yaw = 0.3
    turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    ring = np.array([[-4, -3], [4, -3], [4, 0], [0, 0], [0, 3], [-4, 3]], dtype=float) @ turn
    sides = _right_angled(ring, yaw)
    assert len(sides) == 7
    again = RightAngledPlan(np.zeros(2)).ring(sides)
    assert {tuple(np.round(one, 6)) for one in again} == {tuple(np.round(one, 6)) for one in ring}


def test_a_vertex_in_the_midst_of_a_side_is_left_out():
    ring = np.array([[2, 0], [4, 0], [4, 3], [0, 3], [0, 0]], dtype=float)
    assert len(_without_seam(ring, 0.1)) == 4
    assert len(_without_seam(ring[1:], 0.1)) == 4
