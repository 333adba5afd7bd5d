"""Key frames from a real RTSP server (GStreamer's), and from servers that misbehave."""

import asyncio
import logging
import subprocess
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import cv2
import numpy as np
import pytest

from bays import load_bay
from bays.models import Rtsp
from capture_async import CaptureService, Credentials, FailureReason
from capture_async.errors import CameraError
from capture_async.http.authentication import HttpAuthenticator
from capture_async.rtsp.client import read_key_frame
from capture_async.rtsp.key_frame import to_jpeg

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
PASSWORD = 'pa"ss\\ wörd&1'
SYSTEM_PYTHON = "/usr/bin/python3"
NEEDED = """
import gi
for name in ("Gst", "GstRtsp", "GstRtspServer"):
    gi.require_version(name, "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
for name in ("x264enc", "x265enc", "jpegenc", "rtph264pay", "videotestsrc", "mulawenc"):
    assert Gst.ElementFactory.find(name), name
"""


@pytest.fixture(scope="module", params=["digest", "basic"])
def server(request):
    """(port, method) of a GStreamer server whose login is `yard` with PASSWORD."""
    try:
        probe = subprocess.run([SYSTEM_PYTHON, "-c", NEEDED], capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        pytest.skip(f"{SYSTEM_PYTHON} is missing: deploy/install-system-packages.sh")
    if probe.returncode:
        pytest.skip("GStreamer's RTSP server is not installed: deploy/install-system-packages.sh")
    script = Path(__file__).with_name("rtsp_server.py")
    with subprocess.Popen(
        [SYSTEM_PYTHON, script, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        process.stdin.write(f"yard\t{PASSWORD}\t{request.param}\n")
        process.stdin.flush()
        ready, port = process.stdout.readline().split()
        assert ready == "ready"
        yield int(port), request.param
        process.terminate()


def login(password=PASSWORD):
    return HttpAuthenticator(Credentials("yard", password))


def looks_like_the_test_picture(jpeg):
    """GStreamer's colour bars: white, yellow, cyan, green, magenta, red, blue from left to right."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (192, 320, 3)
    blue, green, red = (picture[60, 20 + 46 * bar] > 127 for bar in (6, 3, 5))
    return blue.tolist() == [1, 0, 0] and green.tolist() == [0, 1, 0] and red.tolist() == [0, 0, 1]


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("path", "codec"), [("/h264", "H264"), ("/h264-inband", "H264"), ("/h265", "H265"), ("/jpeg", "JPEG")]
)
async def test_first_key_frame(server, path, codec):
    before = datetime.now(UTC)
    frame = await read_key_frame("127.0.0.1", server[0], path, login(), 30)
    assert frame.codec == codec
    assert before <= frame.received_at <= datetime.now(UTC)
    assert looks_like_the_test_picture(await to_jpeg(frame))


@pytest.mark.parametrize(
    ("path", "authenticator", "reason"),
    [
        ("/no-such-stream", login(), FailureReason.NO_SNAPSHOT_SERVICE),
        ("/sound", login(), FailureReason.NOT_AN_IMAGE),
        ("/h264", login("wrong"), FailureReason.REFUSED_CREDENTIALS),
        ("/h264", HttpAuthenticator(None), FailureReason.REFUSED_CREDENTIALS),
    ],
)
async def test_what_a_real_server_refuses(server, path, authenticator, reason):
    with pytest.raises(CameraError) as caught:
        await read_key_frame("127.0.0.1", server[0], path, authenticator, 30)
    assert caught.value.reason is reason


def rtsp_bay(port, path):
    bay = load_bay("demo_bay")
    stream = Rtsp(port=port, path=path)
    camera = bay.cameras[0].model_copy(update={"host": IPv4Address("127.0.0.1"), "rtsp": stream, "intrinsics": None})
    network = bay.network.model_copy(update={"camera_subnet": IPv4Network("127.0.0.0/24")})
    changes = {"image_provider": "rtsp", "image_provider_config": {}, "capture_attempts": 1}
    return bay.model_copy(update={"cameras": (camera,), "network": network, **changes})


async def test_a_bay_of_streams_and_the_login_appears_nowhere(server, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    credentials = Credentials("yard", PASSWORD)
    said = []
    for path in ("/h264", "/h264-inband", "/sound"):
        async with CaptureService(rtsp_bay(server[0], path), credentials=credentials) as service:
            batch = await service.capture(SLOT)
            said += [repr(service), repr(batch.failures)]
            assert len(batch.images) == (path != "/sound")
    for image in batch.images:
        assert looks_like_the_test_picture(image.jpeg)
    formatter = logging.Formatter()
    said += [formatter.format(record) for record in caplog.records]
    said += list(capfd.readouterr())  # what FFmpeg writes goes past Python
    for text in said:
        assert PASSWORD not in text
        assert "wörd" not in text


async def test_a_wrong_password_is_sent_once(server):
    wrong = Credentials("yard", "wrong")
    async with CaptureService(rtsp_bay(server[0], "/h264"), credentials=wrong) as service:
        for said in ("answered 401", "not sent again"):
            (failure,) = (await service.capture(SLOT)).failures
            assert failure.reason is FailureReason.REFUSED_CREDENTIALS
            assert said in failure.detail


@pytest.mark.parametrize("fault", ["no_snapshot", "rtsp_only", "html", "busy"])
async def test_where_the_snapshot_fails_a_frame_of_the_stream_stands_in(server, make_farm, credentials, fault):
    from capture_async.providers import camera_state

    async with make_farm({"C_2": fault}, cameras=1) as farm, relay("127.60.0.183", server[0]) as port:
        camera = farm.bay.cameras[0].model_copy(update={"rtsp": Rtsp(port=port, path="/jpeg"), "intrinsics": None})
        bay = farm.bay.model_copy(update={"cameras": (camera,)})
        async with CaptureService(bay, credentials=credentials) as service:
            (image,) = (await service.capture(SLOT)).images
            assert looks_like_the_test_picture(image.jpeg)
            assert image.attempts[-1].outcome == "frame of the stream"
            asked = farm.counters["C_2"].requests
            (image,) = (await service.capture(SLOT)).images
        if fault in ("no_snapshot", "rtsp_only"):  # known by now, and not asked for again
            assert [attempt.outcome for attempt in image.attempts] == ["frame of the stream"]
            assert farm.counters["C_2"].requests == asked
        assert not camera_state.state_of(camera, credentials).final


async def test_both_ways_fail_and_both_are_told(make_farm, credentials):
    async with make_farm({"C_2": "html"}, cameras=1) as farm:
        camera = farm.bay.cameras[0].model_copy(update={"rtsp": Rtsp(port=9, path="/x")})
        bay = farm.bay.model_copy(update={"cameras": (camera,), "capture_attempts": 1})
        async with CaptureService(bay, credentials=credentials) as service:
            (failure,) = (await service.capture(SLOT)).failures
    assert failure.reason is FailureReason.NOT_AN_IMAGE
    assert "its stream: unreachable" in failure.detail
    assert [attempt.outcome for attempt in failure.attempts] == ["resolved", "not an image", "stream: unreachable"]


class relay:  # noqa: N801
    """A camera's address that hands everything on to the server, which listens at one address only."""

    def __init__(self, host, port):
        self.host, self.port = host, port

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, self.host, 0)
        self.tasks = set()
        return self.server.sockets[0].getsockname()[1]

    async def __aexit__(self, *_):
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        there, out = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            await asyncio.wait(
                [asyncio.ensure_future(self._pump(reader, out)), asyncio.ensure_future(self._pump(there, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for end in (out, writer):
                end.close()

    async def _pump(self, reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return


# -- servers that misbehave ---------------------------------------------------------------


async def ask(answers, *, seconds=5, hang=False):
    """What a client makes of a server that gives these answers, one a request, and then hangs up."""
    seen = []

    async def serve(reader, writer):
        try:
            for answer in answers:
                seen.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(answer)
                await writer.drain()
            if hang:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        return await read_key_frame("127.0.0.1", port, "/main?x=1", HttpAuthenticator(None), seconds), seen


SDP = b"v=0\r\nm=video 0 RTP/AVP 26\r\na=control:trackID=1\r\n"
DESCRIBED = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: %d\r\n\r\n%s" % (len(SDP), SDP)
SET_UP = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nSession: 7;timeout=60\r\nTransport: RTP/AVP/TCP;interleaved=4-5\r\n\r\n"
PLAYS = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\n\r\n"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], FailureReason.NOT_AN_IMAGE),
        ([b"\x00\x01\x02 rubbish\r\n\r\n"], FailureReason.NOT_AN_IMAGE),
        ([b"x" * 100_000], FailureReason.NOT_AN_IMAGE),
        ([b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 10737418240\r\n\r\n"], FailureReason.TOO_LARGE),
        ([b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: many\r\n\r\n"], FailureReason.NOT_AN_IMAGE),
        ([b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n" + b"X: y\r\n" * 1000 + b"\r\n"], FailureReason.NOT_AN_IMAGE),
        ([b"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: rtsp://127.0.0.9/\r\n\r\n"], FailureReason.NOT_AN_IMAGE),
        ([b"RTSP/1.0 503 Busy\r\nCSeq: 1\r\n\r\n"], FailureReason.BUSY),
        ([b"RTSP/1.0 453 No Bandwidth\r\nCSeq: 1\r\n\r\n"], FailureReason.BUSY),
        ([DESCRIBED, b"RTSP/1.0 461 No\r\nCSeq: 2\r\n\r\n"], FailureReason.NO_SNAPSHOT_SERVICE),
        ([DESCRIBED, SET_UP], FailureReason.TRUNCATED),
        ([DESCRIBED, SET_UP, PLAYS + b"$\x04\x00\x10half"], FailureReason.TRUNCATED),
    ],
)
async def test_a_server_that_misbehaves_has_its_named_outcome(answers, reason):
    with pytest.raises(CameraError) as caught:
        await ask(answers)
    assert caught.value.reason is reason


@pytest.mark.parametrize("answers", [[], [DESCRIBED, SET_UP, PLAYS]])
async def test_a_server_that_falls_silent_is_timed_out(answers):
    with pytest.raises(CameraError) as caught:
        await ask(answers, seconds=0.3, hang=True)
    assert caught.value.reason is FailureReason.TIMED_OUT


async def test_nobody_listens():
    with pytest.raises(CameraError) as caught:
        await read_key_frame("127.0.0.1", 9, "/", HttpAuthenticator(None), 5)
    assert caught.value.reason is FailureReason.UNREACHABLE
