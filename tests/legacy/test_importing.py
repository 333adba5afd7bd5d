"""Old results in the history: what is asked of it afterwards, and that an import repeats itself."""

import json
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
import sqlalchemy as sa

from bays import batch_id
from legacy.importing import import_batches
from legacy.records import FloorBlock, OldBatch, OldFrame, Problems
from tracking.__main__ import main
from tracking.history import BatchOutcome, History
from tracking.history.imports import first_own_slot
from tracking.history.schema import batches, events, positions, tracks
from tracking.history.stays import recorded_stays

from .conftest import SLOT, STEP, block, floor, floor_key


@pytest.fixture
def history(tmp_path):
    with History(f"sqlite:///{tmp_path / 'history.db'}") as opened:
        yield opened


def at(number):
    return SLOT + number * STEP


def standing(block_id="B-1", x=20.0, y=10.0, stage="sub_assembly", class_name="block"):
    return FloorBlock(block_id, class_name, stage, 0.8, x, y, 8.0, 5.0, 0.0, 3.0)


def batch(number, *blocks, bay_id="yard", frames=None):
    return OldBatch(bay_id, at(number), frames, blocks)


def run(history, bay, *given, source="dump.json"):
    return import_batches(given, {bay.bay_id: bay}, history, source, Problems()).bays[bay.bay_id]


def rows(history):
    """Every imported row."""
    with history.database.reading() as connection:
        return {
            table.name: connection.execute(sa.select(table).order_by(*table.primary_key)).all()
            for table in (tracks, positions, events, batches)
        }


def kinds(history):
    return [(event.kind, event.track_id, event.time) for event in history.events_of_slots("yard", at(-100), at(1000))]


def test_a_block_that_stands_is_one_stay_and_marked_as_imported(history, bay):
    report = run(history, bay, *(batch(n, standing(x=20 + 0.1 * (n % 2))) for n in range(6)))
    assert (report.slots, report.stays, report.tracks, report.events) == (6, 1, 1, 1)
    (stay,) = history.standing("yard", at=at(3))
    assert (stay.track_id, stay.since, stay.until, stay.sightings) == ("yard-B-1.old", at(0), at(6), 6)
    assert stay.footprint.area == pytest.approx(40)
    with history.database.reading() as connection:
        assert connection.execute(sa.select(tracks.c.imported)).scalars().all() == ["dump.json"]
    assert {one.outcome for one in history.batches("yard", at(0), at(6))} == {BatchOutcome.IMPORTED}
    assert history.gaps(bay, at(0), at(6)) == []
    assert kinds(history) == [("initial", "yard-B-1.old", at(0))]


