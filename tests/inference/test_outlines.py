"""Outlines keep their stated error, on shapes of every kind."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.outlines import MAX_ERROR_PX, cells_of, hull, outline, upsample


def drawn(polygon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre lies in the polygon: computed with shapely, not with what made the polygon."""
    from shapely import Polygon, contains_xy

    ys, xs = np.mgrid[: shape[0], : shape[1]]
    region = Polygon(polygon).buffer(0)
    return contains_xy(region, xs + 0.5, ys + 0.5)


def farthest_disagreement(mask: np.ndarray, polygon: np.ndarray) -> float:
    wrong = drawn(polygon, mask.shape) != mask
    padded = np.pad(mask, 1).astype(np.uint8)
    to_outside = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    to_inside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return float(np.maximum(to_outside, to_inside)[wrong].max(initial=0.0))


@given(
    st.lists(st.tuples(st.floats(5, 115), st.floats(5, 75)), min_size=3, max_size=8),
)
@settings(max_examples=60, deadline=None)
def test_outline_of_a_random_shape_keeps_its_error(points: list[tuple[float, float]]) -> None:
    hull = cv2.convexHull(np.array(points, dtype=np.float32)).astype(np.int32)
    mask = cv2.fillPoly(np.zeros((80, 120), np.uint8), [hull], 1).astype(bool)
    polygon = outline(mask)
    assert polygon is not None
    # A pixel that disagrees is at most that far from the boundary, and half a diagonal more as a pixel.
    assert farthest_disagreement(mask, polygon) <= MAX_ERROR_PX + 0.75


@pytest.mark.slow(6)
@given(st.integers(0, 10_000), st.floats(3, 12))
@settings(max_examples=40, deadline=None)
def test_outline_of_a_ragged_mask_keeps_its_error(seed: int, softness: float) -> None:
    """Hausdorff distance between the region inside the outline and the component's pixels, holes filled."""
    from shapely import Point, Polygon, box, make_valid, union_all

    noise = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((60, 90)), (0, 0), softness)
    mask = noise > np.quantile(noise, 0.6)
    found = outline(mask)
    assert found is not None
    region = make_valid(Polygon(found))
    # Pixels that touch at a corner are one component.
    pixels = union_all([box(x, y, x + 1, y + 1) for y, x in np.argwhere(mask)]).buffer(1e-6)
    components = [Polygon(part.exterior) for part in getattr(pixels, "geoms", [pixels])]
    component = max(components, key=lambda part: part.intersection(region).area)
    assert component.area >= 0.9 * max(part.area for part in components)
    outlined, true = (
        [Point(at) for at in ring.segmentize(0.25).coords] for ring in (Polygon(found).exterior, component.exterior)
    )
    assert max(point.distance(component) for point in outlined) <= MAX_ERROR_PX
    assert max(point.distance(region) for point in true) <= MAX_ERROR_PX
    # And the outline runs along the boundary, not somewhere within.
    assert max(point.distance(component.exterior) for point in outlined) <= MAX_ERROR_PX


def test_outline_has_the_masks_own_size() -> None:
    mask = np.zeros((50, 60), bool)
    mask[10:30, 20:45] = True
    polygon = outline(mask)
    assert polygon is not None
    assert polygon.min(axis=0).tolist() == [20, 10]
    assert polygon.max(axis=0).tolist() == [45, 30]


def test_outline_takes_the_largest_part_and_shifts_it_to_the_frame() -> None:
    mask = np.zeros((50, 60), bool)
    mask[2:6, 2:6] = True
    mask[20:40, 30:50] = True
    mask[25:30, 35:40] = False  # a hole is filled
    polygon = outline(mask, (100, 200))
    assert polygon is not None
    assert sorted(map(tuple, polygon.tolist())) == [(130, 220), (130, 240), (150, 220), (150, 240)]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1)])
def test_outline_of_a_thin_mask_is_a_polygon(shape: tuple[int, int]) -> None:
    polygon = outline(np.ones(shape, bool))
    assert polygon is not None
    assert len(polygon) >= 3
    assert polygon.max(axis=0).tolist() == [shape[1], shape[0]]


def test_an_empty_mask_has_no_outline() -> None:
    assert outline(np.zeros((4, 4), bool)) is None


@pytest.mark.parametrize(
    ("picture", "window"),
    [
        ((192, 120), (31, 17, 160, 120)),
        ((60, 30), (0, 0, 60, 30)),  # 15 pixels to 8 cells, 3 to 2
        ((60, 30), (41, 13, 42, 14)),
        ((33, 21), (5, 6, 30, 20)),  # no edge of a cell between the first and the last is a pixel's
        ((16, 10), (3, 2, 9, 8)),  # a finer grid than the picture
    ],
)
def test_upsampling_a_window_is_upsampling_the_frame_and_cutting(
    picture: tuple[int, int], window: tuple[int, int, int, int]
) -> None:
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(0).normal(size=(20, 32)).astype(np.float32)
    whole = torch.nn.functional.interpolate(torch.from_numpy(logits)[None, None], size=picture[::-1], mode="bilinear")
    held = left, top, right, bottom = cells_of(window, picture, (32, 20))
    found = upsample(logits[top:bottom, left:right], held, (32, 20), picture, window)
    cut = whole[0, 0].numpy()[window[1] : window[3], window[0] : window[2]]
    assert found.shape == cut.shape
    assert np.abs(found - cut).max() < 1e-4


def test_hull_holds_all_parts_and_nothing_beyond_their_convex_hull() -> None:
    mask = np.zeros((50, 60), bool)
    mask[5:10, 3:20] = True
    mask[30:45, 30:50] = True
    polygon = hull(mask, (100, 200))
    assert polygon is not None
    inside = drawn(polygon - np.float32([100, 200]), mask.shape)
    assert inside[mask].all()
    ys, xs = np.nonzero(mask)
    corners = np.concatenate([np.column_stack([xs + dx, ys + dy]) for dx in (0, 1) for dy in (0, 1)])
    from shapely import MultiPoint, Polygon

    assert Polygon(polygon - np.float32([100, 200])).symmetric_difference(MultiPoint(corners).convex_hull).area < 1e-6


def test_an_empty_mask_has_no_hull() -> None:
    assert hull(np.zeros((4, 4), bool)) is None
