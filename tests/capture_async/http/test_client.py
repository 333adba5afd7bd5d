"""One request to one camera: where it goes, what its answers become."""

import pytest

from capture_async import Credentials, FailureReason
from capture_async.errors import CameraError
from capture_async.http.authentication import HttpAuthenticator
from capture_async.http.client import CameraHttp
from capture_async.http.transports import Transports
from lab.simulation.odd_camera import OddCamera, http

# Whatever a camera does has the same outcome whichever way it is asked.
pytestmark = pytest.mark.parametrize("sent_by", ["aiohttp", "first capture"], indirect=True)

LOGIN = Credentials("yard", "secret")
CHALLENGE = http("", status="401 Unauthorized", WWW_Authenticate='Basic realm="x"')


async def ask(answer, *, login=LOGIN, times=1, **options):
    """(last reply, the camera) of requests for a snapshot."""
    async with OddCamera(b"", {"snapshot": answer}, stay=True) as camera, Transports() as transports:
        authenticators = {}
        client = CameraHttp(
            transports, camera.camera(), lambda port: authenticators.setdefault(port, HttpAuthenticator(login)), 5
        )
        for _ in range(times):
            reply = await client.request("GET", "/a b?c=d".replace(" ", "%20"), **options)
        return reply, camera


async def test_a_target_is_sent_as_it_is_and_a_challenge_is_answered_once():
    def guarded(request, _):
        return http("ok") if "authorization" in request.headers else CHALLENGE

    reply, camera = await ask(guarded, times=2)
    assert (reply.body, reply.login_sent) == (b"ok", True)
    assert [request.target for request in camera.requests] == ["/a%20b?c=d"] * 3
    assert ["authorization" in request.headers for request in camera.requests] == [False, True, True]


async def test_another_port_of_the_same_host():
    async with OddCamera(b"", {"snapshot": http("other")}) as other:
        reply, camera = await ask(http("own"), port=other.port)
    assert (reply.body, camera.requests) == (b"other", [])


@pytest.mark.parametrize(
    ("answer", "reason", "refused"),
    [
        (http("", status="403 No"), FailureReason.REFUSED_CREDENTIALS, False),
        (http("maximum number of users", status="403 No"), FailureReason.BUSY, False),
        (http("account locked", status="429 Slow"), FailureReason.REFUSED_CREDENTIALS, False),
        (http("", status="503 No", Retry_After="9"), FailureReason.BUSY, False),
        (http("", status="301 No", Location="http://10.0.0.1/"), FailureReason.NOT_AN_IMAGE, False),
        (CHALLENGE, FailureReason.REFUSED_CREDENTIALS, True),
        (http("", status="401 Unauthorized"), FailureReason.REFUSED_CREDENTIALS, False),
        (http("too many sessions", status="401 Unauthorized"), FailureReason.BUSY, False),
        (http("too many failed attempts", status="401 Unauthorized"), FailureReason.REFUSED_CREDENTIALS, True),
    ],
    ids=range(9),
)
async def test_what_an_answer_means(answer, reason, refused):
    with pytest.raises(CameraError) as caught:
        await ask(answer)
    assert (caught.value.reason, caught.value.login_refused) == (reason, refused)
    assert caught.value.retry_after_s == (9.0 if b"Retry-After" in answer else None)


def after_a_login(answer):
    return lambda request, _: answer if "authorization" in request.headers else CHALLENGE


@pytest.mark.parametrize("location", ["/login.htm", "http://10.0.0.1/doc/page/Login.asp?a=b", "/sign-in", "/auth/"])
async def test_a_redirect_to_the_login_page_is_a_refusal(location):
    answer = http("", status="302 Found", Location=location)
    with pytest.raises(CameraError) as caught:
        await ask(after_a_login(answer))
    assert (caught.value.reason, caught.value.login_refused) == (FailureReason.REFUSED_CREDENTIALS, True)
    with pytest.raises(CameraError) as caught:
        await ask(answer)
    assert caught.value.reason is FailureReason.NOT_AN_IMAGE


async def test_a_camera_that_drops_a_login_is_not_sent_it_with_each_try():
    with pytest.raises(CameraError, match="which may be wrong") as caught:
        await ask(after_a_login(None))
    assert (caught.value.reason, caught.value.final) == (FailureReason.UNREACHABLE, True)


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_a_login_in_the_body_that_is_refused_counts_as_one(status):
    with pytest.raises(CameraError) as caught:
        await ask(http("", status=status), login_in_body=True)
    assert caught.value.login_refused


@pytest.mark.parametrize("seconds", [0.05])
async def test_a_camera_that_is_silent_is_timed_out(seconds):
    async def silent(*_):
        import asyncio

        yield b"HTTP/1.1 200 OK\r\n"
        await asyncio.sleep(30)

    with pytest.raises(CameraError, match=r"/a%20b within 0\.05 s") as caught:
        await ask(silent, timeout=seconds)
    assert caught.value.reason is FailureReason.TIMED_OUT
    assert "c=d" not in caught.value.detail  # queries may hold logins


async def test_a_refusal_that_never_ends_is_not_read_on():
    async def unending(*_):
        yield b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n'
        while True:
            yield bytes(16 * 1024)

    with pytest.raises(CameraError) as caught:
        await ask(unending)
    assert caught.value.reason is FailureReason.REFUSED_CREDENTIALS
