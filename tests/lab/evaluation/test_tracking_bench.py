"""What `make eval-tracking` stands on: its days, its baselines, its order of arrival."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from bays import load_bay
from lab.evaluation import tracking_bench as bench
from lab.evaluation.events import Verdict
from lab.evaluation.tracking_baselines import byte_track, greedy
from lab.evaluation.tracking_cases import Case
from lab.evaluation.tracking_days import Sight, Spoilt, busy_days, every_slot, open_slots
from lab.evaluation.tracking_runs import run_of
from lab.evaluation.tracking_yard import Pace, events_between, yard_days
from tracking import EventKind, replay

SLOTS = 10


@pytest.fixture(scope="module")
def sight(bay):
    return Sight(bay)


@pytest.fixture(scope="module")
def day(bay, sight):
    def make(**spoilt):
        slots = every_slot(bay)[54 : 54 + SLOTS]
        return busy_days(bay, 2001, slots, Pace(), spoilt=Spoilt(**spoilt), sight=sight)

    return make


@pytest.mark.slow(1)
def test_the_same_day_again(day):
    first, second = day(missed=0.1, false=0.1), day(missed=0.1, false=0.1)
    for one, other in zip(first.results, second.results, strict=True):
        assert [block.footprint.wkb for block in one.blocks] == [block.footprint.wkb for block in other.blocks]
        assert one.unseen.equals(other.unseen)


def test_without_errors_every_block_is_seen_where_it_stands(day):
    clean = day(
        missed=0,
        false=0,
        class_misread=0,
        stage_misread=0,
        side=0,
        height_m=0,
        yaw_deg=0,
        bias_m=0,
        claim=0,
        outliers=0,
        partial=0,
    )
    for result in clean.results:
        truth = {block.block_id: block for block in clean.truth[result.slot]}
        assert len(result.blocks) + len(clean.hidden[result.slot]) == len(truth)
        for block in result.blocks:
            near = min(truth.values(), key=lambda one: one.footprint.centroid.distance(block.footprint.centroid))
            assert near.footprint.centroid.distance(block.footprint.centroid) < 5 * block.position_std_m
            assert (block.class_name, block.stage, block.area) == (near.class_name, near.stage, near.area)


@pytest.mark.slow(1)
def test_what_only_cameras_that_are_off_could_see_is_hidden_and_unseen(day, bay):
    off = tuple(camera.name for camera in bay.fusion_cameras if camera.pose.x < 40)
    dark = day(missed=0, false=0, off=off, off_slots=(2, 5))
    assert [bool(dark.hidden[slot]) for slot in dark.slots] == [2 <= number < 5 for number in range(SLOTS)]
    for number in (2, 3, 4):
        result = dark.results[number]
        assert result.missing_cameras == tuple(sorted(off))
        for block in dark.truth[result.slot]:
            if block.block_id in dark.hidden[result.slot]:
                assert result.unseen.intersection(block.footprint).area > 0.99 * block.footprint.area


@pytest.mark.slow(1)
def test_whatever_the_order_of_arrival_the_export_is_the_same(bay, day):
    results = day(lost=0.15).results
    assert len(results) < SLOTS
    ordered = bench._exported(replay(bay, None, results))
    assert bench._exported(bench._as_they_come(bay, results, 5)) == ordered
    assert bench._exported(replay(bay, None, results[:-1])) != ordered


@pytest.mark.parametrize("follow", [greedy, byte_track])
def test_baselines_follow_what_stands_and_tell_what_leaves(plan, fused, slot, follow):
    standing, leaving = fused(3.0), fused(60.0)
    results = [plan(n, [standing, leaving] if n < 4 else [standing]) for n in range(9)]
    followed = follow(results)
    names = [{name for name, block in floor.items() if block is standing} for floor in followed.floor.values()]
    assert len(set.union(*names)) == 1
    (exited,) = [event for event in followed.events if event.kind is EventKind.EXITED]
    # Dated by the last sighting, however long a tracker holds on to what is gone.
    assert exited.time == slot(4)


@pytest.mark.slow(1)
def test_equipment_is_seen_as_it_stands_but_for_the_errors_asked_for(day):
    clean = day(missed=0, false=0, work_missed=0, work_false=0)
    for result in clean.results:
        truth = {block.block_id: block for block in clean.truth[result.slot]}
        for block in result.blocks:
            near = min(truth.values(), key=lambda one: one.footprint.centroid.distance(block.footprint.centroid))
            assert block.work == dict(sorted(near.work.items()))
    assert not any(block.work for result in day(work_missed=1, work_false=0).results for block in result.blocks)


@pytest.mark.slow(1)
def test_an_exit_in_the_last_slot_that_is_not_reported_is_missed(bay, day):
    """Days are scored to their last slot."""
    told = day(missed=0, false=0)
    leaving = told.truth[told.slots[0]][0].block_id
    last = told.slots[-1]
    truth = {
        slot: [block for block in blocks if slot < last or block.block_id != leaving]
        for slot, blocks in told.truth.items()
    }
    history = replay(bay, None, told.results)
    run = run_of(replace(told, truth=truth, events=events_between(truth)), bench._floor_of(history), [])
    exits = {one.block_id: one.verdict for one in run.comparisons if one.happened == last}
    assert exits[leaving] is Verdict.MISSED


@pytest.fixture(scope="module")
def truth_of(bay):
    """Block ids by slot and place of a yard in which nothing happens but what the pace says a day."""

    def make(seed=3, **pace):
        slots = every_slot(bay)
        return yard_days(bay, seed, slots, Pace(**({"hourly": {}, "daily": {}} | pace))), slots

    return make


def test_two_blocks_that_swap_stand_where_the_other_stood(truth_of):
    yard, slots = truth_of(daily={"swap": 1})
    first, second = [event for event in yard.events if event.kind == "moved"]
    assert first.time == second.time
    before, after = ({one.block_id: one for one in yard.truth[slot]} for slot in _around(first.time, slots))
    places = [before[first.block_id].footprint, before[second.block_id].footprint]
    for event, place in ((first, places[1]), (second, places[0])):
        assert after[event.block_id].footprint.centroid.distance(place.centroid) < 2.5
    sizes = [_size(before[event.block_id]) for event in (first, second)]
    assert max(abs(a - b) for a, b in zip(*sizes, strict=True)) > 0.29


def test_a_relay_and_a_replacement_use_the_floor_in_the_slot_in_which_it_is_left(truth_of):
    yard, slots = truth_of(daily={"relay": 2, "replacement": 2})
    reused = 0
    for time in {event.time for event in yard.events}:
        before, after = ({one.block_id: one for one in yard.truth[slot]} for slot in _around(time, slots))
        for name, block in before.items():
            others = [one for other, one in after.items() if other != name]
            reused += any(one.footprint.centroid.distance(block.footprint.centroid) < 2.5 for one in others)
    assert reused == 4


def test_twins_that_take_each_others_place_are_of_one_class_and_within_centimetres(truth_of):
    yard, slots = truth_of(daily={"replacement": 3}, unlike_m=0.0)
    blocks = {one.block_id: one for slot in slots for one in yard.truth[slot]}
    first = {block.block_id for block in yard.truth[slots[0]]}  # one that left may come back
    came = [event.block_id for event in yard.events if event.kind == "appeared" and event.block_id not in first]
    assert len(came) == 3
    for name in came:
        apart = [
            max(abs(a - b) for a, b in zip(_size(blocks[name]), _size(other), strict=True))
            for other in blocks.values()
            if other.block_id != name and other.class_name == blocks[name].class_name
        ]
        assert min(apart) <= 0.15


@pytest.mark.slow(1)
def test_misses_come_in_runs_and_ghosts_stay(bay, sight):
    slots = every_slot(bay)[:60]
    spoilt = Spoilt(missed=0, false=0.01, false_slots=4, runs=0.02, run_slots=4)
    day = busy_days(bay, 2001, slots, Pace(hourly={}, daily={}), spoilt=spoilt, sight=sight)
    names = [block.block_id for block in day.truth[slots[0]]]
    found = np.array([[_is_found(result, one) for one in day.truth[result.slot]] for result in day.results])
    assert found.shape == (60, len(names))
    missed = ~found
    assert (missed[1:] & missed[:-1]).sum() > 0.5 * missed[1:].sum()
    ghosts = [[b.footprint.centroid for b in r.blocks if not _is_block(b, day.truth[r.slot])] for r in day.results]
    stayed = [any(g.distance(h) < 1 for h in ghosts[n - 1]) for n in range(1, 60) for g in ghosts[n]]
    assert np.mean(stayed) > 0.5


def test_hours_of_the_bay_are_four_windows_a_day(bay):
    north = load_bay("3bay_north")
    slots = open_slots(north, 5)
    assert 15 * 5 <= len(slots) <= 24 * 5
    assert all(north.closed(slot) is None for slot in slots)


@pytest.mark.slow(2)
def test_figures_are_written_and_held_against_their_bars(monkeypatch, tmp_path, capsys):
    """The whole run on few slots: it writes its figures, and a bar follows from them."""
    short = Case(slots=lambda bay: every_slot(bay)[:6], scores=(("hota", 0.975),))
    monkeypatch.setattr(
        bench, "CASES", {"ordinary": short, "two cameras off": replace(short, spoilt=Spoilt(off_slots=(2, 4)))}
    )
    monkeypatch.setattr(bench, "_MANY", 20)
    monkeypatch.setattr(bench, "_MANY_SLOTS", 3)
    bench.main(["--bay", "demo_bay", "--seeds", "2001", "--twin-seeds", "", "--out", str(tmp_path), "--workers", "1"])
    assert "ordinary: HOTA" in capsys.readouterr().out
    results = bench.json.loads((tmp_path / "tracking.json").read_text())
    for hota, holds in ((0.97, False), (0.98, True)):
        results["cases"]["ordinary"]["tracker"]["hota"] = hota
        assert next(bar for bar in bench.bars_of(results) if bar.name == "ordinary: HOTA").holds is holds


def test_deciles_of_said_probabilities():
    (low, high) = bench._deciles([(0.62, True), (0.68, False), (0.95, True), (1.0, True)])
    assert (low["from"], low["count"], low["said"], low["right"]) == pytest.approx((0.6, 2, 0.65, 0.5))
    assert (high["from"], high["count"], high["off"]) == pytest.approx((0.9, 2, 0.025))


def _around(time, slots):
    return slots[slots.index(time) - 1], time


def _size(block):
    low_x, low_y, high_x, high_y = shapely.affinity.rotate(block.footprint, -_yaw(block)).bounds
    return (*sorted((high_x - low_x, high_y - low_y)), block.height_m)


def _yaw(block):
    (x0, y0), (x1, y1) = block.footprint.exterior.coords[:2]
    return np.degrees(np.arctan2(y1 - y0, x1 - x0))


def _is_found(result, block):
    return any(_is_block(one, [block]) for one in result.blocks)


def _is_block(one, truth):
    return any(one.footprint.intersection(block.footprint).area > 0.5 * one.footprint.area for block in truth)
