"""The history: what tracking wrote, asked back; the same rows whatever order the batches came in."""

import json
import random
import sqlite3
import traceback
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from shapely import box

from bay_observation.errors import ConfigError, HistoryError, HistoryUnavailableError, NotObservedError, QuestionError
from bays import load_bay
from bays.models import DailyWindow
from tracking import Tracker, TrackStatus
from tracking.history import (
    AsOf,
    Batch,
    BatchOutcome,
    CameraChangeKind,
    Database,
    History,
    TrackedBatch,
    area_use,
    as_of,
    camera_changes,
    coverage,
    differences,
    local_day,
    nested_areas,
    scheduled_slots,
)
from tracking.history.database import _migrations, _upgrade
from tracking.history.schema import SCHEMA_VERSION, SPANS, longest_of, metadata, span_of
from tracking.history.stays import blocks_between, stays_between

START = datetime(2025, 7, 2, 0, 0, tzinfo=UTC)
SLOT = timedelta(minutes=10)
SLOTS = 12
CAMERAS = ("C_2", "D_2", "D_4")


def at(number):
    return START + number * SLOT


@pytest.fixture
def history(tmp_path):
    with History(f"sqlite:///{tmp_path / 'history.db'}") as made:
        yield made


@pytest.fixture(scope="session")
def floors(fused, block):
    """Twelve slots: one block stands, one moves in slot 5, one leaves in slot 7, one comes in slot 8.

    The first changes its stage in slot 6, creeps in slot 8, by more than it can be measured wrongly, and is
    not seen in slot 9.
    """

    def floor(n):
        stage = "painting" if n >= 6 else "welding"
        blocks = []
        if n != 9:
            shift = 0.7 if n >= 8 else 0.0
            blocks.append(block("A25", 10 + shift, 10, stage=stage))
        blocks.append(block("A13", 51, 10, 6, 5, 3) if n < 5 else block("A1A", 106, 28, 6, 5, 3))
        if n < 7:
            blocks.append(block("A12_S", 36, 5, 4, 3, 2))
        if n >= 8:
            blocks.append(block("A1C", 138, 30, 10, 7, 6))
        return fused(n, blocks, unseen=box(0, 0, 20, 20) if n == 9 else None, missing=["D_4"] if n in (3, 4, 5) else [])

    return [floor(n) for n in range(SLOTS)]


@pytest.fixture(scope="session")
def tracked(bay, floors):
    return track_all(bay, floors)


def track_all(bay, floors):
    """Batches as the ledger would hand them to the history, in order."""
    state, batches = None, []
    for floor in floors:
        result = Tracker(bay, state).update(floor)
        cameras = tuple(name for name in CAMERAS if name not in floor.missing_cameras)
        batches.append(TrackedBatch(result, f"{len(batches):064x}", cameras, floor.missing_cameras))
        state = result.state
    return batches


def write(history, batches, before=None):
    with history.writer("demo_bay") as writer:
        writer.replace(before, batches)


def one_by_one(history, batches):
    before = None
    for batch in batches:
        write(history, [batch], before)
        before = batch.result


def block_in(history, area):
    (stay,) = history.standing("demo_bay", [area])
    return stay.track_id


# -- questions --------------------------------------------------------------------------------------


def test_where_a_block_is_and_since_when(history, tracked):
    one_by_one(history, tracked)
    moved = history.where("demo_bay", block_in(history, "A1A"))
    assert (moved.area, moved.since, moved.standing_since, moved.until) == ("A1A", at(5), at(5), None)
    assert moved.last_seen == at(11)
    assert moved.sightings == 7
    was = history.where("demo_bay", moved.track_id, at=at(4))
    assert (was.area, was.since, was.until, was.last_seen, was.sightings) == ("A13", at(0), at(5), at(4), 5)
    assert was.footprint.intersection(box(48, 7.5, 54, 12.5)).area == pytest.approx(30, rel=0.02)


def test_a_stay_ends_with_the_stage_and_where_a_block_creeps(history, tracked):
    one_by_one(history, tracked)
    stays = history.stays("demo_bay", block_in(history, "A25"))
    assert [(stay.stage, stay.since, stay.until) for stay in stays] == [
        ("welding", at(0), at(6)),
        ("painting", at(6), at(8)),
        ("painting", at(8), None),
    ]
    assert {stay.standing_since for stay in stays} == {at(0)}
    assert [stay.last_seen for stay in stays] == [at(6), at(7), at(11)]
    assert stays[-1].footprint.centroid.x == pytest.approx(10.7, abs=0.1)


def test_what_stands_in_an_area_now_and_then(bay, history, tracked):
    one_by_one(history, tracked)
    assert [stay.area for stay in history.standing("demo_bay")] == ["A25", "A1A", "A1C"]
    assert [stay.area for stay in history.standing("demo_bay", at=at(2))] == ["A25", "A12_S", "A13"]
    inner = nested_areas(bay, "A12")
    assert inner == ["A12", "A12_S", "A12_N"]
    assert [stay.area for stay in history.standing("demo_bay", inner, at=at(6))] == ["A12_S"]
    assert history.standing("demo_bay", inner) == []
    with pytest.raises(NotObservedError, match="its history begins at 2025-07-02 00:00 UTC"):
        history.standing("demo_bay", at=at(-1))
    with pytest.raises(HistoryError, match="has no area X9; it has A25"):
        nested_areas(bay, "X9")


