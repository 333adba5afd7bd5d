"""What is fuzzed: each target reads any bytes, and raises nothing but its own named error.

A target is a function of bytes. `SEEDS` gives each one a few inputs to start from; they are made here, so
that the repository holds no corpus.
"""

import asyncio
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import get_args

from artifacts import ArtifactReference, Stage, plain_pickle
from artifacts.codec import encode
from artifacts.format import from_bytes
from artifacts.schemas import SCHEMAS
from bay_observation.errors import ArtifactError, CaptureError, ConfigError, InferenceError
from bays.loading import parse_bay
from capture_async.credentials import Credentials
from capture_async.errors import CameraError
from capture_async.frames.exif import read_exif
from capture_async.frames.jpeg import read_jpeg
from capture_async.http.authentication import HttpAuthenticator, parse_challenges
from capture_async.http.lenient import read_reply
from capture_async.http.request import Address
from capture_async.onvif import replies
from capture_async.onvif.replies import read_clock, read_media_address, read_profiles, read_services
from capture_async.providers.live import frame_of
from capture_async.refusals import refusal_in
from capture_async.rtsp.client import Connection
from capture_async.rtsp.frame_reader import FrameReader
from capture_async.rtsp.sdp import VideoTrack, video_track
from inference.serving.messages import Reply, from_line

Target = Callable[[bytes], None]

_BATCH = "yard_20250702-071000"
_MOST_OF_A_REPLY = 1024 * 1024
_CAPTURE: ArtifactReference = ArtifactReference(
    "capture", "yard", _BATCH, f"observation/yard/{_BATCH}/capture.pkl", "0" * 64, 1, SCHEMAS["capture"].version
)


def artifact(stage: Stage) -> Target:
    """An artifact's file whose header and checksum are right: the pickle and what it holds are any bytes."""

    def run(data: bytes) -> None:
        header = f"bay-observation {stage} {SCHEMAS[stage].version} {zlib.crc32(data):08x}\n".encode()
        with suppress(ArtifactError):
            from_bytes("fuzzed", stage, header + data)

    return run


def whole_file(data: bytes) -> None:
    """An artifact's file, header included."""
    with suppress(ArtifactError):
        from_bytes("fuzzed", "fusion", data)


def reference(data: bytes) -> None:
    """A reference in XCom or `conf`, of any JSON value."""
    with suppress(ValueError, RecursionError):  # of json itself
        values = json.loads(data)
        with suppress(ArtifactError):
            ArtifactReference.from_dict(values)


def bay_file(data: bytes) -> None:
    """The text of a bay's YAML file."""
    with suppress(ConfigError):
        parse_bay(Path("bays/fuzzed.yaml"), data.decode("utf-8", "replace"), "fuzzed")


def inference_message(data: bytes) -> None:
    """A line of the inference server's protocol."""
    with suppress(InferenceError, ArtifactError):
        Reply.from_dict(from_line(data), capture=_CAPTURE)


def soap(data: bytes) -> None:
    """A camera's SOAP reply; the first byte chooses the operation."""
    readers = (
        ("GetSystemDateAndTime", read_clock),
        ("GetCapabilities", read_media_address),
        ("GetServices", read_services),
        ("GetProfiles", read_profiles),
    )
    operation, read = readers[(data[0] if data else 0) % len(readers)]
    with suppress(CaptureError):
        read(replies.read_reply(operation, 200, "application/soap+xml; charset=utf-8", data[1:]))


def challenges(data: bytes) -> None:
    """WWW-Authenticate headers."""
    parse_challenges(data.decode("latin-1").split("\n"))


def sdp(data: bytes) -> None:
    """The description of an RTSP stream."""
    with suppress(CaptureError):
        video_track(data.decode("latin-1"))


def http(data: bytes) -> None:
    """The bytes of an HTTP answer, as far as they can be read; the first byte chooses whether it may have parts."""

    async def read() -> None:
        address = Address("10.0.0.1", 80)
        reply = await read_reply(_arrived(data[1:]), address, max_bytes=_MOST_OF_A_REPLY, first_part=data[:1] < b"\x80")
        refusal_in(reply.text)
        _ = reply.retry_after_s, parse_challenges(reply.challenges)
        with suppress(CameraError):
            frame_of(reply, address)

    with suppress(CaptureError, OSError):
        _loop().run_until_complete(read())


