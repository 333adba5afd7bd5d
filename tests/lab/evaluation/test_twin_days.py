"""Days of twins: what changes in them, and how the tracker's answers are judged."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import shapely

from bays import batch_id, load_bay
from fusion.types import FusedBlock, FusionResult
from lab.evaluation import tracking_bench as bench
from lab.evaluation.twin_days import SLOTS, TwinDay, _states, answers, shares


@pytest.fixture(scope="module")
def bay():
    return load_bay("demo_bay")


@pytest.fixture(scope="module")
def yard(bay):
    return _states(bay, 5)


def seen(bay, state, colour):
    """The floor as fusion would report it without any error, each block in the colour that is asked for."""
    blocks = tuple(
        FusedBlock(
            block.class_name,
            block.footprint,
            block.height_m,
            block.area,
            "unit_assembly",
            0.9,
            ("C_2", "D_2"),
            position_std_m=0.05,
            stage_confidence=0.9,
            descriptors={"C_2": np.array([50, *colour(block.block_id)] * 4, np.float16)},
        )
        for block in state.blocks
    )
    return FusionResult(batch_id(bay.bay_id, state.time), bay.bay_id, blocks, shapely.MultiPolygon())


def day_of(bay, yard, colour):
    states, changes = yard
    blocks = tuple(tuple(replace(block, stage="unit_assembly") for block in state.blocks) for state in states)
    return TwinDay(tuple(seen(bay, state, colour) for state in states), blocks, changes)


@pytest.mark.slow(0.7)
def test_twins_change_and_nothing_else_does(yard):
    states, changes = yard
    assert len(states) == SLOTS
    assert Counter(change.kind for change in changes).keys() == {"swap", "replacement"}
    after: dict[object, set[str]] = {}
    for change in changes:
        after.setdefault(change.slot, set()).update(change.blocks)
    for old, new in pairwise(states):
        before, now = ({block.block_id: block for block in state.blocks} for state in (old, new))
        changed = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
        assert changed == after.get(new.time, set())
    blocks = {block.block_id: block for state in states for block in state.blocks}
    for change in changes:
        old, new = (blocks[name] for name in change.blocks)
        assert old.class_name == new.class_name
        for side in ("width_m", "depth_m", "height_m"):
            assert abs(getattr(old, side) - getattr(new, side)) <= 0.05


@pytest.mark.slow(1)
def test_twins_of_many_colours_are_told_apart_and_of_one_are_not(bay, yard):
    many = day_of(bay, yard, lambda name: np.random.default_rng(int(name[1:])).normal(0, 25, 2))
    given = answers(bay, many, with_looks=True)
    different = shares([one for one in given if one.looks_different])
    assert different["answers"] > 0.8 * len(given)
    assert different["told apart"] > 0.6
    blind = shares(answers(bay, many, with_looks=False))
    assert blind["told apart"] < different["told apart"] - 0.3
    grey = answers(bay, day_of(bay, yard, lambda _: (0.0, 3.0)), with_looks=True)
    assert not any(one.looks_different for one in grey)
    assert shares(grey)["told apart"] < 0.5


def test_a_part_is_measured_once(bay, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(bench, "_one", lambda _bay, case, seed: asked.append(seed) or (case, {}, [True], [0.1]))
    for _ in range(2):
        parts = list(bench._measured(bay, [1, 2], ["ordinary"], 1, tmp_path))
        assert parts == [("ordinary", {}, [True], [0.1])] * 2
    assert asked == [1, 2]
