"""Cameras with a video stream alone: the first whole key frame of each."""

from datetime import datetime
from typing import Any

from bays import Camera
from bays.provider_configs import RtspConfig
from capture_async.addresses import encoded_target
from capture_async.credentials import Credentials
from capture_async.providers.camera_state import CameraState, state_of
from capture_async.providers.configuration import configured
from capture_async.providers.live import Attempts, Frame, LiveImageProvider


class RtspImageProvider(LiveImageProvider):
    """One fresh frame from each camera's RTSP stream: H.264, H.265 or JPEG.

    A JPEG stream's frame is handed on as it came; a video's key frame is decoded in a
    thread and written as JPEG of quality 95. Use the snapshot where a camera has one: a
    key frame may be seconds away, and is decoded and encoded once more.

    Args:
        credentials: login of all cameras; None for cameras that want none.
        config: keys of `bays.provider_configs.RtspConfig`.

    Raises:
        ConfigError: a key or a value is wrong.
    """

    def __init__(self, credentials: Credentials | None = None, **config: Any) -> None:
        checked = configured("rtsp", RtspConfig, **config)
        super().__init__(credentials, checked)
        self._path = checked.path

    def _state(self, camera: Camera) -> CameraState:
        return state_of(camera, self._credentials, stream=True)

    async def _frame(self, slot: datetime, camera: Camera, state: CameraState, attempts: Attempts) -> Frame:
        # There is nothing to fall back to: the stream is the source itself.
        return await self._snapshot(slot, camera, state, attempts)

    async def _grab(self, camera: Camera, state: CameraState, attempts: Attempts) -> Frame:
        configured_path = camera.rtsp.path if camera.rtsp is not None else None
        path, _, query = (configured_path or self._path).partition("?")
        return await self._read_stream(camera, state, encoded_target(path, query))
