"""A picture with something in it."""

import numpy as np
import pytest


@pytest.fixture
def picture() -> np.ndarray:
    """A picture with something in it: (270, 480, 3) uint8, BGR."""
    import cv2

    canvas = np.full((270, 480, 3), 90, np.uint8)
    cv2.rectangle(canvas, (100, 80), (260, 200), (40, 80, 160), -1)
    cv2.rectangle(canvas, (300, 60), (420, 140), (160, 120, 60), -1)
    return canvas
