import pickle
import random
from dataclasses import replace

import numpy as np
import pytest
import shapely

from artifacts.format import from_bytes, to_bytes
from bay_observation.errors import TrackingError
from bays import load_bay
from fusion import UNKNOWN_WORK
from tracking import EventKind, Rates, Tracker, TrackerParameters, TrackerState, TrackingResult, TrackStatus, replay


@pytest.fixture
def yard(block):
    """Six blocks of different kinds in six areas."""
    return [
        block("A25", 10, 10),
        block("A26", 23, 10, length=7, width=5, height=6),
        block("A13", 51, 10, length=12, width=9, height=0.8, class_name="panel", stage="fit_up"),
        block("A14", 68, 10, length=9, width=7, height=5, class_name="HP_block"),
        block("A11", 36, 30, length=10, width=8, height=3),
        block("A17", 52, 30, length=6, width=6, height=7),
    ]


def follow(bay, results, state=None) -> list[TrackingResult]:
    history = []
    for result in results:
        history.append(Tracker(bay, state).update(result))
        state = history[-1].state
    return history


def events_of(history, kind=None):
    return [event for result in history for event in result.events if kind is None or event.kind == kind]


def later_events(history):
    return [event for result in history[1:] for event in result.events]


def track_at(result, x, y):
    (track,) = [track for track in result.tracks if track.footprint.covers(shapely.Point(x, y))]
    return track


def look(result):
    """All that a result says, as it is stored."""
    return to_bytes("tracking", result)


class TestFirstSlot:
    def test_existing_blocks_are_tracks_at_once(self, bay, fused, yard):
        result = Tracker(bay).update(fused(0, yard))
        assert [track.track_id for track in result.tracks] == [f"demo_bay-{n:06d}" for n in range(1, 7)]
        assert {track.status for track in result.tracks} == {TrackStatus.PRESENT}
        assert {track.area for track in result.tracks} == {one.area for one in yard}
        assert all(track.initial for track in result.tracks)

    def test_its_blocks_stood_there_before(self, bay, fused, yard):
        events = Tracker(bay).update(fused(0, yard)).events
        assert [(event.kind, event.after) for event in events] == [(EventKind.INITIAL, None)] * 6
        assert {(event.to_area, event.from_area) for event in events} == {(one.area, None) for one in yard}

    def test_a_block_that_it_missed_was_there_as_well(self, bay, fused, yard):
        quiet = TrackerState("demo_bay", rates=Rates(come_per_hour=0.2))
        history = follow(bay, [fused(0, yard[1:]), *(fused(n, yard) for n in range(1, 6))], quiet)
        (event,) = later_events(history)
        assert (event.kind, event.time, event.after) == (EventKind.INITIAL, fused(0, []).slot, None)
        assert track_at(history[-1], 10, 10).initial

    def test_what_it_alone_showed_never_was_a_block(self, bay, fused, yard, block):
        ghost = block("A1E", 107, 10)
        history = follow(bay, [fused(0, [*yard, ghost]), *(fused(n, yard) for n in range(1, 6))])
        assert [event.kind for event in later_events(history)] == [EventKind.DISMISSED]
        assert not any(event.kind is EventKind.APPEARED for event in events_of(history))

    def test_an_empty_floor_is_a_result(self, bay, fused):
        result = Tracker(bay).update(fused(0, []))
        assert (result.tracks, result.events, result.state.slot) == ((), (), fused(0, []).slot)


class TestStanding:
    def test_blocks_keep_their_ids_over_20_noisy_slots(self, bay, fused, yard, noisy):
        dice = np.random.default_rng(3)
        history = follow(bay, [fused(n, [noisy(one, dice) for one in yard]) for n in range(20)])
        assert later_events(history) == []
        first = history[0]
        for one in yard:
            centre = one.footprint.centroid
            ids = {track_at(result, centre.x, centre.y).track_id for result in history}
            assert ids == {track_at(first, centre.x, centre.y).track_id}

    def test_the_outline_is_better_than_one_measurement(self, bay, fused, yard, noisy):
        dice = np.random.default_rng(4)
        results = [fused(n, [noisy(one, dice) for one in yard]) for n in range(20)]
        last = follow(bay, results)[-1]

        def iou(a, b):
            return a.intersection(b).area / a.union(b).area

        tracked = np.mean([iou(one.footprint, track_at(last, *_centre(one)).footprint) for one in yard])
        measured = np.mean(
            [iou(one.footprint, other.footprint) for r in results for one, other in zip(yard, r.blocks, strict=True)]
        )
        assert tracked > measured

    def test_one_misread_class_changes_nothing(self, bay, fused, yard):
        wrong = [replace(yard[0], class_name="HP_block"), *yard[1:]]
        history = follow(bay, [fused(0, yard), fused(1, wrong), fused(2, yard)])
        assert later_events(history) == []
        assert {track_at(result, 10, 10).class_name for result in history} == {"block"}

    def test_half_a_block_is_still_that_block(self, bay, fused, yard, block):
        half = block("A25", 8, 10, length=4)
        history = follow(bay, [fused(0, yard), fused(1, [half, *yard[1:]]), fused(2, yard)])
        assert later_events(history) == []

    def test_another_block_on_the_same_place_is_another_track(self, bay, fused, block):
        low = block("A25", 10, 10, length=12, width=9, height=0.8, class_name="panel")
        tall = block("A25", 11, 10, length=7, width=6, height=7)
        history = follow(bay, [fused(n, [low] if n < 3 else [tall]) for n in range(7)])
        assert {event.kind for event in later_events(history)} == {EventKind.APPEARED, EventKind.EXITED}
        assert track_at(history[-1], 11, 10).track_id != history[0].tracks[0].track_id

    def test_a_second_reading_of_the_same_floor_is_no_block(self, bay, fused, yard, block):
        ghost = block("A25", 11, 11, length=3, width=3, confidence=0.3)
        history = follow(bay, [fused(0, yard), *(fused(n, [*yard, ghost]) for n in (1, 2, 3))])
        assert later_events(history) == []
        assert len(history[-1].tracks) == 6


