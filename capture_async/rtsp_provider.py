"""Cameras with a video stream alone: the first whole key frame of each."""

from datetime import datetime

from bays import Camera
from bays.provider_configs import RtspConfig
from capture_async.camera_state import CameraState, state_of
from capture_async.configuration import configured
from capture_async.credentials import Credentials
from capture_async.http_client import encoded_target
from capture_async.live_provider import Attempts, Frame, LiveImageProvider


class RtspImageProvider(LiveImageProvider):
    """One fresh frame from each camera's RTSP stream: H.264, H.265 or JPEG.

    A JPEG stream's frame is handed on as it came; a video's key frame is decoded in a
    thread and written as JPEG of quality 95. Use the snapshot where a camera has one: a
    key frame may be seconds away, and is decoded and encoded once more.

    Args:
        credentials: login of all cameras; None for cameras that want none.
        path: path and query of the stream; a camera's own `rtsp.path` goes before it.
        timeout: seconds for one frame, from connecting to its last byte.
        max_per_second: an outer cap on cameras asked per second; None leaves it off.
        login_pause: seconds for which a camera that refused a login is not asked with it again.

    Raises:
        ConfigError: a value is wrong.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        path: str = "/",
        timeout: float = 10.0,
        max_per_second: int | None = None,
        login_pause: float = 1800.0,
    ) -> None:
        config = configured(
            "rtsp", RtspConfig, path=path, timeout=timeout, max_per_second=max_per_second, login_pause=login_pause
        )
        super().__init__(
            credentials,
            timeout=config.timeout,
            max_per_second=config.max_per_second,
            login_pause=config.login_pause,
        )
        self._path = config.path

    def _state(self, camera: Camera) -> CameraState:
        return state_of(camera, self._credentials, stream=True)

    async def _frame(self, slot: datetime, camera: Camera, state: CameraState, attempts: Attempts) -> Frame:
        # There is nothing to fall back to: the stream is the source itself.
        return await self._snapshot(slot, camera, state, attempts)

    async def _grab(self, camera: Camera, state: CameraState, attempts: Attempts) -> Frame:
        configured_path = camera.rtsp.path if camera.rtsp is not None else None
        path, _, query = (configured_path or self._path).partition("?")
        return await self._read_stream(camera, state, encoded_target(path, query))