def rtsp(data: bytes) -> None:
    """All that an RTSP server says on one connection, the packets too."""

    async def read() -> None:
        reader, login = _arrived(data), HttpAuthenticator(Credentials("yard", "secret"))
        connection = Connection(reader, _Unheard(), "10.0.0.1:554", "rtsp://10.0.0.1:554", login)
        try:
            await connection.key_frame("/stream")
        finally:
            connection.close()

    # As `read_key_frame` takes them for the camera's.
    with suppress(CaptureError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
        _loop().run_until_complete(read())


def exif(data: bytes) -> None:
    """The EXIF segment of a frame."""
    read_exif(data)


def rtp(data: bytes) -> None:
    """RTP packets of a stream: a length of two bytes before each; the first byte chooses the codec."""
    tracks = (VideoTrack("H264", 96, "*"), VideoTrack("H265", 96, "*"), VideoTrack("JPEG", 26, "*"))
    reader = FrameReader(tracks[(data[0] if data else 0) % len(tracks)])
    at = 1
    with suppress(CaptureError):
        while at < len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2])
            reader.push(data[at + 2 : end])
            at = end


def jpeg(data: bytes) -> None:
    """A frame as a camera sends it."""
    with suppress(CaptureError):
        read_jpeg(data)


TARGETS: dict[str, Target] = {
    **{f"artifact_{stage}": artifact(stage) for stage in get_args(Stage)},
    "artifact_file": whole_file,
    "reference": reference,
    "bay_file": bay_file,
    "inference_message": inference_message,
    "soap": soap,
    "challenges": challenges,
    "http": http,
    "sdp": sdp,
    "rtsp": rtsp,
    "rtp": rtp,
    "exif": exif,
    "jpeg": jpeg,
}


class _Unheard:
    """A connection's other direction, of which nothing is read."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def is_closing(self) -> bool:
        return False


def _arrived(data: bytes) -> asyncio.StreamReader:
    """All of it has come, and the connection has ended."""
    reader = asyncio.StreamReader(limit=64 * 1024, loop=_loop())
    reader.feed_data(data)
    reader.feed_eof()
    return reader


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def seeds(name: str) -> list[bytes]:
    """Inputs to start from."""
    if name.startswith("artifact_"):
        return _artifact_seeds()
    if name == "bay_file":
        return [files("bays").joinpath("demo_bay.yaml").read_bytes()]
    return _SEEDS.get(name, [])


def _artifact_seeds() -> list[bytes]:
    from shapely import MultiPolygon, box

    from capture_async.types import CaptureBatch, CapturedImage
    from fusion.types import FusedBlock, FusionResult

    slot, batch = datetime(2025, 7, 2, 7, 10, tzinfo=UTC), _BATCH
    image = CapturedImage("C_2", "yard", slot, b"\xff\xd8\xff\xd9")
    block = FusedBlock("block", box(0, 0, 2, 1), 2.0, "A", "1", 0.9, ("C_2",), {"welder": 1})
    values = (
        CaptureBatch(batch, "yard", (image,)),
        FusionResult(batch, "yard", (block,), MultiPolygon([box(0, 0, 1, 1)])),
    )
    return [plain_pickle.dumps(encode(value)) for value in values]


_SDP = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n"
_OK = b"RTSP/1.0 200 OK\r\n"
_SEEDS: dict[str, list[bytes]] = {
    "http": [
        b"\x00HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=a\r\n\r\n"
        b"--a\r\n\r\n\xff\xd8\xff\xd9\r\n--a",
        b'\x80HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\nWWW-Authenticate: Basic realm="a"\r\n\r\n'
        b"3\r\nabc\r\n0\r\n\r\n",
        b"\x80HTTP/1.1 503 No\r\nRetry-After: 3\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    ],
    "rtsp": [
        _OK
        + b"CSeq: 1\r\nContent-Length: %d\r\n\r\n" % len(_SDP)
        + _SDP
        + _OK
        + b"CSeq: 2\r\nSession: 1\r\n\r\n"
        + _OK
        + b"CSeq: 3\r\n\r\n$\x00\x00\x10\x80\xe0\x00\x01\0\0\0\1\0\0\0\0\x65\x88\x84\0",
        b'RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm="a", nonce="b"\r\n\r\n',
    ],
    "exif": [b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"],
    "reference": [
        b'{"stage": "fusion", "bay_id": "yard", "batch_id": "yard_20250702-071000", "result_path":'
        b' "fusion/yard/yard_20250702-071000/result.pkl", "sha256": "' + b"0" * 64 + b'", "size": 1, "schema": 2}'
    ],
    "inference_message": [b'{"state": "observed", "reference": {}}\n', b'{"state": "busy"}\n'],
    "soap": [
        b"\x03<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Body><GetProfilesResponse>"
        b"<Profiles token='a'><Name>m</Name></Profiles></GetProfilesResponse></s:Body></s:Envelope>"
    ],
    "challenges": [b'Digest realm="a", nonce="b", qop="auth", algorithm=MD5\nBasic realm="c"'],
    "sdp": [_SDP],
    "rtp": [b"\x00\x00\x10\x80\x60\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x65\x88\x84\x00"],
    "jpeg": [b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x10\x00\x10\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xd9"],
}
