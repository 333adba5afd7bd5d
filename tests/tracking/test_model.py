import math
from dataclasses import replace

import numpy as np
import pytest

from tracking import EventKind, Rates, Tracker, TrackerParameters, TrackStatus
from tracking.forms import Stack, sightings_of
from tracking.model import Model
from tracking.types import Streak, changed

FEW, MANY = (Rates(missed_on=0.5, run_slots=slots, false_again=0.5, false_slots=slots) for slots in (2.0, 60.0))


def model(rates: Rates) -> Model:
    return Model(rates, TrackerParameters(), 6000.0)


class TestRuns:
    def test_a_long_run_is_the_likelier_the_less_is_known_of_runs(self):
        slots = np.array([8.0])
        assert model(FEW).false(slots)[0] > model(MANY).false(slots)[0] + 0.5

    def test_where_false_detections_are_well_known_each_slot_counts_as_much(self):
        steps = np.diff(model(MANY).false(np.array([2.0, 3.0, 4.0])))
        assert steps == pytest.approx([math.log(0.5)] * 2, abs=0.05)

    @pytest.mark.parametrize("rates", [FEW, MANY], ids=["few known", "many known"])
    def test_each_miss_more_makes_the_next_one_likelier(self, rates):
        """However well runs are known, they have different causes."""
        steps = np.diff(model(rates).missed(np.arange(3.0, 9.0)))
        assert (np.diff(steps) > 0.03).all()
        assert (steps < 0).all()


class TestConfidence:
    @pytest.fixture
    def begin(self, bay, fused, block):
        (track,) = Tracker(bay).update(fused(0, [block("A25", 10, 10)])).tracks
        return track

    def test_tells_nothing_before_anything_is_known(self, begin):
        seen = [changed(begin, confidence=value) for value in (0.1, 0.5, 0.9)]
        assert model(Rates()).false_confidence(seen) == pytest.approx([0.0] * 3)

    def test_speaks_for_what_has_been_seen_with_it(self, begin):
        blocks, false = [0.0] * 10, [0.0] * 10
        blocks[8], false[4] = 40.0, 10.0
        told = model(Rates(block_confidences=tuple(blocks), false_confidences=tuple(false)))
        sure, low, strange = told.false_confidence([changed(begin, confidence=value) for value in (0.85, 0.45, 0.15)])
        assert sure < -1 < 0 < strange < low

    def test_tells_little_where_false_detections_are_as_confident(self, begin):
        counts = tuple([0.0] * 9 + [40.0])
        told = model(Rates(block_confidences=counts, false_confidences=counts))
        assert abs(told.false_confidence([changed(begin, confidence=0.95)])[0]) < 0.1

    def test_is_learned(self, bay, fused, block):
        state = None
        for number in range(8):
            ghosts = [block("A1E", 107, 10, 9, 7, confidence=0.35)] if number == 2 else []
            state = Tracker(bay, state).update(fused(number, [block("A25", 10, 10, confidence=0.95), *ghosts])).state
        assert state.rates.false_confidences[3] == 1
        assert state.rates.block_confidences[9] > 0
        assert sum(state.rates.false_confidences) == state.rates.false_confidences[3]


def test_a_lift_that_shows_the_block_at_neither_place_for_long_is_unlikely():
    aloft = model(Rates()).aloft(np.array([-1.0, 0.0, 1.0, 5.0, 50.0]))
    assert aloft[0] == aloft[1] == 0
    assert aloft[1] > aloft[2] > aloft[3] == aloft[4]


def test_a_changed_track_is_as_a_replaced_one(bay, fused, block):
    (track,) = Tracker(bay).update(fused(0, [block("A25", 10, 10)])).tracks
    after = changed(track, hits=7, status=TrackStatus.MISSED)
    assert vars(after) == vars(replace(track, hits=7, status=TrackStatus.MISSED))
    assert track.hits == 1


