"""Paint and stage: what tells twins apart, and what it costs to remember."""

from dataclasses import replace

import numpy as np
import pytest

from artifacts.format import from_bytes, to_bytes
from tracking import EventKind, replay
from tracking.looks import Looks, colours_of, looks_of, merged, steps, unlikeness

RED, GREEN, GREY = (22.0, 14.0), (-12.0, 9.0), (0.0, 3.0)
CAMERAS = ("C_2", "D_2", "D_4")


def painted(block, colour, random=None):
    def descriptor():
        a, b = np.array(colour) + (random.normal(0, 0.7, 2) if random else 0)
        return np.array([50, a, b] * 4, dtype=np.float16)

    return replace(block, descriptors={camera: descriptor() for camera in CAMERAS})


@pytest.fixture
def follow(bay, fused, block, noisy):
    """follow(colours of two twins by slot): what the tracker makes of them, three others beside them."""
    places = ("A25", 10.0, 10.0), ("A14", 68.0, 10.0)
    others = [block("A17", 52, 30, 6, 6, 7), block("A1D", 93, 10, 11, 7, 2), block("A1F", 123, 10, 9, 9, 5.5)]

    def run(worlds, looks=True):
        random = np.random.default_rng(3)
        results = []
        for number, colours in enumerate(worlds):
            blocks = [noisy(one, random) for one in others]
            for (area, x, y), colour in zip(places, colours, strict=True):
                one = noisy(block(area, x, y, 11, 8, 4), random)
                blocks.append(painted(one, colour, random) if looks else one)
            results.append(fused(number, blocks))
        return replay(bay, None, results)

    return run


def at(result, x):
    (track,) = [track for track in result.tracks if track.on_floor and abs(track.footprint.centroid.x - x) < 2]
    return track.track_id


def events(history):
    return [event for result in history for event in result.events if event.kind is not EventKind.INITIAL]


def test_twins_of_two_paints_that_change_places_are_told_apart(follow):
    history = follow([(RED, GREEN)] * 8 + [(GREEN, RED)] * 8)
    assert (at(history[-1], 10), at(history[-1], 68)) == (at(history[0], 68), at(history[0], 10))
    assert [event.kind for event in events(history)] == [EventKind.MOVED, EventKind.MOVED]


@pytest.mark.parametrize(("colours", "looks"), [((GREY, GREY), True), ((RED, GREEN), False)])
def test_what_looks_alike_or_was_not_looked_at_keeps_its_place(follow, colours, looks):
    history = follow([colours] * 8 + [colours[::-1]] * 8, looks)
    assert at(history[-1], 10) == at(history[0], 10)
    assert not events(history)


def test_light_that_changes_slowly_is_no_other_block(follow):
    history = follow([((22.0 - 0.25 * n, 14.0), (-12.0 + 0.25 * n, 9.0)) for n in range(24)])
    assert not events(history)


def test_a_single_odd_view_is_no_other_block(follow):
    history = follow([(RED, GREEN)] * 8 + [(GREEN, GREEN)] + [(RED, GREEN)] * 6)
    assert not events(history)


@pytest.mark.slow(0.6)
def test_the_state_carries_one_colour_a_camera_and_is_read_back(follow):
    history = follow([(RED, GREEN)] * 20)
    content = to_bytes("tracking", history[-1])
    track = next(one for one in history[-1].state.tracks if one.paint)
    assert tuple(track.paint) == CAMERAS
    assert len(track.recent) == 4
    assert len(content) - len(to_bytes("tracking", follow([(RED, GREEN)] * 20, looks=False)[-1])) < 4 * 2 * 600
    again = from_bytes("a file", "tracking", content)
    assert to_bytes("tracking", again) == content


def test_a_descriptor_of_another_kind_is_left_out(block):
    odd = replace(block("A25", 10, 10), descriptors={"C_2": np.ones(5, np.float16)})
    broken = replace(block("A25", 10, 10), descriptors={"C_2": np.full(12, np.nan, np.float16)})
    assert colours_of(odd) == colours_of(broken) == colours_of(block("A25", 10, 10)) == {}


def test_cameras_that_saw_both_are_compared_and_no_others():
    sums = np.array([[[0.0, 0.0, 3.0], [6.0, 0.0, 6.0]], [[9.0, 12.0, 3.0], [0.0, 0.0, 0.0]]])
    known = Looks(("a", "a"), np.ones(2), ("C_2", "C_4"), sums)
    sums = np.array([[[3.0, 4.0, 1.0], [50.0, 0.0, 1.0]], [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]])
    seen = Looks(("a", "a"), np.ones(2), ("C_2", "C_9"), sums)
    apart, views = unlikeness(known, seen, paired=False)
    assert apart[:, 0].tolist() == [5.0, 0.0]
    assert np.isnan(apart[:, 1]).all()
    assert views.tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert unlikeness(known, seen, paired=True)[0][0] == 5.0


def test_of_several_cameras_the_median_counts():
    old, new = ([[[a, 0.0, 1.0] for a in of]] for of in ((0.0, 0.0, 0.0), (1.0, 2.0, 40.0)))
    looks = [Looks(("a",), np.ones(1), CAMERAS, np.array(sums)) for sums in (old, new)]
    apart, _ = unlikeness(*looks, paired=True)
    assert apart.tolist() == [2.0]


def test_steps_between_stages():
    looks = Looks(("a", "c", "other", None), np.ones(4), (), np.zeros((4, 0, 3)))
    table = steps(looks, looks, ("a", "b", "c"), paired=False)
    assert table[:3, :3].tolist() == [[0, 2, 1], [-2, 0, 1], [1, 1, 0]]
    assert np.isnan(table[3]).all()
    assert np.isnan(table[:, 3]).all()


def test_a_mean_goes_with_the_light():
    known = {"C_2": (0.0, 0.0, 1.0)}
    for _ in range(40):
        known = merged(known, {"C_2": (6.0, 3.0, 1.0)})
    assert known["C_2"] == pytest.approx((6.0, 3.0, 6.0), abs=0.02)


def test_the_paint_of_a_stage_is_forgotten_with_the_stage(bay, fused, block):
    worlds = [painted(block("A25", 10, 10), RED)] * 8 + [painted(block("A25", 10, 10, stage="painting"), GREEN)] * 8
    history = replay(bay, None, [fused(number, [world]) for number, world in enumerate(worlds)])
    (track,) = history[-1].state.tracks
    looks = looks_of([track])
    assert looks.stages == ("painting",)
    assert looks.colours(0)["C_2"][:2] == pytest.approx(GREEN, abs=0.1)
