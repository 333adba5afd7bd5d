import math

import pytest
import shapely

from lab.evaluation.floor import NOTHING, score_floor


def test_a_perfect_floor(true, fused):
    score = score_floor([fused(30), fused(3)], [true("a", 3), true("b", 30)])
    assert (score.precision, score.recall, score.mean_iou, score.centre_error_m) == (1, 1, 1, 0)
    assert [(match.block_id, match.index) for match in score.matches] == [("a", 1), ("b", 0)]


def test_errors_by_hand(true, fused):
    # 2 of 10 m aside: intersection 8 x 5, union 12 x 5.
    score = score_floor([fused(5, height_m=4.5, area="A26", stage=None)], [true("a", 3)])
    assert score.mean_iou == pytest.approx(8 / 12)
    assert score.centre_error_m == pytest.approx(2)
    assert score.height_error_m == pytest.approx(0.5)
    assert (score.class_accuracy, score.area_accuracy, score.stage_accuracy) == (1, 0, 0)


def test_a_miss_and_a_ghost(true, fused):
    score = score_floor([fused(3), fused(60), fused(100)], [true("a", 3), true("b", 30)])
    assert score.precision == pytest.approx(1 / 3)
    assert score.recall == pytest.approx(1 / 2)


def test_less_than_half_an_overlap_is_no_match(true, fused):
    assert score_floor([fused(7)], [true("a", 3)]).matches == ()  # 6 / 14


def test_two_blocks_on_one_truth_count_once(true, fused):
    score = score_floor([fused(4), fused(3)], [true("a", 3)])
    assert [match.index for match in score.matches] == [1]
    assert score.precision == 0.5


@pytest.mark.parametrize(("turn", "error"), [(10, 10), (-10, 10), (180, 0), (170, 10)])
def test_yaw(true, fused, turn, error):
    turned = shapely.affinity.rotate(true("a").footprint, turn)
    assert score_floor([fused(footprint=turned)], [true("a")]).yaw_error_deg == pytest.approx(error, abs=1e-6)


def test_a_quarter_turn_of_a_square_is_none(true, fused):
    square = shapely.box(3, 2, 9, 8)
    truth = true("a").__class__("a", square)
    turned = shapely.affinity.rotate(square, 93)
    assert score_floor([fused(footprint=turned)], [truth]).yaw_error_deg == pytest.approx(3, abs=1e-6)


def test_scores_add_up(true, fused):
    total = sum([score_floor([fused(3)], [true("a", 3)]), score_floor([], [true("a", 3)])], NOTHING)
    assert (total.precision, total.recall) == (1, 0.5)


def test_what_need_not_be_found_is_neither_right_nor_wrong(true, fused):
    score = score_floor([fused(3), fused(30), fused(100)], [true("a", 3)], ignored=[true("b", 33)])
    assert score.precision == 0.5  # the one at 100 stands on nothing
    assert score.recall == 1


def test_centre_errors_in_their_own_standard_deviations(true, fused):
    near = fused(footprint=shapely.box(3.04, 2.12, 13.04, 7.12), position_std_m=0.05)
    score = score_floor([near], [true("a", 3)])
    assert score.matches[0].offset_std == pytest.approx((0.8, 2.4))
    assert score.within_one_std == 0.5


def test_nothing_is_not_a_number(true):
    score = score_floor([], [])
    assert math.isnan(score.precision)
    assert math.isnan(score.centre_error_m)
    assert dict(score.rows())["precision"] == "–"
