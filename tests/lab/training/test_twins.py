"""Twins are equal in size and change their places; the figures count what is right."""

from datetime import timedelta

from bays import load_bay
from lab.simulation.yard import Yard
from lab.training.twins import TwinTrial, figures, swapped


def test_pairs_become_twins_and_change_places() -> None:
    yard = Yard(load_bay("demo_bay"), seed=520, blocks=16)
    before, after, pairs = swapped(yard.at(yard.start + timedelta(hours=2)))
    assert len(pairs) >= 4
    for one, other in pairs:
        mine, twin = before.block(one), before.block(other)
        size = (mine.class_name, mine.width_m, mine.depth_m, mine.height_m)
        assert size == (twin.class_name, twin.width_m, twin.depth_m, twin.height_m)
        assert after.block(one).center == twin.center
        assert after.block(other).yaw_deg == mine.yaw_deg
        assert after.block(one).stage == mine.stage
    assert {block.block_id for block in before.blocks} == {block.block_id for block in after.blocks}


def test_figures_count_what_is_right() -> None:
    trials = [TwinTrial(True, 0.1, 0.5), TwinTrial(True, 0.6, 0.5), TwinTrial(False, 0.2, 0.9)]
    counted = figures(trials)
    assert counted["all twins: right"] == "0.667"
    assert counted["twins of one paint: right"] == "0.500"
    assert counted["twins of two paints: questions"] == "1"
    assert figures([]) == {}


def test_alike_is_right_only_if_it_is_more_alike() -> None:
    assert not TwinTrial(True, 0.5, 0.5).right
    assert TwinTrial(True, 0.4, 0.5).right
