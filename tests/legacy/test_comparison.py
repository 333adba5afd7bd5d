"""What is planted is named, and nothing else is."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bays import load_bay
from lab.migration.planted import plant, planted_kinds, world
from legacy.comparison import Comparison, Kind, SeenSlot, compare, new_side, old_side
from legacy.comparison.page import page_of
from legacy.mapping import Thresholds
from legacy.records import FloorBlock, OldBatch, OldFrame, OldObject

START = datetime(2025, 7, 2, 0, 0, tzinfo=UTC)
STEP = timedelta(minutes=10)
SLOTS = [START + n * STEP for n in range(48)]
PERIOD = (START, START + 48 * STEP)
WANTED = Thresholds(slots=40)


@pytest.fixture(scope="module")
def seen():
    return world(load_bay("3bay_north"), 3, SLOTS)


def compared(old, new, bay, thresholds=WANTED) -> Comparison:
    return compare(old, new, bay, thresholds, PERIOD)


def test_both_sides_alike_are_ready(seen):
    result = compared(seen.old, seen.new, seen.bay)
    assert [(one.kind, one.subject, one.text) for one in result.differences] == []
    assert result.reasons == []
    assert result.is_ready


@pytest.mark.slow(0.1)
@pytest.mark.parametrize("kind", planted_kinds())
def test_a_planted_difference_is_named_and_no_other(seen, kind):
    planted = plant(kind, seen, 5)
    result = compared(planted.old, planted.new, seen.bay)
    assert {(one.kind, one.subject) for one in result.differences} == {(kind, planted.subject)}


def test_all_kinds_can_be_planted():
    assert set(planted_kinds()) == set(Kind)


def test_a_bay_is_not_ready_and_says_why(seen):
    planted = plant(Kind.FLOOR_SHIFTED, seen, 5)
    result = compared(planted.old, planted.new, seen.bay)
    assert not result.is_ready
    assert any("origin_m" in reason for reason in result.reasons)
    few = compared(seen.old[:10], seen.new[:10], seen.bay)
    assert "slots compared: 10, wanted at least 40" in few.reasons


@pytest.mark.parametrize("sides", [([], []), ([], None), (None, [])])
def test_a_side_that_saw_nothing_is_not_ready(seen, sides):
    old, new = (seen.old if side is None else side for side in sides)
    result = compared(old, new, seen.bay)
    assert not result.is_ready
    json.dumps(result.to_dict())


def test_a_side_that_knows_no_floor_or_no_frames_is_compared_in_the_rest(seen):
    for gone in ("blocks", "frames", "done_at"):
        old = [replace(one, **{gone: None}) for one in seen.old]
        assert compared(old, seen.new, seen.bay).differences == ()


def test_a_difference_of_one_slot_counts_in_the_share_alone(seen):
    name = next(iter(seen.still.values()))
    new = [
        replace(one, blocks=tuple(block for block in one.blocks if number != 20 or block.block_id != name))
        for number, one in enumerate(seen.new)
    ]
    assert compared(seen.old, new, seen.bay).differences == ()


def test_a_side_that_had_no_frame_at_all_has_not_the_frames_of_the_other(seen):
    blind = [replace(one, frames={}) if 10 <= number < 20 else one for number, one in enumerate(seen.new)]
    result = compared(seen.old, blind, seen.bay)
    (figure,) = [one for one in result.figures if one.name == "frames that both have"]
    assert figure.value == pytest.approx(38 / 48)
    assert {one.kind for one in result.differences} == {Kind.FRAME_MISSING}
    none = [replace(one, frames=None) for one in seen.old]
    (figure,) = [one for one in compared(none, seen.new, seen.bay).figures if one.name == "frames that both have"]
    assert figure.value is None


def test_blocks_where_tracking_looks_at_none_are_held_against_no_side(seen):
    """The tracker leaves out what stands in the turn-over area, the aisle and outside; the old side need not."""
    far = FloorBlock("O-out", "block", "sub_assembly", 0.9, 71, 30, 8, 5, 0, 3)
    old = [replace(one, blocks=(*one.blocks, far)) for one in seen.old]
    assert compared(old, seen.new, seen.bay).differences == ()
    beside = replace(far, x=50, y=30, block_id="O-in")
    crowd = [one for one in seen.new[0].blocks if abs(one.x - 50) < 9 and abs(one.y - 30) < 6]
    old = [replace(one, blocks=(*one.blocks, beside)) for one in seen.old]
    assert crowd or {one.kind for one in compared(old, seen.new, seen.bay).differences} == {Kind.BLOCK_MISSED}


def test_slots_that_one_side_misses_here_and_there_are_no_difference_that_lasts(seen):
    made = plant(Kind.MOVE_MISSED, seen, 5)
    old = [
        replace(one, blocks=tuple(block for block in one.blocks if block.block_id != made.subject))
        if number in (22, 28, 34)
        else one
        for number, one in enumerate(made.old)
    ]
    named = {(one.kind, one.subject) for one in compared(old, made.new, seen.bay).differences}
    assert named == {(Kind.MOVE_MISSED, made.subject)}


def test_the_page_holds_all_and_loads_nothing(seen):
    planted = plant(Kind.BLOCK_MISSED, seen, 5)
    odd = [
        replace(one, blocks=tuple(replace(b, block_id=f"<b>{b.block_id}") for b in one.blocks)) for one in planted.old
    ]
    page = page_of(compared(odd, planted.new, seen.bay), seen.bay)
    assert "block missed" in page
    assert "<b>" not in page
    assert "http" not in page
    assert "src=" not in page


def test_the_old_side_of_records(bay):
    block = FloorBlock("B-1", "block", "sub_assembly", 0.9, 20, 10, 8, 5, 0, 3)
    frame = OldFrame("C_4", START, (OldObject("block", 0.9, (1, 2, 3, 4)),))
    parts = [
        OldBatch("yard", START, (frame,), None),
        OldBatch("yard", START, None, (block,), START + STEP),
        OldBatch("yard", START + STEP, None, (block,)),
        OldBatch("yard", START + STEP, None, ()),
        OldBatch("yard", START + STEP, None, (block,)),  # of a dump that overlaps another one
        OldBatch("other", START, None, ()),
        OldBatch("yard", START - STEP, None, ()),
    ]
    seen = old_side(parts, "yard", START, START + 2 * STEP)
    assert [one.slot for one in seen] == [START, START + STEP, START + STEP]
    assert seen[0].frames["C_4"].objects == (("block", (1, 2, 3, 4)),)
    assert seen[0].done_at == START + STEP


def test_the_new_side_of_store_and_history(bay, store, tmp_path):
    from shapely import MultiPolygon, box

    from bays import batch_id
    from fusion.types import FusedBlock, FusionResult
    from tracking.history import History
    from tracking.ledger import track

    from .test_encoding import observation

    with History(f"sqlite:///{tmp_path / 'h.db'}") as history:
        for number in range(4):
            name = batch_id("yard", START + number * STEP)
            blocks = (FusedBlock("block", box(36, 8, 44, 13), 3.0, "A13", "sub_assembly", 0.9, ("C_4",)),)
            store.save("observation", "yard", name, observation(slot=START + number * STEP))
            fusion = store.save("fusion", "yard", name, FusionResult(name, "yard", blocks, MultiPolygon(), ("C_4",)))
            track(store, bay, fusion, history)
        store.delete("observation", "yard", batch_id("yard", START))
        seen = new_side(bay, store, history, START, START + 4 * STEP)
    assert [one.slot for one in seen] == [START + n * STEP for n in range(4)]
    assert (seen[0].frames, sorted(seen[1].frames)) == (None, ["C_4", "D_7"])
    (block,) = seen[3].blocks
    assert (block.x, block.y, block.length, block.width, block.height) == pytest.approx((40, 10.5, 8, 5, 3), abs=0.01)
    assert seen[3].done_at is not None
    assert isinstance(seen[3], SeenSlot)


@pytest.mark.slow(0.5)
def test_compare_on_the_command_line(legacy, bay, store, tmp_path, monkeypatch):
    from shapely import MultiPolygon, box

    from bays import batch_id
    from fusion.types import FusedBlock, FusionResult
    from tracking.history import History
    from tracking.ledger import track

    from .conftest import block, floor, floor_key, frame, key
    from .test_encoding import observation

    url = f"sqlite:///{tmp_path / 'h.db'}"
    monkeypatch.setenv("HISTORY_DB", url)
    slots = [START + n * STEP for n in range(6)]
    dump = {}
    with History(url) as history:
        for slot in slots:
            name = batch_id("yard", slot)
            blocks = (FusedBlock("block", box(36, 8, 44, 13), 3.0, "A13", "sub_assembly", 0.9, ("C_4",)),)
            store.save("observation", "yard", name, observation(slot=slot))
            fusion = store.save("fusion", "yard", name, FusionResult(name, "yard", blocks, MultiPolygon(), ("C_4",)))
            track(store, bay, fusion, history)
            dump[key(slot)] = {camera: frame(camera, slot) for camera in ("C_4", "D_7")}
            dump[floor_key(slot)] = floor(block(x=40, y=10.5))
    (tmp_path / "dump.json").write_text(json.dumps(dump))
    period = ("--from", "2025-07-02 09:00", "--to", "2025-07-02 10:00", "--old", tmp_path / "dump.json")
    status, out, _ = legacy("compare", "yard", *period, "--html", tmp_path / "page.html")
    assert status == 1
    assert "not ready: slots compared: 6, wanted at least 144" in out
    assert out.count("not ready:") == 1
    assert "not ready" in (tmp_path / "page.html").read_text()
    status, out, _ = legacy("compare", "yard", *period, "--json")
    assert json.loads(out)["figures"]["blocks that both have"]["value"] == 1
    assert legacy("compare", "yard", "--from", "soon")[0] == 2
    assert legacy("compare", "yard", "--from", "2025-07-02", "--to", "2025-07-01")[0] == 2
