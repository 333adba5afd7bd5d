"""One of twelve cameras misbehaves, in every way that is known: what comes of the other eleven.

The ways are the faults of `lab.simulation.faults` and raw answers, each given to one operation, to all of
them, and to the snapshot.
"""

import asyncio
import gzip
import io
import itertools
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from typing import Any

import numpy as np
from PIL import Image

from bays import BayConfig, load_bay
from capture_async import CaptureService, Credentials
from capture_async.providers.onvif import forget_cameras
from lab.simulation import soap
from lab.simulation.cameras import CameraFarm
from lab.simulation.faults import Fault
from lab.simulation.odd_camera import Answer, OddCamera, http

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
CAMERAS = 12
DEADLINE_S, _REQUEST_S = 4.0, 2.0
_LOGIN = Credentials("yard", "secret")
_OPERATIONS = (
    "GetSystemDateAndTime",
    "GetCapabilities",
    "GetServices",
    "GetProfiles",
    "GetSnapshotUri",
    "*",
    "snapshot",
)


@dataclass(frozen=True)
class Beside:
    """A capture beside one camera that misbehaves.

    Attributes:
        way: in which it does.
        lost: names of the other cameras without a frame; every one when there was no batch.
        seconds: that the capture took.
    """

    way: str
    lost: tuple[str, ...]
    seconds: float


async def captures() -> list[Beside]:
    """A capture for every way; the camera that misbehaves is another one each time."""
    log, places = logging.getLogger("capture_async"), itertools.cycle(range(CAMERAS))
    level, handler = log.level, signal.signal(signal.SIGALRM, _give_up)
    log.setLevel(logging.CRITICAL)
    try:
        return [await _faulty(fault, next(places)) for fault in Fault] + await _odd(places)
    finally:
        log.setLevel(level)
        signal.signal(signal.SIGALRM, handler)


async def _faulty(fault: Fault, place: int) -> Beside:
    forget_cameras()
    async with _farm() as farm:
        name = farm.bay.cameras[place].name
        await farm.set_time(SLOT)
        await farm.set_faults({name: [fault]})
        return await _captured(f"fault {fault}", farm.bay, name, SLOT)


async def _odd(places: Iterator[int]) -> list[Beside]:
    """The good cameras stay the same and are known; the odd one has another address each time."""
    forget_cameras()
    done = []
    async with _farm() as farm:
        for number, ((name, answer), operation) in enumerate(itertools.product(raw_answers().items(), _OPERATIONS)):
            slot = SLOT + timedelta(minutes=10 * number)
            await farm.set_time(slot)
            host = f"127.61.{number // 250}.{1 + number % 250}"
            async with OddCamera(_frame("", slot), {operation: answer}, host=host) as odd:
                cameras = list(farm.bay.cameras)
                place = next(places)
                replaced = cameras[place].name
                cameras[place] = odd.camera(replaced)
                bay = farm.bay.model_copy(update={"cameras": tuple(cameras)})
                done.append(await _captured(f"{name}, {operation}", bay, replaced, slot))
    return done


async def _captured(way: str, bay: BayConfig, misbehaves: str, slot: datetime) -> Beside:
    changes = {"capture_deadline": DEADLINE_S, "image_provider_config": {"timeout": _REQUEST_S}}
    others = {camera.name for camera in bay.cameras} - {misbehaves}
    began = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 5 * DEADLINE_S)
    try:
        async with CaptureService(bay.model_copy(update=changes), credentials=_LOGIN) as service:
            batch = await service.capture(slot)
        got = {image.camera_name for image in batch.images}
    except (Exception, _StuckError):  # noqa: BLE001 - a capture that raises has lost every frame
        got = set()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return Beside(way, tuple(sorted(others - got)), time.monotonic() - began)


class _StuckError(BaseException):
    """The event loop does not come back to its timers; passes every `except Exception`."""


def _give_up(*_: Any) -> None:
    raise _StuckError


def _farm() -> CameraFarm:
    bay = load_bay("demo_bay")
    # Wide enough for an address of each odd camera: what is known of one must not help the next.
    network = bay.network.model_copy(update={"camera_subnet": IPv4Network("127.60.0.0/15")})
    bay = bay.model_copy(update={"cameras": bay.cameras[:CAMERAS], "network": network})
    return CameraFarm(
        bay, _frame, username=_LOGIN.username, password=_LOGIN.password, port=0, latency_s=0.0, soap_latency_s=0.0
    )


def _picture() -> bytes:
    rows = np.linspace(0, 255, 1080, dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.repeat(rows[:, None], 1920, axis=1)).convert("RGB").save(file, "JPEG")
    return file.getvalue()


_PICTURE = _picture()


def _frame(camera_name: str, moment: datetime) -> bytes:
    """A real 1080p JPEG that names camera and moment in a comment, so that no two are alike."""
    comment = f"{camera_name} {moment.isoformat()}".encode()
    segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment
    return _PICTURE[:2] + segment + _PICTURE[2:]


# Raw answers


def raw_answers() -> dict[str, Answer]:
    """What a camera may send to any request, by name."""
    return {**_heads(), **_bodies(), **_endings(), **dict(_challenges())}


