"""One key frame over RTSP (RFC 2326): DESCRIBE, SETUP, PLAY, and the packets interleaved on the same connection.

Written here, because it must be cancelled at the deadline, must keep login and
password out of addresses, command lines and logs, and must ask no host but the
configured one. Packets come over TCP: no ports to open in the bay's network, none lost.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Protocol
from urllib.parse import urlsplit

from capture_async.addresses import encoded_target, path_of
from capture_async.errors import CameraError, connection_error
from capture_async.http.authentication import HttpAuthenticator
from capture_async.rtsp.frame_reader import FrameReader
from capture_async.rtsp.key_frame import KeyFrame
from capture_async.rtsp.sdp import VideoTrack, video_track
from capture_async.types import FailureReason

_CONNECT_S = 5.0
_MAX_BODY = 64 * 1024
_MAX_HEADERS = 64
_MAX_LINE = 8 * 1024
_OK = 200
_PACKETS_PER_TURN = 64
_ERRORS = {
    403: (FailureReason.REFUSED_CREDENTIALS, "the login lacks the right"),
    404: (FailureReason.NO_SNAPSHOT_SERVICE, "there is no such stream: correct the camera's rtsp.path"),
    453: (FailureReason.BUSY, "it has no bandwidth left"),
    461: (FailureReason.NO_SNAPSHOT_SERVICE, "it sends no stream over TCP: switch RTSP over TCP on at the camera"),
    503: (FailureReason.BUSY, "its connections are in use"),
}


async def read_key_frame(
    host: str,
    port: int,
    target: str,
    authenticator: HttpAuthenticator,
    timeout: float,  # noqa: ASYNC109  becomes a named error here
) -> KeyFrame:
    """The first whole key frame of a stream.

    Args:
        host, port: of the bay's configuration.
        target: path and query of the stream, percent-encoded.
        authenticator: of the camera's streams, kept between captures.
        timeout: seconds for all of it.

    Raises:
        CameraError: unreachable, timed out, refused credentials, busy, no snapshot
            service (no such stream), not an image, truncated, too large.
    """
    where = f"{host}:{port}"
    connection: Connection | None = None
    try:
        async with asyncio.timeout(timeout):
            try:
                async with asyncio.timeout(min(timeout, _CONNECT_S)):
                    reader, writer = await asyncio.open_connection(host, port, limit=_MAX_LINE)
            except TimeoutError as error:
                raise CameraError(FailureReason.UNREACHABLE, f"{where}: no connection in time") from error
            connection = Connection(reader, writer, where, f"rtsp://{where}", authenticator)
            return await connection.key_frame(target)
    except TimeoutError as error:
        detail = f"{where}: no whole key frame of {path_of(target)} within {timeout:g} s"
        raise CameraError(FailureReason.TIMED_OUT, detail) from error
    except asyncio.IncompleteReadError as error:
        raise CameraError(FailureReason.TRUNCATED, f"{where}: the stream ended before a key frame was whole") from error
    except (asyncio.LimitOverrunError, ValueError) as error:
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"{where}: its answer is no RTSP") from error
    except OSError as error:
        raise connection_error(where, error) from error
    finally:
        if connection is not None:
            connection.close()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def challenges(self) -> list[str]:
        return [value for key, value in self.headers if key == "www-authenticate"]

    def one(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


class Outgoing(Protocol):
    """What is needed of a connection's stream to the server."""

    def write(self, data: bytes) -> None:
        """Send."""

    def close(self) -> None:
        """End the connection."""

    def is_closing(self) -> bool:
        """Whether it has ended."""


