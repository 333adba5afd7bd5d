"""What every provider of live cameras does around its own asking: the wall, and what a page says."""

from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from bays import Camera
from capture_async import Credentials, FailureReason
from capture_async.errors import CameraError
from capture_async.http.reply import Reply
from capture_async.providers.camera_state import state_of
from capture_async.providers.http import HttpImageProvider
from capture_async.providers.live import frame_of

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
CAMERA = Camera(name="C_2", host="127.60.0.9")
LOGIN = Credentials("yard", "secret")


class Broken(HttpImageProvider):
    """Fails as a test says."""

    error = None

    async def _grab(self, camera, state, attempts):
        raise self.error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnicodeEncodeError("utf-8", "\udcfc", 0, 1, "surrogates"), FailureReason.FAULTY_REPLY),
        (IndexError("pop from empty list"), FailureReason.FAULTY_REPLY),
        (OverflowError("date value out of range"), FailureReason.FAULTY_REPLY),
        (OSError(24, "Too many open files"), FailureReason.OBSERVER_FAULT),
    ],
)
async def test_whatever_is_raised_for_one_camera_is_its_outcome(error, reason, caplog):
    provider = Broken(LOGIN)
    provider.error = error
    (failure,) = await provider.get_images(SLOT, [CAMERA], "yard")
    assert failure.reason is reason
    assert [attempt.outcome for attempt in failure.attempts] == [reason]
    assert "Traceback" in caplog.text
    await provider.close()


async def test_what_a_camera_wishes_is_known_to_the_service():
    provider = Broken(LOGIN)
    provider.error = CameraError(FailureReason.BUSY, "x", retry_after_s=7.0)
    (failure,) = await provider.get_images(SLOT, [CAMERA], "yard")
    assert provider.worth_another_try(CAMERA, failure)
    assert provider.retry_after_s(CAMERA) == 7.0
    provider.error = CameraError(FailureReason.BUSY, "x", final=True)
    (failure,) = await provider.get_images(SLOT, [CAMERA], "yard")
    assert not provider.worth_another_try(CAMERA, failure)


async def test_a_refused_login_is_paused_at_once():
    provider = Broken(LOGIN)
    provider.error = CameraError(FailureReason.REFUSED_CREDENTIALS, "x", login_refused=True)
    await provider.get_images(SLOT, [CAMERA], "yard")
    assert state_of(CAMERA, LOGIN).login.paused


def reply(body, status=200, *, login_sent=True):
    return Reply(status, CIMultiDict(), body, SLOT, login_sent=login_sent)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"Unauthorized", 400, FailureReason.REFUSED_CREDENTIALS),
        (b'{"error": "please login first"}', 200, FailureReason.REFUSED_CREDENTIALS),
        (b"<html>wrong password</html>", 500, FailureReason.REFUSED_CREDENTIALS),
        (b"<html>please log in</html>", 404, FailureReason.REFUSED_CREDENTIALS),
        (b"too many connections", 200, FailureReason.BUSY),
        (b"no such channel", 400, FailureReason.NOT_AN_IMAGE),
        (b"\x00wrong password", 500, FailureReason.NOT_AN_IMAGE),
        (b"wrong password" + b" " * 70_000, 500, FailureReason.NOT_AN_IMAGE),
    ],
)
def test_what_an_answer_without_a_picture_says(body, status, reason):
    with pytest.raises(CameraError) as caught:
        frame_of(reply(body, status), "10.0.0.1:80")
    assert caught.value.reason is reason
    assert caught.value.login_refused is (reason is FailureReason.REFUSED_CREDENTIALS)


def test_words_refuse_no_login_that_was_not_sent():
    with pytest.raises(CameraError) as caught:
        frame_of(reply(b"Unauthorized", 400, login_sent=False), "10.0.0.1:80")
    assert caught.value.reason is FailureReason.NOT_AN_IMAGE


@pytest.mark.parametrize("body", [b"\xff\xd8 wrong password", b"<html>please log in, or create an account</html>"])
def test_a_picture_and_a_site_are_judged_later(body):
    assert frame_of(reply(body), "10.0.0.1:80").jpeg == body