def test_a_block_that_left_stands_nowhere_and_is_not_unknown(history, tracked):
    one_by_one(history, tracked)
    (gone,) = history.standing("demo_bay", ["A12_S"], at=at(0))
    assert history.where("demo_bay", gone.track_id) is None
    assert history.stays("demo_bay", gone.track_id)[-1].until == at(7)
    with pytest.raises(HistoryError, match="no track demo_bay-000999"):
        history.where("demo_bay", "demo_bay-000999")
    with pytest.raises(NotObservedError, match="no history yet of bay 4bay"):
        history.where("4bay", "4bay-000001")


def test_what_happened(history, tracked):
    one_by_one(history, tracked)
    told = history.events("demo_bay", at(0), at(SLOTS))
    expected = sorted(
        (event.time, event.track_id, str(event.kind)) for batch in tracked for event in batch.result.events
    )
    assert [(event.time, event.track_id, event.kind) for event in told] == expected
    assert {event.kind for event in told} == {"initial", "appeared", "moved", "stage_changed", "exited"}
    (moved,) = history.events("demo_bay", at(0), at(SLOTS), kinds=["moved"])
    assert (moved.time, moved.slot, moved.from_area, moved.to_area) == (at(5), at(6), "A13", "A1A")
    assert history.events("demo_bay", at(0), at(5), kinds=["moved"]) == []
    assert history.events("demo_bay", at(5), at(SLOTS), areas=["A13"]) == [moved]
    assert [e.kind for e in history.events("demo_bay", at(0), at(SLOTS), track_id=moved.track_id)] == [
        "initial",
        "moved",
    ]
    with pytest.raises(NotObservedError, match="no history yet"):
        history.events("4bay", at(0), at(1))


def test_how_much_happened(history, tracked):
    one_by_one(history, tracked)
    told = history.events("demo_bay", at(0), at(SLOTS))
    assert history.event_counts("demo_bay", at(0), at(SLOTS)) == Counter(event.kind for event in told)
    assert history.event_counts("demo_bay", at(50), at(60)) == {}
    (moved,) = history.events("demo_bay", at(0), at(SLOTS), kinds=["moved"])
    counts = history.event_counts(
        "demo_bay", at(0), at(SLOTS), without=[("moved", moved.track_id, moved.time), ("moved", "nobody", at(1))]
    )
    assert counts == Counter(event.kind for event in told if event != moved)


def test_an_event_of_a_later_kind_is_kept_with_all_that_it_has(history, tracked):
    from dataclasses import dataclass

    from tracking.types import TrackEvent

    @dataclass(frozen=True)
    class Joined(TrackEvent):
        others: tuple = ()
        crane: str = ""

    first = tracked[0].result
    event = Joined(
        "merged", "demo_bay-000001", at(0), first.batch_id, others=("demo_bay-000002", "demo_bay-000003"), crane="K3"
    )
    write(history, [replace(tracked[0], result=replace(first, events=(event,)))])
    for block in ("demo_bay-000001", *event.others):
        (told,) = history.events("demo_bay", at(0), at(1), track_id=block)
        assert (told.kind, told.track_id, told.others) == ("merged", "demo_bay-000001", event.others)
        assert told.details == {"crane": "K3"}
    with pytest.raises(HistoryError, match="has no track demo_bay-00000_"):
        history.events("demo_bay", at(0), at(1), track_id="demo_bay-00000_")


@pytest.mark.parametrize("moment", [timedelta(minutes=5), timedelta(days=400)])
def test_nothing_is_known_of_the_future(history, tracked, moment):
    write(history, tracked)
    with pytest.raises(NotObservedError, match="lies in the future, of which nothing is known: now it is"):
        as_of(history, load_bay("demo_bay"), datetime.now(UTC) + moment)


@pytest.mark.slow(1)
def test_how_long_blocks_stood(history, tracked):
    one_by_one(history, tracked)
    dwell = {(one.area, one.stage): one for one in history.dwell("demo_bay", at(0), at(100))}
    assert dwell["A25", "welding"].total == 6 * SLOT
    painting = dwell["A25", "painting"]  # up to the newest slot, not to the period's end
    assert (painting.blocks, painting.stays, painting.total, painting.longest) == (1, 2, 5 * SLOT, 3 * SLOT)
    # One began with the stage in slot 6 and ended with the creep in slot 8; the other lasts.
    assert (painting.whole, painting.whole_total, painting.mean) == (1, 2 * SLOT, 2 * SLOT)
    # The history begins with slot 0: what stood there then may have come before.
    assert (dwell["A25", "welding"].whole, dwell["A25", "welding"].mean) == (0, None)
    assert dwell["A12_S", "welding"].total == 7 * SLOT
    clipped = {(one.area, one.stage): one.total for one in history.dwell("demo_bay", at(4), at(6))}
    assert clipped == {
        ("A25", "welding"): 2 * SLOT,
        ("A13", "welding"): SLOT,
        ("A1A", "welding"): SLOT,
        ("A12_S", "welding"): 2 * SLOT,
    }
    for ask in (history.dwell, history.events):
        with pytest.raises(NotObservedError, match="no slot from 2025-07-02 08:20 to 2025-07-02 10:00 UTC was tracked"):
            ask("demo_bay", at(50), at(60))


