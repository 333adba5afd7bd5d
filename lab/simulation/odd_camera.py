"""A camera on a raw socket: what it sends is up to the test, byte for byte."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from types import TracebackType
from typing import Any, Self

from bays import Camera
from lab.simulation import soap

HOST = "127.60.0.250"


@dataclass(frozen=True)
class Request:
    """As it was sent. `operation` is that of a SOAP body."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    operation: str
    number: int
    """Of its connection, from 1."""


Answer = bytes | Callable[[Request, "OddCamera"], Any]
"""Bytes to send, or a function that gives them."""


def http(body: bytes | str, *, status: str = "200 OK", kind: str = "application/soap+xml", **headers: str) -> bytes:
    """A well-formed answer; headers by name with underscores for dashes."""
    content = body.encode() if isinstance(body, str) else body
    fields = {"Content-Type": kind, "Content-Length": str(len(content))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + content


def jpeg_answer(jpeg: bytes) -> bytes:
    """A frame."""
    return http(jpeg, kind="image/jpeg")


@dataclass
class OddCamera:
    """`async with OddCamera(jpeg, {"GetProfiles": b"..."}) as camera:` Answers what is not given as a good camera does.

    Keys of `answers` are SOAP operations, `*` for all of them, and `snapshot`. A value is the
    bytes to send, or a function of the request and the camera that returns them, None to close
    the connection unanswered, or an async generator of pieces. `stay` keeps the connection open after such an answer.
    """

    jpeg: bytes
    answers: dict[str, Answer] = field(default_factory=dict)
    username: str = "yard"
    password: str = "secret"  # noqa: S105  of no real camera
    login: bool = False
    stay: bool = False
    requests: list[Request] = field(default_factory=list)
    failed_logins: int = 0
    port: int = 0
    host: str = HOST
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0, backlog=500)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def camera(self, name: str = "ODD", **changes: Any) -> Camera:
        """As a bay's file describes it."""
        return Camera(name=name, host=IPv4Address(self.host), port=self.port, **changes)

    @property
    def operations(self) -> Counter[str]:
        """How often each was asked for; `snapshot` for what is no SOAP."""
        return Counter(request.operation or "snapshot" for request in self.requests)

    def good_answer(self, request: Request) -> bytes:
        """What a good camera answers."""
        base = f"http://{self.host}:{self.port}"
        if self.login and request.operation not in ("", "GetSystemDateAndTime") and not self._token_is_right(request):
            return http(soap.fault_reply(soap.SoapFaultError("NotAuthorized", "go away")), status="400 Bad Request")
        match request.operation:
            case "GetSystemDateAndTime":
                return http(soap.date_and_time_reply(datetime.now(UTC)))
            case "GetCapabilities":
                return http(soap.capabilities_reply(base))
            case "GetServices":
                return http(soap.services_reply(base))
            case "GetProfiles":
                return http(soap.profiles_reply([soap.Profile("main", "main stream", 1920, 1080)]))
            case "GetSnapshotUri":
                return http(soap.media_uri_reply("GetSnapshotUri", f"{base}/snap.jpg"))
        return jpeg_answer(self.jpeg)

    def count_token(self, request: Request) -> bool:
        """Whether the request carries a wrong token, which counts as a failed login."""
        wrong = b"UsernameToken" in request.body and not self._token_is_right(request)
        self.failed_logins += wrong
        return wrong

    def _token_is_right(self, request: Request) -> bool:
        token = soap.read_request(request.body).token
        return soap.token_is_valid(token, self.username, self.password, datetime.now(UTC), timedelta(seconds=60))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        # Cancelled when the camera is switched off; asyncio logs a handler that ends that way as an error.
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            number = 1
            while await self._answer(await _read(reader, number), writer):
                number += 1
            await writer.drain()
        writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Send the answer; whether the connection stays open."""
        self.requests.append(request)
        given = self.answers.get(request.operation or "snapshot", self.answers.get("*") if request.operation else None)
        found = given(request, self) if callable(given) else given
        if given is None:
            found = self.good_answer(request)
        if found is None:
            return False
        if isinstance(found, bytes):
            writer.write(found)
        else:
            async for piece in found:
                writer.write(piece)
                await writer.drain()
        await writer.drain()
        return (given is None or self.stay) and request.headers.get("connection") != "close"


async def _read(reader: asyncio.StreamReader, number: int) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "surrogateescape")
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    operation = re.search(rb"<(?:\w+:)?(Get\w+)[ >/]", body)
    return Request(method, target, headers, body, operation[1].decode() if operation else "", number)
