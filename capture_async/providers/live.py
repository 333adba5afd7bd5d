"""What all providers of live cameras share: one session, limits, pauses, a wall, and a judgement of every frame."""

import asyncio
import logging
import re
import ssl
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from asyncio_throttle.throttler import Throttler

from bay_observation.errors import ConfigError
from bays import Camera
from bays.provider_configs import LiveConfig, SnapshotConfig
from capture_async.credentials import Credentials
from capture_async.errors import CameraError, unexpected_error
from capture_async.frames.jpeg import JpegHeader, check_frame
from capture_async.http.client import CameraHttp
from capture_async.http.reply import Reply
from capture_async.http.tls import tls_context
from capture_async.http.transports import Transports
from capture_async.limits import Admission
from capture_async.providers.camera_state import CameraConnection, CameraState, rtsp_port, state_of
from capture_async.providers.provider import ImageProvider, Outcome
from capture_async.refusals import Refusal, refusal_in
from capture_async.types import Attempt, CameraFailure, CapturedImage, FailureReason

logger = logging.getLogger(__name__)

SNAPSHOT_HEADERS = {"Accept": "image/jpeg, */*"}
_OK, _SUCCESS = 200, range(200, 300)
_LONGEST_PAGE = 64 * 1024
_LARGE_FRAME = 2 * 1024 * 1024
_SOI = b"\xff\xd8"
# So long a camera without a snapshot service is asked for its stream alone.
_NO_SNAPSHOT_S = 86_400.0
# No time zone explains a local time that lies further from UTC.
_FURTHEST_ZONE = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame, not judged yet. `received_at` is when it began to arrive (aware)."""

    jpeg: bytes
    received_at: datetime


@dataclass(slots=True)
class Attempts:
    """The steps of one camera's capture, each with its duration."""

    done: tuple[Attempt, ...] = ()
    _since: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """The first step begins now, after waiting for the camera's turn."""
        self._since = time.monotonic()

    def end(self, outcome: str) -> None:
        """The present step ended in that way, and the next one begins."""
        now = time.monotonic()
        self.done += (Attempt(str(outcome), round(now - self._since, 4)),)
        self._since = now


