"""Descriptors: the paint of an object as one camera sees it, in a few numbers that can be compared.

The object's pixels in CIELAB: mean and three quantiles of lightness and of the two colour axes.
Light falls differently on two places of a hall, so that `unlikeness` compares the colour axes alone.

The mean of SAM's embedding over the mask was tried instead: it shows where an object stands far
more than what it is. It took one of two swapped twins for the other in 19 of 20 questions
(`inference/weights/README.md`).
"""

import numpy as np
from numpy.typing import NDArray

DESCRIPTOR_LENGTH = 12
_QUANTILES = (0.1, 0.5, 0.9)
_MOST_PIXELS = 4096


def describe(
    frame: NDArray[np.uint8], window: tuple[int, int, int, int], inside: NDArray[np.bool_]
) -> NDArray[np.float16] | None:
    """The descriptor of an object.

    Args:
        frame: (H, W, 3) uint8, BGR.
        window: left, top, right, bottom of the mask in the frame, right and bottom not included.
        inside: (bottom - top, right - left) bool.

    Returns:
        (DESCRIPTOR_LENGTH,) float16: mean and the quantiles 0.1, 0.5 and 0.9, of each L (0 to 100), a
        and b. None for an empty mask.
    """
    import cv2  # not on every host that compares

    left, top, _, _ = window
    places = np.flatnonzero(inside)
    if len(places) == 0:
        return None
    # Only the sampled pixels are fetched: all of them take ten times as long.
    rows, columns = np.divmod(places[:: -(-len(places) // _MOST_PIXELS)], inside.shape[1])
    pixels = frame[rows + top, columns + left]
    lab = cv2.cvtColor(pixels[None].astype(np.float32) / 255, cv2.COLOR_BGR2LAB)[0]
    return np.concatenate([lab.mean(axis=0)[None], _quantiles(lab)]).ravel().astype(np.float16)


def _quantiles(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """`np.quantile` of each column, a fifth of its time for so few values; (len(_QUANTILES), columns)."""
    ordered = np.sort(values, axis=0)
    ranks = np.array(_QUANTILES, dtype=np.float32)[:, None] * (len(values) - 1)
    below = ranks.astype(int)[:, 0]
    above = np.minimum(below + 1, len(values) - 1)
    return np.asarray(ordered[below] + (ordered[above] - ordered[below]) * (ranks - below[:, None]), dtype=np.float32)


def unlikeness(one: NDArray[np.float16], other: NDArray[np.float16]) -> float:
    """How far two paints are from each other: root mean square over the colour axes, CIELAB units.

    In simulated frames the median is 2 between two readings of one block that was moved, and 18
    between two paints. Compare readings of one camera: two cameras balance colours differently.
    """
    difference = (one.astype(np.float64) - other.astype(np.float64)).reshape(-1, 3)[:, 1:]
    return float(np.sqrt((difference**2).sum(axis=1).mean()))
