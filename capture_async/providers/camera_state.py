"""What the process knows of each camera and of each login, and how many of a camera's connections are in use.

All is shared by every provider of the process: two bays, or a capture and a probe,
that ask the same camera know together that its password was refused, and together
keep within the connections that it allows. Several pictures of one host, the channels
of a recorder, share its login: one refusal pauses all of them.
"""

import asyncio
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from bays import Camera
from capture_async.credentials import Credentials
from capture_async.errors import CameraError
from capture_async.http.authentication import HttpAuthenticator
from capture_async.onvif.resolved import Resolved
from capture_async.types import FailureReason

_KEPT_CAMERAS = 4096
_SAMPLED_HEAD, _SAMPLED_END = 8 * 1024, 32 * 1024
_SAMPLE_EVERY = 257
# A login that worked and is refused now may be a camera that is busy in its own way: asked again sooner, then later.
_FIRST_PAUSE_S = 300.0
_INVALID_IN_A_ROW = 2
# After these, what was resolved may be wrong: the camera was exchanged, restarted or configured again.
_RESOLVE_AGAIN = frozenset(
    {FailureReason.UNREACHABLE, FailureReason.REFUSED_CREDENTIALS, FailureReason.NO_SNAPSHOT_SERVICE}
)
_INVALID = frozenset(
    {
        FailureReason.NOT_AN_IMAGE,
        FailureReason.TRUNCATED,
        FailureReason.TOO_LARGE,
        FailureReason.WRONG_SIZE,
        FailureReason.FAULTY_REPLY,
    }
)
_State = TypeVar("_State")


class LoginState:
    """What is known of one login at one host and port: nonces, and whether it was refused."""

    def __init__(self, credentials: Credentials | None) -> None:
        self._credentials = credentials
        self._authenticators: dict[int, HttpAuthenticator] = {}
        self._refusals = 0
        self._paused_until = 0.0
        self._refused_at: datetime | None = None

    def authenticator(self, port: int) -> HttpAuthenticator:
        """The state of HTTP authentication at one of the host's ports."""
        found = self._authenticators.get(port)
        if found is None:
            found = self._authenticators[port] = HttpAuthenticator(self._credentials)
        return found

    @property
    def scheme(self) -> str | None:
        """How the login is sent, `digest` or `basic`; None while the camera has asked for none."""
        return next((found.scheme for found in self._authenticators.values() if found.scheme is not None), None)

    def refused(self, pause_s: float, now: datetime) -> None:
        """The camera refused this login: it is not sent again for a while, because cameras lock accounts."""
        if any(found.worked_before for found in self._authenticators.values()):
            pause_s = min(pause_s, _FIRST_PAUSE_S * 2**self._refusals)
        self._refusals += 1
        self._paused_until = time.monotonic() + pause_s
        self._refused_at = now

    def accepted(self) -> None:
        """A frame came: earlier refusals count no more."""
        self._refusals = 0

    @property
    def paused(self) -> bool:
        """Whether a refused login is not sent again yet."""
        return self._paused_until > time.monotonic()

    def check_pause(self) -> None:
        """Before any socket is opened.

        Raises:
            CameraError: refused credentials, without asking the camera.
        """
        left = self._paused_until - time.monotonic()
        if left > 0 and self._refused_at is not None:
            detail = (
                f"the login was refused at {self._refused_at:%H:%M:%S} UTC; the same login is not sent again for "
                f"{left:.0f} s, because cameras lock accounts: correct the bay's Airflow Connection or the camera"
            )
            raise CameraError(FailureReason.REFUSED_CREDENTIALS, detail, final=True)