class Connection:
    """The conversation with one server.

    Args:
        reader, writer: the two directions of the connection.
        where: the server, for errors.
        base: its address without path.
        authenticator: of its streams.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: Outgoing,
        where: str,
        base: str,
        authenticator: HttpAuthenticator,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._where = where
        self._base = base
        self._authenticator = authenticator
        self._number = 0
        self._session = ""
        self._address = base

    async def key_frame(self, target: str) -> KeyFrame:
        """The first whole key frame; see `read_key_frame`, which names the errors of the connection."""
        self._address = self._base + target
        described = await self._ask("DESCRIBE", self._address, Accept="application/sdp")
        track = video_track(described.body.decode("utf-8", "replace"))
        named = described.one("content-base") or described.one("content-location")
        self._address = self._base + _target(named, target)
        transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
        setup = await self._ask("SETUP", self._track_address(track), Transport=transport)
        self._session = setup.one("session").partition(";")[0].strip()
        await self._ask("PLAY", self._address, Range="npt=0.000-")
        return await self._collect(track, _channel(setup.one("transport")))

    def close(self) -> None:
        """End the session, without waiting for an answer."""
        if self._session and not self._reader.at_eof() and not self._writer.is_closing():
            self._send("TEARDOWN", self._address, {})
        self._writer.close()

    def _track_address(self, track: VideoTrack) -> str:
        if track.control == "*":
            return self._address
        if track.control.lower().startswith(("rtsp:", "rtsps:")):
            return self._base + _target(track.control, "/")
        # Joined as cameras expect it, which is not as RFC 3986 has it: the base may carry a query.
        return self._address.rstrip("/") + "/" + encoded_target(track.control.lstrip("/"), "").removeprefix("/")

    async def _collect(self, track: VideoTrack, channel: int) -> KeyFrame:
        reader = FrameReader(track)
        for number in count(1):
            await _let_others_run(number)
            mark = await self._reader.readexactly(1)
            if mark != b"$":
                await self._answer(mark)  # a request or a late answer in between
                continue
            came_on, data = await self._packet()
            frame = reader.push(data) if came_on == channel else None
            if frame is not None:
                return KeyFrame(track.codec, frame, datetime.now(UTC))
        raise AssertionError("unreachable")

    async def _packet(self) -> tuple[int, bytes]:
        head = await self._reader.readexactly(3)
        return head[0], await self._reader.readexactly(int.from_bytes(head[1:]))

    async def _ask(self, method: str, address: str, **headers: str) -> _Answer:
        """The answer to a request, with a challenge answered on the way; only ever a 200."""

        async def send(authorization: str | None) -> _Answer:
            sent = {} if authorization is None else {"Authorization": authorization}
            self._send(method, address, headers | sent)
            return await self._answer_to_this()

        return self._checked(method, await self._authenticator.exchange(self._where, method, address, send))

    def _send(self, method: str, address: str, headers: dict[str, str]) -> None:
        self._number += 1
        session = {"Session": self._session} if self._session else {}
        lines = [f"{name}: {value}\r\n" for name, value in ({"CSeq": str(self._number)} | session | headers).items()]
        self._writer.write(f"{method} {address} RTSP/1.0\r\n{''.join(lines)}\r\n".encode("utf-8", "surrogateescape"))

    def _checked(self, method: str, answer: _Answer) -> _Answer:
        if answer.status == _OK:
            return answer
        reason, why = _ERRORS.get(answer.status, (FailureReason.NOT_AN_IMAGE, "which is no stream"))
        final = 300 <= answer.status < 400
        if final:
            why = "a redirect, which is not followed"
        refused = reason is FailureReason.REFUSED_CREDENTIALS and self._authenticator.scheme is not None
        detail = f"{self._where}: {method} is answered {answer.status}: {why}"
        raise CameraError(reason, detail, final=final, login_refused=refused)

    async def _answer_to_this(self) -> _Answer:
        for number in count(1):
            await _let_others_run(number)
            mark = await self._reader.readexactly(1)
            if mark == b"$":
                await self._packet()  # of a stream that began before it was answered
                continue
            answer = await self._answer(mark)
            if answer.one("cseq").strip() in (str(self._number), ""):
                return answer
        raise AssertionError("unreachable")

    async def _answer(self, begun: bytes) -> _Answer:
        """An answer; or a request by the server, which has status 0.

        Raises:
            ValueError: what comes is neither.
        """
        words = (begun + await self._line()).split(maxsplit=2)
        if len(words) < 2:
            raise ValueError("no RTSP status line")
        status = int(words[1]) if words[0].startswith(b"RTSP/") else 0
        if not status and not words[-1].startswith(b"RTSP/"):
            raise ValueError("no RTSP status line")
        headers: list[tuple[str, str]] = []
        while line := (await self._line()).strip():
            name, _, value = line.decode("utf-8", "surrogateescape").partition(":")
            headers.append((name.strip().lower(), value.strip()))
            if len(headers) > _MAX_HEADERS:
                raise ValueError("too many headers")
        answer = _Answer(status, headers, b"")
        length = answer.one("content-length") or "0"
        if int(length) > _MAX_BODY:
            detail = f"{self._where}: an answer of {int(length)} bytes, more than {_MAX_BODY}"
            raise CameraError(FailureReason.TOO_LARGE, detail)
        return _Answer(status, headers, await self._reader.readexactly(max(0, int(length))))

    async def _line(self) -> bytes:
        return await self._reader.readuntil(b"\n")


async def _let_others_run(number: int) -> None:
    """Reading what has arrived already does not suspend: a camera that sends fast would keep the loop to itself."""
    if number % _PACKETS_PER_TURN == 0:
        await asyncio.sleep(0)


def _target(address: str, otherwise: str) -> str:
    """Path and query of an address that the camera named; its host is not asked."""
    parts = urlsplit(address.strip())
    return encoded_target(parts.path, parts.query) if parts.netloc else otherwise


def _channel(transport: str) -> int:
    """Where the packets come: servers may choose another channel than was asked for."""
    for parameter in transport.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "interleaved":
            return int(value.partition("-")[0])
    return 0