class TestAppearing:
    def test_a_new_block_is_confirmed_by_its_second_sighting(self, bay, fused, yard, block):
        new = block("A1E", 107, 10)
        history = follow(bay, [fused(0, yard), fused(1, [*yard, new]), fused(2, [*yard, new])])
        assert history[1].events == ()
        assert track_at(history[1], 107, 10).status is TrackStatus.TENTATIVE
        (event,) = history[2].events
        assert (event.kind, event.to_area, event.time) == (EventKind.APPEARED, "A1E", fused(1, []).slot)
        assert event.batch_id == history[2].batch_id

    def test_one_false_detection_is_nothing(self, bay, fused, yard, block):
        false = block("A1E", 107, 10)
        history = follow(bay, [fused(0, yard), fused(1, [*yard, false]), *(fused(n, yard) for n in (2, 3, 4))])
        assert later_events(history) == []
        assert len(history[-1].state.tracks) == 6

    @pytest.mark.parametrize(("area", "x", "y"), [("A18(T/O)", 71, 30), ("-", 81, 10), (None, 148.5, 20)])
    def test_ignored_floor_holds_no_tracks(self, bay, fused, block, area, x, y):
        result = Tracker(bay).update(fused(0, [block(area, x, y)]))
        assert result.tracks == ()


class TestMissing:
    def test_one_missed_detection_is_no_exit(self, bay, fused, yard):
        history = follow(bay, [fused(0, yard), fused(1, yard[1:]), fused(2, yard)])
        assert later_events(history) == []
        assert track_at(history[1], 10, 10).status is TrackStatus.MISSED
        assert track_at(history[2], 10, 10).status is TrackStatus.PRESENT
        assert track_at(history[2], 10, 10).track_id == track_at(history[0], 10, 10).track_id

    def test_a_few_observed_empty_slots_are_an_exit(self, bay, fused, yard):
        history = follow(bay, [*(fused(n, yard) for n in (0, 1)), *(fused(n, yard[1:]) for n in (2, 3, 4, 5))])
        (event,) = later_events(history)
        assert (event.kind, event.from_area, event.to_area) == (EventKind.EXITED, "A25", None)
        assert (event.time, event.after) == (fused(2, []).slot, fused(1, []).slot)
        assert event.batch_id == history[4].batch_id
        assert [track.status for track in history[4].tracks].count(TrackStatus.EXITED) == 1
        assert len(history[5].tracks) == 5

    def test_patience_is_a_parameter(self, bay, fused, yard):
        patient = TrackerParameters(exit_slots=4)
        results = [fused(0, yard), *(fused(n, yard[1:]) for n in (1, 2, 3))]
        assert [e for r in replay(bay, None, results, patient)[1:] for e in r.events] == []

    def test_a_block_that_goes_to_the_turn_over_area_exits(self, bay, fused, yard, block):
        turned = block("A18(T/O)", 71, 30)
        worlds = [yard] * 2 + [[turned, *yard[1:]]] * 3
        history = follow(bay, [fused(n, world) for n, world in enumerate(worlds)])
        assert [event.kind for event in later_events(history)] == [EventKind.EXITED]

    def test_a_misread_area_is_no_exit(self, bay, fused, block):
        at_border = block("A14", 73, 10)
        misread = replace(at_border, area="-")
        history = follow(bay, [fused(n, [at_border if n < 2 else misread]) for n in range(6)])
        assert later_events(history) == []
        assert history[-1].tracks[0].area == "A14"


class TestUnobserved:
    def test_unseen_floor_proves_nothing(self, bay, fused, yard):
        hidden = shapely.box(2, 0, 18, 20)
        history = follow(
            bay, [fused(0, yard), *(fused(n, yard[1:], unseen=hidden) for n in range(1, 30)), fused(30, yard)]
        )
        assert later_events(history) == []
        assert {track_at(result, 10, 10).status for result in history[1:30]} == {TrackStatus.UNOBSERVED}
        assert len({track_at(result, 10, 10).track_id for result in history}) == 1

    def test_failed_cameras_make_no_block_leave(self, bay, fused, yard):
        dark = [fused(n, yard[1:], missing=("C_2", "D_4")) for n in range(1, 30)]
        history = follow(bay, [fused(0, yard), *dark, fused(30, yard)])
        assert later_events(history) == []
        assert track_at(history[5], 10, 10).status is TrackStatus.UNOBSERVED

    def test_an_exit_is_raised_once_the_floor_is_seen_again(self, bay, fused, yard):
        dark = [fused(n, yard[1:], missing=("C_2", "D_2", "D_4")) for n in (2, 3, 4)]
        seen = [fused(n, yard[1:]) for n in (5, 6, 7)]
        history = follow(bay, [*(fused(n, yard) for n in (0, 1)), *dark, *seen])
        (event,) = later_events(history)
        # It may have left at any time since it was seen last.
        assert (event.kind, event.time, event.after) == (EventKind.EXITED, fused(5, []).slot, fused(1, []).slot)


