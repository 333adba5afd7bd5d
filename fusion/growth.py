"""Groups of silhouettes grown from boxes: collect, fit, let go."""

import numpy as np

from fusion.agreement import EXPLAINED, collect, excess
from fusion.fitting import Outlines
from fusion.hypotheses import Hypotheses, distinct
from fusion.refitting import refit
from fusion.scene import Scene
from fusion.upright_box import Floats, Ints

_SURE = 0.06  # less than this below the expected agreement, a member is no doubtful one


def grow(found: Hypotheses, scene: Scene, outlines: Outlines, rounds: int = 2) -> Hypotheses:
    """Collect, fit, let go; the same again with the better box."""
    for turn in range(rounds):
        found = collect(found, scene)
        found = distinct(found)
        found = refit(found, scene, outlines.thinned(2), scale=5.0 if turn == 0 else 3.0, steps=6)
        found = _released(found)
    return distinct(found)


def without_the_worst(found: Hypotheses, expected: Floats, scene: Scene, outlines: Outlines) -> Hypotheses:
    """Groups with a member that agrees less than well, once more without it: it may be another block's."""
    above = excess(found, expected)
    rows = np.flatnonzero((found.sizes > 1) & (above.min(axis=1) < -_SURE))
    members = found.members[rows].copy()
    members[np.arange(len(rows)), above[rows].argmin(axis=1)] = -1
    fewer = Hypotheses(found.boxes[rows], members, found.agreement[rows], found.missed[rows])
    return refit(fewer, scene, outlines.thinned(2), steps=6)


def doubtful_silhouettes(grown: Hypotheses, expected: Floats) -> Ints:
    """Silhouettes that belong to no group of three or more which agrees well."""
    sure = (grown.sizes >= 3) & (excess(grown, expected).min(axis=1) >= -_SURE) & (grown.missed.sum(axis=1) <= 1)
    settled = np.unique(grown.members[sure])
    return np.setdiff1d(np.arange(len(expected)), settled)


def _released(found: Hypotheses) -> Hypotheses:
    """Members that the fitted box does not explain go, but the best always stays."""
    best = found.agreement.max(axis=1, keepdims=True)
    stays = (found.members >= 0) & ((found.agreement >= EXPLAINED) | (found.agreement >= best))
    return Hypotheses(
        found.boxes,
        np.where(stays, found.members, -1),
        np.where(stays, found.agreement, 0.0),
        found.missed | ((found.members >= 0) & ~stays),
    )