def _heads() -> dict[str, Answer]:
    return {
        "no bytes": lambda *_: None,
        "NULs": b"\0" * 100,
        "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
        "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x46",
        "status 999999": b"HTTP/1.1 999999 OK\r\n\r\n",
        "status 0": b"HTTP/1.1 0 \r\n\r\n",
        "status 100 for ever": b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
        **{f"status {code}": f"HTTP/1.1 {code} X\r\n\r\n".encode() for code in (101, 103, 204, 205, 304, 418, 599)},
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/0.9": b"<html>",
        "a length below zero": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "a length of 2^70": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 2**70,
        "chunks of nothing": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "a chunk of 2^64": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "a chunk of no number": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        "a length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "a folded line": b"HTTP/1.1 200 OK\r\nX: a\r\n  b\r\nContent-Length: 0\r\n\r\n",
        "a NUL in a line": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "many cookies": b"HTTP/1.1 200 OK\r\n" + b"Set-Cookie: a=b; Domain=.; Path=%2e\r\n" * 200 + b"\r\n",
        "a proxy's challenge": b"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic realm=a\r\nContent-Length: 0\r\n\r\n",
        "an upgrade": b"HTTP/1.1 426 X\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n",
        "many lines": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30_000 + b"\r\n",
        "a long line": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        "a redirection to itself": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        "a redirection to nowhere": b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
        "Retry-After of 10^30": b"HTTP/1.1 503 X\r\nRetry-After: %d\r\nContent-Length: 0\r\n\r\n" % 10**30,
        "Retry-After below zero": b"HTTP/1.1 503 X\r\nRetry-After: -1\r\nContent-Length: 0\r\n\r\n",
        "Retry-After on a far day": b"HTTP/1.1 503 X\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n\r\n",
    }  # fmt: skip


def _bodies() -> dict[str, Answer]:
    envelope = '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>{}</s:Body></s:Envelope>'
    return {
        "an empty body": http(""),
        "an empty SOAP body": http(envelope.format("")),
        "a fault without parts": http(envelope.format("<s:Fault/>"), status="500 X"),
        "a fault of codes": http(envelope.format("<s:Fault>" + "<s:Subcode>" * 3000 + "</s:Fault>"), status="500 X"),
        "multipart without parts": http("x", kind="multipart/related; boundary=xx"),
        "multipart without a boundary": http("x", kind="multipart/x-mixed-replace"),
        "angle brackets": http("<" * 5000),
        "nested elements": http("<a>" * 50_000 + "</a>" * 50_000),
        "many attributes": http("<a " + " ".join(f'a{n}="1"' for n in range(20_000)) + "/>"),
        "entities": http(soap.xml_bomb()),
        "an outer entity": http('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///dev/zero">]><a>&b;</a>'),
        "a charset that is none": http("<a/>", kind="application/soap+xml; charset=\x00none"),
        "punycode": http("<" + "b-" * 300_000, kind="application/soap+xml; charset=punycode"),
        "UTF-7": http(b"\xff\xfe\x00", kind="application/soap+xml; charset=utf-7"),
        "a long duration": http(envelope.format("<PT>PT99999999999999999999S</PT>")),
        "a far date": http(envelope.format("<Year>99999999999</Year><Month>99</Month>")),
        "a bomb of gzip": http(gzip.compress(bytes(64 * 2**20)), Content_Encoding="gzip"),
        "gzip that is none": http(b"\x1f\x8b" + b"\0" * 50, Content_Encoding="gzip"),
        "brotli": http("x", Content_Encoding="br"),
        "16 MB of blanks": http(b" " * 16 * 2**20),
        "a JPEG's beginning": http(b"\xff\xd8\xff", kind="image/jpeg"),
        "a JPEG of 65535 x 65535": http(_giant_jpeg(), kind="image/jpeg"),
        "a JPEG of segments": http(b"\xff\xd8" + b"\xff\xe1\x00\x02" * 500_000, kind="image/jpeg"),
        "an EXIF loop": http(_exif_loop(), kind="image/jpeg"),
    }


def _endings() -> dict[str, Answer]:
    return {
        "silence": _sender(b"", b""),
        "a head and silence": _sender(b"HTTP/1.1 200 OK\r\n", b""),
        "a byte at a time": _sender(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        "header lines for ever": _sender(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        "chunks for ever": _sender(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        "many small chunks": _sender(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nbad line\r\n\r\n", b"2\r\nab\r\n" * 5000, pause_s=0.001
        ),
        "pieces of 100 kB for ever": _sender(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100_000, pause_s=0.001),
    }


def _challenges() -> Iterator[tuple[str, Answer]]:
    fields = (
        b'Digest realm="Kamera S\xfcd", nonce="n"', b"Digest", b"Basic", b"Bearer", b"Negotiate", b",,,",
        b'Digest realm="',
        b'Digest realm="a", nonce="b", qop="auth-int,none", algorithm=SHA-999', b'Digest realm="a"' + b", a=b" * 20_000,
        b"Digest realm=Bay camera 3, qop=auth,auth-int, nonce=n", b"Digest a=" + b"b " * 20_000,
        b'Digest realm="a", nonce="\x01\x02", stale=true', b"\xff\xff\xff", b'Digest nonce="' + b"n" * 60_000 + b'"',
    )  # fmt: skip
    for number, field in enumerate(fields):
        yield f"challenge {number}", b"HTTP/1.1 401 X\r\nContent-Length: 0\r\nWWW-Authenticate: " + field + b"\r\n\r\n"


def _sender(first: bytes, then: bytes, pause_s: float = 0.05) -> Callable[..., AsyncIterator[bytes]]:
    async def send(*_: Any) -> AsyncIterator[bytes]:
        yield first
        while True:
            await asyncio.sleep(pause_s)
            yield then

    return send


def _giant_jpeg() -> bytes:
    at = _PICTURE.index(b"\xff\xc0") + 5
    return _PICTURE[:at] + b"\xff\xff\xff\xff" + _PICTURE[at + 4 :]


def _exif_loop() -> bytes:
    directory = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"
    return _PICTURE[:2] + b"\xff\xe1" + (len(directory) + 2).to_bytes(2) + directory + _PICTURE[2:]