class TestMoving:
    def test_a_jump_keeps_the_id_and_raises_one_event(self, bay, fused, yard, block, noisy):
        dice = np.random.default_rng(5)
        there = block("A1B", 124, 30, yaw=90)
        results = [fused(n, [noisy(one, dice) for one in yard]) for n in range(3)]
        results += [fused(n, [noisy(one, dice) for one in [there, *yard[1:]]]) for n in range(3, 7)]
        history = follow(bay, results)
        (event,) = later_events(history)
        assert (event.kind, event.from_area, event.to_area) == (EventKind.MOVED, "A25", "A1B")
        assert event.time == fused(3, []).slot
        mover = track_at(history[0], 10, 10).track_id
        assert event.track_id == mover
        # The identity is at the new place from the first slot on, once, and nothing is left behind.
        for result, status in zip(history[3:], [TrackStatus.MOVED, *[TrackStatus.PRESENT] * 3], strict=True):
            assert len(result.tracks) == 6
            assert (track_at(result, 124, 30).track_id, track_at(result, 124, 30).status) == (mover, status)
        assert track_at(history[-1], 124, 30).standing_since == fused(3, []).slot
        assert track_at(history[-1], 124, 30).first_seen == fused(0, []).slot

    def test_a_jump_does_not_take_the_identity_of_a_standing_block(self, bay, fused, yard, block):
        """A block is missed for a slot while one of the same size is seen elsewhere, and stays there."""
        twin = block("A1B", 124, 30)
        history = follow(
            bay,
            [fused(0, yard), fused(1, [twin, *yard[1:]]), *(fused(n, [twin, *yard]) for n in (2, 3))],
        )
        assert [event.kind for event in later_events(history)] == [EventKind.APPEARED]
        assert track_at(history[-1], 10, 10).track_id == track_at(history[0], 10, 10).track_id
        assert track_at(history[-1], 124, 30).track_id == "demo_bay-000007"

    def test_what_stood_beside_a_block_is_not_that_block(self, bay, fused, yard, block):
        """A twin appears while a block stands; in the twin's second slot the block is missed, then is back."""
        twin = block("A1B", 124, 30)
        seen = [yard, [twin, *yard], [twin, *yard[1:]], [twin, *yard]]
        history = follow(bay, [fused(n, blocks) for n, blocks in enumerate(seen)])
        assert [event.kind for event in later_events(history)] == [EventKind.APPEARED]
        assert track_at(history[-1], 10, 10).track_id == track_at(history[0], 10, 10).track_id

    def test_a_block_of_another_size_is_no_jump(self, bay, fused, yard, block):
        other = block("A1B", 124, 30, length=12, width=9)
        worlds = [yard] * 2 + [[other, *yard[1:]]] * 3
        history = follow(bay, [fused(n, world) for n, world in enumerate(worlds)])
        assert sorted(event.kind for event in later_events(history)) == [EventKind.APPEARED, EventKind.EXITED]

    def test_a_jump_survives_a_missed_detection(self, bay, fused, yard, block):
        there = block("A1B", 124, 30)
        history = follow(
            bay,
            [
                fused(0, yard),
                fused(1, [there, *yard[1:]]),
                fused(2, yard[1:]),
                fused(3, [there, *yard[1:]]),
            ],
        )
        assert [event.kind for event in later_events(history)] == [EventKind.MOVED]

    def test_two_jumps_at_once_are_told_apart_by_size(self, bay, fused, block):
        small, large = block("A25", 10, 10, length=8), block("A26", 23.5, 10, length=9.5)
        history = follow(
            bay,
            [
                fused(0, [small, large]),
                *(fused(n, [block("A1B", 124, 30, length=9.4), block("A1C", 139, 30, length=8.1)]) for n in (1, 2)),
            ],
        )
        assert {(e.kind, e.from_area, e.to_area) for e in later_events(history)} == {
            (EventKind.MOVED, "A25", "A1C"),
            (EventKind.MOVED, "A26", "A1B"),
        }

    def test_limit_two_equal_blocks_that_swap_keep_the_identity_of_their_place(self, bay, fused, block):
        """Nothing on the floor tells this from two blocks that stand: a limit, kept in sight."""
        results = [fused(n, [block("A25", 10, 10), block("A1B", 124, 30)]) for n in range(4)]
        assert later_events(follow(bay, results)) == []


class TestStage:
    def test_a_change_is_believed_when_read_twice(self, bay, fused, block):
        before, after = block("A25", 10, 10), block("A25", 10, 10, stage="painting")
        history = follow(bay, [fused(n, [before if n < 2 else after]) for n in range(6)])
        (event,) = later_events(history)
        assert (event.kind, event.from_stage, event.to_stage) == (EventKind.STAGE_CHANGED, "welding", "painting")
        assert event.time == fused(2, []).slot
        assert event.batch_id == history[3].batch_id
        assert [result.tracks[0].stage for result in history] == ["welding"] * 3 + ["painting"] * 3

    def test_one_misread_raises_nothing(self, bay, fused, block):
        stages = ["welding", "painting", "welding", "fit_up", "painting", "welding"]
        history = follow(bay, [fused(n, [block("A25", 10, 10, stage=stage)]) for n, stage in enumerate(stages)])
        assert later_events(history) == []

    def test_doubtful_readings_need_more_of_them(self, bay, fused, block):
        doubtful = block("A25", 10, 10, stage="painting", stage_confidence=0.35)
        history = follow(bay, [fused(n, [block("A25", 10, 10) if n < 2 else doubtful]) for n in range(5)])
        assert [len(result.events) for result in history[1:]] == [0, 0, 0, 1]

    def test_a_slot_without_a_reading_ends_no_streak(self, bay, fused, block):
        stages = ["welding", "welding", "painting", None, "painting"]
        history = follow(bay, [fused(n, [block("A25", 10, 10, stage=stage)]) for n, stage in enumerate(stages)])
        assert [event.to_stage for event in later_events(history)] == ["painting"]

    def test_a_block_may_move_and_change_its_stage(self, bay, fused, block):
        there = block("A1B", 124, 30, stage="painting")
        history = follow(bay, [fused(0, [block("A25", 10, 10)]), *(fused(n, [there]) for n in (1, 2))])
        assert [event.kind for event in later_events(history)] == [EventKind.MOVED, EventKind.STAGE_CHANGED]
        assert len({event.track_id for event in events_of(history)}) == 1


