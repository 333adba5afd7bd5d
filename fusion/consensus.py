"""Which of many points agree on one model, though some of them are wrong: samples, then the largest agreement.

RANSAC (Fischler and Bolles, 1981) with a local refinement of every candidate (LO-RANSAC, Chum et al., 2003), all
candidates at once. A second candidate that is another model and has nearly as many points on its side means that the
points do not decide.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SAMPLES = 120  # of which at least one is without a wrong point for all but one in a million sets with a third wrong
_FOLLOWED = 40  # samples with which most points agree
_ROUNDS = 3  # of refinement by the points that agree


class Models(Protocol):
    """Many models of one kind."""

    def __len__(self) -> int:
        """How many."""

    def take(self, rows: Ints, /) -> Self:
        """Some of them, in the order of the rows."""

    def joined(self, other: Self, /) -> Self:
        """These, then the others."""


M = TypeVar("M", bound=Models)


@dataclass(frozen=True)
class Agreements(Generic[M]):
    """Models (k), the points (k, n) that agree with each, and the (k,) root mean square of those points' errors."""

    models: M
    agree: Bools
    rms: Floats

    @property
    def count(self) -> Ints:
        """(k,) how many points agree."""
        return np.asarray(self.agree.sum(axis=1), dtype=np.int64)

    def take(self, rows: Ints) -> Self:
        """Some of them, in the order of the rows."""
        return type(self)(self.models.take(rows), self.agree[rows], self.rms[rows])

    def joined(self, other: Self) -> Self:
        """These, then the others."""
        return type(self)(
            self.models.joined(other.models),
            np.concatenate([self.agree, other.agree]),
            np.concatenate([self.rms, other.rms]),
        )


@dataclass(frozen=True)
class Problem(Generic[M]):
    """What is to be agreed on.

    Attributes:
        count: of the points.
        refined: fits each model to its chosen points (k, n), from where it is.
        errors: (k, n) of every point by each model.
        tolerance: largest error of a point that agrees.
        sample: points that fix a model.
    """

    count: int
    refined: Callable[[M, Bools], M]
    errors: Callable[[M], Floats]
    tolerance: float
    sample: int


def agreements(problem: Problem[M], starts: M) -> Agreements[M]:
    """Candidates, those with the most points first, then those with the smallest errors.

    Where all points agree with a start, no sample is drawn. A sample begins at the start that suits it best.
    """
    found = _settled(problem, starts)
    if found.count.max() < problem.count:
        rows = _samples(problem)
        errors = problem.errors(starts)
        best = np.array([int(np.median(errors[:, row], axis=1).argmin()) for row in rows])
        drawn = problem.refined(starts.take(best), rows)
        agreeing = (problem.errors(drawn) <= problem.tolerance).sum(axis=1)
        found = found.joined(_settled(problem, drawn.take(np.argsort(-agreeing, kind="stable")[:_FOLLOWED])))
    return found.take(np.lexsort((found.rms, -found.count)))


def _samples(problem: Problem[M]) -> Bools:
    """(s, n) all sets of points that fix a model where they are few, else random ones."""
    count, size = problem.count, problem.sample
    if comb(count, size) <= _SAMPLES:
        chosen = [list(one) for one in combinations(range(count), size)]
    else:
        rng = np.random.default_rng(count)
        chosen = [list(rng.choice(count, size, replace=False)) for _ in range(_SAMPLES)]
    rows = np.zeros((len(chosen), count), dtype=bool)
    np.put_along_axis(rows, np.array(chosen), values=True, axis=1)
    return rows


def _settled(problem: Problem[M], models: M) -> Agreements[M]:
    """Each model as the points near it give it, and the points near that one, some rounds long."""
    for _ in range(_ROUNDS):
        agree = problem.errors(models) <= problem.tolerance
        rows = np.flatnonzero(agree.sum(axis=1) >= problem.sample)
        if not len(rows):
            break
        refined = problem.refined(models.take(rows), agree[rows])
        order = np.arange(len(models))
        order[rows] = len(models) + np.arange(len(rows))
        models = models.joined(refined).take(order)
    off = problem.errors(models)
    agree = off <= problem.tolerance
    squares = np.where(agree, off**2, 0.0).sum(axis=1)
    return Agreements(models, agree, np.sqrt(squares / np.maximum(agree.sum(axis=1), 1)))
