"""HTTP/1 as some firmwares speak it, read as far as it can be.

aiohttp rightly refuses a header line without a name, a length counted in characters, or a header that is no
UTF-8. A camera that sends these has a frame all the same. Asked this way are cameras at which aiohttp has failed, over
a new connection each time, and all cameras in the first capture of a process, which need not wait for aiohttp to be
imported.
"""

import asyncio
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from multidict import CIMultiDict

from capture_async.errors import CameraError
from capture_async.http.incoming import Incoming, Reader
from capture_async.http.reply import Body, Piece, Reply
from capture_async.http.request import Address, NoConnectionError, Request
from capture_async.types import FailureReason

# As much as the socket gives.
_BLOCK = 1024 * 1024
# Chunks are read in small blocks, and the loop runs between them: a camera may send a million of one byte.
_CHUNKS_BLOCK = 16 * 1024
_MAX_HEAD = 64 * 1024
_MOST_INTERIM = 32
_MAX_CHUNK_LINE = 1024
_IDLE_S = 0.5
# A connection that carries no request for so long is closed, as aiohttp does.
_KEPT_S = 15.0
_STATUS_LINE = re.compile(rb"(?i)(?:\xef\xbb\xbf)?\s*(?:HTTP|ICY|RTSP)\S*[ \t]+(\d{3})(?!\d)")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:[ \t]*(.*)")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_MAY_BE_KEPT = b"HTTP/1.1"
_WITHOUT_BODY = frozenset({101, 204, 205, 304})
_SWITCHING = 101
# Informational answers, which another one follows.
_INTERIM = frozenset(range(100, 200)) - {_SWITCHING}
_LONGEST_LENGTH = 16
_SOI = b"\xff\xd8"
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
_SHOWN = 24


