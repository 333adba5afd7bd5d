"""ONVIF cameras of a simulated yard: SOAP services and a digest-protected snapshot on real sockets.

Every camera of a bay listens at its own address. It shows the yard at the
farm's simulated time and can be made to fail in the ways of `lab.simulation.faults`.

    async with CameraFarm(bay, frame_source, username="yard", password=password) as farm:
        ...  # farm.bay is the bay with the addresses that the cameras really have
"""

import asyncio
import contextlib
import errno
import ssl
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from aiohttp import hdrs, web

from bay_observation.errors import SimulationError
from bays import BayConfig, Camera
from lab.simulation import jpegs, soap
from lab.simulation.clock import SimulatedClock
from lab.simulation.faults import Fault, fault_set
from lab.simulation.http_login import HttpLogin, Verdict

FrameFunction = Callable[[str, datetime], bytes]
"""(camera's name, simulated moment) -> JPEG file."""

_TOKEN_TOLERANCE = timedelta(seconds=30)
_SKEW = timedelta(minutes=37)
_BEHIND_NAT = "192.168.0.64"
_SMALL = (640, 360)
_FULL = "main stream"
_TOO_LARGE_BYTES = 48 * 1024 * 1024
_SLOW_FACTOR = 10
_LOCK_AFTER = 3
_EXIF_AGE = timedelta(minutes=47)
_RENDER_THREADS = 2


@dataclass(slots=True)
class Counters:
    """What a camera was asked, for tests and for `GET /state`."""

    requests: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    unauthorized: int = 0
    failed_logins: int = 0
    snapshots: int = 0
    at_once: int = 0
    """The most snapshots that were under way at the same time."""

    def as_json(self) -> dict[str, Any]:
        """The counters as JSON types."""
        return {
            "requests": self.requests,
            "operations": dict(self.operations),
            "unauthorized": self.unauthorized,
            "failed_logins": self.failed_logins,
            "snapshots": self.snapshots,
            "at_once": self.at_once,
        }


