"""What is sent to a camera."""

import ssl
from dataclasses import dataclass, field


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
    """One request, without what sending adds: Host, Content-Length.

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


class NoConnectionError(TimeoutError):
    """The camera does not take the connection in time."""