def test_which_slots_are_missing_and_why(make_bay, history, tracked, bay, floors):
    one_by_one(history, [*tracked[:4]])
    history.record("demo_bay", at(4), BatchOutcome.CAPTURE_FAILED, "frames of 3 cameras", cameras=["C_2"])
    history.record("demo_bay", at(5), BatchOutcome.SKIPPED, "too dark")
    history.record("demo_bay", at(5), BatchOutcome.INFERENCE_FAILED, "no checkpoint")
    gaps = history.gaps(bay, at(0), at(7))
    assert [(gap.slot, gap.outcome, gap.reason) for gap in gaps] == [
        (at(4), "capture failed", "frames of 3 cameras"),
        (at(5), "inference failed", "no checkpoint"),
        (at(6), "not run", "no run was recorded"),
    ]
    closed = make_bay("demo_bay", skip_times=["10:00-10:00"])  # 1:00 UTC
    assert [(gap.outcome, gap.reason) for gap in history.gaps(closed, at(6), at(7))] == [
        ("closed", "10:00 Asia/Seoul lies in the skip window 10:00-10:00")
    ]


def test_slots_before_the_first_one_are_not_missing(bay, tracked, history):
    """A bay that was begun with at slot 2, asked about from three slots before it: 4 of its 5 slots have a record."""
    one_by_one(history, tracked[3:6])
    history.record("demo_bay", at(2), BatchOutcome.CAPTURE_FAILED, "frames of 3 cameras")
    assert history.first_slot("demo_bay") == at(2)
    known = coverage(history, bay, at(-1), at(7))
    assert (known.slots, known.tracked, known.missing, known.since) == (5, 3, 2, at(2))
    assert known.to_dict()["since"] == at(2).isoformat()
    assert [(gap.slot, gap.outcome) for gap in history.gaps(bay, at(-1), at(7))] == [
        (at(2), "capture failed"),
        (at(6), "not run"),
    ]
    assert coverage(history, bay, at(2), at(7)).since is None
    assert history.first_slot("4bay") is None


def test_what_was_tracked_stays_tracked(history, tracked, bay):
    one_by_one(history, tracked[:2])
    history.record("demo_bay", at(1), BatchOutcome.CAPTURED, cameras=["C_2"], failures={"D_2": "busy"})
    assert history.gaps(bay, at(0), at(2)) == []
    (batch,) = history.batches("demo_bay", at(1), at(2))
    assert (batch.outcome, batch.cameras, batch.failures) == ("tracked", ("C_2",), {"D_2": "busy"})


def test_a_capture_says_more_of_its_cameras_than_fusion(history, tracked):
    history.record("demo_bay", at(3), BatchOutcome.CAPTURED, cameras=["C_2"], failures={"D_4": "timed out"})
    one_by_one(history, tracked)
    told = {batch.slot: batch for batch in history.batches("demo_bay", at(0), at(SLOTS))}
    assert told[at(3)].failures == {"D_4": "timed out"}
    assert told[at(4)].failures == {"D_4": "no frame"}
    assert (told[at(4)].cameras, told[at(4)].outcome) == (("C_2", "D_2"), "tracked")
    assert told[at(6)].failures == {}


# -- cameras ----------------------------------------------------------------------------------------


def test_cameras_go_down_after_failures_in_a_row_and_come_back(history, tracked):
    one_by_one(history, tracked)
    changes = history.camera_changes("demo_bay", at(0), at(SLOTS))
    assert [(one.kind, one.camera, one.time, one.slot, one.reason) for one in changes] == [
        (CameraChangeKind.DOWN, "D_4", at(3), at(5), "no frame"),
        (CameraChangeKind.UP, "D_4", at(6), at(6), ""),
    ]
    # Slot by slot, as a tracking task would ask, each change is told in its own slot and in no other.
    single = [history.camera_changes("demo_bay", at(n), at(n + 1)) for n in range(SLOTS)]
    assert [change for slot in single for change in slot] == changes
    assert history.camera_changes("demo_bay", at(0), at(SLOTS), down_after=4) == []


def test_slots_without_a_capture_say_nothing_of_a_camera():
    def batch(n, *failed, asked=CAMERAS):
        good = tuple(name for name in asked if name not in failed)
        return Batch(at(n), "tracked", "", cameras=good, failures=dict.fromkeys(failed, "busy"))

    told = [batch(0, "C_2"), batch(1, "C_2"), batch(2, asked=()), batch(3, "C_2"), batch(4, "C_2"), batch(5)]
    assert [(one.kind, one.slot, one.time) for one in camera_changes(told, 3)] == [
        (CameraChangeKind.DOWN, at(3), at(0)),
        (CameraChangeKind.UP, at(5), at(5)),
    ]
    assert camera_changes([batch(0, "C_2"), batch(1, "C_2"), batch(2)], 3) == []