class TestPurity:
    def busy_day(self, fused, yard, block, noisy, slots=24):
        """Noise, missed and false detections, a jump, an exit, an arrival, a stage change."""
        dice = np.random.default_rng(11)
        for number in range(slots):
            world = list(yard)
            if number >= 5:
                world[0] = block("A1B", 124, 30)
            if number >= 9:
                world.pop(2)
            if number >= 12:
                world.append(block("A1G", 139, 10, length=11))
            if number >= 15:
                world[1] = replace(world[1], stage="painting")
            seen = [noisy(one, dice) for one in world if dice.random() > 0.1]
            if dice.random() < 0.5:
                seen.append(block("A1E", 104 + 8 * dice.random(), 10, length=4 + 6 * dice.random()))
            yield fused(number, seen)

    @pytest.mark.slow(0.6)
    def test_same_input_same_output_whatever_the_order_of_blocks(self, bay, fused, yard, block, noisy):
        results = list(self.busy_day(fused, yard, block, noisy))
        shuffled = [replace(one, blocks=tuple(random.Random(7).sample(one.blocks, len(one.blocks)))) for one in results]
        assert [look(a) for a in follow(bay, results)] == [look(a) for a in follow(bay, shuffled)]
        kinds = {event.kind for event in later_events(follow(bay, results))}
        # The day is busy enough for this test to mean something.
        assert kinds >= {EventKind.APPEARED, EventKind.MOVED, EventKind.STAGE_CHANGED, EventKind.EXITED}

    @pytest.mark.slow(0.6)
    def test_a_state_from_a_file_gives_the_same_bytes(self, bay, fused, yard, block, noisy):
        state, through_files = None, []
        for result in self.busy_day(fused, yard, block, noisy):
            read = from_bytes("", "fusion", to_bytes("fusion", result))
            content = to_bytes("tracking", Tracker(bay, state).update(read))
            through_files.append(content)
            state = from_bytes("", "tracking", content).state
        in_memory = follow(bay, self.busy_day(fused, yard, block, noisy))
        assert through_files == [to_bytes("tracking", result) for result in in_memory]

    def test_update_changes_neither_tracker_nor_state(self, bay, fused, yard):
        state = Tracker(bay).update(fused(0, yard)).state
        before = pickle.dumps(state)
        tracker = Tracker(bay, state)
        first = tracker.update(fused(1, yard[1:]))
        assert pickle.dumps(state) == before
        assert look(tracker.update(fused(1, yard[1:]))) == look(first)


class TestRefusals:
    def test_a_tracker_that_is_kept_over_slots(self, bay, fused, yard):
        tracker = Tracker(bay)
        tracker.update(fused(0, yard))
        with pytest.raises(TrackingError, match="goes on from its result"):
            tracker.update(fused(1, yard))

    @pytest.mark.parametrize("number", [3, 2])
    def test_a_slot_that_is_not_after_the_state(self, bay, fused, yard, number):
        state = Tracker(bay).update(fused(3, yard)).state
        with pytest.raises(TrackingError, match="replay"):
            Tracker(bay, state).update(fused(number, yard))

    def test_another_bay(self, bay, fused, yard):
        with pytest.raises(TrackingError, match="4bay"):
            Tracker(load_bay("4bay")).update(fused(0, yard))
        with pytest.raises(TrackingError, match="4bay"):
            Tracker(bay, TrackerState("4bay"))

    def test_an_area_that_the_bay_has_not(self, bay, fused, block):
        with pytest.raises(TrackingError, match="A99"):
            Tracker(bay).update(fused(0, [block("A99", 10, 10)]))


def _centre(block):
    return block.footprint.centroid.x, block.footprint.centroid.y


