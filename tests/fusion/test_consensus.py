"""The largest agreement among points of which some are wrong: lines, on which it can be seen by hand."""

from dataclasses import dataclass

import numpy as np
import pytest

from fusion.consensus import Problem, agreements


@dataclass
class Lines:
    """Lines y = a + b x, as (k, 2) rows a, b."""

    values: np.ndarray

    def __len__(self):
        return len(self.values)

    def take(self, rows):
        return Lines(self.values[rows])

    def joined(self, other):
        return Lines(np.concatenate([self.values, other.values]))


def line_problem(points, tolerance=0.1):
    x, y = np.array(points, float).T

    def refined(_lines, rows):
        return Lines(np.array([np.polyfit(x[row], y[row], 1)[::-1] for row in rows]))

    def errors(lines):
        return np.abs(lines.values[:, :1] + lines.values[:, 1:] * x - y)

    return Problem(len(points), refined, errors, tolerance, 2)


def test_where_all_agree_the_start_is_refined():
    points = [(n, 1 + 2 * n) for n in range(5)]
    found = agreements(line_problem(points), Lines(np.array([[1.05, 2.0]])))
    assert found.count[0] == 5
    assert found.models.values[0] == pytest.approx([1, 2])
    assert len(found.models) == 1


@pytest.mark.parametrize("wrong", [1, 2, 3])
def test_wrong_points_have_no_say(wrong):
    points = [(n, 1 + 2 * n) for n in range(9)]
    for row, off in zip((1, 4, 7), (9, -13, 21), strict=True):
        if row // 3 < wrong:
            points[row] = (points[row][0], points[row][1] + off)
    found = agreements(line_problem(points), Lines(np.array([[0.0, 0.0]])))
    assert found.count[0] == 9 - wrong
    assert found.models.values[0] == pytest.approx([1, 2])
    assert found.rms[0] < 1e-9


def test_many_points_are_sampled_at_random_and_a_third_of_them_may_be_wrong():
    points = [(n, 1 + 2 * n + (n % 3 == 0) * (5 + n % 7)) for n in range(60)]
    found = agreements(line_problem(points), Lines(np.array([[0.0, 0.0]])))
    assert found.count[0] == 40
    assert found.models.values[0] == pytest.approx([1, 2])


def test_two_lines_with_as_many_points_are_both_found():
    points = [(n, n) for n in range(4)] + [(n + 0.5, 9.5 - n) for n in range(4)]
    found = agreements(line_problem(points), Lines(np.array([[0.0, 1.0]])))
    models = {tuple(np.round(found.models.values[row], 6)) for row in np.flatnonzero(found.count == 4)}
    assert {(0.0, 1.0), (10.0, -1.0)} <= models
