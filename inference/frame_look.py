"""How a frame looks as a whole: its light, its colours, how sharp it is. A few numbers, in a millisecond."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOOK_LENGTH = 5
# Colours of every eighth pixel both ways; differences along every eighth row.
_STEP = 8
_EDGE_PX = 12  # an edge is whole within
_STRONGEST = 0.1  # of all places, that count as edges
_LEAST_EDGE = 8  # grey levels
_DARK, _DIM, _BRIGHT = 20.0, 38.0, 66.0
_TINTED = 8.0


@dataclass(frozen=True, slots=True)
class FrameLook:
    """A frame's light, colours and focus.

    Attributes:
        lightness: mean of CIELAB's L, 0 to 100.
        red, yellow: means of CIELAB's a (green to red) and b (blue to yellow).
        contrast: standard deviation of L.
        sharpness: natural logarithm of the share of an edge's height that lies between two neighbouring
            pixels, mean over the strongest tenth of the differences within 12 pixels of a row; it falls
            where the frame is blurred, and neither light nor contrast moves it. About -0.65 for a sharp
            frame of a hall; 0 where no edge shows.
    """

    lightness: float
    red: float
    yellow: float
    contrast: float
    sharpness: float

    @classmethod
    def of(cls, picture: NDArray[np.uint8]) -> "FrameLook":
        """The look of a picture (H, W, 3) uint8, BGR."""
        import cv2  # not on every host that compares

        small = np.ascontiguousarray(picture[::_STEP, ::_STEP])
        lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
        lightness, red, yellow, _ = cv2.mean(lab)
        return cls(lightness, red, yellow, float(lab[:, :, 0].std()), _sharpness(picture))

    @classmethod
    def from_array(cls, values: NDArray[np.float16]) -> "FrameLook":
        """What `to_array` made."""
        return cls(*(float(value) for value in values))

    def to_array(self) -> NDArray[np.float16]:
        """(LOOK_LENGTH,) float16, in the order of the attributes."""
        values = (self.lightness, self.red, self.yellow, self.contrast, self.sharpness)
        return np.array(values, dtype=np.float16)

    @property
    def light(self) -> str:
        """The light in words, as `dim, warm`; frames of one word are scored together."""
        level = "dark" if self.lightness < _DARK else "dim" if self.lightness < _DIM else "medium"
        level = "bright" if self.lightness >= _BRIGHT else level
        if max(abs(self.red), abs(self.yellow)) < _TINTED:
            return level
        if abs(self.yellow) >= abs(self.red):
            return f"{level}, {'warm' if self.yellow > 0 else 'cold'}"
        return f"{level}, {'red' if self.red > 0 else 'green'}"


def _sharpness(picture: NDArray[np.uint8]) -> float:
    import cv2

    rows = picture[::_STEP, :, 1].astype(np.int16)  # green carries most of the light
    if rows.shape[1] <= _EDGE_PX:
        return 0.0
    heights = np.abs(rows[:, _EDGE_PX:] - rows[:, :-_EDGE_PX])
    least = max(_quantile(heights, 1 - _STRONGEST), _LEAST_EDGE)
    row, column = np.nonzero(heights >= least)
    if not len(row):
        return 0.0
    steps = np.abs(np.diff(rows, axis=1))
    # The steepest of an edge's steps, at its left end.
    steepest = cv2.dilate(steps.astype(np.uint8), np.ones((1, _EDGE_PX)), anchor=(0, 0))[row, column]
    return float(np.log((steepest / heights[row, column]).mean()))


def _quantile(levels: NDArray[np.int16], share: float) -> float:
    """`np.quantile` of grey levels, by counting them: there are few levels and many places."""
    upto = np.cumsum(np.bincount(levels.ravel()))
    rank = share * (levels.size - 1)
    below, above = np.searchsorted(upto, [int(rank), math.ceil(rank)], side="right")
    return float(below + (rank - int(rank)) * (above - below))
