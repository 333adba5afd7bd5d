"""What the stage classifier looks at: an object cut out along its mask, on even grey, in a square."""

import cv2
import numpy as np
from numpy.typing import NDArray

CROP_SIZE = 96
BACKGROUND = 114


def masked_crop(
    frame: NDArray[np.uint8], window: tuple[int, int, int, int], inside: NDArray[np.bool_]
) -> NDArray[np.uint8] | None:
    """Cut an object out.

    Args:
        frame: (H, W, 3) uint8, BGR.
        window: left, top, right, bottom of the mask in the frame, right and bottom not included.
        inside: (bottom - top, right - left) bool.

    Returns:
        (CROP_SIZE, CROP_SIZE, 3) uint8, BGR: the mask's bounding box, its longer side
        scaled to the crop's, centred. None for an empty mask.
    """
    if not inside.any():
        return None
    left, top, right, bottom = window
    ys, xs = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    rows, columns = slice(ys[0], ys[-1] + 1), slice(xs[0], xs[-1] + 1)
    cut = np.where(inside[rows, columns, None], frame[top:bottom, left:right][rows, columns], np.uint8(BACKGROUND))
    height, width = cut.shape[:2]
    scale = CROP_SIZE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(cut, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    crop = np.full((CROP_SIZE, CROP_SIZE, 3), BACKGROUND, dtype=np.uint8)
    y, x = (CROP_SIZE - size[1]) // 2, (CROP_SIZE - size[0]) // 2
    crop[y : y + size[1], x : x + size[0]] = small
    return crop