class LenientTransport:
    """Sends over connections of its own; one is kept for the next request where both sides want that."""

    def __init__(self) -> None:
        self._idle: dict[_Key, list[_Connection]] = {}

    async def send(self, request: Request) -> Reply:
        """See `Transport.send`."""
        kept = self._kept(request) if request.keep else None
        connection = kept or await _connected(request)
        try:
            connection.outgoing.write(_written(request))
            reply = await _reply(connection.incoming, request, is_kept=kept is not None)
        except BaseException:
            connection.close()
            raise
        if reply.at_end and request.keep:
            self._keep(request, connection)
        else:
            # At once: what is still under way is of no use, and a camera allows few connections.
            connection.close()
            await asyncio.sleep(0)  # in which the loop closes the file: the next connection would need another one
        return reply

    async def close(self) -> None:
        """See `Transport.close`."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def _kept(self, request: Request) -> "_Connection | None":
        connections = self._idle.get(_key(request), [])
        while connections:
            connection = connections.pop()
            if connection.is_usable:
                connection.is_used()
                return connection
            connection.close()
        return None

    def _keep(self, request: Request, connection: "_Connection") -> None:
        connections = self._idle.setdefault(_key(request), [])
        connections.append(connection)

        def end() -> None:
            connections.remove(connection)
            connection.close()

        connection.timer = asyncio.get_running_loop().call_later(_KEPT_S, end)


_Key: TypeAlias = tuple[str, int, ssl.SSLContext | None]


def _key(request: Request) -> _Key:
    return request.address.host, request.address.port, request.address.tls


@dataclass(slots=True, eq=False)
class _Connection:
    incoming: Incoming
    outgoing: asyncio.Transport
    timer: asyncio.TimerHandle | None = None

    @property
    def is_usable(self) -> bool:
        # What came after the end of its answer would be taken for the next one.
        return not (self.incoming.has_ended or self.incoming.has_unread or self.outgoing.is_closing())

    def is_used(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def close(self) -> None:
        self.is_used()
        self.outgoing.abort()


async def _connected(request: Request) -> _Connection:
    address = request.address
    try:
        async with asyncio.timeout(request.connect_s):
            outgoing, incoming = await asyncio.get_running_loop().create_connection(
                Incoming, address.host, address.port, ssl=address.tls
            )
    except TimeoutError as error:
        raise NoConnectionError from error
    return _Connection(incoming, outgoing)


async def _reply(reader: Reader, request: Request, *, is_kept: bool) -> Reply:
    try:
        return await read_reply(
            reader,
            request.address,
            max_bytes=request.max_bytes,
            first_part=request.method == "GET",
            trust_length=request.keep,
        )
    except CameraError as error:
        if is_kept and error.reason is FailureReason.FAULTY_REPLY:
            # Perhaps the end of the answer before, whose length is counted wrongly.
            raise ConnectionResetError from error
        raise


async def read_reply(
    reader: Reader, address: Address, *, max_bytes: int, first_part: bool, trust_length: bool = False
) -> Reply:
    """What comes, as far as it can be read.

    Args:
        reader: of the connection.
        address: of the camera, for errors.
        max_bytes: a larger answer is not read on.
        first_part: take the first part of a multipart answer.
        trust_length: wait for nothing behind the announced length, though what came does not look whole.

    Raises:
        CameraError: a faulty reply, which says how; too large; unreachable: it speaks TLS.
        OSError: of the socket, or of one that ends before an answer.
    """
    head, rest = await _read_head(reader, address)
    received_at = datetime.now(UTC)
    status, values = _parse_head(head, address)
    collected = Body(address, status, values, max_bytes, first_part=first_part)
    if status in _WITHOUT_BODY:
        ending = _Ending(whole=True, at_end=status != _SWITCHING and not rest)
    else:
        ending = await _read_body(reader, rest, values, collected, trust_length=trust_length)
    says_close = "close" in values.get("Connection", "").lower()
    at_end = ending.at_end and head.startswith(_MAY_BE_KEPT) and not says_close
    return Reply(status, values, await collected.unfolded(), received_at, whole=ending.whole, at_end=at_end)


@dataclass(frozen=True, slots=True)
class _Ending:
    """Whether a body came whole, and whether nothing came behind its announced end."""

    whole: bool
    at_end: bool = False


def _written(request: Request) -> bytes:
    address = request.address
    default = 80 if address.tls is None else 443
    fields = {"Host": address.host if address.port == default else str(address)}
    if not request.keep:
        fields["Connection"] = "close"
    fields |= request.headers
    if request.body is not None:
        fields["Content-Length"] = str(len(request.body))
    lines = [
        f"{request.method} {request.target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in fields.items()),
        "",
        "",
    ]
    # What a camera sent as Latin-1 in its challenge goes back as the same bytes.
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + (request.body or b"")


async def _read_head(reader: Reader, address: Address) -> tuple[bytes, Piece]:
    """(head, what came of the body, which is not copied)."""
    data, interim = b"", 0
    while True:
        end = _HEAD_END.search(data)
        if end is not None:
            status = _STATUS_LINE.match(data)
            if status is None or int(status[1]) not in _INTERIM:
                return data[: end.start()], memoryview(data)[end.end() :]
            data, interim = data[end.end() :], interim + 1
            if interim > _MOST_INTERIM:
                raise _faulty(address, f"it sends one interim answer ({int(status[1])}) after the other, and no other")
            continue
        if data.startswith(_SOI):
            return b"HTTP/0.9 200", data  # a picture without any head
        if len(data) > _MAX_HEAD:
            raise _faulty(address, f"the head of its answer is longer than {_MAX_HEAD} bytes")
        piece = await reader.read(_BLOCK)
        if not piece:
            if data:
                return data, b""
            raise ConnectionResetError
        data = (data + piece).lstrip(b"\r\n")


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


async def _read_body(
    reader: Reader, begun: Piece, headers: CIMultiDict[str], body: Body, *, trust_length: bool
) -> _Ending:
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        return await _read_chunks(reader, begun, body)
    length = _length(headers)
    body.announce(length)
    size, piece = 0, begun
    while True:
        size += len(piece)
        if piece and body.push(piece):
            return _Ending(whole=True)
        announced = length is not None and size >= length
        if announced and (trust_length or body.looks_whole or not length):
            return _Ending(whole=True, at_end=size == length)
        try:
            # The length may be counted in characters.
            async with asyncio.timeout(_IDLE_S if announced or body.looks_whole else None):
                piece = await reader.read(_BLOCK)
        except TimeoutError:
            return _Ending(whole=True)
        except (ConnectionError, ssl.SSLError):
            return _Ending(whole=announced)
        if not piece:
            return _Ending(whole=length is None or size >= length or body.looks_whole)


def _length(headers: CIMultiDict[str]) -> int | None:
    text = headers.get("Content-Length", "").strip()
    if not (text.isascii() and text.isdigit()):
        return None
    return int(text) if len(text) < _LONGEST_LENGTH else 10**_LONGEST_LENGTH


async def _read_chunks(reader: Reader, begun: Piece, body: Body) -> _Ending:
    data, unread = bytearray(), memoryview(begun)

    async def more() -> bool:
        nonlocal unread
        piece, unread = unread[:_CHUNKS_BLOCK], unread[_CHUNKS_BLOCK:]
        if not piece:
            with suppress(ConnectionError, ssl.SSLError):
                piece = memoryview(await reader.read(_CHUNKS_BLOCK))
        data.extend(piece)
        await asyncio.sleep(0)
        return bool(piece)

    while True:
        while (end := data.find(b"\n")) < 0:
            if len(data) > _MAX_CHUNK_LINE or not await more():
                return _Ending(whole=False)
        line = bytes(data[:end]).partition(b";")[0].strip()
        del data[: end + 1]
        if not line:
            continue
        try:
            left = int(line, 16)
        except ValueError:
            return _Ending(whole=False)
        if left <= 0:
            # Trailers may follow: such a connection carries no other request.
            return _Ending(whole=left == 0)
        while left:
            if not data and not await more():
                return _Ending(whole=False)
            piece = bytes(data[:left])
            del data[: len(piece)]
            left -= len(piece)
            if body.push(piece):
                return _Ending(whole=True)


def _faulty(address: Address, what: str) -> CameraError:
    return CameraError(FailureReason.FAULTY_REPLY, f"{address}: {what}")
