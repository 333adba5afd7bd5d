"""Which of many points agree on one model, though some of them are wrong: random samples, then the largest agreement.

RANSAC (Fischler and Bolles, 1981) with a local refinement of every candidate (LO-RANSAC, Chum et al., 2003). A second
candidate that is another model and has nearly as many points on its side means that the points do not decide.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
M = TypeVar("M")

_MOST_SAMPLES = 60
_MISSED = 1e-3  # how likely every sample may hold a wrong point
_ROUNDS = 3  # of refinement by the points that agree


@dataclass(frozen=True)
class Agreement(Generic[M]):
    """A model, and the points (n,) that agree with it."""

    model: M
    agree: Bools
    rms: float

    @property
    def count(self) -> int:
        """How many agree."""
        return int(self.agree.sum())


@dataclass(frozen=True)
class Problem(Generic[M]):
    """What is to be agreed on.

    Attributes:
        count: of the points.
        refined: fits a model to the chosen points, from a start.
        errors: (n,) of every point by a model.
        tolerance: largest error of a point that agrees.
        sample: points that fix a model.
    """

    count: int
    refined: Callable[[M, Bools], M]
    errors: Callable[[M], Floats]
    tolerance: float
    sample: int


def agreements(problem: Problem[M], starts: Sequence[M]) -> list[Agreement[M]]:
    """Candidates, those with the most points first, then those with the smallest errors.

    Where all points agree with a start, no sample is drawn; else so many that one without a wrong
    point is among them for all but one set of points in a thousand.
    """
    rng = np.random.default_rng(problem.count)
    none = np.zeros(problem.count, dtype=bool)
    found = [_settled(problem, start, none) for start in starts]
    drawn = 0
    while drawn < _needed(max(one.count for one in found) / problem.count, problem.sample):
        rows = none.copy()
        rows[rng.choice(problem.count, problem.sample, replace=False)] = True
        start = min(starts, key=lambda model: float(np.median(problem.errors(model)[rows])))
        found.append(_settled(problem, problem.refined(start, rows), rows))
        drawn += 1
    return sorted(found, key=lambda one: (-one.count, one.rms))


def _needed(share: float, sample: int) -> int:
    """Samples to draw, where this share of the points is right."""
    clean = share**sample
    if clean >= 1:
        return 0
    return min(_MOST_SAMPLES, math.ceil(math.log(_MISSED) / math.log1p(-clean))) if clean > 0 else _MOST_SAMPLES


def _settled(problem: Problem[M], model: M, rows: Bools) -> Agreement[M]:
    """The model that the points near it give, and the points near that one, until they are the same."""
    agree = problem.errors(model) <= problem.tolerance
    for _ in range(_ROUNDS):
        if agree.sum() < problem.sample or (agree == rows).all():
            break
        rows = agree
        model = problem.refined(model, rows)
        agree = problem.errors(model) <= problem.tolerance
    off = problem.errors(model)
    return Agreement(model, agree, float(np.sqrt(np.mean(off[agree] ** 2))) if agree.any() else np.inf)
