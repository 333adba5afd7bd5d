"""The whole floor explained at once: which track that is gone from its place is which new sighting.

Ends are tracks that are not seen at their place, begins are tracks that started lately.
Each end goes on in at most one begin, each begin goes on from at most one end; every way
to pair them is one explanation, and its probability is the product of its pairs' weights
over the sum of all. Ends and begins that no likely pair connects do not depend on each
other: they fall into clusters, and in each the sum runs over all explanations (exactly, by
dynamic programming over subsets of the smaller side). A swap, a relay or a cycle of any
length is one explanation among others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

Floats = NDArray[np.float64]

_LEAST = -12.0  # log weight against no pair, below which a pair is none
_LARGEST = 9  # of the smaller side of a cluster; a larger one is cut where its pairs are weakest


@dataclass(frozen=True, eq=False)
class Explanation:
    """What is believed of ends and begins.

    Attributes:
        likeliest: index of the begin by index of the end, in the likeliest explanation.
        pairs: (ends, begins) probability of each pair.
    """

    likeliest: dict[int, int]
    pairs: Floats

    def unpaired_end(self, end: int) -> float:
        """Probability that an end goes on in no begin."""
        return float(max(0.0, 1 - self.pairs[end].sum()))

    def unpaired_begin(self, begin: int) -> float:
        """Probability that a begin goes on from no end."""
        return float(max(0.0, 1 - self.pairs[:, begin].sum()))


def explain(weights: Floats) -> Explanation:
    """Probabilities of pairs.

    Args:
        weights: (ends, begins) log of how much likelier both are as a pair than each for itself;
            -inf where they cannot be one.
    """
    pairs = np.zeros(weights.shape)
    if not weights.size:
        return Explanation({}, pairs)
    worth = np.where(np.isfinite(weights), np.maximum(weights, 0.0), 0.0)
    chosen = zip(*linear_sum_assignment(worth, maximize=True), strict=True)
    likeliest = {int(end): int(begin) for end, begin in chosen if weights[end, begin] > 0}
    for ends, begins in _clusters(weights, _LEAST):
        pairs[np.ix_(ends, begins)] = _marginals(weights[np.ix_(ends, begins)])
    return Explanation(likeliest, pairs)


def _clusters(weights: Floats, least: float) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Ends and begins that likely pairs connect."""
    linked = weights > least
    rows, columns = np.nonzero(linked)
    if not len(rows):
        return []
    size = sum(weights.shape)
    graph = csr_matrix((np.ones(len(rows)), (rows, columns + weights.shape[0])), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    clusters = []
    for label in np.unique(labels[rows]):
        ends = np.flatnonzero(labels[: weights.shape[0]] == label)
        begins = np.flatnonzero(labels[weights.shape[0] :] == label)
        if min(len(ends), len(begins)) <= _LARGEST:
            clusters.append((ends, begins))
            continue
        for inner_ends, inner_begins in _clusters(weights[np.ix_(ends, begins)], least + 2.0):
            clusters.append((ends[inner_ends], begins[inner_begins]))
    return clusters


def _marginals(weights: Floats) -> Floats:
    """(ends, begins) probabilities of pairs in one cluster."""
    if weights.shape[1] > weights.shape[0]:
        return _marginals(weights.T).T
    top = np.maximum(weights.max(axis=1), 0.0)
    pair, none = np.exp(weights - top[:, None]), np.exp(-top)
    ends, begins = weights.shape
    subsets = np.arange(1 << begins)
    ahead = np.zeros((ends + 1, len(subsets)))  # of the ends so far, by the begins that they take
    behind = np.zeros_like(ahead)  # of the other ends, by the begins that are taken before them
    ahead[0, 0] = 1.0
    behind[ends] = 1.0
    for end in range(ends):
        ahead[end + 1] = none[end] * ahead[end]
        for begin in range(begins):
            free = subsets[(subsets >> begin & 1) == 0]
            ahead[end + 1, free | 1 << begin] += pair[end, begin] * ahead[end, free]
    result = np.zeros_like(weights)
    for end in reversed(range(ends)):
        behind[end] = none[end] * behind[end + 1]
        for begin in range(begins):
            free = subsets[(subsets >> begin & 1) == 0]
            after = pair[end, begin] * behind[end + 1, free | 1 << begin]
            behind[end, free] += after
            result[end, begin] = (ahead[end, free] * after).sum()
    return np.asarray(result / behind[0, 0])
