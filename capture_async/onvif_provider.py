"""Live cameras: the snapshot address over ONVIF, once per camera; then one HTTP request per frame."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

import aiohttp
from asyncio_throttle.throttler import Throttler

from bay_observation.errors import ConfigError
from bays import Camera
from capture_async.credentials import Credentials
from capture_async.http_auth import HttpAuthenticator
from capture_async.http_client import CameraHttp, Reply, new_session
from capture_async.jpeg import check_frame
from capture_async.problems import CameraError
from capture_async.provider import ImageProvider, Outcome
from capture_async.resolver import Resolved, resolve
from capture_async.types import Attempt, CameraFailure, CapturedImage, FailureReason

logger = logging.getLogger(__name__)

_NOT_FOUND = frozenset({404, 405, 410, 501})
_OK = 200
_MAX_TIMEOUT_S = 120.0
# After these, what was resolved may be wrong: the camera was exchanged, restarted or set anew.
_RESOLVE_AGAIN = frozenset(
    {FailureReason.UNREACHABLE, FailureReason.REFUSED_CREDENTIALS, FailureReason.NO_SNAPSHOT_SERVICE}
)


class OnvifImageProvider(ImageProvider):
    """One fresh frame from each ONVIF camera.

    What is known of a camera (snapshot address, clock offset, digest nonce) is
    kept for the process, so that a capture is usually one request per camera.

    Args:
        credentials: login of all cameras; None for cameras that want none.
        timeout: seconds for one request to one camera, from connecting to the last byte.
        max_per_second: an outer cap on cameras asked per second, for a network that
            bears no more; None leaves it off.

    Raises:
        ConfigError: a value is out of its range.
    """

    needs_credentials: ClassVar[bool] = True

    def __init__(
        self,
        credentials: Credentials | None = None,
        timeout: float = 10.0,
        max_per_second: int | None = None,
    ) -> None:
        if not _is_number(timeout) or not 0 < timeout <= _MAX_TIMEOUT_S:
            raise ConfigError(f"image_provider_config.timeout: {timeout!r} is no number of seconds up to 120")
        if max_per_second is not None and (not isinstance(max_per_second, int) or max_per_second < 1):
            raise ConfigError(f"image_provider_config.max_per_second: {max_per_second!r} is no whole number from 1")
        self._credentials = credentials
        self._timeout = float(timeout)
        self._throttler = Throttler(max_per_second) if max_per_second is not None else None
        self._session: aiohttp.ClientSession | None = None

    async def get_images(self, reference_time: datetime, cameras: Sequence[Camera], bay_id: str) -> list[Outcome]:
        """One outcome per camera; see `ImageProvider.get_images`. `captured_at` is when the answer began."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._get_image(reference_time, camera, bay_id)) for camera in cameras]
        return [task.result() for task in tasks]

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _get_image(self, reference_time: datetime, camera: Camera, bay_id: str) -> Outcome:
        if self._throttler is not None:
            await self._throttler.acquire()  # type: ignore[no-untyped-call]
        if self._session is None:
            self._session = new_session()
        memory = _memory_of(camera, self._credentials)
        http = CameraHttp(self._session, str(camera.host), camera.port, memory.authenticator, self._timeout)
        attempts = _Attempts()
        try:
            reply = await self._grab(http, memory, attempts)
            _check(reply, camera)
            memory.refuse_repeated(reply.body, reference_time)
        except CameraError as problem:
            if problem.reason in _RESOLVE_AGAIN:
                memory.resolved = None
            attempts.end(problem.reason)
            return CameraFailure(camera.name, problem.reason, problem.detail, attempts.done)
        attempts.end("frame")
        return CapturedImage(camera.name, bay_id, reply.received_at, reply.body, attempts.done)

    async def _grab(self, http: CameraHttp, memory: "_Memory", attempts: "_Attempts") -> Reply:
        """The snapshot's answer, resolving first where that was not done, and again after a 404."""
        known = memory.resolved is not None
        while True:
            if memory.resolved is None:
                memory.resolved = await resolve(http, self._credentials)
                attempts.end("resolved")
            reply = await http.request("GET", memory.resolved.target, headers={"Accept": "image/jpeg, */*"})
            if reply.status not in _NOT_FOUND:
                return reply
            memory.resolved = None
            if not known:
                detail = f"the snapshot address that the camera named itself is answered {reply.status}"
                raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, detail)
            known = False
            attempts.end(f"answered {reply.status}")


def forget_cameras() -> None:
    """Drop all that the process knows of cameras: the next capture resolves each one anew."""
    _memories.clear()


@dataclass(slots=True)
class _Memory:
    """What the process knows of one camera. Holds nothing of an event loop."""

    credentials: Credentials | None
    authenticator: HttpAuthenticator
    resolved: Resolved | None = None
    last_slot: datetime | None = None
    last_frame: bytes = b""

    def refuse_repeated(self, frame: bytes, slot: datetime) -> None:
        """Sensor noise makes every real frame new: the same bytes for another slot are an old frame.

        Raises:
            CameraError: stale.
        """
        digest = hashlib.sha256(frame).digest()
        if digest == self.last_frame and self.last_slot is not None and slot != self.last_slot:
            detail = f"the frame is byte for byte that of slot {self.last_slot.isoformat()}: restart the camera"
            raise CameraError(FailureReason.STALE, detail)
        self.last_frame, self.last_slot = digest, slot


@dataclass(slots=True)
class _Attempts:
    """The steps of one camera's capture, each with its duration."""

    done: tuple[Attempt, ...] = ()
    _since: float = field(default_factory=time.monotonic)

    def end(self, outcome: str) -> None:
        now = time.monotonic()
        self.done += (Attempt(str(outcome), round(now - self._since, 4)),)
        self._since = now


_memories: dict[tuple[str, int], _Memory] = {}


def _memory_of(camera: Camera, credentials: Credentials | None) -> _Memory:
    key = (str(camera.host), camera.port)
    memory = _memories.get(key)
    if memory is None or memory.credentials != credentials:
        memory = _memories[key] = _Memory(credentials, HttpAuthenticator(credentials))
    return memory


def _check(reply: Reply, camera: Camera) -> None:
    if reply.status != _OK:
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"the snapshot is answered {reply.status}")
    check_frame(reply.body, camera)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
