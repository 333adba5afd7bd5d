"""HTTP/1 as some firmwares speak it: one request per connection, read as far as it can be.

aiohttp rightly refuses a header line without a name, a length counted in characters, or a
header that is no UTF-8. A camera that sends these has a frame all the same. Only
cameras at which aiohttp has failed are asked this way.
"""

import asyncio
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from multidict import CIMultiDict

from capture_async.errors import CameraError
from capture_async.http.reply import Body, Reply
from capture_async.types import FailureReason

_BLOCK = 64 * 1024
_MAX_HEAD = 64 * 1024
_MAX_CHUNK_LINE = 1024
_IDLE_S = 0.5
_STATUS_LINE = re.compile(rb"\s*(?:HTTP|ICY|RTSP)\S*[ \t]+(\d{3})(?!\d)")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:[ \t]*(.*)")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_WITHOUT_BODY = frozenset({101, 204, 205, 304})
_CONTINUE = 100
_SOI = b"\xff\xd8"
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
_SHOWN = 24


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes; `tls` is the context of an `https` camera."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


async def request_leniently(
    address: Address,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    max_bytes: int,
) -> Reply:
    """Send one request and read what comes. Has no timeout: the caller sets one.

    Args:
        address: of the camera.
        method, target: as they are sent.
        headers: those besides Host, Connection and Content-Length.
        body: what to send.
        max_bytes: a larger answer is not read on.

    Raises:
        CameraError: a faulty reply, which says how; too large; unreachable: it speaks TLS.
        OSError: of the socket.
    """
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=address.tls, limit=_BLOCK)
    try:
        writer.write(_request(address, method, target, headers, body))
        return await read_reply(reader, address, max_bytes=max_bytes, first_part=method == "GET")
    finally:
        # At once: what is still under way is of no use, and a camera allows few connections.
        writer.transport.abort()


async def read_reply(reader: asyncio.StreamReader, address: Address, *, max_bytes: int, first_part: bool) -> Reply:
    """What comes, as far as it can be read.

    Args:
        reader: of the connection.
        address: of the camera, for errors.
        max_bytes: a larger answer is not read on.
        first_part: take the first part of a multipart answer.

    Raises:
        CameraError: see `request_leniently`.
        OSError: of the socket.
    """
    head, rest = await _read_head(reader, address)
    received_at = datetime.now(UTC)
    status, values = _parse_head(head, address)
    collected = Body(str(address), values, max_bytes, first_part=first_part)
    whole = True
    if status not in _WITHOUT_BODY:
        whole = await _read_body(reader, rest, values, collected)
    return Reply(status, values, collected.content(), received_at, whole=whole)


def _request(address: Address, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    default = 80 if address.tls is None else 443
    host = address.host if address.port == default else str(address)
    fields = {"Host": host, "Connection": "close", **headers}
    if body is not None:
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    # What a camera sent as Latin-1 in its challenge goes back as the same bytes.
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + (body or b"")


async def _read_head(reader: asyncio.StreamReader, address: Address) -> tuple[bytes, bytes]:
    """(head, what came of the body)."""
    data = b""
    while True:
        end = _HEAD_END.search(data)
        if end is not None:
            status = _STATUS_LINE.match(data)
            if status is None or int(status[1]) != _CONTINUE:
                return data[: end.start()], data[end.end() :]
            data = data[end.end() :]
            continue
        if data.startswith(_SOI):
            return b"HTTP/0.9 200", data  # a picture without any head
        if len(data) > _MAX_HEAD:
            raise _faulty(address, f"the head of its answer is longer than {_MAX_HEAD} bytes")
        piece = await reader.read(_BLOCK)
        if not piece:
            if data:
                return data, b""
            raise CameraError(FailureReason.UNREACHABLE, f"{address}: it closes the connection without an answer")
        data += piece


def _parse_head(head: bytes, address: Address) -> tuple[int, CIMultiDict[str]]:
    if head.startswith(_TLS_RECORDS):
        detail = f"{address}: it speaks TLS: set the camera's `scheme: https`"
        raise CameraError(FailureReason.UNREACHABLE, detail, final=True)
    status = _STATUS_LINE.match(head)
    if status is None:
        raise _faulty(address, f"its answer is no HTTP: it begins with {head[:_SHOWN]!r}")
    headers: CIMultiDict[str] = CIMultiDict()
    for line in head.splitlines()[1:]:
        field = _HEADER.fullmatch(line.strip())
        if field is not None:  # a line without a name says nothing
            name, value = field.groups()
            headers.add(name.decode("ascii"), value.decode("utf-8", "surrogateescape"))
    return int(status[1]), headers


async def _read_body(reader: asyncio.StreamReader, begun: bytes, headers: CIMultiDict[str], body: Body) -> bool:
    """Read until the body's end; whether it came whole."""
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        return await _read_chunks(reader, begun, body)
    text = headers.get("Content-Length", "").strip()
    length = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
    size, piece = 0, begun
    while True:
        size += len(piece)
        if piece and body.push(piece):
            return True
        announced = length is not None and size >= length
        if announced and (body.looks_whole or not length):
            return True
        try:
            # What is announced is not trusted either way: it may be counted in characters.
            async with asyncio.timeout(_IDLE_S if announced or body.looks_whole else None):
                piece = await reader.read(_BLOCK)
        except TimeoutError:
            return True
        except (ConnectionError, ssl.SSLError):
            return announced
        if not piece:
            return length is None or size >= length or body.looks_whole


async def _read_chunks(reader: asyncio.StreamReader, begun: bytes, body: Body) -> bool:
    data = bytearray(begun)

    async def more() -> bool:
        piece = b""
        with suppress(ConnectionError, ssl.SSLError):
            piece = await reader.read(_BLOCK)
        data.extend(piece)
        return bool(piece)

    while True:
        while (end := data.find(b"\n")) < 0:
            if len(data) > _MAX_CHUNK_LINE or not await more():
                return False
        line = bytes(data[:end]).partition(b";")[0].strip()
        del data[: end + 1]
        if not line:
            continue
        try:
            left = int(line, 16)
        except ValueError:
            return False
        if left <= 0:
            return left == 0
        while left:
            if not data and not await more():
                return False
            piece = bytes(data[:left])
            del data[: len(piece)]
            left -= len(piece)
            if body.push(piece):
                return True


def _faulty(address: Address, what: str) -> CameraError:
    return CameraError(FailureReason.FAULTY_REPLY, f"{address}: {what}")
