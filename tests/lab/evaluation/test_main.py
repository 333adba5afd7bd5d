"""The evaluation's own doings; what it measures is measured by `make eval`."""

import json
import math

import pytest

from lab.bars import Bar
from lab.evaluation.__main__ import main
from lab.evaluation.from_silhouettes import CASES, Case, Timed, growth, longer, run_case, with_cameras
from lab.evaluation.silhouette_yard import PLANS


def test_growth_of_a_square_and_of_a_line():
    line = [Timed(n, 12, 4 * n, 0.02 * n) for n in (24, 48, 96)]
    square = [Timed(n, 12, 4 * n, 0.02 * n**2) for n in (24, 48, 96)]
    assert growth(line, lambda one: one.blocks) == pytest.approx(1)
    assert growth(square, lambda one: one.silhouettes) == pytest.approx(2)


def test_more_cameras_over_the_same_floor_and_over_a_longer_one(bay):
    assert len(with_cameras(bay, 48).fusion_cameras) == len(longer(bay, 4).fusion_cameras) == 48
    assert all(0 <= camera.pose.x <= 150 for camera in with_cameras(bay, 48).fusion_cameras)
    assert longer(bay, 4).layout.width == 600


@pytest.mark.slow(5)
def test_every_degradation_of_the_issue_is_a_case(bay):
    yards = {case.name: case.yard(2005) for case in CASES}
    assert len(yards["two cameras off"].degraded.off) == 2
    assert yards["poses wrong by 0.5°"].degraded.pose_error_deg == 0.5
    assert yards["5 px noise"].degraded.noise_px == 5
    assert len(yards["40 blocks"].blocks) == 40
    for plan in PLANS[1:]:
        assert {block.plan for block in yards[f"plan {plan}"].blocks} == {plan}
    assert len(yards["65 blocks close together"].blocks) == 65
    counted, ignored = next(case for case in CASES if case.focal).counted(yards["f = 2500 px"])
    assert counted
    assert len(counted) + len(ignored) == 24


@pytest.mark.slow(1)
def test_a_failed_bar_is_told_by_the_exit_code(bay, tmp_path, monkeypatch):
    case = Case("two blocks", (("recall", ">=", 0.5),), count=2)
    monkeypatch.setattr("lab.evaluation.__main__.CASES", (case,))
    arguments = ["--parts", "silhouettes", "--yards", "1", "--first-seed", "2006", "--out", str(tmp_path)]
    assert main(arguments) == 0
    document = json.loads((tmp_path / "eval.json").read_text())
    assert document["bars"][0]["holds"]
    assert set(document["silhouettes"]["two blocks"]) == {"yards", "all", "naive"}
    impossible = Case("two blocks", (("mean_iou", ">=", 1.1),), count=2)
    monkeypatch.setattr("lab.evaluation.__main__.CASES", (impossible,))
    assert main(arguments) == 1


def test_what_could_not_be_measured_does_not_hold():
    assert not Bar("", math.nan, ">=", 0.0).holds
    assert not Bar("", math.nan, "<=", 1.0).holds


@pytest.mark.slow(1)
def test_a_yard_is_scored_beside_the_naive_merge():
    (result,) = run_case(Case("few", count=4), [2007])
    assert result.fused.truth_count == result.naive.truth_count == 4
    assert result.seconds > 0


@pytest.mark.parametrize("arguments", [["--parts", "dreams"], ["--yards", "0"]])
def test_arguments_that_make_no_sense(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "error" in capsys.readouterr().err
