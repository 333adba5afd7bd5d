"""What `make eval-tracking` stands on: its days, its baselines, its order of arrival."""

from dataclasses import replace

import pytest

from bays import batch_id
from lab.evaluation import tracking_bench as bench
from lab.evaluation.events import Verdict
from lab.evaluation.tracking_baselines import byte_track, greedy
from lab.evaluation.tracking_days import Sight, Spoilt, simulated_day
from lab.simulation.yard import YardEvent
from tracking import EventKind, replay

SLOTS = 10


@pytest.fixture(scope="module")
def sight(bay):
    return Sight(bay)


@pytest.fixture(scope="module")
def day(bay, sight):
    def make(**spoilt):
        return simulated_day(bay, 2001, Spoilt(**spoilt), SLOTS, sight, run_on=0)

    return make


def test_the_same_day_again(day):
    first, second = day(missed=0.1, false=0.1), day(missed=0.1, false=0.1)
    for one, other in zip(first.results, second.results, strict=True):
        assert [block.footprint.wkb for block in one.blocks] == [block.footprint.wkb for block in other.blocks]
        assert one.unseen.equals(other.unseen)


def test_without_errors_every_block_is_seen_where_it_stands(day):
    clean = day(missed=0, false=0, class_misread=0, stage_misread=0, side=0, height_m=0, yaw_deg=0)
    for result in clean.results:
        truth = {block.block_id: block for block in clean.truth[result.slot]}
        assert len(result.blocks) + len(clean.hidden[result.slot]) == len(truth)
        for block in result.blocks:
            near = min(truth.values(), key=lambda one: one.footprint.centroid.distance(block.footprint.centroid))
            assert near.footprint.centroid.distance(block.footprint.centroid) < 5 * block.position_std_m
            assert (block.class_name, block.stage, block.area) == (near.class_name, near.stage, near.area)


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


def test_equipment_is_seen_as_it_stands_but_for_the_errors_asked_for(day):
    clean = day(missed=0, false=0, work_missed=0, work_false=0)
    for result in clean.results:
        truth = {block.block_id: block for block in clean.truth[result.slot]}
        for block in result.blocks:
            near = min(truth.values(), key=lambda one: one.footprint.centroid.distance(block.footprint.centroid))
            assert block.work == dict(sorted(near.work.items()))
    assert not any(block.work for result in day(work_missed=1, work_false=0).results for block in result.blocks)


def test_what_happens_at_the_end_of_a_day_can_be_confirmed_after_it(bay, sight):
    """An exit in the last scored slot is told slots later; what happens then is not scored."""
    day = simulated_day(bay, 2001, Spoilt(missed=0, false=0), 4, sight, run_on=6)
    assert day.slots.index(day.last) == 3
    leaving = day.truth[day.slots[0]][0].block_id
    gone = [
        replace(
            result,
            blocks=tuple(
                block
                for block in result.blocks
                if result.slot < day.last or not _stands_at(block, day.truth[result.slot], leaving)
            ),
        )
        for result in day.results
    ]
    truth = {
        time: [block for block in blocks if time < day.last or block.block_id != leaving]
        for time, blocks in day.truth.items()
    }
    exit_ = YardEvent("exited", leaving, day.last)
    later = YardEvent("exited", truth[day.last][0].block_id, day.slots[-1])
    day = replace(day, results=tuple(gone), truth=truth, events=[exit_, later])
    history, run = replay(bay, None, day.results), bench.Run()
    bench._score(run, day, bench._floor_of(history), bench._events_of(history))
    exits = [one for one in run.comparisons if one.kind is EventKind.EXITED]
    assert [(one.block_id, one.verdict) for one in exits] == [(leaving, Verdict.FOUND)]
    assert exits[0].report is not None
    assert exits[0].report.batch_id > batch_id(bay.bay_id, day.last)
    assert len(run.frames[0]) == 4


def test_figures_are_written_and_held_against_their_bars(monkeypatch, tmp_path, day, bay, capsys):
    """The whole run on few slots: it writes its figures, and a bar follows from them."""
    monkeypatch.setattr(bench, "CASES", {"normal day": Spoilt(), "two cameras off": Spoilt(off_slots=(2, 4))})
    monkeypatch.setattr(
        bench, "simulated_day", lambda bay, seed, spoilt, sight: simulated_day(bay, seed, spoilt, 6, sight)
    )
    monkeypatch.setattr(bench, "_MANY", 20)
    monkeypatch.setattr(bench, "_MANY_SLOTS", 3)
    bench.main(["--bay", "demo_bay", "--seeds", "2001", "--out", str(tmp_path)])
    assert "normal day: HOTA" in capsys.readouterr().out
    results = bench.json.loads((tmp_path / "tracking.json").read_text())
    for hota, holds in ((0.94, False), (0.96, True)):
        results["cases"]["normal day"]["tracker"]["hota"] = hota
        assert next(bar for bar in bench.bars_of(results) if bar.name == "normal day: HOTA").holds is holds


def _stands_at(block, truth, block_id) -> bool:
    true = next((one for one in truth if one.block_id == block_id), None)
    return true is not None and true.footprint.intersection(block.footprint).area > 0.5 * block.footprint.area