class TestWork:
    """Equipment at a block, as the cameras read it slot by slot."""

    @staticmethod
    def read(fused, block, readings):
        """One block; for each slot the equipment seen there, None where the block is missed."""
        works = [[] if work is None else [block("A25", 10, 10, work=work)] for work in readings]
        return [fused(n, blocks) for n, blocks in enumerate(works)]

    def test_work_starts_and_stops_once_each_is_read_twice(self, bay, fused, block):
        welder, both = {"welder": 1}, {"grinder": 1, "welder": 2}
        history = follow(bay, self.read(fused, block, [{}, {}, welder, both, both, {}, {}, {}]))
        started, stopped = later_events(history)
        assert (started.kind, started.time, started.batch_id) == (
            EventKind.WORK_STARTED,
            fused(2, []).slot,
            history[3].batch_id,
        )
        assert (stopped.kind, stopped.time, stopped.batch_id) == (
            EventKind.WORK_STOPPED,
            fused(5, []).slot,
            history[6].batch_id,
        )
        assert (started.from_area, started.to_area) == ("A25", "A25")
        assert [result.tracks[0].working for result in history] == [False] * 3 + [True] * 3 + [False] * 2

    def test_a_single_reading_starts_and_stops_nothing(self, bay, fused, block):
        seen, none = {"welder": 1}, {}
        history = follow(bay, self.read(fused, block, [none, seen, none, none, seen, none]))
        assert later_events(history) == []
        history = follow(bay, self.read(fused, block, [seen, none, seen, seen, none, seen]))
        assert later_events(history) == []

    def test_a_slot_that_missed_the_block_tells_nothing_of_its_work(self, bay, fused, block):
        welder = {"welder": 1}
        history = follow(bay, self.read(fused, block, [welder, welder, None, welder, {}, None, {}]))
        (event,) = later_events(history)
        assert (event.kind, event.time) == (EventKind.WORK_STOPPED, fused(4, []).slot)

    def test_of_a_block_that_was_doubted_work_is_dated_by_what_was_read(self, bay, fused, block):
        """A block is shifted by half a metre, and doubted for that; two slots later its equipment has gone."""
        welder = {"welder": 1}
        places = [(10.0, welder)] * 6 + [(10.5, welder)] * 2 + [(10.5, {})] * 3
        history = follow(bay, [fused(n, [block("A25", x, 10, work=work)]) for n, (x, work) in enumerate(places)])
        (event,) = later_events(history)
        assert (event.kind, event.time) == (EventKind.WORK_STOPPED, fused(8, []).slot)

    def test_a_hidden_deck_tells_nothing_of_work(self, bay, fused, block):
        welder, hidden = {"welder": 1}, {UNKNOWN_WORK: 1}
        history = follow(bay, self.read(fused, block, [welder, hidden, hidden, welder, hidden, hidden, welder]))
        assert later_events(history) == []
        assert all(result.tracks[0].working for result in history)
        history = follow(bay, self.read(fused, block, [{}, hidden, welder, hidden, welder]))
        (event,) = later_events(history)
        assert (event.kind, event.time) == (EventKind.WORK_STARTED, fused(2, []).slot)

    def test_work_that_was_there_before_its_deck_was_seen_did_not_start(self, bay, fused, block):
        welder, hidden = {"welder": 1}, {UNKNOWN_WORK: 1}
        history = follow(bay, self.read(fused, block, [hidden, hidden, welder, welder, welder]))
        assert later_events(history) == []
        assert [result.tracks[0].working for result in history] == [None, None, True, True, True]

    def test_how_many_readings_it_takes_is_a_parameter(self, bay, fused, block):
        results = self.read(fused, block, [{}, {"pipe": 1}, {"pipe": 1}, {"pipe": 1}])
        patient = TrackerParameters(work_slots=3)
        assert [len(result.events) for result in replay(bay, None, results, patient)] == [1, 0, 0, 1]

    def test_a_block_that_leaves_while_worked_on_exits_and_that_is_all(self, bay, fused, block):
        history = follow(bay, self.read(fused, block, [{"welder": 1}, {"welder": 1}, None, None, None]))
        assert [event.kind for event in later_events(history)] == [EventKind.EXITED]

    def test_work_goes_on_where_a_block_is_lifted_to(self, bay, fused, block):
        here, there = block("A25", 10, 10, work={"welder": 1}), block("A1B", 124, 30, work={"welder": 1})
        history = follow(bay, [fused(n, [here if n < 3 else there]) for n in range(7)])
        assert [event.kind for event in later_events(history)] == [EventKind.MOVED]
        idle = replace(there, work={})
        history = follow(bay, [fused(n, [here if n < 3 else idle]) for n in range(7)])
        moved, stopped = later_events(history)
        assert (stopped.kind, stopped.time) == (EventKind.WORK_STOPPED, moved.time)

    def test_a_state_from_before_work_was_followed_still_fits(self, bay, fused, block):
        old = Tracker(bay).update(fused(0, [block("A25", 10, 10)])).state
        for track in old.tracks:
            del vars(track)["working"], vars(track)["work_streaks"]
        history = follow(bay, [fused(n, [block("A25", 10, 10, work={"pipe": 1})]) for n in (1, 2)], old)
        assert [event.kind for event in events_of(history)] == [EventKind.WORK_STARTED]


class TestLost:
    """What stands where a block was lost from sight."""

    def test_another_block_on_the_floor_of_a_missed_one_is_not_that_block(self, bay, fused, yard, block):
        other = block("A25", 10.5, 10, length=7.5, height=6.5)
        worlds = [yard] * 3 + [yard[1:]] * 2 + [[other, *yard[1:]]] * 4
        history = replay(bay, None, [fused(n, world) for n, world in enumerate(worlds)], TrackerParameters())
        assert [(event.kind, event.track_id[-1]) for event in later_events(history)] == [
            (EventKind.EXITED, "1"),
            (EventKind.APPEARED, "7"),
        ]

    def test_another_block_on_hidden_floor_tells_that_the_first_has_left(self, bay, fused, yard, block):
        hidden = shapely.box(2, 0, 18, 20)
        other = block("A25", 10.5, 10, length=7.5, height=6.5)
        results = [fused(n, yard) for n in range(3)]
        results += [fused(n, yard[1:], unseen=hidden) for n in range(3, 6)]
        results += [fused(n, [other, *yard[1:]]) for n in range(6, 10)]
        assert [(event.kind, event.track_id[-1], event.time) for event in later_events(follow(bay, results))] == [
            (EventKind.EXITED, "1", fused(6, []).slot),
            (EventKind.APPEARED, "7", fused(6, []).slot),
        ]

    def test_a_false_detection_on_the_old_floor_does_not_hide_a_jump(self, bay, fused, yard, block):
        there, false = block("A1B", 124, 30), block("A25", 11, 11, length=10, width=8, height=3)
        worlds = [yard] * 3 + [[there, false, *yard[1:]]] + [[there, *yard[1:]]] * 3
        (event,) = later_events(follow(bay, [fused(n, world) for n, world in enumerate(worlds)]))
        assert (event.kind, event.track_id[-1], event.time) == (EventKind.MOVED, "1", fused(3, []).slot)

    def test_cameras_failed_and_fusion_calls_no_floor_unseen(self, bay, fused, yard):
        dark = [fused(n, yard[2:], missing=("C_2", "D_2", "D_4")) for n in range(1, 30)]
        history = follow(bay, [fused(0, yard), *dark, fused(30, yard)])
        assert later_events(history) == []
        assert {track.status for track in history[29].tracks if track.track_id[-1] in "12"} == {TrackStatus.UNOBSERVED}

    def test_a_block_missed_twice_is_more_likely_gone(self, bay, fused, yard):
        history = replay(bay, None, [fused(n, yard if n < 2 else yard[1:]) for n in range(4)], TrackerParameters())
        assert [track_at(result, 10, 10).on_floor for result in history] == [True, True, True, False]
        assert [track_at(result, 10, 10).status for result in history[2:]] == [TrackStatus.MISSED, TrackStatus.LEAVING]


