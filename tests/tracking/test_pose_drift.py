"""A camera that hangs otherwise than the bay's file says is reported once it has lasted."""

from dataclasses import replace

import pytest

from artifacts.format import from_bytes, to_bytes
from tracking import EventKind, TrackingResult, replay


@pytest.fixture
def follow(bay, fused, block):
    """follow([("C_2",), (), 0.5, ...]): per slot the cameras out of pose, or by how much all disagree; its drifts."""

    def follow(slots, missing=()):
        floors = []
        for number, off in enumerate(slots):
            floor = fused(number, [block("A25", 10, 10)], missing=(*missing, *(off if isinstance(off, tuple) else ())))
            change = {"out_of_pose": off} if isinstance(off, tuple) else {"pose_disagreement_deg": off}
            floors.append(replace(floor, **change))
        history = list(replay(bay, None, floors))
        drifts = [
            (number, event.reason)
            for number, result in enumerate(history)
            for event in result.events
            if event.kind is EventKind.POSE_DRIFT
        ]
        return history, drifts

    return follow


def test_a_camera_that_stays_out_of_pose_is_reported_once(follow):
    off = ("C_2",)
    assert follow([(), off, off, off, off, off])[1] == [(3, "camera C_2: it hangs otherwise than the bay's file says")]


def test_a_passing_fault_is_not_reported(follow):
    off = ("C_2",)
    assert follow([off, off, (), off, off, (), off])[1] == []


def test_a_camera_that_was_put_right_is_reported_again_when_it_drifts_again(follow):
    off = ("C_2",)
    assert [number for number, _ in follow([off, off, off, (), off, off, off])[1]] == [2, 6]


def test_all_cameras_alike_are_reported(follow):
    assert follow([0.4, 0.4, 0.4, 0.4])[1] == [
        (2, "all cameras: what they see disagrees by 0.40 degrees, so the bay's file is wrong for many of them")
    ]
    assert follow([0.05] * 6)[1] == []
    assert follow([None] * 6)[1] == []


def test_two_at_once_are_one_event(follow):
    both = ("C_2", "D_4")
    ((number, reason),) = follow([both, both, both])[1]
    assert (number, reason.count("camera")) == (2, 2)


def test_the_state_knows_how_long_and_is_kept(follow):
    off = ("C_2",)
    history, _ = follow([off, off])
    kept = from_bytes("", "tracking", to_bytes("tracking", history[-1]))
    assert isinstance(kept, TrackingResult)
    assert dict(kept.state.drift) == {"C_2": 2}
