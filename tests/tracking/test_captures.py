from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from artifacts.codec import decode, encode
from fusion.types import FusionResult
from tracking import EventKind, Rates, Tracker, TrackerState, TrackingResult
from tracking.captures import Captures, time_of_frames

SLOT = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class TestTime:
    def test_is_that_between_the_frames(self):
        captures = Captures([(SLOT, SLOT + 4 * MINUTE), (SLOT + 10 * MINUTE, SLOT + 11 * MINUTE)])
        assert captures.hours(SLOT, SLOT + 10 * MINUTE) == pytest.approx(7 / 60)

    def test_is_that_between_the_slots_where_frames_have_none(self):
        captures = Captures([(SLOT, SLOT + 4 * MINUTE)])
        assert captures.hours(SLOT + 10 * MINUTE, SLOT + 30 * MINUTE) == pytest.approx(20 / 60)
        assert captures.hours(None, SLOT) > 1e5

    def test_never_runs_back(self):
        captures = Captures([(SLOT, SLOT + 4 * MINUTE), (SLOT + 10 * MINUTE, SLOT + 3 * MINUTE)])
        assert captures.hours(SLOT, SLOT + 10 * MINUTE) == 0

    def test_is_kept_of_the_latest_slots_and_of_those_that_tracks_refer_to(self):
        slots = [SLOT + 10 * number * MINUTE for number in range(500)]
        kept = Captures((slot, slot + MINUTE) for slot in slots).kept({slots[3]})
        assert kept[0] == (slots[3], slots[3] + MINUTE)
        assert kept[-1] == (slots[-1], slots[-1] + MINUTE)
        assert len(kept) < 50


class TestFrames:
    @pytest.mark.parametrize("minutes", [-0.5, 0, 4, 7])
    def test_of_about_their_slot_say_when(self, bay, fused, minutes):
        result = replace(fused(0, []), captured_at=fused(0, []).slot + minutes * MINUTE)
        assert time_of_frames(result, bay) == result.captured_at

    @pytest.mark.parametrize("minutes", [-180, -2, 90, 60 * 24 * 365])
    def test_by_a_clock_that_cannot_be_right_say_nothing(self, bay, fused, minutes):
        result = replace(fused(0, []), captured_at=fused(0, []).slot + minutes * MINUTE)
        assert time_of_frames(result, bay) is None

    def test_without_a_time_say_nothing(self, bay, fused):
        assert time_of_frames(fused(0, []), bay) is None


def late(result: FusionResult, minutes: float) -> FusionResult:
    return replace(result, captured_at=result.slot + minutes * MINUTE)


class TestTracker:
    def test_reasons_with_the_time_that_passed_between_frames(self, bay, fused, block):
        """Lifts are counted by the hour: what the rates learn shows the time that was reckoned with."""

        def leave_rate(first_minutes, last_minutes):
            state = TrackerState("demo_bay", rates=Rates(leave_per_hour=1.0))
            floors = [
                late(fused(n, [block("A25", 10, 10)]), minutes)
                for n, minutes in enumerate((first_minutes, last_minutes))
            ]
            return follow(bay, floors, state)[-1].state.rates.leave_per_hour

        assert leave_rate(0, 5) < leave_rate(0, 0) < leave_rate(5, 0)

    def test_an_event_says_when_the_frames_were_taken_that_showed_it_first(self, bay, fused, block):
        stays, comes = block("A25", 10, 10), block("A11", 36, 30)
        history = follow(bay, [late(fused(n, [stays, comes] if n > 1 else [stays]), 1 + n) for n in range(6)])
        (event,) = [event for result in history[1:] for event in result.events]
        assert (event.kind, event.time) == (EventKind.APPEARED, fused(2, []).slot)
        assert event.captured_at == event.time + 3 * MINUTE

    def test_without_times_of_frames_all_is_as_by_slots(self, bay, fused, block):
        floors = [fused(n, [block("A25", 10, 10)]) for n in range(4)]
        (last,) = follow(bay, floors)[-1:]
        assert last.state.captures == ()
        assert follow(bay, [late(one, 0) for one in floors])[-1].state.rates == last.state.rates


@pytest.mark.parametrize(("kind", "field"), [(FusionResult, "captured_at"), (TrackingResult, "captures")])
def test_an_artifact_of_before_times_were_given_is_read(bay, fused, block, kind, field):
    result = fused(0, [block("A25", 10, 10)])
    value = result if kind is FusionResult else Tracker(bay).update(result)
    plain = encode(value)
    of = plain if kind is FusionResult else plain["state"]
    del of[field]
    if kind is TrackingResult:
        for event in plain["events"]:
            del event["captured_at"]
    assert encode(decode(kind, plain)) == encode(value)


def follow(bay, results, state=None) -> list[TrackingResult]:
    history = []
    for result in results:
        history.append(Tracker(bay, state).update(result))
        state = history[-1].state
    return history