class TestReturning:
    def test_a_block_found_again_at_its_place_is_the_same(self, bay, fused, yard):
        """It never left: what was reported is corrected."""
        results = [fused(n, yard if n in (0, 1, 6, 7) else yard[1:]) for n in range(8)]
        history = follow(bay, results)
        exited, corrected = later_events(history)
        assert [exited.kind, corrected.kind] == [EventKind.EXITED, EventKind.CORRECTED]
        assert corrected.time == exited.time
        assert track_at(history[7], 10, 10).track_id == track_at(history[0], 10, 10).track_id
        assert track_at(history[7], 10, 10).standing_since == fused(0, []).slot

    def test_another_block_at_that_place_is_not(self, bay, fused, yard, block):
        other = block("A25", 10, 10, length=9, height=8, class_name="HP_block")
        results = [
            *(fused(n, yard) for n in (0, 1)),
            *(fused(n, yard[1:]) for n in (2, 3, 4)),
            *(fused(n, [other, *yard[1:]]) for n in (5, 6, 7)),
        ]
        assert track_at(follow(bay, results)[-1], 10, 10).track_id == "demo_bay-000007"

    def test_it_is_forgotten_after_a_while(self, bay, fused, yard):
        short = TrackerParameters(doubt=1e-3, remember_days=0.03, exit_slots=2)
        results = [fused(n, yard if n in (0, 1, 8, 9, 10) else yard[1:]) for n in range(11)]
        history = replay(bay, None, results, short)
        assert len(history[7].state.tracks) == 5
        assert track_at(history[-1], 10, 10).track_id == "demo_bay-000007"

    def test_a_block_that_comes_back_elsewhere_is_known_by_size_height_and_class(self, bay, fused, yard, block, noisy):
        dice = np.random.default_rng(8)
        back = block("A1B", 124, 30, yaw=90)
        worlds = [yard] * 3 + [yard[1:]] * 9 + [[back, *yard[1:]]] * 4
        history = follow(bay, [fused(n, [noisy(one, dice) for one in world]) for n, world in enumerate(worlds)])
        assert [(event.kind, event.track_id[-1]) for event in later_events(history)] == [
            (EventKind.EXITED, "1"),
            (EventKind.APPEARED, "1"),
        ]
        assert track_at(history[-1], 124, 30).first_seen == fused(0, []).slot

    def test_of_two_blocks_that_fit_neither_is_taken(self, bay, fused, yard, block):
        twins = [block("A1E", 107, 10), *yard[1:], yard[0]]
        back = block("A1B", 124, 30)
        worlds = [twins] * 3 + [yard[1:]] * 5 + [[back, *yard[1:]]] * 4
        history = follow(bay, [fused(n, world) for n, world in enumerate(worlds)])
        assert track_at(history[-1], 124, 30).track_id == "demo_bay-000008"

    def test_a_block_that_moved_out_of_sight_has_moved(self, bay, fused, yard, block):
        """Its old place is hidden: that it is empty, nobody can see."""
        hidden, there = shapely.box(2, 0, 18, 20), block("A1B", 124, 30)
        results = [fused(n, yard) for n in range(3)]
        results += [fused(n, [there, *yard[1:]], unseen=hidden) for n in range(3, 7)]
        (event,) = later_events(follow(bay, results))
        assert (event.kind, event.from_area, event.to_area, event.time) == (
            EventKind.MOVED,
            "A25",
            "A1B",
            fused(3, []).slot,
        )


class TestEvidence:
    """Misses and misreadings are believed the later, the more of them there are."""

    def test_after_many_misses_an_exit_takes_more(self, bay, fused, yard):
        # Every block is missed now and then, sometimes twice in a row, so that the bay is known to miss many.
        rough = [
            [one for index, one in enumerate(yard) if (n + 2 * index) % 12 not in (6, 7) or n < 3] for n in range(40)
        ]
        history = follow(bay, [fused(n, world) for n, world in enumerate(rough)])
        assert later_events(history) == []
        state = history[-1].state
        gone = follow(bay, [fused(n, yard[1:]) for n in range(40, 46)], state)
        told = [[event.kind for event in result.events] for result in gone]
        assert told[:3] == [[], [], []]
        (event,) = events_of(gone)
        assert (event.kind, event.time) == (EventKind.EXITED, fused(40, []).slot)

    def test_where_false_detections_are_many_a_block_takes_a_third_sighting(self, bay, fused, yard, block):
        places = [("A1E", 107, 10), ("A1F", 123, 10), ("A1A", 106, 30), ("A1C", 139, 30), ("A27", 10, 30)]
        # Of no known block's size: what is exactly as large as one that stands here is hardly a false detection.
        false = [[*yard, block(*places[n % 5], length=12.5, width=8.7)] for n in range(1, 16)]
        history = follow(bay, [fused(n, world) for n, world in enumerate([yard, *false])])
        assert later_events(history) == []
        new = block("A1G", 139, 10, length=10.6, width=7.4)
        later = follow(bay, [fused(n, [*yard, new]) for n in (16, 17, 18)], history[-1].state)
        assert [len(result.events) for result in later] == [0, 0, 1]
        assert later[-1].events[0].time == fused(16, []).slot

    def test_what_only_the_first_slot_showed_is_dismissed_where_false_detections_are_many(
        self, bay, fused, yard, block
    ):
        rough = TrackerState("demo_bay", rates=Rates(false=1.0))
        results = [fused(0, [*yard, block("A1E", 107, 10)]), *(fused(n, yard) for n in range(1, 5))]
        history = follow(bay, results, rough)
        (event,) = later_events(history)
        assert (event.kind, event.track_id, event.time) == (
            EventKind.DISMISSED,
            "demo_bay-000007",
            fused(1, []).slot,
        )
        assert len(history[-1].tracks) == len(yard)

    def test_a_misread_first_stage_is_no_change(self, bay, fused, block):
        """Other blocks' stages are misread at times, so that one reading is known to prove little."""
        others = [block("A13", 51, 10), block("A1B", 124, 30), block("A1G", 139, 10)]
        results = []
        for n in range(12):
            read = [
                replace(one, stage="fit_up") if n % 3 == index and 1 < n < 9 else one
                for index, one in enumerate(others)
            ]
            first = block("A25", 10, 10, stage="painting" if n == 0 else "welding")
            results.append(fused(n, [first, *read]))
        history = follow(bay, results)
        assert later_events(history) == []
        assert track_at(history[-1], 10, 10).stage == "welding"

    def test_a_stage_that_fusion_gives_no_confidence_counts_whole(self, bay, fused, block):
        stages = ["welding", "welding", "painting", "painting"]
        results = [fused(n, [block("A25", 10, 10, stage=s, stage_confidence=0.0)]) for n, s in enumerate(stages)]
        assert [event.kind for event in later_events(follow(bay, results))] == [EventKind.STAGE_CHANGED]


