import numpy as np
import pytest
import shapely
from shapely import Point

from fusion import fuse
from fusion.visibility import in_front, shared_floor


def test_what_stands_between_is_in_front():
    near = np.array([10.0, 10.0, 4.0, 4.0, 0.0, 5.0])
    far = np.array([10.0, 20.0, 12.0, 4.0, 0.3, 5.0])
    eye = np.array([10.0, 0.0, 25.0])
    assert in_front(near, far, eye)
    assert not in_front(far, near, eye)
    assert in_front(far, near, np.array([10.0, 40.0, 25.0]))


def test_a_long_block_in_front_counts_though_its_middle_is_farther():
    small = np.array([10.0, 10.0, 2.0, 2.0, 0.0, 5.0])
    wall = np.array([25.0, 6.0, 40.0, 1.0, 0.0, 5.0])
    eye = np.array([10.0, 0.0, 25.0])
    assert np.hypot(*(wall[:2] - eye[:2])) > np.hypot(*(small[:2] - eye[:2]))
    assert in_front(wall, small, eye)
    assert not in_front(small, wall, eye)


def test_shared_floor_is_told_of_the_smaller_footprint():
    boxes = np.array([[10, 10, 8, 4, 0, 1], [13, 10, 4, 4, 0, 1], [30, 10, 4, 4, 0, 1]], dtype=float)
    first, second, share = shared_floor(boxes)
    assert (first.tolist(), second.tolist()) == ([0], [1])
    np.testing.assert_allclose(share, [0.75])


def test_floor_out_of_every_view_and_behind_a_block_is_unseen(geometry, make_yard, demo_bay):
    block = geometry.Box("HP_block", 60.0, 20.0, 10.0, 6.0, 0.0, 7.0)
    off = tuple(camera.name for camera in demo_bay.cameras if camera.name != "D_6")
    result = fuse(make_yard(boxes=(block,), missed=0.0, off=off).observe(), demo_bay)
    assert result.cameras == ("D_6",)
    assert result.missing_cameras == tuple(sorted(off))
    assert result.unseen.contains(Point(140, 20))  # no camera there
    # D_6 hangs at y = 0, z = 25: the shadow of 7 m of height at y = 23 reaches to y = 23 * 25 / 18.
    assert result.unseen.contains(Point(60.0, 27.0))
    assert not result.unseen.intersects(Point(60.0, 34.0))
    assert not result.unseen.intersects(Point(60.0, 15.0))
    # Where the block stands is known.
    assert result.unseen.intersection(block.footprint.buffer(-0.8)).area == 0


def test_all_cameras_see_the_whole_of_an_empty_floor(make_yard, demo_bay):
    result = fuse(make_yard(boxes=()).observe(), demo_bay)
    assert result.blocks == ()
    assert result.unseen.is_empty
    assert result.missing_cameras == ()


@pytest.mark.slow(2)
def test_unseen_floor_lies_on_the_floor_and_in_whole_cells(make_yard, demo_bay):
    off = ("C_4", "D_4", "D_7")
    unseen = fuse(make_yard(seed=1, off=off).observe(), demo_bay).unseen
    assert shapely.box(0, 0, 150, 40).covers(unseen)
    assert 50 < unseen.area < 2000
    corners = shapely.get_coordinates(unseen)
    np.testing.assert_array_equal(corners * 2, np.round(corners * 2))


def test_no_camera_sees_no_floor(make_yard, demo_bay):
    off = tuple(camera.name for camera in demo_bay.cameras)
    result = fuse(make_yard(boxes=(), off=off).observe(), demo_bay)
    assert result.unseen.area == 150 * 40
    assert result.missing_cameras == tuple(sorted(off))


def test_floor_behind_a_crane_is_unseen(geometry, make_yard, demo_bay):
    crane = geometry.Box("crane", 60.0, 18.0, 14.0, 3.0, 0.0, 12.0)
    off = tuple(camera.name for camera in demo_bay.cameras if camera.name != "D_6")
    clear = fuse(make_yard(boxes=(), missed=0.0, off=off).observe(), demo_bay)
    hidden = fuse(make_yard(boxes=(), cranes=(crane,), missed=0.0, off=off).observe(), demo_bay)
    assert not clear.unseen.intersects(Point(60.0, 25.0))
    assert hidden.unseen.contains(Point(60.0, 25.0))
