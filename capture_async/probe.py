"""Every camera of a bay, looked at once by the person who stands in front of its cabinet.

One frame is asked of each camera by the bay's own provider, exactly as a capture asks it;
around it stands what a person wants to know besides: whether the address answers at all,
how the camera wants its login, which profile it gives, how far its clock is off, whether
the frame is dark; and for a failure, what to do about it.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bay_observation.errors import CaptureError, ConfigError
from bays import BayConfig, Camera
from capture_async.credentials import Credentials
from capture_async.types import CameraFailure, CapturedImage, FailureReason

_CONNECT_S = 3.0
# Tokens of most firmwares are good for some tens of seconds.
CLOCK_TOLERANCE_S = 60.0

ADVICE: Mapping[FailureReason, str] = {
    FailureReason.UNREACHABLE: "Check its power (PoE) light, its cable and its switch port; then whether the address "
    "and port in the bay's file are its own.",
    FailureReason.TIMED_OUT: "It takes the connection and does not answer in time: restart it (switch its PoE port off "
    "and on); if it stays so, look for a bad cable or an overloaded uplink.",
    FailureReason.REFUSED_CREDENTIALS: "Login or password is not the camera's: set the observer's account at the "
    "camera, with the right to see video, and wait out its lock (often 30 minutes) before the next try.",
    FailureReason.BUSY: "All of its connections are in use: close browsers and recorders that watch it, or raise its "
    "limit of connections.",
    FailureReason.NO_SNAPSHOT_SERVICE: "Switch ONVIF on at the camera and give the account the right to use it; if "
    "this model has no snapshot, give it `rtsp` in the bay's file.",
    FailureReason.NOT_AN_IMAGE: "It answers with something else than a picture: open the snapshot in a browser; often "
    "a firmware update or a first set-up waits to be finished.",
    FailureReason.TRUNCATED: "The picture ends early: look at the cable, the switch port's errors, and the firmware.",
    FailureReason.TOO_LARGE: "What it sends is larger than any picture of a camera: lower resolution or quality of "
    "its snapshot, and update its firmware.",
    FailureReason.STALE: "It sends an old picture: restart the camera; if it comes back, update its firmware.",
    FailureReason.WRONG_SIZE: "Set its main stream to the resolution that the bay's file gives it, or calibrate it "
    "again for this one.",
    FailureReason.FAULTY_REPLY: "It answers in a way that breaks its protocol: restart it, update its firmware; if it "
    "stays so, report the lines about it in the log.",
    FailureReason.OBSERVER_FAULT: "Nothing is known of the camera: the observer's own host is at a limit, which the "
    "line above names.",
}
"""What to do at the cabinet, by reason."""

_IT_ANSWERS = (
    "It takes connections, so its power and cable are right: read the line above; then check port, `scheme` and "
    "certificate in the bay's file."
)
_OF_A_STREAM = (
    "Correct the stream's address, `rtsp.path` of the camera or `path` of the bay, and switch RTSP over TCP on at "
    "the camera."
)


def advice_for(reason: FailureReason, provider: str, *, reachable: bool | None = None) -> str:
    """What to do at the cabinet.

    Args:
        reason: of the failure.
        provider: the bay's `image_provider`.
        reachable: whether the camera took a TCP connection.
    """
    if reason is FailureReason.UNREACHABLE and reachable:
        return _IT_ANSWERS
    if reason is FailureReason.NO_SNAPSHOT_SERVICE and provider == "rtsp":
        return _OF_A_STREAM
    return ADVICE[reason]


@dataclass(frozen=True, slots=True)
class CameraReport:
    """What was found of one camera; None is what could not be found out.

    Attributes:
        name, address: the camera, and `host:port` that was asked.
        done: whether the camera is finished; until then `stage` says what is under way.
        reachable: whether a TCP connection was taken; None for providers without cameras.
        authentication: `digest`, `basic` or `none`, as the camera asked for it.
        profile: name of the ONVIF profile that the frame is of.
        resolution: (width, height) of the frame, pixels.
        latency_s: seconds that the frame took, from its request to its last byte.
        clock_offset_s: the camera's clock minus ours, in seconds.
        brightness: mean grey of the frame, 0 to 255.
        reason, detail, advice: why there is no frame, in its own words, and what to do.
        remarks: what to do at a camera that gave a frame.
        saved: file that the frame was written to.
    """

    name: str
    address: str
    stage: str = "waiting"
    done: bool = False
    reachable: bool | None = None
    authentication: str | None = None
    profile: str | None = None
    resolution: tuple[int, int] | None = None
    latency_s: float | None = None
    clock_offset_s: float | None = None
    brightness: float | None = None
    reason: FailureReason | None = None
    detail: str = ""
    advice: str = ""
    remarks: tuple[str, ...] = ()
    saved: str | None = None

    @property
    def has_frame(self) -> bool:
        """Whether the camera gave a frame."""
        return self.done and self.reason is None


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """All cameras of a bay, in the order of its file."""

    bay_id: str
    quorum: int
    seconds: float
    cameras: tuple[CameraReport, ...]

    @property
    def frames(self) -> int:
        """Cameras that gave a frame."""
        return sum(camera.has_frame for camera in self.cameras)

    @property
    def holds_quorum(self) -> bool:
        """Whether a capture would be published now."""
        return self.frames >= self.quorum

    def to_json(self) -> str:
        """One JSON document."""
        content: dict[str, Any] = {
            "bay_id": self.bay_id,
            "quorum": self.quorum,
            "frames": self.frames,
            "holds_quorum": self.holds_quorum,
            "seconds": round(self.seconds, 3),
            "cameras": [
                {name: value for name, value in asdict(camera).items() if name not in ("stage", "done")}
                for camera in self.cameras
            ],
        }
        return json.dumps(content, indent=2, ensure_ascii=False)


async def probe(
    bay: BayConfig,
    credentials: Credentials | None,
    *,
    save: Path | None = None,
    on_update: Callable[[CameraReport], None] = lambda _: None,
) -> ProbeReport:
    """Ask every camera of the bay once, all at the same time, within the bay's deadline.

    Args:
        bay: which; its `capture_attempts` are not used up, each camera is asked once.
        credentials: login of the cameras; None where they need none.
        save: an existing folder that takes the frames, `{bay}_{camera}_{time}.jpg`.
        on_update: called with a camera's report whenever more is known of it.

    Raises:
        CaptureError: a camera lies outside the bay's subnet; a frame cannot be written.
        ConfigError: the bay's provider cannot be made of its configuration.
    """
    from capture_async.providers.factory import provider_for

    began = time.monotonic()
    async with provider_for(bay, credentials) as provider:
        probes = [_CameraProbe(bay, camera, credentials, save, on_update) for camera in bay.cameras]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one.run(provider)) for one in probes]
        except* (CaptureError, ConfigError) as errors:
            raise errors.exceptions[0] from errors
    reports = tuple(task.result() for task in tasks)
    return ProbeReport(bay.bay_id, bay.camera_quorum, time.monotonic() - began, reports)


@dataclass(slots=True)
class _CameraProbe:
    """One camera on its way through the probe."""

    bay: BayConfig
    camera: Camera
    credentials: Credentials | None
    save: Path | None
    on_update: Callable[[CameraReport], None]
    report: CameraReport = field(init=False)

    def __post_init__(self) -> None:
        port = _port(self.bay, self.camera)
        address = str(self.camera.host) if port is None else f"{self.camera.host}:{port}"
        self.report = CameraReport(self.camera.name, address)

    async def run(self, provider: Any) -> CameraReport:
        from capture_async.service import CaptureService

        alone = self.bay.model_copy(update={"cameras": (self.camera,), "capture_attempts": 1})
        service = CaptureService(alone, provider=provider)
        port = _port(self.bay, self.camera)
        # To a camera outside of the bay's subnet no socket is opened; the service says so.
        if port is not None and self.camera.host in self.bay.network.camera_subnet:
            self._update(stage="connecting")
            self._update(reachable=await _takes_connections(str(self.camera.host), port))
        self._update(stage="asking for a frame")
        batch = await service.capture(datetime.now(UTC))
        self._update(**self._facts())
        for failure in batch.failures:
            self._update(**self._failed(failure))
        for image in batch.images:
            await self._look_at(image)
        self._update(stage="done", done=True)
        return self.report

    async def _look_at(self, image: CapturedImage) -> None:
        if self.report.reachable is False:
            self._update(reachable=True)  # it took the connection later
        self._update(stage="looking at the frame", latency_s=image.attempts[-1].seconds if image.attempts else None)
        try:
            (height, width), brightness = await asyncio.to_thread(_measure, image)
        except CaptureError as error:
            # Whole by its markers, and yet unreadable: the models could not use it either.
            advice = advice_for(FailureReason.NOT_AN_IMAGE, self.bay.image_provider)
            self._update(reason=FailureReason.NOT_AN_IMAGE, detail=str(error), advice=advice)
            return
        self._update(resolution=(width, height), brightness=round(brightness, 1))
        self._update(remarks=tuple(_remarks(self.bay, self.report)))
        if self.save is not None:
            path = self.save / f"{image.image_id}.jpg"
            try:
                await asyncio.to_thread(path.write_bytes, image.jpeg)
            except OSError as error:
                raise CaptureError(f"{path}: the frame cannot be written: {error.strerror or error}") from error
            self._update(saved=str(path))

    def _failed(self, failure: CameraFailure) -> dict[str, Any]:
        advice = advice_for(failure.reason, self.bay.image_provider, reachable=self.report.reachable)
        return {"reason": failure.reason, "detail": failure.detail, "advice": advice}

    def _facts(self) -> dict[str, Any]:
        """What asking the camera has taught the process of it."""
        if _port(self.bay, self.camera) is None:
            return {}
        from capture_async.providers.camera_state import state_of

        state = state_of(self.camera, self.credentials, stream=self.bay.image_provider == "rtsp")
        facts: dict[str, Any] = {"authentication": state.login.scheme}
        if state.resolved is not None:
            offset = state.resolved.clock_offset.total_seconds()
            facts |= {"profile": state.resolved.profile, "clock_offset_s": round(offset, 1)}
        return facts

    def _update(self, **changes: Any) -> None:
        self.report = replace(self.report, **changes)
        self.on_update(self.report)


def _remarks(bay: BayConfig, report: CameraReport) -> list[str]:
    remarks = []
    if report.clock_offset_s is not None and abs(report.clock_offset_s) > CLOCK_TOLERANCE_S:
        remarks.append("Its clock is off: give it the NTP server of its network.")
    if report.brightness is not None and report.brightness < bay.conditions.min_brightness:
        limit = f"{bay.conditions.min_brightness:g}"
        remarks.append(f"Darker than the bay's min_brightness {limit}: is the light on, the lens clean, the lid off?")
    if report.authentication == "basic":
        remarks.append("It sends its password readably (basic): set its authentication to digest.")
    return remarks


def _port(bay: BayConfig, camera: Camera) -> int | None:
    """Where the bay's provider asks the camera; None for one that asks no camera that is known here."""
    match bay.image_provider:
        case "onvif" | "http":
            return camera.port
        case "rtsp":
            from capture_async.providers.camera_state import rtsp_port

            return rtsp_port(camera)
    return None


async def _takes_connections(host: str, port: int) -> bool:
    """Whether anything at the address takes a TCP connection; nothing is sent."""
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()  # at once: a camera may allow two connections, and the frame wants one
    return True


def _measure(image: CapturedImage) -> tuple[tuple[int, int], float]:
    """(height, width) in pixels and mean grey, 0 to 255."""
    import cv2

    picture = image.decode()
    return (picture.shape[0], picture.shape[1]), float(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).mean())