class TestMergingAndSplitting:
    def test_two_blocks_joined_into_one(self, bay, fused, block):
        left, right, joined = block("A25", 7, 10), block("A25", 15.1, 10, length=7), block("A25", 10.8, 10, length=15.6)
        worlds = [[left, right]] * 3 + [[joined]] * 5
        history = follow(bay, [fused(n, world) for n, world in enumerate(worlds)])
        (event,) = later_events(history)
        assert (event.kind, event.track_id[-1], event.others) == (EventKind.MERGED, "1", ("demo_bay-000002",))
        assert event.time == fused(3, []).slot
        assert [track.track_id[-1] for track in history[-1].tracks] == ["1"]
        assert history[-1].tracks[0].footprint.area == pytest.approx(joined.footprint.area)

    def test_a_panel_set_on_a_block(self, bay, fused, block):
        under = block("A25", 10, 10, length=12, width=10)
        panel = block("A1B", 124, 30, height=1.0, class_name="panel")
        worlds = [[under, panel]] * 3 + [[replace(under, height_m=5.0)]] * 5
        history = follow(bay, [fused(n, world) for n, world in enumerate(worlds)])
        (event,) = later_events(history)
        assert (event.kind, event.track_id[-1], event.others) == (EventKind.MERGED, "1", ("demo_bay-000002",))
        assert (event.from_area, event.to_area) == ("A1B", "A25")
        assert history[-1].tracks[0].height_m == pytest.approx(5.0)

    def test_a_block_parted_in_two(self, bay, fused, block):
        whole, large, small = (
            block("A25", 10.8, 10, length=15.6),
            block("A25", 7.5, 10, length=9),
            block("A25", 15.6, 10, length=6),
        )
        worlds = [[whole]] * 3 + [[large, small]] * 4
        history = follow(bay, [fused(n, world) for n, world in enumerate(worlds)])
        (event,) = later_events(history)
        assert (event.kind, event.track_id[-1], event.others) == (EventKind.SPLIT, "1", ("demo_bay-000003",))
        assert event.time == fused(3, []).slot
        assert len(history[-1].tracks) == 2


class TestShifting:
    def test_a_short_move_onto_its_own_old_floor_is_a_move(self, bay, fused, block):
        worlds = [[block("A25", 8, 10)]] * 3 + [[block("A25", 11, 10)]] * 3
        (event,) = later_events(follow(bay, [fused(n, world) for n, world in enumerate(worlds)]))
        assert (event.kind, event.from_area, event.to_area) == (EventKind.MOVED, "A25", "A25")
        assert event.time == fused(3, []).slot

    def test_one_bad_measurement_moves_nothing(self, bay, fused, block):
        worlds = [[block("A25", 8, 10)], [block("A25", 9.5, 10)], [block("A25", 8, 10)]]
        history = follow(bay, [fused(n, world) for n, world in enumerate(worlds)])
        assert later_events(history) == []
        assert [result.tracks[0].footprint.centroid.x for result in history] == pytest.approx([8, 8, 8])


def test_the_bays_own_parameters_count(bay, fused, yard):
    patient = bay.model_copy(update={"tracking": TrackerParameters(exit_slots=4)})
    history = follow(patient, [fused(0, yard), *(fused(n, yard[1:]) for n in (1, 2, 3))])
    assert later_events(history) == []


class TestLastStage:
    """Of a block that leaves two slots after its stage changed, no third reading comes."""

    @pytest.fixture
    def careful(self, bay):
        return bay.model_copy(update={"tracking": bay.tracking.model_copy(update={"reading_slots": 3})})

    def stages(self, careful, fused, block, read):
        stands = [block("A26", 23, 10, length=7, width=5), block("A13", 51, 10, length=12, width=9)]
        floors = [[block("A25", 10, 10, stage=stage), *stands] for stage in ["sub_assembly"] * 6 + read]
        floors += [stands] * 6
        return later_events(follow(careful, [fused(n, floor) for n, floor in enumerate(floors)]))

    def test_is_believed_by_two_readings(self, careful, fused, block):
        changed, exited = self.stages(careful, fused, block, ["unit_assembly"] * 2)
        assert (changed.kind, changed.time, changed.to_stage) == (
            EventKind.STAGE_CHANGED,
            fused(6, []).slot,
            "unit_assembly",
        )
        assert (exited.kind, exited.from_stage) == (EventKind.EXITED, "unit_assembly")

    @pytest.mark.parametrize("read", [["unit_assembly"], ["unit_assembly", "sub_assembly"]])
    def test_is_not_believed_by_one(self, careful, fused, block, read):
        assert [event.kind for event in self.stages(careful, fused, block, read)] == [EventKind.EXITED]

    def test_does_not_go_back(self, careful, fused, block):
        stands = [block("A26", 23, 10, length=7, width=5)]
        floors = [[block("A25", 10, 10, stage="unit_assembly"), *stands]] * 6
        floors += [[block("A25", 10, 10, stage="sub_assembly"), *stands]] * 2 + [stands] * 6
        kinds = [event.kind for event in later_events(follow(careful, [fused(n, one) for n, one in enumerate(floors)]))]
        assert kinds == [EventKind.EXITED]


