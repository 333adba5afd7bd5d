"""The input of a classifier: an object cut out along its mask, on even grey, in a square."""

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
    mask = inside.view(np.uint8)
    x, y, width, height = cv2.boundingRect(mask)
    if width == 0:
        return None
    left, top = window[0] + x, window[1] + y
    cut = np.full((height, width, 3), BACKGROUND, dtype=np.uint8)
    cv2.copyTo(frame[top : top + height, left : left + width], mask[y : y + height, x : x + width], cut)
    scale = CROP_SIZE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(cut, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    crop = np.full((CROP_SIZE, CROP_SIZE, 3), BACKGROUND, dtype=np.uint8)
    y, x = (CROP_SIZE - size[1]) // 2, (CROP_SIZE - size[0]) // 2
    crop[y : y + size[1], x : x + size[0]] = small
    return crop