# -- writing ----------------------------------------------------------------------------------------


def test_the_same_slot_again_changes_nothing(history, tracked):
    one_by_one(history, tracked)
    before = list(history.export("demo_bay"))
    write(history, tracked[11:], tracked[10].result)
    write(history, tracked)
    assert list(history.export("demo_bay")) == before
    assert len(before) > 3 * SLOTS / 2


@pytest.mark.slow(1)
@pytest.mark.parametrize("first", range(SLOTS))
def test_a_replay_from_any_slot_leaves_the_rows_of_an_ordered_run(bay, floors, history, tracked, first):
    # Before the replay the bay was thought to be another: nothing but the first block, elsewhere, from `first` on.
    other = [*floors[:first], *(replace(floor, blocks=floor.blocks[:1]) for floor in floors[first:])]
    one_by_one(history, track_all(bay, other))
    wrong = list(history.export("demo_bay"))
    write(history, tracked[first:], tracked[first - 1].result if first else None)
    replayed = list(history.export("demo_bay"))
    history.database.close()
    with History(history.database.location + ".ordered") as ordered:
        one_by_one(ordered, tracked)
        assert replayed == list(ordered.export("demo_bay"))
    assert wrong != replayed


@pytest.mark.slow(1)
def test_all_at_once_is_one_by_one(history, tracked):
    write(history, tracked)
    with History(history.database.location + ".single") as single:
        one_by_one(single, tracked)
        assert list(history.export("demo_bay")) == list(single.export("demo_bay"))


@pytest.mark.slow(1)
@pytest.mark.parametrize("seed", [2000, 2001])
def test_whatever_order_batches_come_in(bay, floors, history, tracked, seed):
    """As the ledger does: each batch with all that came after it, from the state before it."""
    order = [*range(SLOTS), 3, 7]
    random.Random(seed).shuffle(order)
    known = []
    for number in order:
        known = sorted({*known, number})
        batches = track_all(bay, [floors[n] for n in known])
        place = known.index(number)
        write(history, batches[place:], batches[place - 1].result if place else None)
    again = [replace(batch, sha256=f"{n:064x}") for n, batch in enumerate(track_all(bay, floors))]
    write(history, again)  # the digests of this test count the batches
    with History(history.database.location + ".ordered") as ordered:
        one_by_one(ordered, tracked)
        assert list(history.export("demo_bay")) == list(ordered.export("demo_bay"))


def test_readers_never_see_half_of_a_replay(history, tracked):
    one_by_one(history, tracked)
    seen = []

    def watched():
        for batch in tracked[4:]:
            yield batch
            seen.append(len(history.standing("demo_bay")))

    write(history, watched(), tracked[3].result)
    assert seen == [3] * 8


def test_a_replay_that_fails_leaves_everything_as_it_was(history, tracked):
    one_by_one(history, tracked)
    before = list(history.export("demo_bay"))

    def broken():
        yield tracked[4]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(history, broken(), tracked[3].result)
    assert list(history.export("demo_bay")) == before


def test_what_does_not_follow_is_refused(history, tracked):
    write(history, tracked[:3])
    with pytest.raises(HistoryError, match="follows slot 2025-07-02 00:40 UTC, and before it the history holds slots"):
        write(history, tracked[5:], tracked[4].result)  # a slot is left out
    with pytest.raises(HistoryError, match=r"the bay's very beginning.*rebuild demo_bay"):
        write(history, tracked[2:])
    with pytest.raises(HistoryError, match="is not of bay 4bay"), history.writer("4bay") as writer:
        writer.replace(None, tracked)


def test_clear_keeps_what_captures_told(history, tracked):
    history.record("demo_bay", at(0), BatchOutcome.CAPTURED, cameras=CAMERAS)
    history.record("demo_bay", at(20), BatchOutcome.SKIPPED, "dark")
    one_by_one(history, tracked)
    with history.writer("demo_bay") as writer:
        writer.clear()
    assert list(history.export("demo_bay")) == []
    assert [batch.outcome for batch in history.batches("demo_bay", at(0), at(30))] == ["captured", "skipped"]


def test_prune_keeps_what_stands_and_goes_on_from_there(history, tracked):
    one_by_one(history, tracked[:-1])
    deleted = history.prune(at(50))
    assert deleted["history_positions"] > 0
    assert [stay.area for stay in history.standing("demo_bay")] == ["A25", "A1A", "A1C"]
    assert history.newest_slot("demo_bay") == at(10)
    with pytest.raises(NotObservedError):
        history.events("demo_bay", at(0), at(9))
    write(history, tracked[-1:], tracked[-2].result)
    assert history.newest_slot("demo_bay") == at(11)
    assert sum(history.prune(at(0), "4bay").values()) == 0


def test_tentative_blocks_are_no_history(history, bay, fused, block):
    batches = track_all(bay, [fused(0, [block("A25", 10, 10)]), fused(1, [block("A25", 10, 10), block("A13", 51, 10)])])
    one_by_one(history, batches)
    assert [track.status for track in batches[1].result.state.tracks] == [TrackStatus.PRESENT, TrackStatus.TENTATIVE]
    assert [stay.area for stay in history.standing("demo_bay")] == ["A25"]