class CameraFarm:
    """All cameras of one bay, listening while the context is open.

    Args:
        bay: whose cameras; each listens at its own host and port.
        frame_source: called in a thread of the farm's own pool, never on the loop.
        username, password: the one login of all cameras.
        latency_s: how long a snapshot takes, in seconds, once it is asked for rightly.
        soap_latency_s: how long an ONVIF operation takes, in seconds.
        clock: the simulated time; standing still at the machine's time when left out.
        faults: per camera name, one fault or several.
        port: overrides every camera's port; 0 takes a free one each, see `bay`.
        tls: the certificate of all cameras, which then speak HTTPS alone.

    Raises:
        SimulationError: a fault or a camera is unknown; on entering, an address
            is in use or not this machine's.
    """

    def __init__(
        self,
        bay: BayConfig,
        frame_source: FrameFunction,
        *,
        username: str,
        password: str,
        latency_s: float = 0.2,
        soap_latency_s: float = 0.02,
        clock: SimulatedClock | None = None,
        faults: Mapping[str, "str | Iterable[str]"] | None = None,
        port: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._bay = bay
        self.clock = clock or SimulatedClock()
        self._frames = _Frames(frame_source)
        self.cameras: dict[str, SimulatedCamera] = {
            camera.name: SimulatedCamera(
                camera if port is None else camera.model_copy(update={"port": port}),
                HttpLogin(f"camera {camera.name}", username, password),
                self.clock,
                self._frames,
                latency_s=latency_s,
                soap_latency_s=soap_latency_s,
                tls=tls,
            )
            for camera in bay.cameras
        }
        for name, chosen in self._checked(faults or {}).items():
            self.cameras[name].begin_with(chosen)

    @property
    def bay(self) -> BayConfig:
        """The bay, with the ports that the cameras listen on."""
        cameras = tuple(
            camera.model_copy(update={"port": self.cameras[camera.name].port}) for camera in self._bay.cameras
        )
        return self._bay.model_copy(update={"cameras": cameras})

    @property
    def counters(self) -> dict[str, Counters]:
        """What every camera was asked so far, by name."""
        return {name: camera.counters for name, camera in self.cameras.items()}

    async def set_faults(self, faults: Mapping[str, "str | Iterable[str]"]) -> None:
        """Replace the faults of the cameras named; an empty list makes one well again.

        Raises:
            SimulationError: a fault or a camera is unknown; nothing is changed then.
        """
        for name, chosen in self._checked(faults).items():
            await self.cameras[name].set_faults(chosen)

    async def hold_frames(self) -> None:
        """Let every frame that is asked for wait, until `release_frames`."""
        for camera in self.cameras.values():
            camera.frames_may_go.clear()

    async def release_frames(self) -> None:
        """Send the frames that wait, and those asked for from now on."""
        for camera in self.cameras.values():
            camera.frames_may_go.set()

    async def set_time(self, moment: datetime, *, prepare: bool = False, running: bool | None = None) -> None:
        """Move the simulated time; with `prepare`, return when every frame of it is drawn.

        From there it stands still or runs on, as before unless `running` says.
        """
        self.clock.set(moment)
        if running is not None:
            self.clock.running = running
        if prepare:
            await self.prepare()

    async def prepare(self) -> None:
        """Draw every camera's present frame, so that the time which that takes is in no client's measurement.

        A camera's first frame costs seconds. Where time runs, only that first frame is saved.
        """
        moment = self.clock.now()
        await asyncio.gather(*(self._frames.get(name, moment) for name in self.cameras))

    async def __aenter__(self) -> Self:
        try:
            for camera in self.cameras.values():
                await camera.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop listening, let go of every open request, end the drawing threads."""
        await asyncio.gather(*(camera.stop() for camera in self.cameras.values()))
        await self._frames.close()

    def _checked(self, faults: Mapping[str, "str | Iterable[str]"]) -> dict[str, frozenset[Fault]]:
        unknown = sorted(set(faults) - set(self.cameras))
        if unknown:
            raise SimulationError(
                f"bay {self._bay.bay_id} has no camera {', '.join(unknown)}; its cameras: {', '.join(self.cameras)}"
            )
        return {name: fault_set(chosen) for name, chosen in faults.items()}


class SimulatedCamera:
    """One camera: its sockets, services, snapshot and faults."""

    def __init__(
        self,
        camera: Camera,
        login: HttpLogin,
        clock: SimulatedClock,
        frames: "_Frames",
        *,
        latency_s: float,
        soap_latency_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self.name = camera.name
        self.host = str(camera.host)
        self.port = camera.port
        self.faults: frozenset[Fault] = frozenset()
        self.counters = Counters()
        self._login = login
        self._clock = clock
        self._frames = frames
        self._latency_s = latency_s
        self._soap_latency_s = soap_latency_s
        width, height = (camera.intrinsics.width, camera.intrinsics.height) if camera.intrinsics else (1920, 1080)
        # The largest stands neither first nor last, as on many a firmware.
        self._profiles = (
            soap.Profile("sub", "sub stream", *_SMALL),
            soap.Profile("main", _FULL, width, height),
            soap.Profile("third", "third stream", width * 2 // 3, height * 2 // 3),
        )
        self._boots = 1
        self._seen_tokens: deque[bytes] = deque(maxlen=256)
        self._stale_time: datetime | None = None
        self._under_way: list[tuple[str, int] | None] = []
        self._first_is_over = False
        self._runner: web.ServerRunner | None = None
        self._released = asyncio.Event()
        self.frames_may_go = asyncio.Event()
        self.frames_may_go.set()

    def begin_with(self, faults: frozenset[Fault]) -> None:
        """Faults from the first moment, before it listens."""
        self.faults = faults
        self._login.lock_after = _LOCK_AFTER if Fault.LOCKOUT in faults else None

    async def start(self) -> None:
        """Bind the address, also when offline: its port is known from then on."""
        await self._listen()
        if Fault.OFFLINE in self.faults:
            await self.stop()

    async def stop(self) -> None:
        """Close the socket and every open request."""
        self._released.set()
        self.frames_may_go.set()
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def set_faults(self, faults: frozenset[Fault]) -> None:
        """Misbehave in these ways and no others from now on."""
        self.faults = faults
        self._login.lock_after = _LOCK_AFTER if Fault.LOCKOUT in faults else None
        self._first_is_over = False
        self._stale_time = self._clock.now() if Fault.STALE in faults else None
        if Fault.OFFLINE in faults:
            await self.stop()
        elif self._runner is None:
            await self._listen()

    def reboot(self) -> None:
        """What a restart changes: the snapshot's address, and every nonce is forgotten."""
        self._boots += 1
        self._login.forget()

    async def _listen(self) -> None:
        self._released = asyncio.Event()
        runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port, ssl_context=self._tls).start()
        except OSError as error:
            await runner.cleanup()
            raise _not_bound(self, error) from error
        self.port = runner.addresses[0][1]
        self._runner = runner

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.counters.requests += 1
        if Fault.HANG in self.faults:
            await self._released.wait()
            return web.Response(status=503)
        if request.method == hdrs.METH_POST and request.path.startswith("/onvif/"):
            return await self._answer_soap(request)
        if request.method == hdrs.METH_GET and request.path == self._snapshot_path:
            return await self._answer_snapshot(request)
        return web.Response(status=404, text="no such page")

    # -- ONVIF services ---------------------------------------------------------------------

    async def _answer_soap(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        await asyncio.sleep(self._soap_latency_s)
        if Fault.NO_XML in self.faults:
            return web.Response(text="<html><p>404 Not Found", content_type="text/html")
        if Fault.XML_BOMB in self.faults:
            return web.Response(text=soap.xml_bomb(), content_type="application/soap+xml")
        if Fault.SOAP_DIGEST in self.faults and (refusal := self._refuse_login(request)) is not None:
            return refusal
        try:
            call = soap.read_request(body)
            self.counters.operations[call.operation] += 1
            if Fault.SOAP_DIGEST not in self.faults:
                self._check_token(call)
            text, status = self._reply_to(call), 200
        except soap.SoapFaultError as fault:
            text, status = soap.fault_reply(fault), fault.status
        return web.Response(text=text, status=status, content_type="application/soap+xml")

    def _check_token(self, call: soap.Request) -> None:
        if call.operation == "GetSystemDateAndTime" and Fault.GUARDED_CLOCK not in self.faults:
            return
        valid = (
            Fault.REFUSE not in self.faults
            and not self._login.locked
            and call.token is not None
            and call.token.nonce not in self._seen_tokens
            and soap.token_is_valid(
                call.token, self._login.username, self._login.password, self._own_time(), _TOKEN_TOLERANCE
            )
        )
        if not valid:
            if call.token is not None:
                self._login.failed()
                self.counters.failed_logins += 1
            status = 401 if Fault.GUARDED_CLOCK in self.faults else 400
            raise soap.SoapFaultError("NotAuthorized", "Sender not authorized", status)
        if call.token is not None and call.token.is_digest:
            self._seen_tokens.append(call.token.nonce)

    def _reply_to(self, call: soap.Request) -> str:
        match call.operation:
            case "GetSystemDateAndTime":
                return soap.date_and_time_reply(self._own_time())
            case "GetDeviceInformation":
                return soap.device_information_reply(self.name)
            case "GetCapabilities" if Fault.NO_CAPABILITIES not in self.faults:
                return soap.capabilities_reply(f"http://{self._own_address}")
            case "GetServices":
                return soap.services_reply(f"http://{self._own_address}")
            case "GetProfiles":
                return soap.profiles_reply(self._profiles)
            case "GetSnapshotUri" if Fault.NO_SNAPSHOT not in self.faults:
                profile = self._profile(call.parameters.get("ProfileToken", ""))
                return soap.media_uri_reply(call.operation, self._snapshot_address(profile))
            case "GetStreamUri":
                profile = self._profile(call.parameters.get("ProfileToken", ""))
                return soap.media_uri_reply(call.operation, f"rtsp://{self.host}:554/{profile.token}")
        raise soap.SoapFaultError("ActionNotSupported", f"{call.operation} is not implemented", status=500)

    def _profile(self, token: str) -> soap.Profile:
        for profile in self._profiles:
            if profile.token == token:
                return profile
        raise soap.SoapFaultError("NoProfile", "the requested profile token does not exist")

    def _own_time(self) -> datetime:
        skew = _SKEW if Fault.CLOCK_SKEW in self.faults else timedelta()
        return datetime.now(UTC) + skew

    @property
    def _own_address(self) -> str:
        return _BEHIND_NAT if Fault.WRONG_HOST in self.faults else f"{self.host}:{self.port}"

    @property
    def _snapshot_path(self) -> str:
        return f"/snapshot/boot {self._boots}"

    def _snapshot_address(self, profile: soap.Profile) -> str:
        if Fault.RTSP_ONLY in self.faults:
            return f"rtsp://{self._own_address}/{profile.token}"
        login = ""
        if Fault.LOGIN_IN_ADDRESS in self.faults:
            login = f"{quote(self._login.username, safe='')}:{quote(self._login.password, safe='')}@"
        return f"http://{login}{self._own_address}{quote(self._snapshot_path)}?profile={profile.token}&channel=1"

    # -- snapshot ---------------------------------------------------------------------------

    async def _answer_snapshot(self, request: web.BaseRequest) -> web.StreamResponse:
        if (refusal := self._refuse_login(request)) is not None:
            return refusal
        if Fault.BUSY_401 in self.faults:
            page = "<html><body><h1>401</h1>Too many connections</body></html>"
            return web.Response(status=401, text=page, content_type="text/html")
        if Fault.BUSY in self.faults or (Fault.BUSY_ONCE in self.faults and not self._first_is_over):
            self._first_is_over = True
            return web.Response(status=503, text="too many connections")
        if Fault.REDIRECT in self.faults:
            return web.Response(status=302, headers={hdrs.LOCATION: f"http://{_BEHIND_NAT}/"})
        if Fault.ONE_CONNECTION in self.faults and self._under_way:
            return web.Response(status=503, text="too many connections")
        client = request.transport.get_extra_info("peername") if request.transport is not None else None
        self._under_way.append(client)
        self.counters.at_once = max(self.counters.at_once, len(self._under_way))
        try:
            slow = Fault.SLOW in self.faults or (Fault.SLOW_FIRST in self.faults and not self._first_is_over)
            self._first_is_over = True
            await asyncio.sleep(self._latency_s * (_SLOW_FACTOR if slow else 1))
            await self.frames_may_go.wait()
            return await self._send_frame(request)
        finally:
            self._under_way.remove(client)

    def _refuse_login(self, request: web.BaseRequest) -> web.Response | None:
        """A 401 with challenges, or None for a request that may pass."""
        basic = bool(self.faults & {Fault.BASIC, Fault.BASIC_FIRST})
        verdict = self._login.check(
            request.headers.get(hdrs.AUTHORIZATION),
            request.method,
            request.raw_path,
            basic=basic,
            one_time=bool(self.faults & {Fault.ONE_TIME_NONCE, Fault.SILENT_NONCE}),
        )
        if Fault.SILENT_NONCE in self.faults and verdict is Verdict.STALE:
            verdict = Verdict.WRONG
        if Fault.REFUSE in self.faults and verdict is Verdict.ACCEPTED:
            verdict = Verdict.WRONG
        if verdict is Verdict.ACCEPTED:
            return None
        self.counters.unauthorized += 1
        if verdict is Verdict.WRONG:
            self._login.failed()
            self.counters.failed_logins += 1
        refusal = web.Response(status=401, text="login required")
        if Fault.SEVERAL_CHALLENGES in self.faults:
            challenges = self._login.several_challenges(verdict)
        else:
            challenges = self._login.challenges(verdict, digest=Fault.BASIC not in self.faults, basic=basic)
        for challenge in challenges:
            refusal.headers.add(hdrs.WWW_AUTHENTICATE, challenge)
        return refusal

    async def _send_frame(self, request: web.BaseRequest) -> web.StreamResponse:
        if Fault.HTML in self.faults:
            page = b"<!DOCTYPE html><html><body>Please log in</body></html>"
            return web.Response(body=page, content_type="image/jpeg")
        if Fault.TOO_LARGE in self.faults:
            return await self._send_blocks(request, _TOO_LARGE_BYTES)
        if Fault.ENDLESS in self.faults:
            return await self._send_blocks(request, None)
        if Fault.HUGE_LENGTH in self.faults:
            return await self._send_raw(request, b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n\xff\xd8\xff")
        if Fault.SLOW_HEADER in self.faults:
            return await self._send_raw(request, b"HTTP/1.1 200 OK\r\nX-Waiting: " + b"." * 10_000, drop_by_drop=True)
        profile = self._profile(request.query.get("profile", "main"))
        size = None if profile.name == _FULL else (profile.width, profile.height)
        jpeg = await self._frames.get(
            self.name, self._shown_time(), _SMALL if Fault.WRONG_SIZE in self.faults else size
        )
        if Fault.DRIP in self.faults:
            return await self._send_in_drops(request, jpeg)
        if Fault.CUT in self.faults:
            return await self._send_half(request, jpeg)
        jpeg = self._with_remarks(jpeg)
        self.counters.snapshots += 1
        body = jpeg[: len(jpeg) // 2] if Fault.TRUNCATED in self.faults else jpeg
        return web.Response(body=body, content_type="image/jpeg")

    def _shown_time(self) -> datetime:
        if Fault.STALE not in self.faults:
            return self._clock.now()
        if self._stale_time is None:
            self._stale_time = self._clock.now()
        return self._stale_time

    def _with_remarks(self, jpeg: bytes) -> bytes:
        """The frame, changed as the faults want it: its size in the header, its EXIF time."""
        if Fault.TINY in self.faults:
            return jpegs.with_size(jpeg, 1, 1)
        if Fault.GIANT in self.faults:
            return jpegs.with_size(jpeg, 20_000, 20_000)
        if self.faults & {Fault.EXIF, Fault.OLD_EXIF}:
            age = _EXIF_AGE if Fault.OLD_EXIF in self.faults else timedelta()
            return jpegs.with_exif_time(jpeg, self._own_time() + soap.CAMERA_ZONE - age)
        return jpeg

    async def _send_blocks(self, request: web.BaseRequest, total: int | None) -> web.StreamResponse:
        """Chunks up to so many bytes; without a total, for as long as anybody reads."""
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "image/jpeg"})
        with contextlib.suppress(ConnectionError):  # the client has had enough
            await response.prepare(request)
            await response.write(b"\xff\xd8\xff\xe0")
            block = bytes(256 * 1024)
            sent = 0
            while (total is None or sent < total) and not self._released.is_set():
                await response.write(block)
                sent += len(block)
            await response.write_eof()
        return response

    async def _send_raw(
        self, request: web.BaseRequest, data: bytes, *, drop_by_drop: bool = False
    ) -> web.StreamResponse:
        """Bytes past all of HTTP's rules; then nothing, until the client has had enough."""
        if request.transport is not None and not drop_by_drop:
            request.transport.write(data)
        for drop in data if drop_by_drop else b"":
            if request.transport is None or self._released.is_set():
                break
            request.transport.write(bytes([drop]))
            await self._let_pass(0.05)
        while request.transport is not None and not self._released.is_set():
            await self._let_pass(0.05)
        _break_off(request)
        return web.Response()

    async def _let_pass(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._released.wait(), timeout=seconds)

    async def _send_in_drops(self, request: web.BaseRequest, jpeg: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={hdrs.CONTENT_LENGTH: str(len(jpeg)), hdrs.CONTENT_TYPE: "image/jpeg"})
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            for drop in jpeg:
                await response.write(bytes([drop]))
                await self._let_pass(0.05)
                if self._released.is_set() or request.transport is None:
                    break
        _break_off(request)
        return response

    async def _send_half(self, request: web.BaseRequest, jpeg: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={hdrs.CONTENT_LENGTH: str(len(jpeg)), hdrs.CONTENT_TYPE: "image/jpeg"})
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            await response.write(jpeg[: len(jpeg) // 2])
        _break_off(request)
        return response


class _Frames:
    """Draws frames in threads; a frame that several ask for is drawn once, the latest are kept."""

    def __init__(self, source: FrameFunction) -> None:
        self._source = source
        self._pool: ThreadPoolExecutor | None = None
        self._kept: OrderedDict[tuple[str, datetime, tuple[int, int] | None], asyncio.Future[bytes]] = OrderedDict()

    async def get(self, camera_name: str, moment: datetime, size: tuple[int, int] | None = None) -> bytes:
        """The JPEG of that camera and moment; `size` (width, height) makes it smaller."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_RENDER_THREADS, thread_name_prefix="simulated-frames")
        key = (camera_name, moment, size)
        future = self._kept.get(key)
        if future is None:
            future = asyncio.get_running_loop().run_in_executor(self._pool, self._draw, *key)
            self._kept[key] = future
            while sum(kept[0] == camera_name for kept in self._kept) > 2:
                del self._kept[next(kept for kept in self._kept if kept[0] == camera_name)]
        try:
            return await asyncio.shield(future)
        except BaseException:
            if future.done():
                self._kept.pop(key, None)
            raise

    async def close(self) -> None:
        """End the threads; frames not begun are not drawn any more."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            self._kept.clear()
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    def _draw(self, camera_name: str, moment: datetime, size: tuple[int, int] | None) -> bytes:
        jpeg = self._source(camera_name, moment)
        return jpeg if size is None else _shrink(jpeg, size)


def _shrink(jpeg: bytes, size: tuple[int, int]) -> bytes:
    import cv2
    import numpy as np

    picture = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR)
    encoded, shrunk = cv2.imencode(".jpg", cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    if not encoded:
        raise SimulationError(f"a frame could not be encoded at {size[0]} x {size[1]}")
    return shrunk.tobytes()


def _break_off(request: web.BaseRequest) -> None:
    """Close the connection without the rest of the answer."""
    if request.transport is not None:
        request.transport.abort()


def _not_bound(camera: SimulatedCamera, error: OSError) -> SimulationError:
    address = f"{camera.host}:{camera.port}"
    if error.errno == errno.EADDRINUSE:
        return SimulationError(f"camera {camera.name}: {address} is in use; stop what listens there, or use --port")
    if error.errno == errno.EADDRNOTAVAIL:
        return SimulationError(
            f"camera {camera.name}: {address} is not an address of this machine; serve a bay on loopback (127.x.y.z)"
        )
    return SimulationError(f"camera {camera.name}: cannot listen on {address}: {error.strerror}")
