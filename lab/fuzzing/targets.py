"""What is fuzzed: each target reads any bytes, and raises nothing but its own named error.

A target is a function of bytes. `SEEDS` gives each one a few inputs to start from; they are made here, so
that the repository holds no corpus.
"""

import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import get_args

from artifacts import ArtifactReference, Stage, plain_pickle
from artifacts.codec import encode
from artifacts.format import from_bytes
from artifacts.schemas import SCHEMAS
from bay_observation.errors import ArtifactError, CaptureError, ConfigError, InferenceError
from bays.loading import parse_bay
from capture_async.frames.jpeg import read_jpeg
from capture_async.http.authentication import parse_challenges
from capture_async.onvif.replies import read_clock, read_media_address, read_profiles, read_reply, read_services
from capture_async.rtsp.frame_reader import FrameReader
from capture_async.rtsp.sdp import VideoTrack, video_track
from inference.serving.messages import Reply, from_line

Target = Callable[[bytes], None]

_BATCH = "yard_20250702-071000"
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
        read(read_reply(operation, 200, "application/soap+xml; charset=utf-8", data[1:]))


def challenges(data: bytes) -> None:
    """WWW-Authenticate headers."""
    parse_challenges(data.decode("latin-1").split("\n"))


def sdp(data: bytes) -> None:
    """The description of an RTSP stream."""
    with suppress(CaptureError):
        video_track(data.decode("latin-1"))


def rtp(data: bytes) -> None:
    """RTP packets of a stream: a length of one byte before each; the first byte chooses the codec."""
    tracks = (VideoTrack("H264", 96, "*"), VideoTrack("H265", 96, "*"), VideoTrack("JPEG", 26, "*"))
    reader = FrameReader(tracks[(data[0] if data else 0) % len(tracks)])
    at = 1
    with suppress(CaptureError):
        while at < len(data):
            end = at + 1 + data[at]
            reader.push(data[at + 1 : end])
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
    "sdp": sdp,
    "rtp": rtp,
    "jpeg": jpeg,
}


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


_SEEDS: dict[str, list[bytes]] = {
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
    "sdp": [b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n"],
    "rtp": [b"\x00\x10\x80\x60\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x65\x88\x84\x00"],
    "jpeg": [b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x10\x00\x10\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xd9"],
}
