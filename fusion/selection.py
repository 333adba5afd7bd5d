"""Of many hypotheses the consistent set that explains most: a small integer programme."""

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array

from fusion.agreement import worth_of
from fusion.hypotheses import Hypotheses
from fusion.scene import Scene
from fusion.upright_box import Floats, Ints
from fusion.visibility import shared_floor

_SAME_FLOOR = 0.35  # share of the smaller footprint: two blocks cannot both stand there


def choose(found: Hypotheses, scene: Scene, expected: Floats | None = None) -> Ints:
    """Rows of the best consistent set: each silhouette once, no two blocks in one place.

    `expected` (n,) as from `expected_agreement`, None where nothing is known of the batch yet.
    """
    value = worth_of(found, found.missed, scene, expected)
    worth = np.flatnonzero(value > 0)
    if not len(worth):
        return worth
    candidates = found.take(worth)
    first, second, shared = shared_floor(candidates.boxes)
    clash = shared > _SAME_FLOOR
    hypothesis, camera = np.nonzero(candidates.members >= 0)
    _, silhouette = np.unique(candidates.members[hypothesis, camera], return_inverse=True)
    rows = [silhouette, np.repeat(np.arange(clash.sum()), 2) + silhouette.max() + 1]
    columns = [hypothesis, np.stack([first[clash], second[clash]], axis=1).ravel()]
    row, column = np.concatenate(rows), np.concatenate(columns)
    matrix = coo_array((np.ones(len(row)), (row, column)), shape=(row.max() + 1, len(worth))).tocsr()
    result = milp(
        -value[worth],
        constraints=LinearConstraint(matrix, ub=1.0),
        integrality=np.ones(len(worth), dtype=np.int64),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 1e-4, "time_limit": 5.0},
    )
    if result.x is None:
        return worth[_greedy(value[worth], matrix)]
    return np.asarray(worth[result.x > 0.5])


def _greedy(value: Floats, matrix: csr_array) -> Ints:
    """Best first, should the integer programme run out of time."""
    taken: list[int] = []
    used = np.zeros(matrix.shape[0])
    columns = matrix.tocsc()
    for row in np.argsort(-value, kind="stable"):
        mine = columns[:, [row]].toarray()[:, 0]
        if not (used * mine).any():
            used += mine
            taken.append(int(row))
    return np.sort(np.array(taken, dtype=np.int64))
