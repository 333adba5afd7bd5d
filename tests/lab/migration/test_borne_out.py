"""A difference is borne out where it is there, and nowhere else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bays import load_bay
from lab.migration.borne_out import BorneOut
from lab.migration.planted import plant, world
from legacy.comparison import Difference, Kind, compare
from legacy.mapping import Thresholds

START = datetime(2025, 7, 2, tzinfo=UTC)
SLOTS = [START + timedelta(minutes=10 * number) for number in range(36)]
IN_NEW_SIDE = (
    Kind.BLOCK_MISSED,
    Kind.BLOCK_DISPLACED,
    Kind.BLOCK_SIZE,
    Kind.BLOCK_HEIGHT,
    Kind.BLOCK_TURNED,
    Kind.BLOCK_CLASS,
    Kind.BLOCK_STAGE,
    Kind.IDENTITY,
    Kind.MOVE_EXTRA,
    Kind.EXIT_TIME,
)


@pytest.fixture(scope="module")
def seen():
    return world(load_bay("3bay_north"), 3, SLOTS)


@pytest.mark.slow(0.3)
@pytest.mark.parametrize("kind", IN_NEW_SIDE)
def test_what_the_new_side_has_wrong_is_borne_out_and_what_it_has_right_is_not(seen, kind):
    made = plant(kind, seen, 5)
    period = (SLOTS[0], SLOTS[-1] + timedelta(minutes=10))
    named = compare(made.old, made.new, seen.bay, Thresholds(slots=30), period).differences
    (difference,) = [one for one in named if (one.kind, one.subject) == (kind, made.subject)]
    # The old side of an exit is changed as well, which the truth knows nothing of.
    assert BorneOut(replace(seen, new=made.new)).holds(difference) is True
    assert BorneOut(seen).holds(difference) is False


def test_a_ghost_is_borne_out(seen):
    ghost = replace(seen.new[0].blocks[0], block_id="n-ghost", x=71, y=30)
    haunted = replace(seen, new=[replace(one, blocks=(*one.blocks, ghost)) for one in seen.new])
    difference = Difference(Kind.BLOCK_EXTRA, "n-ghost", SLOTS[0], 36, "")
    assert BorneOut(haunted).holds(difference)
    assert not BorneOut(seen).holds(difference)


@pytest.mark.slow(0.1)
@pytest.mark.parametrize("kind", [Kind.SLOT_MISSING, Kind.FRAME_TIME, Kind.FLOOR_SHIFTED, Kind.LATE])
def test_what_no_block_does_is_never_borne_out(seen, kind):
    assert not BorneOut(seen).holds(Difference(kind, "", SLOTS[0], 3, ""))
    assert not BorneOut(seen).holds(Difference(kind, "", None, 3, ""))