def test_what_stood_there_when_an_import_ends_is_shown(history, bay, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HISTORY_DB", f"sqlite:///{tmp_path / 'history.db'}")
    run(history, bay, *(batch(n, standing()) for n in range(6)))
    for moment in ([], ["--at", at(60).isoformat()]):
        assert main(["show", "yard", *moment]) == 0
        assert f"yard: 1 block {'at' if moment else 'as of'}" in capsys.readouterr().out


def test_moves_stages_arrivals_and_exits_are_events(history, bay):
    floors = [
        (standing(),),
        (standing(stage="unit_assembly"), standing("B-2", 60)),
        (standing(x=38, stage="unit_assembly"), standing("B-2", 60)),
        *[(standing(x=38, stage="unit_assembly"),)] * 4,
    ]
    run(history, bay, *(batch(n, *blocks) for n, blocks in enumerate(floors)))
    assert kinds(history) == [
        ("initial", "yard-B-1.old", at(0)),
        ("stage_changed", "yard-B-1.old", at(1)),
        ("appeared", "yard-B-2.old", at(1)),
        ("moved", "yard-B-1.old", at(2)),
        ("exited", "yard-B-2.old", at(3)),
    ]
    moved = history.events_of_slots("yard", at(2), at(3))[0]
    assert (moved.from_area, moved.to_area) == (
        history.stays("yard", "yard-B-1.old")[0].area,
        history.stays("yard", "yard-B-1.old")[-1].area,
    )


def test_a_block_that_is_missed_twice_stands_on(history, bay):
    run(history, bay, batch(0, standing()), batch(1), batch(2), batch(3, standing()))
    (stay,) = history.stays("yard", "yard-B-1.old")
    assert (stay.until, stay.sightings) == (at(4), 2)


def test_a_block_that_comes_back_is_the_same_block(history, bay):
    run(history, bay, batch(0, standing()), *(batch(n) for n in range(1, 6)), batch(6, standing()))
    assert [stay.since for stay in history.stays("yard", "yard-B-1.old")] == [at(0), at(6)]
    assert [kind for kind, *_ in kinds(history)] == ["initial", "exited", "appeared"]


def test_areas_that_tracking_ignores_are_left_out(history, bay):
    ignored = next(area for area in bay.layout.areas.values() if not area.tracked)
    x, y = (sum(ignored.x) / 2, sum(ignored.y) / 2)
    report = run(history, bay, batch(0, standing(x=x, y=y), standing("B-2", x=-5)))
    assert (report.tracks, report.ignored) == (0, 2)


def test_parts_of_a_batch_come_together_and_cameras_are_kept(history, bay):
    frames = (OldFrame("C_4", None, ()), OldFrame("D_7", None, ()))
    run(history, bay, OldBatch("yard", at(0), frames, None), batch(0, standing()))
    assert history.batches("yard", at(0), at(1))[0].cameras == ("C_4", "D_7")


def floors(history):
    """Ids of what stood in each slot."""
    instant = timedelta(microseconds=1)
    return [[stay.track_id for stay in recorded_stays(history, "yard", at(n), at(n) + instant)] for n in range(60)]


def random_days(seed, count=60):
    """Blocks that come, move, change their stage, are missed and go, at random."""
    dice = np.random.default_rng(seed)
    known, number, result = {}, 0, []
    for slot in range(count):
        if dice.random() < 0.3 and len(known) < 8:
            number += 1
            known[f"B-{number}"] = [dice.uniform(5, 70), dice.uniform(5, 35), "sub_assembly"]
        for place in known.values():
            if dice.random() < 0.05:
                place[0] = dice.uniform(5, 70)
            if dice.random() < 0.03:
                place[2] = str(dice.choice(["unit_assembly", "grand_assembly"]))
        if known and dice.random() < 0.1:
            known.pop(str(dice.choice(sorted(known))))
        seen = {name: place for name, place in known.items() if dice.random() > 0.05}
        result.append(batch(slot, *(standing(name, *place) for name, place in seen.items())))
    return result


@pytest.mark.slow(0.2)
@pytest.mark.parametrize("seed", range(6))
def test_an_import_repeats_itself_in_any_order(history, bay, seed):
    days = random_days(seed)
    run(history, bay, *days)
    once = rows(history)
    run(history, bay, *days)
    assert rows(history) == once
    run(history, bay, *np.random.default_rng(seed).permutation(np.array(days, dtype=object)))
    assert rows(history) == once


@pytest.mark.slow(2)
@pytest.mark.parametrize("seed", range(6))
def test_imports_that_overlap_leave_one_floor_at_any_time(history, bay, seed):
    days, dice = random_days(seed), np.random.default_rng(seed)
    run(history, bay, *days)
    whole = floors(history)
    for _ in range(3):
        first, last = sorted(dice.choice(60, 2, replace=False))
        run(history, bay, *days[first : last + 1])
        for one in {track_id for stood in floors(history) for track_id in stood}:
            for before, after in pairwise(history.stays("yard", one)):
                assert before.until <= after.since
    run(history, bay, *days)
    assert floors(history) == whole


def test_slots_that_the_bay_tracked_itself_are_left_alone(history, bay, tracked_slot):
    tracked_slot(at(5))
    report = run(history, bay, *(batch(n, standing()) for n in range(10)))
    assert (report.slots, report.own) == (5, 5)
    assert first_own_slot(history, "yard") == at(5)
    assert history.stays("yard", "yard-B-1.old")[-1].until == at(5)
    assert history.batches("yard", at(5), at(6))[0].outcome == "tracked"


def test_a_record_of_a_failed_slot_stays(history, bay):
    history.record("yard", at(2), BatchOutcome.CAPTURE_FAILED, "no camera")
    report = run(history, bay, *(batch(n, standing()) for n in range(4)))
    assert (report.slots, report.own) == (3, 1)
    assert history.batches("yard", at(2), at(3))[0].reason == "no camera"


def test_the_tracker_neither_goes_on_from_imports_nor_takes_them_away(history, bay, tracked_slot):
    run(history, bay, *(batch(n, standing("B-000123")) for n in range(4)))
    before = rows(history)
    tracked_slot(at(10))
    tracked_slot(at(5))  # late: what was tracked later is undone first
    with history.writer("yard") as writer:
        assert writer.restored_state().next_number <= 2
        writer.clear()
    after = rows(history)
    assert [after[name] for name in ("history_tracks", "history_positions", "history_events")] == [
        before[name] for name in ("history_tracks", "history_positions", "history_events")
    ]


def test_an_imported_time_counts_as_observed(history, bay, tracked_slot):
    run(history, bay, *(batch(n, standing()) for n in range(6)))
    tracked_slot(at(6))
    seen = history.observed_dwell(bay, at(0), at(6))
    assert (seen.observed, seen.dwell[0].total) == (6 * STEP, 6 * STEP)


@pytest.fixture
def tracked_slot(history, bay, store):
    """Track a slot of the bay itself, through the ledger."""
    from shapely import MultiPolygon

    from fusion.types import FusionResult
    from tracking.ledger import track

    def enter(slot):
        name = batch_id("yard", slot)
        reference = store.save("fusion", "yard", name, FusionResult(name, "yard", (), MultiPolygon()))
        return track(store, bay, reference, history)

    return enter


def test_from_a_dump_to_the_history(legacy, history, tmp_path, monkeypatch):
    monkeypatch.setenv("HISTORY_DB", history.database.location)
    (tmp_path / "dump.json").write_text(json.dumps({floor_key(at(n)): floor(block()) for n in range(4)}))
    status, out, _ = legacy("import", tmp_path / "dump.json")
    assert (status, "yard: 4 of 4 batches imported" in out) == (0, True)
    once = rows(history)
    status, out, _ = legacy("import", "--json", tmp_path / "dump.json")
    assert (status, json.loads(out)["bays"]["yard"]["stays"]) == (0, 1)
    assert rows(history) == once


def test_what_does_not_fit_is_reported_and_the_rest_imported(legacy, history, tmp_path, monkeypatch):
    monkeypatch.setenv("HISTORY_DB", history.database.location)
    hashes = {floor_key(at(n)): floor(block(), block("B-2", x="wide")) for n in range(3)}
    (tmp_path / "dump.json").write_text(json.dumps(hashes))
    status, out, _ = legacy("import", tmp_path / "dump.json")
    assert status == 1
    assert "yard: 3 of 3 batches imported" in out
    assert "does not fit, 3 times: floor.block.x: no number" in out


def test_other_bays_are_left_out(legacy, history, tmp_path, monkeypatch):
    monkeypatch.setenv("HISTORY_DB", history.database.location)
    (tmp_path / "dump.json").write_text(json.dumps({floor_key(): floor(block())}))
    assert legacy("import", "--bay", "other", tmp_path / "dump.json")[0] == 2


def test_nothing_to_import_is_said(legacy, history, tmp_path, monkeypatch):
    monkeypatch.setenv("HISTORY_DB", history.database.location)
    (tmp_path / "dump.json").write_text("{}")
    status, _, err = legacy("import", tmp_path / "dump.json")
    assert (status, "nothing was read" in err) == (1, True)


def test_ids_that_a_track_cannot_have_are_refused(decode):
    for wrong in ("x" * 60, "a\nb"):
        (read,), problems = decode(floor_key(), floor(block(wrong)))
        assert read.blocks == ()
        assert "printable characters" in problems[0]
