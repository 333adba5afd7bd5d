"""Random calibrations: the cases are what the bar says, and the truth is not what they calibrate from."""

import numpy as np
import pytest

from lab.benchmarks.calibration_cases import SIZES, Case, Outcome, cases, grid_cases, grid_outcome, outcome


@pytest.mark.slow(0.6)
def test_the_cases_are_of_three_sizes_and_have_up_to_a_third_of_wrong_points():
    found = list(cases(60, 1))
    assert {case.camera.size for case in found} == set(SIZES)
    assert all(6 <= len(case.points) <= 30 and case.wrong <= 0.33 * len(case.points) for case in found)
    assert 5 < sum(case.wrong == 0 for case in found) < 40
    for case in found:
        places = np.array([(p.x, p.y, p.z) for p in case.points])
        off = np.linalg.norm(case.camera.project(places)[0] - [(p.u, p.v) for p in case.points], axis=1)
        assert (off > 50).sum() == case.wrong


def test_wrong_is_what_the_bar_calls_wrong():
    case = Case(None, (), 0)
    assert not Outcome(case, written=True, angle_deg=0.4, deviations=2.9).wrong
    assert Outcome(case, written=True, angle_deg=0.51, deviations=1.0).wrong
    assert Outcome(case, written=True, angle_deg=0.1, deviations=3.1).wrong


@pytest.mark.slow(3)
def test_a_case_is_calibrated():
    case = next(case for case in cases(30, 2) if len(case.points) > 14 and case.wrong > 2)
    result = outcome(case)
    assert result.written
    assert not result.wrong


@pytest.mark.slow(2)
def test_of_a_grid_the_marks_that_are_named_one_too_far_are_not_written():
    right, shifted = grid_cases(1, 3)
    assert (right.shifted, shifted.shifted) == (False, True)
    for one, other in zip(right.points, shifted.points, strict=True):
        assert (one.u, one.v) == (other.u, other.v)
        assert one.name != other.name
        assert shifted.marks[other.name] == (other.x, other.y, other.z)
    assert grid_outcome(right).written
    assert "were the marks taken for others?" in grid_outcome(shifted).reason
