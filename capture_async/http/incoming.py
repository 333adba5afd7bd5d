"""What arrives on a connection: pieces as the socket gives them, not copied into a buffer of the reader's own."""

import asyncio
from collections import deque
from typing import Protocol, cast

# A camera that sends faster than it is read waits from here on.
_MOST_UNREAD = 1024 * 1024


class Reader(Protocol):
    """Where the bytes of an answer come from; an `asyncio.StreamReader` is one."""

    async def read(self, n: int) -> bytes:
        """What has come, at most `n` bytes of it; nothing at the end.

        Raises:
            OSError: the connection broke.
        """


class Incoming(asyncio.Protocol):
    """The reading side of one connection; a `Reader`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._pieces: deque[bytes] = deque()
        self._unread = 0
        self._is_paused = False
        self._error: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None
        self.has_ended = False
        """Whether nothing more comes."""

    @property
    def has_unread(self) -> bool:
        """Whether something came that was not read."""
        return bool(self._pieces)

    async def read(self, n: int) -> bytes:
        """See `Reader`."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.has_ended:
                return b""
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        piece = self._pieces.popleft()
        if len(piece) > n:
            self._pieces.appendleft(piece[n:])
            piece = piece[:n]
        self._unread -= len(piece)
        if self._is_paused and self._unread <= _MOST_UNREAD and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return piece

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio calls it."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """As asyncio calls it."""
        self._pieces.append(data)
        self._unread += len(data)
        if self._unread > _MOST_UNREAD and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """As asyncio calls it, which then closes the connection."""
        self.has_ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio calls it."""
        self.has_ended, self._error, self._transport = True, exc, None
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        self._waiting = None
