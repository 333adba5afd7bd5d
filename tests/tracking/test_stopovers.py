"""Blocks that are lifted again before they are seen often enough to be believed."""

import pytest

from tracking import EventKind, replay


@pytest.fixture
def others(block):
    return [
        block("A14", 68, 10, length=9, width=7, height=5, class_name="HP_block"),
        block("A11", 36, 30, length=10, width=8, height=3),
        block("A17", 52, 30, length=6, width=6, height=7),
    ]


def events(bay, fused, worlds):
    history = replay(bay, None, [fused(number, world) for number, world in enumerate(worlds)])
    return [event for result in history[1:] for event in result.events]


def test_lifts_in_consecutive_slots_are_two_moves_of_one_block(bay, fused, block, others):
    first, second, third = (
        block(area, x, 10, length=12, height=5.5)
        for area, x in (
            (
                "A26",
                24,
            ),
            ("A13", 51),
            ("A1E", 107),
        )
    )
    worlds = [[first, *others]] * 3 + [[second, *others]] + [[third, *others]] * 4
    told = events(bay, fused, worlds)
    assert [(one.kind, one.from_area, one.to_area) for one in told] == [
        (EventKind.MOVED, "A26", "A13"),
        (EventKind.MOVED, "A13", "A1E"),
    ]
    assert [one.time for one in told] == [fused(3, []).slot, fused(4, []).slot]
    assert {one.track_id for one in told} == {"demo_bay-000001"}


def test_a_new_block_that_is_lifted_at_once_came_to_its_first_place(bay, fused, block, others):
    first, second = (block(area, x, 10, length=12, height=5.5) for area, x in (("A13", 51), ("A1E", 107)))
    worlds = [others] * 3 + [[first, *others]] * 2 + [[second, *others]] * 4
    came, moved = events(bay, fused, worlds)
    assert (came.kind, came.to_area, came.time, came.after) == (
        EventKind.APPEARED, "A13", fused(3, []).slot, fused(2, []).slot,
    )  # fmt: skip
    assert (moved.kind, moved.from_area, moved.to_area, moved.time) == (
        EventKind.MOVED, "A13", "A1E", fused(5, []).slot,
    )  # fmt: skip
    assert came.track_id == moved.track_id


def test_a_false_detection_of_another_size_is_no_stopover(bay, fused, block, others):
    first, third = (block(area, x, 10, length=12, height=5.5) for area, x in (("A26", 24), ("A1E", 107)))
    ghost = block("A13", 51, 10, length=7, height=1.5)
    worlds = [[first, *others]] * 3 + [[ghost, *others]] + [[third, *others]] * 4
    (moved,) = events(bay, fused, worlds)
    assert (moved.kind, moved.from_area, moved.to_area) == (EventKind.MOVED, "A26", "A1E")