def test_an_answer_says_over_how_many_slots_it_speaks(bay, floors, history):
    """Slots 0 to 3, then seventy minutes that nothing ran in, then two slots."""
    write(history, track_all(bay, [floors[n] for n in (0, 1, 2, 3, 10, 11)]))
    history.record("demo_bay", at(5), BatchOutcome.SKIPPED, "9 of 12 frames are dark")
    whole = coverage(history, bay, at(0), at(12))
    assert (whole.slots, whole.tracked, whole.closed, whole.missing, whole.as_of) == (12, 6, 0, 6, at(11))
    assert str(whole) == "6 of 12 slots tracked, 6 missing"
    night = bay.model_copy(update={"operating_hours": (DailyWindow.model_validate("09:00-09:39"),)})  # slots 0 to 3
    closed = coverage(history, night, at(0), at(12))
    assert (closed.slots, closed.tracked, closed.closed, closed.missing) == (12, 6, 5, 1)  # slot 5 ran
    none = coverage(history, bay, at(4), at(8))
    assert (none.slots, none.tracked, none.as_of) == (4, 0, at(3))
    with pytest.raises(NotObservedError, match="no history yet of bay 4bay"):
        coverage(history, load_bay("4bay"), at(0), at(1))


def test_an_answer_says_as_of_when_it_is(bay, floors, history):
    write(history, track_all(bay, [floors[n] for n in (0, 1, 2, 3, 10, 11)]))
    assert as_of(history, bay, at(2)) == AsOf(at(2), at(2), observed=True)
    assert as_of(history, bay, at(2) + SLOT / 2) == AsOf(at(2), at(2) + SLOT / 2, observed=True)
    assert as_of(history, bay, at(9)) == AsOf(at(3), at(9), observed=False)
    assert as_of(history, bay).slot == at(11)
    with pytest.raises(NotObservedError, match="was not observed at 2025-07-02 08:50"):
        as_of(history, bay, at(-1))


def test_between_two_slots_that_follow_one_another_the_bay_was_observed(bay, history, tracked):
    one_by_one(history, tracked)
    assert history.events("demo_bay", at(1) + SLOT / 4, at(1) + SLOT / 2) == []


def test_areas_are_meant_with_those_within_them(history, tracked):
    one_by_one(history, tracked)
    assert [stay.area for stay in history.standing("demo_bay", ["A12"], at=at(6))] == ["A12_S"]
    assert {event.from_area for event in history.events("demo_bay", at(0), at(SLOTS), areas=["A12"])} <= {"A12_S", None}
    with pytest.raises(HistoryError, match="has no area X9; it has A25"):
        history.standing("demo_bay", ["X9"])


def test_a_kind_that_there_is_not_is_no_empty_answer(history, tracked):
    one_by_one(history, tracked)
    with pytest.raises(HistoryError, match=r"no kind of event 'move': did you mean moved\?"):
        history.events("demo_bay", at(0), at(1), kinds=["move"])


def test_the_floor_that_was_used(bay, history, tracked):
    """A13: 6 x 5 m for five slots of 110 observed minutes, on 15 x 20 m."""
    one_by_one(history, tracked)
    use = {one.area: one for one in area_use(history, bay, at(0), at(11))}
    assert use["A13"].area_m2 == 300
    assert use["A13"].observed_h == pytest.approx(11 / 6)
    assert use["A13"].used_m2h == pytest.approx(30 * 5 / 6, rel=0.02)
    assert use["A13"].share == pytest.approx(25 / (300 * 11 / 6), rel=0.02)
    assert use["A12"].blocks == use["A12_S"].blocks == 1  # nested
    assert "A18(T/O)" not in use  # not tracked
    with pytest.raises(NotObservedError):
        area_use(history, bay, at(100), at(200))


def test_the_days_of_the_use_are_the_bays_own(bay, history, tracked):
    one_by_one(history, tracked)
    days = {one.day for one in area_use(history, bay, at(0) - timedelta(days=1), at(11))}
    assert days == {date(2025, 7, 2)}  # the day before was not observed


def test_what_differs_between_two_moments(bay, history, tracked):
    one_by_one(history, tracked)
    found = {one.change: one for one in differences(history, bay, at(2), at(11))}
    assert found.keys() == {"came", "left", "moved", "stage"}
    assert (found["moved"].before.area, found["moved"].after.area) == ("A13", "A1A")
    assert (found["left"].before.area, found["left"].after) == ("A12_S", None)
    assert (found["came"].before, found["came"].after.area) == (None, "A1C")
    assert (found["stage"].before.stage, found["stage"].after.stage) == ("welding", "painting")
    assert differences(history, bay, at(2), at(2)) == []


def test_every_line_of_the_export_is_json(history, tracked):
    one_by_one(history, tracked)
    tables = [json.loads(line)["table"] for line in history.export("demo_bay")]
    assert {"history_tracks", "history_positions", "history_events", "history_batches"} == set(tables)


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 5, 8, 9, 144, 1023, 1024, 1025, 10**6, 10**8])
def test_a_span_is_the_shortest_that_holds_a_stay(slots):
    span = span_of(slots * SLOT)
    assert slots * SLOT <= longest_of(span) or span == SPANS - 1
    assert span == 0 or slots * SLOT > longest_of(span - 1)