def test_a_block_that_was_overlooked_before_the_night_may_have_been_lifted_in_it(bay, fused, block):
    """It was missed in the evening's last slot, and stands elsewhere in the morning: it left while nobody looked."""
    stands = [block("A26", 23, 10, length=7, width=5), block("A13", 51, 10, length=12, width=9)]
    own, moved = block("A25", 10, 10), block("A1G", 139, 10)
    floors = [fused(n, [own, *stands]) for n in range(6)] + [fused(6, stands)]
    floors += [fused(n, [moved, *stands]) for n in (72, 73, 74)]
    state, kinds = None, []
    for floor in floors:
        result = Tracker(bay, state).update(floor)
        state = result.state
        kinds += [event.kind for event in result.events if event.kind is not EventKind.INITIAL]
    assert kinds == [EventKind.MOVED]


class TestBusy:
    HOUR, DAY = np.array([1.0]), np.array([24.0])

    def test_a_bay_is_as_busy_as_it_has_been_of_late(self):
        night, shift = model(Rates(lifts=0.1, lifts_expected=4.0)), model(Rates(lifts=10.0, lifts_expected=4.0))
        assert night.leaves(self.HOUR)[0] < model(Rates()).leaves(self.HOUR)[0] - 0.5
        assert shift.leaves(self.HOUR)[0] > model(Rates()).leaves(self.HOUR)[0] + 0.3
        assert shift.comes(self.HOUR)[0] > night.comes(self.HOUR)[0] + 1

    def test_a_long_time_is_as_busy_as_the_mean(self):
        night = model(Rates(lifts=0.1, lifts_expected=4.0))
        assert night.busy_hours(self.HOUR)[0] < 0.6
        assert night.busy_hours(self.DAY)[0] > 22

    def test_is_learned_once_lifts_can_be_certain(self, bay, fused, block):
        state = None
        for number in range(30):
            state = Tracker(bay, state).update(fused(number, [block("A25", 10, 10)])).state
            if number == 1:
                assert state.rates.lifts_expected < 0.1
        assert state.rates.lifts == 0
        assert state.rates.lifts_expected > 0.5


def test_what_left_comes_back_within_hours_or_hardly():
    away, slot = np.array([1.0, 6.0, 24.0, 70.0]), np.full(4, 1 / 6)
    back = model(Rates()).returns(away, slot)
    assert (np.diff(back) < 0).all()
    assert back[0] - back[3] > 3
    assert np.exp(model(Rates()).returns(np.array([1e6]), np.array([1e6])))[0] < 1


class TestAlikeOff:
    def sightings(self, bay, fused, block, heights):
        floors = [fused(number, [block("A25", 10, 10, height=height)]) for number, height in enumerate(heights)]
        recent = tuple(sightings_of(one.blocks, one.slot, bay.tracking)[0] for one in floors)
        return Stack([(None, recent)]).known()

    def test_one_sighting_that_is_far_off_is_no_other_block(self, bay, fused, block):
        known = self.sightings(bay, fused, block, [4.0] * 4)
        seen = self.sightings(bay, fused, block, [4.0, 4.02, 4.9])
        assert model(Rates()).alike_off(known, seen)[0] == pytest.approx(0, abs=0.1)

    def test_several_that_are_off_alike_are(self, bay, fused, block):
        known = self.sightings(bay, fused, block, [4.0] * 4)
        off = [model(Rates()).alike_off(known, self.sightings(bay, fused, block, [4.3] * n))[0] for n in (1, 2, 3)]
        assert off[0] == 0
        assert off[2] < 1.9 * off[1] < -5


def test_a_first_stage_that_was_misread_does_not_speak_against_the_block(bay, fused, block):
    known, seen = [
        Tracker(bay).update(fused(0, [block("A25", 10, 10, stage=stage)])).tracks
        for stage in ("pre_outfitting", "sub_assembly")
    ]
    read = changed(known[0], stage_streaks=(Streak("sub_assembly", 4, 3.5, known[0].first_seen),))
    assert model(Rates()).reads([read], seen)[0, 0] > model(Rates()).reads(known, seen)[0, 0] + 3
    often = changed(read, stage_readings=20)
    assert model(Rates()).reads([often], seen)[0, 0] == model(Rates()).reads(known, seen)[0, 0]
