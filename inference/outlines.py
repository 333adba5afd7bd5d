"""From mask logits to outlines in pixels of the frame.

Pixel (i, j) of a mask covers the square from (i, j) to (i + 1, j + 1): an outline runs
along the pixels' edges, so that it has the mask's own size (OpenCV's contours run through
the centres of the border pixels and lose half a pixel all around).
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

SIMPLIFICATION_PX = 1.0
# The simplification, and a pixel's corner that a diagonal of the outline may cut off.
MAX_ERROR_PX = SIMPLIFICATION_PX + 0.75


def outline(mask: NDArray[np.bool_], origin: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.float32] | None:
    """Outer boundary of the mask's largest component.

    Args:
        mask: (H, W) bool.
        origin: x and y of the mask's top left corner in the frame, pixels.

    Returns:
        (N, 2) float32, pixels, N >= 3: where the outline and the component (its holes
        filled) disagree is nowhere farther than `MAX_ERROR_PX` from the component's
        boundary. None for an empty mask.
    """
    parts, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not parts:
        return None
    # Only the component itself is drawn, in its bounding box, and one corner more to the right and below.
    largest = max(parts, key=lambda part: (cv2.contourArea(part), len(part)))
    left, top, width, height = cv2.boundingRect(largest)
    component = np.zeros((height + 1, width + 1), np.uint8)
    cv2.drawContours(component, [largest], -1, 1, cv2.FILLED, offset=(-left, -top))
    # A corner of the pixel grid is inside when any of the four pixels around it is.
    corners = cv2.dilate(component, np.ones((2, 2), np.uint8), anchor=(1, 1))
    contours, _ = cv2.findContours(corners, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=cv2.contourArea)
    simple = cv2.approxPolyDP(contour, SIMPLIFICATION_PX, closed=True)
    if len(simple) < 3:  # a mask one pixel wide
        simple = contour
    return np.asarray(simple.reshape(-1, 2) + np.add(origin, (left, top)), dtype=np.float32)


def hull(mask: NDArray[np.bool_], origin: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.float32] | None:
    """Convex hull of all of the mask, as `outline` gives the boundary of its largest component.

    For what only hides others (the girders of a crane are two components): it may
    hide too much, never too little.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows) == 0:
        return None
    # Nothing but the first and the last pixel of a row can be a corner of the hull.
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    corners = np.concatenate([np.column_stack([x, rows + dy]) for x in (first, last) for dy in (0, 1)])
    return np.asarray(cv2.convexHull(corners.astype(np.int32)).reshape(-1, 2) + np.asarray(origin), dtype=np.float32)


def cells_of(
    window: tuple[int, int, int, int], picture: tuple[int, int], grid: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Cells of a grid over a whole picture that a window of the picture is interpolated from.

    They end where a pixel ends, so that `upsample` can draw them: a picture of 1920 columns
    and a grid of 1024 share an edge every eighth cell.

    Args:
        window: left, top, right, bottom in the picture, whole pixels, right and bottom not included.
        picture: its columns and rows.
        grid: its columns and rows.

    Returns:
        left, top, right, bottom, right and bottom not included.
    """
    (left, right), (top, bottom) = (
        _cells_of(window[axis], window[axis + 2], picture[axis], grid[axis]) for axis in (0, 1)
    )
    return left, top, right, bottom


def _cells_of(begin: int, end: int, pixels: int, cells: int) -> tuple[int, int]:
    step = cells // math.gcd(pixels, cells)
    first = math.floor((begin + 0.5) * cells / pixels - 0.5)
    last = math.floor((end - 0.5) * cells / pixels - 0.5) + 2
    return max(0, first // step * step), min(cells, -(-last // step) * step)


def upsample(
    logits: NDArray[np.float32],
    held: tuple[int, int, int, int],
    grid: tuple[int, int],
    picture: tuple[int, int],
    window: tuple[int, int, int, int],
) -> NDArray[np.float32]:
    """A window of a picture, interpolated from mask logits of a coarser grid.

    Bilinear with pixel centres aligned, as SAM's own `postprocess_masks` does for
    the whole picture; only what the window needs is computed.

    Args:
        logits: (bottom - top, right - left) float32, of the cells `held`.
        held: those cells, from `cells_of`, or more of such.
        grid: columns and rows of the whole grid.
        picture: columns and rows of the whole picture.
        window: left, top, right, bottom in the picture, whole pixels, right and bottom not included.

    Returns:
        (bottom - top, right - left) float32.
    """
    left, top, right, bottom = (held[side] * picture[side % 2] // grid[side % 2] for side in range(4))
    drawn = cv2.resize(logits, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    return np.asarray(drawn[window[1] - top : window[3] - top, window[0] - left : window[2] - left], dtype=np.float32)
