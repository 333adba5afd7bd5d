"""Upright boxes on the floor and how pinhole views see them, for many boxes and views at once.

A box is six numbers: centre x and y, width and depth (metres), yaw (radians, from
the x axis to the box's width), height (metres). Its base lies on z = 0.

Image coordinates here are *ideal pixels*: lens distortion removed, the principal
point at (0, 0), scaled by the focal length. In them a box's edges are straight,
and its silhouette is a convex polygon whose sides follow from which faces look
at the camera.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

X, Y, WIDTH, DEPTH, YAW, HEIGHT = range(6)
PARAMETERS = 6

_RING = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]) / 2
# Corners 0..3 go round the base, 4..7 round the top. Side k stands between corners k and k + 1.
_FROM = np.array([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3])
_TO = np.array([1, 2, 3, 0, 5, 6, 7, 4, 4, 5, 6, 7])
_SEEN_BY = 2  # points, from which an edge is seen
_NEAREST_DEPTH = 0.2  # metres; corners nearer to the lens plane are held there


@dataclass(frozen=True)
class Views:
    """Pinholes, one a row: rotation (n, 3, 3), position (n, 3) metres, focal length (n,) pixels."""

    rotation: Floats
    position: Floats
    focal: Floats

    def take(self, rows: Ints) -> "Views":
        """The views of these rows; `rows` may have any shape (...)."""
        return Views(self.rotation[rows], self.position[rows], self.focal[rows])


def corners(boxes: Floats) -> Floats:
    """(..., 6) boxes to (..., 8, 3) corners, metres: base ring, then top ring."""
    cos, sin = np.cos(boxes[..., YAW, None]), np.sin(boxes[..., YAW, None])
    across = boxes[..., WIDTH, None] * _RING[:, 0]
    along = boxes[..., DEPTH, None] * _RING[:, 1]
    x = boxes[..., X, None] + cos * across - sin * along
    y = boxes[..., Y, None] + sin * across + cos * along
    base = np.stack([x, y, np.zeros_like(x)], axis=-1)
    top = np.stack([x, y, np.broadcast_to(boxes[..., HEIGHT, None], x.shape)], axis=-1)
    return np.concatenate([base, top], axis=-2)


def project(points: Floats, views: Views) -> Floats:
    """(..., n, 3) points by views of shape (...): (..., n, 2) ideal pixels."""
    camera = np.einsum("...nj,...ij->...ni", points - views.position[..., None, :], views.rotation)
    depth = np.maximum(camera[..., 2:], _NEAREST_DEPTH)
    return np.asarray(camera[..., :2] / depth * views.focal[..., None, None])


def outline_edges(boxes: Floats, positions: Floats) -> Bools:
    """Which of the 12 edges of (..., 6) boxes bound the silhouette, seen from (..., 3) positions.

    An edge does when exactly one of its two faces looks at the camera. The base never does.
    """
    cos, sin = np.cos(boxes[..., YAW]), np.sin(boxes[..., YAW])
    dx, dy = positions[..., 0] - boxes[..., X], positions[..., 1] - boxes[..., Y]
    across, along = cos * dx + sin * dy, cos * dy - sin * dx
    half_width, half_depth = boxes[..., WIDTH] / 2, boxes[..., DEPTH] / 2
    sides = np.stack([along < -half_depth, across > half_width, along > half_depth, across < -half_width], axis=-1)
    top = (positions[..., 2] > boxes[..., HEIGHT])[..., None]
    return np.concatenate([sides, sides ^ top, sides ^ np.roll(sides, 1, axis=-1)], axis=-1)


def outline_lines(points: Floats) -> tuple[Floats, Floats]:
    """Lines through the 12 edges of (..., 8, 2) projected corners.

    Returns:
        Unit normals (..., 12, 2), pointing away from the box's middle, and offsets
        (..., 12): `normal @ pixel - offset` is the signed distance in pixels.
    """
    start, end = points[..., _FROM, :], points[..., _TO, :]
    along = end - start
    normal = np.stack([along[..., 1], -along[..., 0]], axis=-1)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    offset = (normal * start).sum(axis=-1)
    middle = (normal * points.mean(axis=-2, keepdims=True)).sum(axis=-1)
    sign = np.where(middle > offset, -1.0, 1.0)
    return normal * sign[..., None], offset * sign


def signed_distances(lines: tuple[Floats, Floats], edges: Bools, pixels: Floats) -> tuple[Floats, Ints]:
    """Signed distance of (..., n, 2) pixels from the silhouette, negative inside, and the nearest edge.

    Exact inside and beside a side; beyond a corner it is the larger distance to
    the two sides' lines, a lower bound.
    """
    normal, offset = lines
    distance = pixels @ np.swapaxes(normal, -1, -2) - offset[..., None, :]
    distance = np.where(edges[..., None, :], distance, -np.inf)
    nearest = distance.argmax(axis=-1)
    return np.take_along_axis(distance, nearest[..., None], axis=-1)[..., 0], nearest


def on_seen_edges(lines: tuple[Floats, Floats], edges: Bools, pixels: Floats, own: Bools, margin: float) -> Bools:
    """(..., n) whether the edge nearest to each of (..., n, 2) pixels is seen there.

    A corner at which the view of a box ends lies on two edges, and only one of them need be seen. So of an edge that is
    nearest to pixels which are not the box's `own` (..., n), two or more that are must be clearly nearer to it than to
    every other, by `margin` pixels.
    """
    normal, offset = lines
    distance = pixels @ np.swapaxes(normal, -1, -2) - offset[..., None, :]
    distance = np.where(edges[..., None, :], distance, -np.inf)
    second, first = np.moveaxis(np.partition(distance, (-2, -1), axis=-1)[..., -2:], -1, 0)
    nearest = distance >= first[..., None]
    clear = own & (first - second > margin)
    cut = (nearest & ~own[..., None]).any(axis=-2)
    seen = ~cut | ((nearest & clear[..., None]).sum(axis=-2) >= _SEEN_BY)
    return np.asarray((nearest & seen[..., None, :]).any(axis=-1))
