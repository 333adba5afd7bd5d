"""Another block on the floor of one that left, and blocks that nothing tells apart."""

import pytest

from tracking import EventKind, replay


@pytest.fixture
def others(block):
    return [
        block("A14", 68, 10, length=9, width=7, height=5, class_name="HP_block"),
        block("A25", 10, 10, length=10, width=8, height=3),
        block("A17", 52, 30, length=6, width=6, height=7),
    ]


def follow(bay, fused, worlds):
    return replay(bay, None, [fused(number, world) for number, world in enumerate(worlds)])


def later_events(history):
    return [event for result in history[1:] for event in result.events]


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("length", "width", "height"),
    [(12, 8, 6), (12, 8, 4), (15, 8, 5), (9, 7, 3.5), (10.5, 9.5, 6), (13.5, 7, 4), (14, 10, 5), (11, 9, 2.5)],
)
def test_a_block_of_another_size_on_the_same_floor_is_another(bay, fused, block, others, length, width, height):
    old, new = block("A11", 36, 10, 12, 8, 5), block("A11", 36.2, 10.1, length, width, height)
    history = follow(bay, fused, [[old, *others]] * 6 + [[new, *others]] * 6)
    assert sorted((event.kind, event.time) for event in later_events(history)) == [
        (EventKind.APPEARED, fused(6, []).slot),
        (EventKind.EXITED, fused(6, []).slot),
    ]


def test_two_blocks_that_change_places_move(bay, fused, block, others):
    first, second = (12, 8, 5), (11, 8.5, 4.2)
    before = [block("A11", 36, 10, *first), block("A1D", 92, 10, *second)]
    after = [block("A11", 36, 10, *second), block("A1D", 92, 10, *first)]
    history = follow(bay, fused, [[*before, *others]] * 6 + [[*after, *others]] * 5)
    told = later_events(history)
    assert [(one.kind, one.time) for one in told] == [(EventKind.MOVED, fused(6, []).slot)] * 2
    assert {(one.from_area, one.to_area) for one in told} == {("A11", "A1D"), ("A1D", "A11")}


def test_a_block_that_is_missed_is_not_the_one_that_comes(bay, fused, block, others):
    stands, comes = block("A11", 36, 10, 12, 8, 5), block("A1D", 92, 10, 12.9, 8.6, 5.3)
    worlds = [[stands, *others]] * 4 + [[comes, *others]] * 2 + [[stands, comes, *others]] * 4
    history = follow(bay, fused, worlds)
    (event,) = later_events(history)
    assert (event.kind, event.to_area) == (EventKind.APPEARED, "A1D")
    assert event.track_id == "demo_bay-000005"


def test_which_of_two_that_are_alike_is_left_open(bay, fused, block, others):
    twins = [block("A11", 36, 10, 12, 8, 5), block("A1D", 92, 10, 12, 8, 5)]
    (there,) = [block("A1G", 139, 10, 12, 8, 5)]
    history = follow(bay, fused, [[*twins, *others]] * 5 + [[there, *others]] * 9)
    kinds = [event.kind for event in later_events(history)]
    assert sorted(kinds) == [EventKind.EXITED, EventKind.MOVED]
    (moved,) = [event for event in later_events(history) if event.kind is EventKind.MOVED]
    names = {track.track_id for track in history[0].tracks if track.area in ("A11", "A1D")}
    ((other, share), *_) = moved.alternatives
    assert {moved.track_id, other} == names
    assert moved.probability == pytest.approx(0.5, abs=0.1)
    assert share == pytest.approx(0.5, abs=0.1)
    (track,) = [track for track in history[-1].tracks if track.track_id == moved.track_id]
    assert track.probability == pytest.approx(moved.probability, abs=0.01)


def test_after_a_week_it_happened_some_time_in_between(bay, fused, block, others):
    old, new = block("A11", 36, 10, 10, 7, 2), block("A11", 36, 10, 7, 5, 3.6)
    week = 7 * 144
    slots = [*range(4), *range(week, week + 6)]
    results = [fused(number, [old if number < week else new, *others]) for number in slots]
    told = later_events(replay(bay, None, results))
    assert sorted(event.kind for event in told) == [EventKind.APPEARED, EventKind.EXITED]
    assert {(event.after, event.time) for event in told} == {(fused(3, []).slot, fused(week, []).slot)}


def test_days_are_counted_by_the_clock(bay, fused, block, others):
    """A block that left is known again within `remember_days`, however few slots a day has."""
    gone = block("A11", 36, 10, 12, 8, 5)
    back = block("A1D", 92, 10, 12, 8, 5)
    for days, known in ((2, True), (4, False)):
        start = int(days * 144)
        plans = [fused(n, [gone, *others]) for n in range(4)]
        plans += [fused(n, others) for n in range(4, 10)]
        plans += [fused(n, [back, *others]) for n in range(start, start + 6)]
        came = [one for one in later_events(replay(bay, None, plans)) if one.kind is EventKind.APPEARED]
        assert [one.track_id == "demo_bay-000002" for one in came] == [known]


def test_a_block_that_is_measured_badly_once_has_not_moved(bay, fused, block, others):
    stands, beside = block("A11", 36, 10, 12, 8, 5), block("A11", 36.9, 9.6, 12, 8, 5)
    again = block("A11", 35.95, 10.05, 12, 8, 5)
    worlds = [[stands, *others]] * 8 + [[beside, *others]] + [[again, *others]] * 6
    assert later_events(follow(bay, fused, worlds)) == []


def test_a_block_that_stays_beside_its_place_is_followed_there(bay, fused, block, others):
    stands, beside = block("A11", 36, 10, 12, 8, 5), block("A11", 36.7, 9.7, 12, 8, 5)
    history = follow(bay, fused, [[stands, *others]] * 8 + [[beside, *others]] * 6)
    assert later_events(history) == []
    (track,) = [track for track in history[-1].tracks if track.area == "A11"]
    assert track.footprint.centroid.distance(beside.footprint.centroid) < 0.05


def test_a_block_that_is_turned_moves_once(bay, fused, block, others):
    stands, off = block("A11", 36, 10, 10.3, 8.4, 4.2), block("A11", 36.15, 9.9, 10.3, 8.4, 4.2)
    turned = block("A11", 36, 10, 8.4, 10.3, 4.2)
    history = follow(bay, fused, [[stands, *others]] * 8 + [[off, *others]] + [[turned, *others]] * 6)
    assert [(one.kind, one.time) for one in later_events(history)] == [(EventKind.MOVED, fused(9, []).slot)]


def test_a_track_that_begins_with_a_bad_view_is_its_block(bay, fused, block, others):
    badly, stands = block("A11", 35.8, 9.8, 10.6, 7.7, 1.3), block("A11", 36, 10, 9.7, 7.1, 1.5)
    history = follow(bay, fused, [[badly, *others]] + [[stands, *others]] * 7)
    assert later_events(history) == []
    names = [{track.track_id for track in result.tracks if track.area == "A11"} for result in history]
    assert names == [names[0]] * 8
    (track,) = [track for track in history[-1].tracks if track.area == "A11"]
    assert abs(track.footprint.area / stands.footprint.area - 1) < 0.02
