"""How far a fused block's centre may be off, estimated from the batch itself.

Silhouettes err in two ways: every point of an outline on its own (noise), and a whole
silhouette together (a pose that is off, a mask that leans to one side). How large both
are is estimated from what fitted boxes leave unexplained, over all blocks that several
cameras see; then both are carried through every block's fit (the sandwich form of a
covariance), so that a block that few cameras see well comes with more.
"""

import numpy as np

from fusion.fitting import Outlines, Sensitivity, sensitivity
from fusion.hypotheses import Hypotheses
from fusion.refitting import size_prior
from fusion.scene import Scene
from fusion.upright_box import Floats, X, Y

_SEVERAL = 3  # cameras from which a block has more shifts than its fit takes up
_TAKEN_UP = 4.8  # of a block's shifts by its own place, height and, in part, sizes
_USUAL_SHIFT_PX, _USUAL_NOISE_PX = 3.0, 2.0  # where no block shows them
_COUNTS_AS = 0.1  # blocks, is the weight of what is usual
_MOST_TIMES = 6.0
_LEAST_STD_M = 0.003


def position_std(found: Hypotheses, scene: Scene, outlines: Outlines, scale: float) -> Floats:
    """(h,) standard deviation of the centre along x and y (root of their mean variance), metres."""
    if not len(found):
        return np.zeros(0)
    width = int(found.sizes.max())
    members = -np.sort(-found.members, axis=1)[:, :width]
    parts = sensitivity(found.boxes, members, outlines, size_prior(members, scene), scale=scale)
    shift, noise = _errors(parts)
    gradient = noise**2 * parts.to_noise + parts.prior
    gradient = gradient + shift**2 * np.einsum("bvpi,bvqi->bpq", parts.to_shift, parts.to_shift)
    inverse = np.linalg.inv(parts.information + 1e-9 * np.eye(parts.information.shape[1]))
    covariance = inverse @ gradient @ inverse
    variance = (covariance[:, X, X] + covariance[:, Y, Y]) / 2
    return np.asarray(np.sqrt(_LEAST_STD_M**2 + np.maximum(variance, 0.0)))


def _errors(parts: Sensitivity) -> tuple[float, float]:
    """Standard deviation of a silhouette's shift along each image axis, and of its points' noise, pixels."""
    several = parts.present.sum(axis=1) >= _SEVERAL
    square = np.where(parts.present, (parts.shifts**2).sum(axis=-1), 0.0).sum(axis=1)[several]
    free = 2.0 * parts.present.sum(axis=1)[several] - _TAKEN_UP
    per_block = square / free
    # A wrong member's shift says nothing of the others: no block counts for more than a few times the middle one.
    per_block = np.minimum(per_block, _MOST_TIMES * np.median(per_block)) if len(per_block) else per_block
    count = len(per_block)
    typical = float(per_block.mean()) if count else 0.0
    shift = (count * typical + _COUNTS_AS * _USUAL_SHIFT_PX**2) / (count + _COUNTS_AS)
    noises = parts.noise[parts.present]
    noise = float(np.median(noises)) if len(noises) else _USUAL_NOISE_PX
    return float(np.sqrt(shift)), noise