class LiveImageProvider(ImageProvider):
    """Base of providers that ask cameras over the network; a subclass says how one frame is asked for.

    What is known of a camera (addresses, nonces, a refused login) is kept for the
    process, so that a capture is usually one request per camera. Connections are this
    provider's, belong to the loop of its first capture, and end with `close`.

    Args:
        credentials: login of all cameras; None for cameras that want none.
        config: the provider's own, checked.
    """

    needs_credentials: ClassVar[bool] = True

    def __init__(self, credentials: Credentials | None, config: LiveConfig) -> None:
        # A stream has no EXIF time and no TLS: there these two stay at their defaults, unused.
        snapshots = config if isinstance(config, SnapshotConfig) else SnapshotConfig()
        self._credentials = credentials
        self._timeout = config.timeout
        self._throttler = Throttler(config.max_per_second) if config.max_per_second is not None else None
        self._login_pause = config.login_pause
        self._frame_interval = config.frame_interval
        self._stale_after = timedelta(seconds=snapshots.stale_after)
        self._tls = snapshots.tls
        self._tls_context: ssl.SSLContext | None = None
        self._tls_lock = asyncio.Lock()
        self._transports = Transports()
        self._clients: dict[str, tuple[Camera, CameraHttp]] = {}

    async def get_images(self, reference_time: datetime, cameras: Sequence[Camera], bay_id: str) -> list[Outcome]:
        """One outcome per camera; see `ImageProvider.get_images`. `captured_at` is when the answer began."""
        if len(cameras) == 1:  # as the service asks: without another task
            return [await self._outcome(reference_time, cameras[0], bay_id)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._outcome(reference_time, camera, bay_id)) for camera in cameras]
        return [task.result() for task in tasks]

    def worth_another_try(self, camera: Camera, failure: CameraFailure) -> bool:
        """Not after a refused login, nor after an error that stays: a redirect, a certificate."""
        return super().worth_another_try(camera, failure) and not self._state(camera).final

    def retry_after_s(self, camera: Camera) -> float | None:
        """Retry-After of its latest answer."""
        return self._state(camera).retry_after_s

    def clock_offset_s(self, camera: Camera) -> float | None:
        """As it was when the camera's addresses were asked for."""
        resolved = self._state(camera).resolved
        return None if resolved is None else resolved.clock_offset.total_seconds()

    async def close(self) -> None:
        """Close every connection."""
        self._clients.clear()
        await self._transports.close()

    @abstractmethod
    async def _grab(self, camera: Camera, state: CameraState, attempts: Attempts) -> Frame:
        """The camera's present frame, not judged yet.

        Raises:
            CameraError: there is none.
        """

    def _state(self, camera: Camera) -> CameraState:
        return state_of(camera, self._credentials)

    async def _outcome(self, reference_time: datetime, camera: Camera, bay_id: str) -> Outcome:
        """The wall around one camera: whatever it sends, or fails to do, becomes its own outcome."""
        attempts = Attempts()
        state = self._state(camera)
        try:
            frame = await self._asked(reference_time, camera, state, attempts)
            return CapturedImage(camera.name, bay_id, frame.received_at, frame.jpeg, attempts.done)
        except CameraError as error:
            failed = error
        except ConfigError:
            raise
        except Exception as error:
            failed = unexpected_error(f"{camera.host}:{camera.port}", error)
            logger.warning("bay %s, camera %s: %s", bay_id, camera.name, failed, exc_info=True)
            state.failed(failed)
            attempts.end(failed.reason)
        state.final, state.retry_after_s = failed.final, failed.retry_after_s
        return CameraFailure(camera.name, failed.reason, failed.detail, attempts.done)

    async def _asked(self, slot: datetime, camera: Camera, state: CameraState, attempts: Attempts) -> Frame:
        state.login.check_pause()
        if self._throttler is not None:
            await self._throttler.acquire()  # type: ignore[no-untyped-call]
        async with CameraConnection(camera), Admission():
            attempts.begin()
            # While this one waited, the same login may have been refused for another picture of the host.
            state.login.check_pause()
            return await self._frame(slot, camera, state, attempts)

    async def _frame(self, slot: datetime, camera: Camera, state: CameraState, attempts: Attempts) -> Frame:
        """The snapshot; where that fails and the camera has a stream, a frame of the stream."""
        if state.no_snapshot_until > time.monotonic():
            return await self._stream_frame(slot, camera, state, attempts)
        try:
            return await self._snapshot(slot, camera, state, attempts)
        except CameraError as error:
            if camera.rtsp is None or error.reason is FailureReason.REFUSED_CREDENTIALS:
                raise
            try:
                frame = await self._stream_frame(slot, camera, state, attempts)
            except CameraError as second:
                detail = f"{error.detail}; its stream: {second.reason}: {second.detail}"
                raise CameraError(error.reason, detail, final=error.final and second.final) from second
            if error.reason is FailureReason.NO_SNAPSHOT_SERVICE:
                state.no_snapshot_until = time.monotonic() + _NO_SNAPSHOT_S
            return frame

    async def _snapshot(self, slot: datetime, camera: Camera, state: CameraState, attempts: Attempts) -> Frame:
        began = time.monotonic()
        try:
            frame = await self._grab(camera, state, attempts)
            while (taken_at := (await _checked(frame.jpeg, camera)).taken_at) is not None and self._is_old(
                taken_at, state
            ):
                if state.resolved is None or state.resolved_at >= began:
                    raise CameraError(FailureReason.STALE, f"its own time says it was taken at {taken_at.isoformat()}")
                # The camera's clock may have been set since it was last read.
                state.resolved = None
                attempts.end("older by its own time; the camera's clock is read again")
                frame = await self._grab(camera, state, attempts)
            state.accept(frame.jpeg, slot, self._frame_interval)
        except CameraError as error:
            self._take_in(state, error)
            if error.reason is FailureReason.TRUNCATED and camera.name in self._clients:
                # Perhaps its length is counted wrongly: the next answer is read to its end, whatever it announces.
                self._clients[camera.name][1].read_leniently()
            attempts.end(error.reason)
            raise
        attempts.end("frame")
        return frame

    async def _stream_frame(self, slot: datetime, camera: Camera, state: CameraState, attempts: Attempts) -> Frame:
        """A frame of the camera's stream, in place of its snapshot."""
        stream = state_of(camera, self._credentials, stream=True)
        try:
            stream.login.check_pause()
            target = await self._stream_target(camera, state)
            frame = await self._read_stream(camera, stream, target)
            await _checked(frame.jpeg, camera)
            stream.accept(frame.jpeg, slot, self._frame_interval)
        except CameraError as error:
            state.stream_target = None
            self._take_in(stream, error)
            attempts.end(f"stream: {error.reason}")
            raise
        attempts.end("frame of the stream")
        return frame

    async def _stream_target(self, camera: Camera, state: CameraState) -> str:
        """Path and query of the stream."""
        if camera.rtsp is not None and camera.rtsp.path is not None:
            return camera.rtsp.path
        raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, "no rtsp.path is configured for the camera", final=True)

    async def _read_stream(self, camera: Camera, stream: CameraState, target: str) -> Frame:
        from capture_async.rtsp.client import read_key_frame
        from capture_async.rtsp.key_frame import to_jpeg

        address = (str(camera.host), rtsp_port(camera))
        login = stream.login.authenticator(address[1])
        key_frame = await read_key_frame(*address, target, login, self._timeout)
        return Frame(await to_jpeg(key_frame), key_frame.received_at)

    async def _http(self, camera: Camera, state: CameraState) -> CameraHttp:
        known = self._clients.get(camera.name)
        if known is not None and known[0] is camera:
            return known[1]
        tls = await self._context() if camera.scheme == "https" else None
        client = CameraHttp(self._transports, camera, state.login.authenticator, self._timeout, tls)
        self._clients[camera.name] = (camera, client)
        return client

    async def _context(self) -> ssl.SSLContext:
        """Read once, in a thread: it takes files, and tens of milliseconds."""
        async with self._tls_lock:
            if self._tls_context is None:
                self._tls_context = await asyncio.to_thread(tls_context, self._tls)
        return self._tls_context

    def _take_in(self, state: CameraState, error: CameraError) -> None:
        state.failed(error)
        if error.login_refused and self._login_pause and not state.login.paused:
            state.login.refused(self._login_pause, datetime.now(UTC))

    def _is_old(self, taken_at: datetime, state: CameraState) -> bool:
        """Whether a frame's own EXIF time says that it is not of now.

        The time is the camera's, so its clock's offset is allowed for. EXIF rarely says
        which zone it is in: then ONVIF's local time of the camera counts, and
        where that is unknown, only what no zone explains counts as old. A time in the
        future says nothing of age: the camera's clock was set since.
        """
        clock = datetime.now(UTC)
        if state.resolved is not None:
            clock += state.resolved.clock_offset
        if taken_at.tzinfo is not None:
            return clock - taken_at > self._stale_after
        age = clock.replace(tzinfo=None) - taken_at
        if state.resolved is not None and state.resolved.zone_offset is not None:
            return age + state.resolved.zone_offset > self._stale_after
        return age > _FURTHEST_ZONE


