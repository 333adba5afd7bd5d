"""What was found in a frame, drawn into it for a person."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.datasets.types import LabelledObject
from inference.types import TRACKED_CLASSES

_TRACKED, _OTHER = (80, 220, 80), (60, 160, 255)


def drawn(frame: NDArray[np.uint8], objects: Iterable[LabelledObject]) -> NDArray[np.uint8]:
    """A copy of the frame (H, W, 3, uint8, BGR) with outlines, boxes of what has none, and names drawn in."""
    picture = frame.copy()
    for thing in objects:
        colour = _TRACKED if thing.class_name in TRACKED_CLASSES else _OTHER
        if thing.polygon is not None:
            cv2.polylines(picture, [np.round(thing.polygon).astype(np.int32)], True, colour, 2, cv2.LINE_AA)
        else:
            left, top, right, bottom = (round(float(value)) for value in thing.box)
            cv2.rectangle(picture, (left, top), (right, bottom), colour, 1)
        confidence = "" if thing.confidence is None else f"{thing.confidence:.2f}"
        text = " ".join(word for word in (thing.class_name, confidence, thing.stage) if word)
        place = (int(thing.box[0]) + 4, int(thing.box[1]) + 18)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
    return picture
