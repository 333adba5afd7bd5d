"""What the process keeps of cameras and logins."""

from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest

from bays import Camera
from bays.models import Rtsp
from capture_async import Credentials, FailureReason
from capture_async.errors import CameraError
from capture_async.onvif.resolved import Resolved
from capture_async.providers.camera_state import forget_cameras, state_of

LOGIN = Credentials("yard", "secret")
SLOT, NEXT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC), datetime(2025, 7, 2, 7, 20, tzinfo=UTC)


def camera(**changes):
    return Camera(name="C_1", host=IPv4Address("127.60.0.9"), **changes)


def test_pictures_of_one_host_share_its_login_and_nothing_else():
    first, second = (state_of(camera(channel=channel), LOGIN) for channel in (1, 2))
    assert first is not second
    assert first.login is second.login
    assert state_of(camera(channel=1), LOGIN) is first
    assert state_of(camera(channel=1), Credentials("yard", "other")).login is not first.login
    assert state_of(camera(rtsp=Rtsp(path="/main")), LOGIN, stream=True).login is not first.login


def test_a_refused_login_is_paused_and_a_frame_ends_its_count():
    login = state_of(camera(), LOGIN).login
    login.check_pause()
    login.refused(60, datetime.now(UTC))
    with pytest.raises(CameraError, match="not sent again for 60 s") as caught:
        login.check_pause()
    assert caught.value.final
    assert not caught.value.login_refused


def test_a_login_that_worked_is_tried_again_sooner_at_first():
    login = state_of(camera(), LOGIN).login
    login.authenticator(80).accepted()
    login.refused(3600, datetime.now(UTC))
    with pytest.raises(CameraError, match=r"not sent again for (300|299) s"):
        login.check_pause()


def test_the_same_bytes_are_stale_once_a_frame_s_interval_is_over():
    state = state_of(camera(), LOGIN)
    state.accept(b"frame", SLOT, 60.0)
    state.accept(b"frame", NEXT, 60.0)
    with pytest.raises(CameraError) as caught:
        state.accept(b"frame", SLOT, 0.0)
    assert caught.value.reason is FailureReason.STALE
    state.accept(b"other", SLOT, 0.0)


@pytest.mark.parametrize(
    ("reason", "kept_after"),
    [
        (FailureReason.UNREACHABLE, 0),
        (FailureReason.TIMED_OUT, 9),
        (FailureReason.TRUNCATED, 1),
        (FailureReason.FAULTY_REPLY, 1),
        (FailureReason.OBSERVER_FAULT, 9),
        (FailureReason.BUSY, 9),
    ],
)
def test_which_errors_have_a_camera_resolved_again(reason, kept_after):
    state = state_of(camera(), LOGIN)
    for failures in range(1, 3):
        state.resolved = state.resolved or Resolved("/x", "main", (1, 1), datetime.now(UTC) - datetime.now(UTC))
        state.failed(CameraError(reason, "x"))
        assert (state.resolved is not None) is (failures <= kept_after)
        if state.resolved is None:
            break


def test_cameras_are_forgotten():
    state = state_of(camera(), LOGIN)
    forget_cameras()
    assert state_of(camera(), LOGIN) is not state
