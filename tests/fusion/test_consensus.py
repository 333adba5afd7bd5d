"""The largest agreement among points of which some are wrong: lines, on which it can be seen by hand."""

import numpy as np
import pytest

from fusion.consensus import Problem, agreements


def line_problem(points, tolerance=0.1):
    """A line y = a + b x; a model is (a, b)."""
    x, y = np.array(points, float).T

    def refined(_model, rows):
        slope, intercept = np.polyfit(x[rows], y[rows], 1)
        return np.array([intercept, slope])

    return Problem(len(points), refined, lambda model: np.abs(model[0] + model[1] * x - y), tolerance, 2)


def test_where_all_agree_the_start_is_refined():
    points = [(n, 1 + 2 * n) for n in range(5)]
    best = agreements(line_problem(points), [np.array([1.05, 2.0])])[0]
    assert best.count == 5
    assert best.model == pytest.approx([1, 2])


@pytest.mark.parametrize("wrong", [1, 2, 3])
def test_wrong_points_have_no_say(wrong):
    points = [(n, 1 + 2 * n) for n in range(9)]
    for row, off in zip((1, 4, 7), (9, -13, 21), strict=True):
        if row // 3 < wrong:
            points[row] = (points[row][0], points[row][1] + off)
    best = agreements(line_problem(points), [np.array([0.0, 0.0])])[0]
    assert best.count == 9 - wrong
    assert best.model == pytest.approx([1, 2])
    assert best.rms < 1e-9


def test_two_lines_with_as_many_points_are_both_found():
    points = [(n, n) for n in range(4)] + [(n + 0.5, 9.5 - n) for n in range(4)]
    found = agreements(line_problem(points), [np.array([0.0, 1.0])])
    models = {tuple(np.round(one.model, 6)) for one in found if one.count == 4}
    assert {(0.0, 1.0), (10.0, -1.0)} <= models
