"""The tracker over a simulated shift, from true footprints with the noise of a camera system."""

from datetime import timedelta

import numpy as np
import pytest
import shapely

from bays import batch_id
from fusion.types import FusedBlock, FusionResult
from lab.evaluation import compare_day
from lab.simulation.truth import truth_at
from lab.simulation.yard import Yard
from tracking import EventKind, replay

pytestmark = pytest.mark.slow(2)


@pytest.fixture(scope="module")
def shift(bay):
    """A function: 40 slots of a yard with the share of blocks that fusion misses, as a report."""

    def make(seed: int, missed: float):
        dice = np.random.default_rng(seed)
        yard = Yard(bay, seed=seed)
        slots = [yard.start + number * timedelta(minutes=10) for number in range(1, 41)]
        truth = {slot: truth_at(yard, slot) for slot in slots}
        plans = {
            slot: FusionResult(
                batch_id("demo_bay", slot),
                "demo_bay",
                tuple(_measured(block, dice) for block in truth[slot] if dice.random() >= missed),
                shapely.MultiPolygon(),
            )
            for slot in slots
        }
        tracked = dict(zip(slots, replay(bay, None, plans.values()), strict=True))
        return compare_day(truth, plans, tracked, yard.events(slots[0], slots[-1]), bay)

    return make


def _measured(block, dice) -> FusedBlock:
    turned = shapely.affinity.rotate(block.footprint, dice.normal(0, 0.7))
    sized = shapely.affinity.scale(turned, *dice.normal(1, 0.01, 2))
    return FusedBlock(
        block.class_name,
        shapely.affinity.translate(sized, *dice.normal(0, 0.05, 2)),
        block.height_m + dice.normal(0, 0.1),
        block.area,
        block.stage,
        0.9,
        ("C_2", "D_2"),
        position_std_m=0.05,
        stage_confidence=0.9,
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_missed(shift, seed):
    report = shift(seed, missed=0.0)
    assert report.tracks.standing_switches == 0
    assert report.tracks.hota.hota > 0.95
    assert report.tracks.idf1 > 0.98
    moves = report.events[EventKind.MOVED]
    assert moves.found >= 3
    assert (moves.missed, moves.false) == (0, 0)
    assert report.events[EventKind.STAGE_CHANGED].missed == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_three_in_a_hundred_missed(shift, seed):
    report = shift(seed, missed=0.03)
    assert report.tracks.standing_switches == 0
    assert report.tracks.hota.hota > 0.93
    assert report.events[EventKind.MOVED].recall == 1