class TestAnotherBlockAtThePlace:
    def test_its_own_is_not_shown_there_any_more(self, bay, fused, yard, block):
        """Neither is the other one before its second sighting: no block has the other's id for a slot."""
        other = block("A25", 10.2, 10.1, length=10.5, width=7.5, height=2.2, class_name="HP_block")
        history = follow(bay, [fused(n, yard) for n in range(6)] + [fused(n, [other, *yard[1:]]) for n in range(6, 9)])
        own = track_at(history[0], 10, 10).track_id
        shown = [{track.track_id for track in result.tracks if track.on_floor} for result in history]
        assert own in shown[5]
        assert own not in shown[6] | shown[7] | shown[8]
        assert track_at(history[8], 10, 10).track_id not in shown[5]

    def test_a_larger_one_has_not_taken_it_in(self, bay, fused, yard, block):
        """What is first seen only in part there, and then whole, is no merger with the block that has left."""
        part = block("A26", 23.5, 10, length=6, width=5, height=3)
        whole = block("A26", 23, 10, length=10, width=8, height=3)
        rest = [yard[0], *yard[2:]]
        floors = [fused(n, yard) for n in range(6)]
        floors += [fused(n, [part, *rest]) for n in (6, 7)] + [fused(n, [whole, *rest]) for n in range(8, 12)]
        history = follow(bay, floors)
        assert not [event for event in later_events(history) if event.kind is EventKind.MERGED]
        assert [event.kind for event in later_events(history) if event.kind is EventKind.EXITED]

    def test_a_like_one_that_comes_long_after_it_left_is_not_it(self, bay, fused, yard, block):
        """A lift takes minutes: a block that was seen nowhere for three slots has left the bay."""
        like = block("A1G", 139, 10, length=7.05, width=5.1, height=6.1)
        rest = [yard[0], *yard[2:]]
        floors = [fused(n, yard) for n in range(6)] + [fused(n, rest) for n in range(6, 9)]
        floors += [fused(n, [*rest, like]) for n in range(9, 13)]
        kinds = [event.kind for event in later_events(follow(bay, floors))]
        assert EventKind.MOVED not in kinds


def test_a_block_that_is_away_for_an_hour_has_left_and_come_back(bay, fused, block):
    stands = [block("A26", 23, 10, length=7, width=5), block("A13", 51, 10, length=12, width=9)]
    here, there = block("A25", 10, 10, 9.3, 6.7, 4.4), block("A1B", 124, 30, 9.3, 6.7, 4.4)
    overlooking = replace(Rates(), missed_again=0.6, missed_on=0.7, run_slots=40.0)
    state = replace(TrackerState(bay.bay_id), rates=overlooking)
    floors = [[here, *stands]] * 6 + [stands] * 5 + [[there, *stands]] * 3
    history = follow(bay, [fused(n, floor) for n, floor in enumerate(floors)], state)
    gone, back = later_events(history)
    assert gone.track_id == back.track_id == track_at(history[0], 10, 10).track_id
    assert (gone.kind, gone.time, gone.from_area) == (EventKind.EXITED, fused(6, []).slot, "A25")
    assert (back.kind, back.time, back.to_area) == (EventKind.APPEARED, fused(11, []).slot, "A1B")
    assert back.after == fused(10, []).slot
    assert track_at(history[-1], 124, 30).status is TrackStatus.PRESENT


def test_after_a_night_two_readings_make_a_change_of_stage(bay, fused, block):
    careful = bay.model_copy(update={"tracking": bay.tracking.model_copy(update={"reading_slots": 3})})
    floors = [fused(n, [block("A25", 10, 10, stage="sub_assembly")]) for n in range(6)]
    later = [fused(n, [block("A25", 10, 10, stage="unit_assembly")]) for n in (90, 91)]
    (event,) = later_events(follow(careful, [*floors, *later]))
    assert (event.kind, event.time) == (EventKind.STAGE_CHANGED, fused(90, []).slot)
    at_once = [fused(n, [block("A25", 10, 10, stage="unit_assembly")]) for n in (6, 7)]
    assert later_events(follow(careful, [*floors, *at_once])) == []


@pytest.mark.slow(1)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_block_that_is_seen_worse_than_claimed_does_not_wander(bay, fused, yard, noisy, seed):
    """A camera alone at the far end of the hall: places scatter by 0.8 m where 0.15 m are claimed."""
    rng = np.random.default_rng(seed)
    worse = replace(yard[0], position_std_m=0.15)
    floors = []
    for number in range(60):
        shifted = shapely.affinity.translate(worse.footprint, *rng.normal(0, 0.8, 2))
        floors.append(fused(number, [replace(worse, footprint=shifted), *(noisy(one, rng) for one in yard[1:])]))
    history = follow(bay, floors)
    assert later_events(history) == []
    assert track_at(history[-1], 10, 10).track_id == track_at(history[0], 10, 10).track_id


def test_a_block_that_is_seen_as_claimed_and_set_down_beside_its_place_has_moved(bay, fused, yard, noisy):
    rng = np.random.default_rng(0)
    beside = replace(yard[0], footprint=shapely.affinity.translate(yard[0].footprint, 1.2, -1.2))
    floors = [fused(n, [noisy(one, rng) for one in (yard[0] if n < 20 else beside, *yard[1:])]) for n in range(26)]
    (moved,) = later_events(follow(bay, floors))
    assert (moved.kind, moved.time) == (EventKind.MOVED, fused(20, []).slot)
