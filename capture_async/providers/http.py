"""Cameras with a plain snapshot address: one HTTP request per frame, and nothing asked before it."""

from typing import Any

from bays import Camera
from bays.provider_configs import HttpConfig
from capture_async.addresses import encoded_target
from capture_async.credentials import Credentials
from capture_async.errors import CameraError
from capture_async.providers.camera_state import CameraState
from capture_async.providers.configuration import configured
from capture_async.providers.live import SNAPSHOT_HEADERS, Attempts, Frame, LiveImageProvider, frame_of
from capture_async.types import FailureReason

_NOT_FOUND = frozenset({404, 405, 410, 501})


class HttpImageProvider(LiveImageProvider):
    """One fresh frame from each camera's configured snapshot address.

    Args:
        credentials: login of all cameras; None for cameras that want none.
        config: keys of `bays.provider_configs.HttpConfig`.

    Raises:
        ConfigError: a key or a value is wrong.
    """

    def __init__(self, credentials: Credentials | None = None, **config: Any) -> None:
        checked = configured("http", HttpConfig, **config)
        super().__init__(credentials, checked)
        self._path = checked.path

    async def _grab(self, camera: Camera, state: CameraState, attempts: Attempts) -> Frame:
        http = await self._http(camera, state)
        template = self._path.replace("{name}", camera.name).replace("{channel}", str(camera.channel or 1))
        path, _, query = (camera.snapshot or template).partition("?")
        target = encoded_target(path, query)
        reply = await http.request("GET", target, port=camera.snapshot_port, headers=SNAPSHOT_HEADERS)
        if reply.status in _NOT_FOUND:
            detail = f"{http}{path} is answered {reply.status}: correct the camera's `snapshot`, or the bay's `path`"
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, detail)
        return frame_of(reply, http)
