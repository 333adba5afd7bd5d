"""The colours of a frame without those of what stands and moves in it: of the floor and the hall around.

A block that gets its primer turns a frame red, a crane that parks in it turns it yellow: neither says anything of
the camera. A mean over a frame is the sum of its parts by their areas. So the mean paint of each outlined block,
which the observation holds, is taken off by the block's area. A crane's paint is in no observation: it is learned
from what cranes did to the frames of many slots.
"""

import numpy as np
from numpy.typing import NDArray

from inference.frame_look import FrameLook
from inference.types import OCCLUDER_CLASSES, CameraObservation

_LEAST_AROUND = 0.2  # share of a frame that must be no block
# What is learned of cranes is held back as if colours change by some 3 from slot to slot without them, and a crane
# by some 10: (3 / 10) squared. Where cranes hardly moved, chance is no paint.
_DOUBT = 0.1

Floats = NDArray[np.float64]


def colours_around_blocks(camera: CameraObservation, look: FrameLook) -> Floats:
    """(2,) mean red and yellow, CIELAB, of a frame outside the outlines of its blocks; NaN where they fill it."""
    rest = np.array([look.red, look.yellow], dtype=np.float64)
    for found in camera.objects:
        if found.polygon is not None and found.descriptor is not None:
            rest -= _share(found.polygon, camera) * found.descriptor[1:3].astype(np.float64)
    around = _around(camera)
    return rest / around if around >= _LEAST_AROUND else np.full(2, np.nan)


def crane_share(camera: CameraObservation) -> float:
    """How much of what is no block the outlines of cranes cover, 0 to 1."""
    outlines = [found.polygon for found in camera.objects if found.class_name in OCCLUDER_CLASSES]
    cranes = sum(_share(outline, camera) for outline in outlines if outline is not None)
    return min(cranes / max(_around(camera), _LEAST_AROUND), 1.0)


def colours_by_cranes(off: Floats, shares: Floats) -> Floats:
    """How far a crane moves the colours of a frame that it fills: least squares over all cameras.

    Args:
        off: (slots, cameras, 2): red and yellow, how far from the camera's usual; NaN where not known.
        shares: (slots, cameras): what cranes cover.

    Returns:
        (2,): towards 0 where cranes hardly moved.
    """
    known: NDArray[np.bool_] = np.asarray(np.isfinite(off).all(axis=2))
    moved = _from_mean(shares[..., None], known)
    changed = _from_mean(off, known)
    products: Floats = (moved * changed).sum(axis=(0, 1))
    return products / (float((moved**2).sum()) + _DOUBT)


def _around(camera: CameraObservation) -> float:
    """The share of a frame that is no outlined block."""
    blocks = (f.polygon for f in camera.objects if f.polygon is not None and f.descriptor is not None)
    return 1.0 - sum(_share(outline, camera) for outline in blocks)


def _share(outline: NDArray[np.float32], camera: CameraObservation) -> float:
    """Of the frame, within an outline."""
    x, y = outline.astype(np.float64).T
    area = abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    return float(area / (camera.image_size[0] * camera.image_size[1]))


def _from_mean(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """(slots, cameras, n) less each camera's mean over its known slots; 0 in the others."""
    valid = known[..., None]
    total: Floats = np.where(valid, values, 0.0).sum(axis=0)
    mean = total / np.maximum(valid.sum(axis=0), 1)
    return np.where(valid, values - mean, 0.0)
