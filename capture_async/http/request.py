"""What is sent to a camera, and what may keep an answer from coming; for every way of sending."""

import ssl
from dataclasses import dataclass, field
from typing import Protocol

from capture_async.http.reply import Reply


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes; `tls` is the context of an `https` camera."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, without what its way of sending adds: Host, Content-Length.

    Attributes:
        address: of the camera.
        method: as `GET`.
        target: path and query, percent-encoded; sent as it is.
        headers: by name.
        body: None for none.
        max_bytes: an answer's body that is larger is not read on.
        connect_s: seconds for the connection.
        keep: leave the connection open for the camera's next request.
    """

    address: Address
    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    max_bytes: int = 20 * 1024 * 1024
    connect_s: float = 5.0
    keep: bool = False


class Transport(Protocol):
    """A way to send requests. It has no timeout of its own for the answer: the caller sets one."""

    async def send(self, request: Request) -> Reply:
        """The answer.

        Raises:
            CameraError: too large, a faulty reply, unreachable.
            MalformedReplyError: another way of sending may get more.
            NoConnectionError: no connection within `connect_s`.
            ConnectionError: the connection was refused, or ended before an answer.
            ssl.SSLError: there is no TLS that both accept.
        """

    async def close(self) -> None:
        """Close every connection."""


class MalformedReplyError(Exception):
    """The answer cannot be read strictly, or what it asks for cannot be written."""


class NoConnectionError(TimeoutError):
    """The camera does not take the connection in time."""


class EarlyAnswerError(MalformedReplyError, ConnectionError):
    """The answer came before the request was sent; or the connection, which was kept, had ended."""
