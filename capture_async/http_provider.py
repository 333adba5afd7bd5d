"""Cameras with a plain snapshot address: one HTTP request per frame, and nothing asked before it."""

from typing import Any

from bays import Camera
from bays.provider_configs import HttpConfig
from capture_async.camera_state import CameraState
from capture_async.configuration import configured
from capture_async.credentials import Credentials
from capture_async.http_client import encoded_target
from capture_async.live_provider import SNAPSHOT_HEADERS, Attempts, Frame, LiveImageProvider, frame_of
from capture_async.problems import CameraError
from capture_async.types import FailureReason

_NOT_FOUND = frozenset({404, 405, 410, 501})


class HttpImageProvider(LiveImageProvider):
    """One fresh frame from each camera's configured snapshot address.

    Args:
        credentials: login of all cameras; None for cameras that want none.
        path: path and query of the snapshot; `{name}` stands for the camera's name.
            A camera's own `snapshot` goes before it.
        timeout: seconds for one request to one camera, from connecting to the last byte.
        max_per_second: an outer cap on cameras asked per second; None leaves it off.
        login_pause: seconds for which a camera that refused a login is not asked with it again.
        stale_after: seconds; a frame that is older by its own EXIF time is stale.
        tls: for `https` cameras; `{ca_file: ...}`, `{check_hostname: false}`, `{verify: false}`.

    Raises:
        ConfigError: a value is wrong.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        path: str = "/snapshot.jpg",
        timeout: float = 10.0,
        max_per_second: int | None = None,
        login_pause: float = 1800.0,
        stale_after: float = 120.0,
        tls: dict[str, Any] | None = None,
    ) -> None:
        config = configured(
            "http",
            HttpConfig,
            path=path,
            timeout=timeout,
            max_per_second=max_per_second,
            login_pause=login_pause,
            stale_after=stale_after,
            tls=tls or {},
        )
        super().__init__(
            credentials,
            timeout=config.timeout,
            max_per_second=config.max_per_second,
            login_pause=config.login_pause,
            stale_after=config.stale_after,
            tls=config.tls,
        )
        self._path = config.path

    async def _grab(self, camera: Camera, state: CameraState, attempts: Attempts) -> Frame:
        http = await self._http(camera, state)
        path, _, query = (camera.snapshot or self._path.replace("{name}", camera.name)).partition("?")
        reply = await http.request("GET", encoded_target(path, query), headers=SNAPSHOT_HEADERS)
        if reply.status in _NOT_FOUND:
            detail = f"{http}{path} is answered {reply.status}: correct the camera's `snapshot`, or the bay's `path`"
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, detail)
        return frame_of(reply)