@pytest.mark.slow(1)
def test_what_stood_at_a_time_is_what_the_stays_say(history, tracked):
    """Every slot by the index of spans, against a look at every stay."""
    one_by_one(history, tracked)
    blocks = {stay.track_id for n in range(SLOTS) for stay in history.standing("demo_bay", at=at(n))}
    stays = [stay for block in blocks for stay in history.stays("demo_bay", block)]
    for n in range(SLOTS):
        moment = at(n) + SLOT / 2
        expected = {
            (stay.track_id, stay.since)
            for stay in stays
            if stay.since <= moment and (stay.until is None or stay.until > moment)
        }
        assert {(stay.track_id, stay.since) for stay in history.standing("demo_bay", at=moment)} == expected


@pytest.mark.parametrize("area", [None, "A25"])
@pytest.mark.parametrize(("first", "last"), [(0, SLOTS), (4, 6)])
def test_the_blocks_of_a_period_are_those_of_its_stays(history, tracked, first, last, area):
    one_by_one(history, tracked)
    latest = {}
    for stay in stays_between(history, "demo_bay", at(first), at(last)):
        if area in (None, stay.area):
            latest[stay.track_id] = stay
    found = blocks_between(history, "demo_bay", at(first), at(last), area)
    assert [one.track_id for one in found] == sorted(latest) != []
    for one in found:
        stay = latest[one.track_id]
        assert (one.since, one.until, one.last_seen) == (stay.standing_since, stay.until, stay.last_seen)
        assert (one.class_name, one.area, one.stage, one.status) == (
            stay.class_name,
            stay.area,
            stay.stage,
            stay.status,
        )


@pytest.mark.slow(1)
@pytest.mark.parametrize("seed", range(3))
def test_dwell_is_what_the_stays_say(bay, floors, history, seed):
    """Of random periods, after every batch of a shuffled run, against a look at every stay."""
    draw = random.Random(seed)
    order = [*range(SLOTS), 3, 7]
    draw.shuffle(order)
    known = []
    for number in order:
        known = sorted({*known, number})
        batches = track_all(bay, [floors[n] for n in known])
        place = known.index(number)
        write(history, batches[place:], batches[place - 1].result if place else None)
        lines = map(json.loads, history.export("demo_bay"))
        blocks = [line["track_id"] for line in lines if line["table"] == "history_tracks"]
        stays = [stay for block in blocks for stay in history.stays("demo_bay", block)]
        for _ in range(5):
            start, end = sorted(draw.sample(range(-1, 3 * SLOTS), 2))
            period = (START + start * SLOT / 2, START + end * SLOT / 2)
            expected = counted(stays, period[0], min(period[1], at(known[-1])))
            try:
                dwell = history.dwell("demo_bay", *period)
            except NotObservedError:
                assert expected == {}
                assert not any(period[0] <= at(number) < period[1] for number in known)
                continue
            assert expected == {(one.area, one.stage): (one.blocks, one.stays, one.total, one.longest) for one in dwell}


def test_what_was_not_observed_is_no_dwell(bay, floors, history):
    """Slots 0 to 3, then a closure of seventy minutes, then two slots."""
    write(history, track_all(bay, [floors[n] for n in (0, 1, 2, 3, 10, 11)]))
    whole = history.observed_dwell(bay, at(0), at(100))
    assert (whole.observed, whole.period) == (4 * SLOT, 11 * SLOT)
    assert sum((one.total for one in whole.dwell if one.area == "A25"), timedelta()) == 4 * SLOT
    within = history.observed_dwell(bay, at(2), at(10))
    assert (within.observed, within.period) == (SLOT, 8 * SLOT)
    assert {one.area: one.total for one in within.dwell}["A25"] == SLOT
    seen = history.observed_dwell(bay, at(0), at(3))
    assert list(seen.dwell) == history.dwell("demo_bay", at(0), at(3))


def test_the_mean_is_of_stays_of_which_begin_and_end_were_seen(bay, floors, history):
    """The stage changes in slot 6, and the block creeps while nothing is observed, from slot 6 to 11."""
    write(history, track_all(bay, [floors[n] for n in (*range(7), 11)]))
    seen = history.observed_dwell(bay, at(0), at(100))
    [painting] = [one for one in seen.dwell if (one.area, one.stage) == ("A25", "painting")] or [None]
    assert painting is None or (painting.whole, painting.mean) == (0, None)
    assert {one.whole for one in seen.dwell if one.area == "A12_S"} == {0}  # its end was not seen


def test_a_period_cuts_stays_that_reach_beyond_it(history, tracked):
    one_by_one(history, tracked)
    inside = {(one.area, one.stage): one for one in history.dwell("demo_bay", at(5), at(9))}
    assert (inside["A25", "painting"].whole, inside["A25", "painting"].mean) == (1, 2 * SLOT)  # slots 6 and 7
    cut = {(one.area, one.stage): one for one in history.dwell("demo_bay", at(7), at(9))}
    assert (cut["A25", "painting"].stays, cut["A25", "painting"].whole) == (2, 0)


