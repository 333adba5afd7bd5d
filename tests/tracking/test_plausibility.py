"""A floor plan that cannot be right is not believed."""

from dataclasses import replace
from datetime import timedelta

import pytest
import shapely

from tracking import EventKind, TrackStatus, replay


@pytest.fixture
def yard(block):
    return [
        block("A25", 10, 10),
        block("A26", 23, 10, length=7, width=5, height=6),
        block("A13", 51, 10, length=12, width=9, height=0.8, class_name="panel"),
        block("A14", 68, 10, length=9, width=7, height=5, class_name="HP_block"),
        block("A11", 36, 30, length=10, width=8, height=3),
        block("A17", 52, 30, length=6, width=6, height=7),
    ]


def shifted(blocks, x, y):
    return [replace(one, footprint=shapely.affinity.translate(one.footprint, x, y)) for one in blocks]


def follow(bay, fused, worlds):
    return replay(bay, None, [fused(number, world) for number, world in enumerate(worlds)])


def later_events(history):
    return [event for result in history[1:] for event in result.events]


def test_a_bay_does_not_empty_at_once(bay, fused, yard):
    history = follow(bay, fused, [yard] * 3 + [[]] * 4 + [yard] * 2)
    (doubted,) = later_events(history)
    assert (doubted.kind, doubted.track_id, doubted.time) == (EventKind.FLOOR_DOUBTED, "", fused(3, []).slot)
    assert doubted.reason == "6 of 6 blocks are gone at once"
    assert [bool(result.doubt) for result in history] == [False] * 3 + [True] * 4 + [False] * 2
    assert all(track.status is TrackStatus.PRESENT and not track.misses for track in history[-1].tracks)
    assert [track.track_id for track in history[-1].tracks] == [track.track_id for track in history[2].tracks]


def test_blocks_do_not_all_step_aside_alike(bay, fused, yard):
    history = follow(bay, fused, [yard] * 3 + [shifted(yard, 0.9, -0.7)] * 3 + [yard] * 2)
    (doubted,) = later_events(history)
    assert (doubted.kind, doubted.reason) == (EventKind.FLOOR_DOUBTED, "6 of 6 blocks are shifted alike, by 1.1 m")
    assert [track.footprint.centroid.x for track in history[4].tracks] == pytest.approx(
        [track.footprint.centroid.x for track in history[2].tracks]
    )


def test_each_doubt_is_reported_once(bay, fused, yard):
    history = follow(bay, fused, [yard] * 2 + [[]] * 2 + [yard] * 2 + [[]] * 2 + [yard])
    assert [event.kind for event in later_events(history)] == [EventKind.FLOOR_DOUBTED] * 2


def test_what_stays_for_half_a_day_is_believed(bay, fused, yard):
    slots = int(timedelta(hours=bay.tracking.doubted_hours) / timedelta(minutes=10))
    history = follow(bay, fused, [yard] * 3 + [[]] * (slots + 8))
    kinds = [event.kind for event in later_events(history)]
    assert kinds == [EventKind.FLOOR_DOUBTED, *[EventKind.EXITED] * 6]
    assert all(event.after == fused(2, []).slot for event in later_events(history)[1:])


def test_some_blocks_may_leave_at_once(bay, fused, yard):
    history = follow(bay, fused, [yard] * 3 + [yard[2:]] * 5)
    assert [event.kind for event in later_events(history)] == [EventKind.EXITED] * 2
