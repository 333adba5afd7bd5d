"""Hypotheses fitted to their members: the bridge between association and `fusion.fitting`."""

import numpy as np

from fusion.agreement import judged
from fusion.fitting import Fit, Outlines, Shifts, SizePrior, fit_boxes
from fusion.hypotheses import Hypotheses, empty, joined
from fusion.scene import Scene
from fusion.upright_box import Floats, Ints

# log width, log depth, height (metres): what is known of a class before it is seen. Wide on purpose.
_PRIORS = {
    "panel": ((np.log(8.0), np.log(6.0), 0.8), (0.6, 0.6, 0.8)),
    "block": ((np.log(8.5), np.log(6.5), 3.5), (0.5, 0.5, 2.0)),
    "HP_block": ((np.log(9.0), np.log(7.0), 5.0), (0.5, 0.5, 2.5)),
}


def refit(
    found: Hypotheses,
    scene: Scene,
    outlines: Outlines,
    scale: float = 3.0,
    *,
    steps: int = 8,
    shifts: Shifts | None = None,
) -> Hypotheses:
    """Fit every hypothesis to its members again, then judge it; the arguments are those of `fit_boxes`."""
    fitted = _fitted(found.boxes, found.members, scene, outlines, scale=scale, steps=steps, shifts=shifts)
    return judged(fitted, scene)


def as_hypotheses(fit: Fit, members: Ints, scene: Scene) -> Hypotheses:
    """Member lists (h, v) become one column per camera."""
    table = np.full((len(members), len(scene.frames)), -1, dtype=np.int64)
    row, column = np.nonzero(members >= 0)
    silhouette = members[row, column]
    table[row, scene.camera[silhouette]] = silhouette
    return Hypotheses(fit.boxes, table, np.zeros(table.shape), np.zeros(table.shape, dtype=bool))


def size_prior(members: Ints, scene: Scene) -> SizePrior:
    """Per hypothesis the prior of its members' classes, averaged."""
    names = sorted(_PRIORS)
    table = np.array([_PRIORS[name] for name in names])  # (classes, 2, 3)
    kind = np.array([names.index(found.class_name) for found in scene.objects], dtype=np.int64)
    present = (members >= 0)[..., None, None]
    values = np.where(present, table[kind[np.maximum(members, 0)]], 0.0).sum(axis=1) / present.sum(axis=1)
    return SizePrior(values[:, 0], values[:, 1])


def _fitted(
    boxes: Floats,
    members: Ints,
    scene: Scene,
    outlines: Outlines,
    *,
    scale: float,
    steps: int,
    shifts: Shifts | None,
) -> Hypotheses:
    """Fits in batches of equally many members: none pays for another's columns."""
    sizes = (members >= 0).sum(axis=1)
    result = joined([empty(scene)])
    parts, order = [result], []
    for size in np.unique(sizes[sizes > 0]):
        rows = np.flatnonzero(sizes == size)
        packed = -np.sort(-members[rows], axis=1)[:, :size]
        fit = fit_boxes(
            boxes[rows], packed, outlines, size_prior(packed, scene), scale=scale, steps=steps, shifts=shifts
        )
        parts.append(as_hypotheses(fit, packed, scene))
        order.append(rows)
    if not order:
        return result
    return joined(parts).take(np.argsort(np.concatenate(order), kind="stable"))