def frame_of(reply: Reply, where: object) -> Frame:
    """The frame in the answer to a snapshot.

    Args:
        reply: whose status is no error of HTTP.
        where: the camera, for the error.

    Raises:
        CameraError: not an image, by its status; refused credentials or busy, by its words.
    """
    if not reply.body.startswith(_SOI):
        refusal = refusal_in(_words(reply))
        if refusal is Refusal.BUSY:
            raise CameraError(FailureReason.BUSY, f"{where}: its answer {reply.status} says that {refusal.value}")
        if refusal is not None and reply.login_sent:
            detail = f"{where}: its answer {reply.status} says that {refusal.value}"
            raise CameraError(FailureReason.REFUSED_CREDENTIALS, detail, final=True, login_refused=True)
    if reply.status not in _SUCCESS or (reply.status != _OK and not reply.body.startswith(_SOI)):
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"{where}: the snapshot is answered {reply.status}")
    return Frame(reply.body, reply.received_at)


async def _checked(jpeg: bytes, camera: Camera) -> JpegHeader:
    """See `check_frame`; a large one in a thread, since a hostile one takes half a second."""
    if len(jpeg) > _LARGE_FRAME:
        return await asyncio.to_thread(check_frame, jpeg, camera)
    return check_frame(jpeg, camera)


def _words(reply: Reply) -> str:
    """What an error's page says; nothing for a body that is no text.

    A whole page of HTML with status 200 is the camera's own site, whose words refuse nothing.
    """
    is_site = reply.status == _OK and "<html" in reply.text.lower()
    if is_site or len(reply.body) > _LONGEST_PAGE or b"\0" in reply.body:
        return ""
    return re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", reply.text, flags=re.DOTALL | re.IGNORECASE)