@dataclass(slots=True)
class CameraState:
    """What is known of one picture of one camera, for one login. Holds nothing of an event loop."""

    login: LoginState
    resolved: Resolved | None = None
    resolved_at: float = 0.0
    """Monotonic seconds."""
    resolve_after: float = 0.0
    """Monotonic seconds after which `resolved` is too old."""
    stream_target: str | None = None
    no_snapshot_until: float = 0.0
    """Monotonic seconds until which this camera is known to have no snapshot, and its stream is asked at once."""
    final: bool = False
    """Whether the latest error is one that asking again in the same capture cannot mend."""
    retry_after_s: float | None = None
    """Seconds after which the camera wanted to be asked again, with its latest error."""
    warned: set[str] = field(default_factory=set)
    """Warnings that were given once."""
    _invalid_in_a_row: int = 0
    _last_slot: datetime | None = None
    _last_frame: tuple[int, int] = (0, 0)
    _last_frame_at: float = 0.0

    def accept(self, frame: bytes, slot: datetime, frame_interval_s: float) -> None:
        """Take in a whole frame.

        Sensor noise makes every real frame new: the same bytes for another slot are an old
        frame, unless the two were taken within one interval of the camera's frames.

        Args:
            frame: as the camera sent it.
            slot: that it is for.
            frame_interval_s: seconds that two frames of the camera may be apart.

        Raises:
            CameraError: stale.
        """
        fingerprint, now = _fingerprint(frame), time.monotonic()
        if fingerprint != self._last_frame:
            self._last_frame_at = now
        elif self._last_slot is not None and slot != self._last_slot and now - self._last_frame_at > frame_interval_s:
            detail = f"the frame is byte for byte that of slot {self._last_slot.isoformat()}: restart the camera"
            raise CameraError(FailureReason.STALE, detail)
        self._last_frame, self._last_slot = fingerprint, slot
        self._invalid_in_a_row = 0
        self.login.accepted()

    def failed(self, error: CameraError) -> None:
        """Take in an error; forgets the resolved address where it gives reason to."""
        if error.reason in _INVALID:
            self._invalid_in_a_row += 1
            if self._invalid_in_a_row >= _INVALID_IN_A_ROW:
                self._invalid_in_a_row = 0
                self.resolved = None
        elif error.reason in _RESOLVE_AGAIN:
            self.resolved = None


def state_of(camera: Camera, credentials: Credentials | None, *, stream: bool = False) -> CameraState:
    """The camera's state for that login: another login starts without the former one's pause.

    Args:
        camera: which.
        credentials: the login.
        stream: that of its stream, which has its own nonces and refuses logins by itself.
    """
    host, port = str(camera.host), rtsp_port(camera) if stream else camera.port
    login = _kept(_logins, (host, port, credentials), lambda: LoginState(credentials))
    path = camera.rtsp.path if stream and camera.rtsp is not None else camera.snapshot
    key = (host, port, credentials, camera.channel, camera.profile, path)
    return _kept(_states, key, lambda: CameraState(login))


def rtsp_port(camera: Camera) -> int:
    """Where the camera's stream is asked for."""
    return 554 if camera.rtsp is None else camera.rtsp.port


def forget_cameras() -> None:
    """Drop all that the process knows of cameras: the next capture resolves each one again."""
    _states.clear()
    _logins.clear()


class CameraConnection:
    """`async with CameraConnection(camera):` waits for one of the `connections` that the camera allows.

    While any is held or awaited, the limit stays that of the first request.
    """

    def __init__(self, camera: Camera) -> None:
        self._key = (str(camera.host), camera.port)
        self._allowed = camera.connections

    async def __aenter__(self) -> None:
        places = _places.setdefault(asyncio.get_running_loop(), {})
        place = places.get(self._key)
        if place is None:
            place = places[self._key] = _Connections(asyncio.Semaphore(self._allowed))
        place.users += 1
        try:
            await place.free.acquire()
        except BaseException:
            self._leave(places, place)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        places = _places[asyncio.get_running_loop()]
        place = places[self._key]
        place.free.release()
        self._leave(places, place)

    def _leave(self, places: "dict[tuple[str, int], _Connections]", place: "_Connections") -> None:
        place.users -= 1
        if not place.users:
            del places[self._key]


def _kept(states: "OrderedDict[Any, _State]", key: tuple[Any, ...], make: Callable[[], _State]) -> _State:
    """The state of that key, made where there is none; the one that was longest not asked for goes."""
    state = states.get(key)
    if state is None:
        state = states[key] = make()
        while len(states) > _KEPT_CAMERAS:
            states.popitem(last=False)
    else:
        states.move_to_end(key)
    return state


def _fingerprint(frame: bytes) -> tuple[int, int]:
    """Distinguishes two frames of one camera: length, and a checksum of the head, the end and single bytes between.

    A JPEG's scan is one stream of bits: what changes anywhere shifts all that follows, so
    that a frame that is not the same has another length or another end. A checksum of all
    bytes would be a fifth of what a frame costs.
    """
    data = memoryview(frame)
    checksum = zlib.crc32(data[-_SAMPLED_END:], zlib.crc32(data[:_SAMPLED_HEAD]))
    return len(frame), zlib.crc32(data[::_SAMPLE_EVERY].tobytes(), checksum)


@dataclass(slots=True)
class _Connections:
    free: asyncio.Semaphore
    users: int = 0


_states: OrderedDict[tuple[Any, ...], CameraState] = OrderedDict()
_logins: OrderedDict[tuple[str, int, Credentials | None], LoginState] = OrderedDict()
_places: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, int], _Connections]] = WeakKeyDictionary()
