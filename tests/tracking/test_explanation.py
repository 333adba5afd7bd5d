"""Marginals of pairs against every explanation written out."""

import itertools

import numpy as np
import pytest

from tracking.explanation import explain


def every_explanation(ends, begins):
    """Each way to pair some ends with different begins."""
    for size in range(min(ends, begins) + 1):
        for chosen in itertools.combinations(range(ends), size):
            for onto in itertools.permutations(range(begins), size):
                yield list(zip(chosen, onto, strict=True))


def brute_force(weights):
    pairs, total = np.zeros(weights.shape), 0.0
    for explanation in every_explanation(*weights.shape):
        weight = np.exp(sum(weights[pair] for pair in explanation))
        total += weight
        for pair in explanation:
            pairs[pair] += weight
    return pairs / total


@pytest.mark.parametrize(("ends", "begins"), [(1, 1), (2, 2), (3, 2), (2, 4), (4, 4)])
def test_probabilities_are_shares_of_all_explanations(ends, begins):
    weights = np.random.default_rng([ends, begins]).normal(0, 3, (ends, begins))
    weights[0, -1] = -np.inf  # cannot be one
    told = explain(weights)
    np.testing.assert_allclose(told.pairs, brute_force(weights), atol=1e-9)
    assert told.unpaired_end(0) == pytest.approx(1 - told.pairs[0].sum())
    assert told.unpaired_begin(0) == pytest.approx(1 - told.pairs[:, 0].sum())


def test_two_that_nothing_tells_apart_share_the_probability():
    told = explain(np.full((2, 1), 8.0))
    np.testing.assert_allclose(told.pairs, 0.5, atol=1e-3)


def test_a_cycle_is_one_explanation():
    weights = np.full((3, 3), -4.0)
    for end in range(3):
        weights[end, (end + 1) % 3] = 6.0
    told = explain(weights)
    assert told.likeliest == {0: 1, 1: 2, 2: 0}
    assert min(told.pairs[end, (end + 1) % 3] for end in range(3)) > 0.99


def test_clusters_that_are_too_large_are_cut_and_stay_probabilities():
    weights = np.random.default_rng(5).normal(-6, 2, (14, 14))
    weights[np.arange(14), np.arange(14)] = 6.0
    told = explain(weights)
    assert told.likeliest == {number: number for number in range(14)}
    assert (told.pairs.diagonal() > 0.9).all()
    assert told.pairs.sum(axis=0).max() <= 1 + 1e-9
    assert told.pairs.sum(axis=1).max() <= 1 + 1e-9


def test_nothing_to_explain():
    assert explain(np.zeros((0, 3))).likeliest == {}
