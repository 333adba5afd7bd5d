"""Live cameras: the snapshot address over ONVIF, once per camera; then one HTTP request per frame."""

import random
import time
from dataclasses import replace
from typing import Any

from bays import Camera
from bays.provider_configs import OnvifConfig
from capture_async.credentials import Credentials
from capture_async.errors import CameraError
from capture_async.http.client import CameraHttp
from capture_async.http.reply import Reply
from capture_async.onvif.resolved import Resolved, Wanted
from capture_async.onvif.resolver import resolve, resolve_stream
from capture_async.providers.camera_state import CameraState, forget_cameras
from capture_async.providers.configuration import configured
from capture_async.providers.live import SNAPSHOT_HEADERS, Attempts, Frame, LiveImageProvider, frame_of
from capture_async.types import FailureReason

__all__ = ["OnvifImageProvider", "forget_cameras"]

_NOT_FOUND = frozenset({404, 405, 410, 501})
_NOT_THERE = frozenset({FailureReason.UNREACHABLE, FailureReason.TIMED_OUT, FailureReason.FAULTY_REPLY})


class OnvifImageProvider(LiveImageProvider):
    """One fresh frame from each ONVIF camera.

    Args:
        credentials: login of all cameras; None for cameras that want none.
        config: keys of `bays.provider_configs.OnvifConfig`.

    Raises:
        ConfigError: a key or a value is wrong.
    """

    def __init__(self, credentials: Credentials | None = None, **config: Any) -> None:
        checked = configured("onvif", OnvifConfig, **config)
        super().__init__(credentials, checked)
        self._resolve_every = checked.resolve_every

    async def _grab(self, camera: Camera, state: CameraState, attempts: Attempts) -> Frame:
        """The snapshot's answer, resolving first where that was not done, and again after a 404."""
        http = await self._http(camera, state)
        known = state.resolved is not None
        resolved = await self._known_or_resolved(camera, http, state, attempts)
        while True:
            reply = await self._snapshot_reply(http, state, resolved)
            if reply.status not in _NOT_FOUND:
                return frame_of(reply, http)
            if not known:
                detail = f"{http}: the snapshot address that the camera named itself is answered {reply.status}"
                raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, detail)
            known = False
            attempts.end(f"answered {reply.status}")
            resolved = await self._resolve(camera, http, state, attempts)

    async def _snapshot_reply(self, http: CameraHttp, state: CameraState, resolved: Resolved) -> Reply:
        """From the first port of the camera's host that has the snapshot, which is kept."""
        for port in resolved.ports[:-1]:
            try:
                reply = await http.request("GET", resolved.target, port=port, headers=SNAPSHOT_HEADERS)
            except CameraError as error:
                if error.reason not in _NOT_THERE:
                    raise
            else:
                if reply.status not in _NOT_FOUND:
                    state.resolved = replace(resolved, ports=(port,))
                    return reply
        last = resolved.ports[-1] if resolved.ports else None
        return await http.request("GET", resolved.target, port=last, headers=SNAPSHOT_HEADERS)

    async def _stream_target(self, camera: Camera, state: CameraState) -> str:
        if camera.rtsp is not None and camera.rtsp.path is not None:
            return camera.rtsp.path
        if state.stream_target is None:
            http = await self._http(camera, state)
            state.stream_target = await resolve_stream(http, self._credentials, state.warned, wanted_of(camera))
        return state.stream_target

    async def _known_or_resolved(
        self, camera: Camera, http: CameraHttp, state: CameraState, attempts: Attempts
    ) -> Resolved:
        if state.resolved is None:
            return await self._resolve(camera, http, state, attempts)
        if state.resolve_after >= time.monotonic():
            return state.resolved
        old = state.resolved
        try:
            return await self._resolve(camera, http, state, attempts)
        except CameraError as error:
            if error.reason is FailureReason.REFUSED_CREDENTIALS:
                raise
            # Old, but nothing speaks against it: a frame is worth more than a fresh address.
            attempts.end(f"not resolved again: {error.reason}")
            state.resolved = old
            return old

    async def _resolve(self, camera: Camera, http: CameraHttp, state: CameraState, attempts: Attempts) -> Resolved:
        state.resolved = None
        found = await resolve(http, self._credentials, state.warned, wanted_of(camera))
        attempts.end("resolved")
        state.resolved, state.resolved_at = found, time.monotonic()
        # Not all cameras of a bay in the same capture.
        state.resolve_after = state.resolved_at + self._resolve_every * random.uniform(0.8, 1.0)
        return found


def wanted_of(camera: Camera) -> Wanted:
    """Which of the camera's pictures the bay's file asks for."""
    size = None if camera.intrinsics is None else (camera.intrinsics.width, camera.intrinsics.height)
    return Wanted(size, camera.channel, camera.profile, camera.snapshot_port)