def counted(stays, start, end):
    """Blocks, stays, total and longest time by area and stage within [start, end)."""
    lasted = {}
    for stay in stays:
        within = min(stay.until or end, end) - max(stay.since, start)
        if within > timedelta(0):
            lasted.setdefault((stay.area, stay.stage), []).append((stay.track_id, within))
    return {
        place: (len({block for block, _ in found}), len(found), sum(t, timedelta(0)), max(t))
        for place, found in lasted.items()
        for t in [[length for _, length in found]]
    }


# -- the schedule -----------------------------------------------------------------------------------


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    "cron", ["*/10 * * * *", "5,35 8-10 * * *", "0 */6 1,15 * *", "*/20 0-4 * * 1-5", "0 12 1 * 0", "7 3 * 2-4 *"]
)
def test_slots_are_those_of_the_cron(make_bay, cron):
    from croniter import croniter

    bay = make_bay(schedule={"observation": cron, "fusion": None, "tracking": None})
    start, end = datetime(2025, 1, 30, 9, 7, tzinfo=UTC), datetime(2025, 3, 4, 1, 0, tzinfo=UTC)
    slots = list(scheduled_slots(bay, start, end))
    expected = []
    walker = croniter(cron, start - timedelta(seconds=1), ret_type=datetime)
    while (slot := walker.get_next()) < end:
        expected.append(slot)
    assert slots == expected


def test_a_day_is_the_bays_own(bay):
    assert local_day(bay, date(2025, 7, 2)) == (
        datetime(2025, 7, 1, 15, 0, tzinfo=UTC),
        datetime(2025, 7, 2, 15, 0, tzinfo=UTC),
    )


def test_a_bay_without_a_schedule_misses_nothing(make_bay):
    bay = make_bay(schedule={"observation": None, "fusion": None, "tracking": None})
    assert list(scheduled_slots(bay, at(0), at(10))) == []


# -- the database -----------------------------------------------------------------------------------


def test_nothing_is_there_before_the_first_batch(history):
    with pytest.raises(NotObservedError, match=r"no history yet: sqlite:///.*appears with the first batch"):
        history.standing("demo_bay")


def test_migrations_make_what_the_code_knows(tmp_path):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.connect() as connection, connection.begin():
        _upgrade(connection)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "history_schema"})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == SCHEMA_VERSION
    engine.dispose()


def test_a_new_file_has_the_schema_that_the_migrations_make(tmp_path):
    def made(name, make):
        with History(f"sqlite:///{tmp_path / name}") as history:
            make(history.database)
        with sqlite3.connect(tmp_path / name) as connection:
            rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
            version = connection.execute("SELECT * FROM history_schema").fetchall()
        connection.close()
        # SQLite writes the name of a table that was renamed in quotation marks.
        return {
            (kind, name, table, " ".join((sql or "").replace('"', "").split())) for kind, name, table, sql in rows
        }, version

    def migrate(database):
        with database._engine.execution_options(writes=True).connect() as connection, connection.begin():
            _upgrade(connection)

    schema, version = made("new.db", lambda database: database.migrate())
    assert (schema, version) == made("migrated.db", migrate)
    assert version == [(SCHEMA_VERSION,)]


@pytest.mark.slow(0.7)
def test_an_older_schema_is_migrated_at_first_use_and_a_newer_one_refused(history, tracked, tmp_path):
    file = tmp_path / "history.db"
    sqlite3.connect(file).close()  # a database without a schema
    write(history, tracked[:1])
    assert history.database.migrate() == SCHEMA_VERSION
    history.close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE history_schema SET version_num = '9999'")
    connection.close()
    with (
        History(f"sqlite:///{file}") as later,
        pytest.raises(HistoryUnavailableError, match=r"schema is 9999.*install the version"),
    ):
        later.standing("demo_bay")


@pytest.mark.slow(1)
def test_a_history_of_the_version_before_is_brought_over(history, tracked, bay):
    from alembic import command

    one_by_one(history, tracked)
    history.record("demo_bay", at(SLOTS), BatchOutcome.SKIPPED, "dark")
    told = [list(history.export("demo_bay")), history.gaps(bay, at(-2), at(SLOTS + 2))]
    with history.database.writing() as connection, connection.begin():
        command.downgrade(_migrations(connection), "0002")
    with History(history.database.location) as later:
        assert [list(later.export("demo_bay")), later.gaps(bay, at(-2), at(SLOTS + 2))] == told
        assert later.database.migrate() == SCHEMA_VERSION
        with later.database.reading() as connection:
            names = {index["name"] for index in sa.inspect(connection).get_indexes("history_batches")}
        assert names == {"ix_history_batches_missing"}


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "history.db").write_text("a letter to the yard master, long enough to be looked at" * 20)
    with (
        History(f"sqlite:///{tmp_path / 'history.db'}") as history,
        pytest.raises(HistoryUnavailableError, match=r"not a database: the file is damaged: .* history rebuild BAY"),
    ):
        history.standing("demo_bay")


def test_a_file_that_was_damaged_in_its_middle(tmp_path):
    """Its head says what it is, and its pages hold something else."""
    with History(f"sqlite:///{tmp_path / 'history.db'}") as history:
        history.database.migrate()
    with sqlite3.connect(tmp_path / "history.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray((tmp_path / "history.db").read_bytes())
    content[4096:] = b"\x55" * (len(content) - 4096)
    (tmp_path / "damaged.db").write_bytes(content)
    with (
        History(f"sqlite:///{tmp_path / 'damaged.db'}") as damaged,
        pytest.raises(HistoryUnavailableError, match="malformed: the file is damaged"),
    ):
        damaged.standing("demo_bay")


def test_a_folder_in_the_place_of_the_file(tmp_path):
    (tmp_path / "history.db").mkdir()
    with (
        History(f"sqlite:///{tmp_path / 'history.db'}") as history,
        pytest.raises(HistoryUnavailableError) as caught,
    ):
        history.standing("demo_bay")
    assert "server" not in str(caught.value)
    assert "can its file be written" in str(caught.value)


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:secret@h/d", "sqlite://", "postgresql://u:secret@h:port/d"])
def test_what_is_no_address_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigError, match="HISTORY_DB") as caught:
        Database(url)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url", ["postgres://yard:secret@127.0.0.1:1/h", "postgresql://yard@127.0.0.1:1/h?password=secret"]
)
def test_a_login_is_told_to_nobody(url):
    with (
        History(url) as history,
        pytest.raises(HistoryUnavailableError, match=r"postgresql://127\.0\.0\.1:1/h") as caught,
    ):
        history.standing("demo_bay")
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_the_environment_names_the_database(tmp_path, monkeypatch):
    monkeypatch.delenv("HISTORY_DB", raising=False)
    with History.at(tmp_path) as history:
        assert history.database.location == f"sqlite:///{tmp_path}/history.db"
    monkeypatch.setenv("HISTORY_DB", "postgresql://yard:secret@db.yard:5432/bays")
    with History.at(tmp_path) as history:
        assert history.database.location == "postgresql://db.yard:5432/bays"


def test_naive_times_are_refused(history, tracked):
    one_by_one(history, tracked[:1])
    naive, bay = datetime(2025, 7, 2), load_bay("demo_bay")
    for name, ask in (
        ("start", lambda: stays_between(history, "demo_bay", naive, at(1))),
        ("start", lambda: coverage(history, bay, naive, at(1))),
        ("at", lambda: as_of(history, bay, naive)),
        ("end", lambda: history.camera_changes("demo_bay", at(0), naive)),
        ("start", lambda: history.batches("demo_bay", naive, at(1))),
        ("start", lambda: history.events_of_slots("demo_bay", naive, at(1))),
        ("start", lambda: history.events("demo_bay", naive, at(1))),
        ("start", lambda: history.event_counts("demo_bay", naive, at(1))),
        ("start", lambda: blocks_between(history, "demo_bay", naive, at(1))),
        ("end", lambda: history.dwell("demo_bay", at(0), naive)),
        ("at", lambda: history.standing("demo_bay", at=naive)),
        ("at", lambda: history.where("demo_bay", "demo_bay-000001", naive)),
    ):
        with pytest.raises(HistoryError, match=f"^{name} 2025-07-02 00:00:00 has no time zone"):
            ask()


def test_a_period_that_ends_before_it_begins_is_refused(history, tracked):
    one_by_one(history, tracked[:1])
    for ask in (
        lambda: history.events("demo_bay", at(1), at(0)),
        lambda: stays_between(history, "demo_bay", at(1), at(0)),
        lambda: coverage(history, load_bay("demo_bay"), at(1), at(0)),
    ):
        with pytest.raises(QuestionError, match=r"the period ends at .* before it begins"):
            ask()


def test_what_stood_in_a_time_that_was_not_observed_is_not_known(history, tracked):
    one_by_one(history, tracked[:2])
    assert {stay.track_id for stay in stays_between(history, "demo_bay", at(0), at(2))}
    for start, end in ((at(-1000), at(-999)), (at(1000), at(1001))):
        with pytest.raises(NotObservedError, match="was tracked, so that it is not known"):
            stays_between(history, "demo_bay", start, end)
    with pytest.raises(HistoryError, match="nowhere"):
        stays_between(history, "nowhere", at(0), at(1))


def test_one_area_may_be_named_by_its_text_alone(history, tracked):
    one_by_one(history, tracked[:1])
    area = history.standing("demo_bay")[0].area
    named, listed = ([stay.track_id for stay in history.standing("demo_bay", one)] for one in (area, [area]))
    assert named == listed != []


def test_of_a_moment_to_come_nothing_is_known(history, tracked):
    write(history, tracked)
    moment = datetime.now(UTC) + timedelta(days=400)
    with pytest.raises(NotObservedError, match="lies in the future, of which nothing is known"):
        history.standing("demo_bay", at=moment)
    with pytest.raises(NotObservedError, match="lies in the future"):
        history.where("demo_bay", "demo_bay-000001", moment)
