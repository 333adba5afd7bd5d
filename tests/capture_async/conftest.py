"""A bay of simulated cameras on free ports, and frames that cost no time to draw."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache

import cv2
import numpy as np
import pytest

from bays import load_bay
from capture_async import Credentials
from capture_async.http import transports
from capture_async.providers.onvif import forget_cameras
from lab.simulation.cameras import CameraFarm

PASSWORD = 'pa"ss\\ wörd&1'


@cache
def _picture() -> bytes:
    rows = np.linspace(0, 255, 1080, dtype=np.uint8)
    picture = np.repeat(rows[:, None, None], 1920, axis=1).repeat(3, axis=2)
    encoded, jpeg = cv2.imencode(".jpg", picture)
    assert encoded
    return jpeg.tobytes()


def draw(camera_name: str, moment: datetime) -> bytes:
    """A real 1080p JPEG that names camera and moment in a comment segment."""
    comment = f"{camera_name} {moment.isoformat()}".encode()
    segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment
    return _picture()[:2] + segment + _picture()[2:]


@pytest.fixture
def frame_source() -> Callable[[str, datetime], bytes]:
    return draw


@pytest.fixture
def credentials() -> Credentials:
    return Credentials("yard", PASSWORD)


@pytest.fixture(autouse=True)
def _no_memory() -> Iterator[None]:
    forget_cameras()
    yield
    forget_cameras()


@pytest.fixture(autouse=True)
def sent_by(request, monkeypatch) -> None:
    """Requests go by aiohttp, as from the second capture of a process on; parametrized, also as in the first one."""
    transports.load_aiohttp()
    if getattr(request, "param", "aiohttp") == "first capture":
        monkeypatch.setattr(transports, "_loaded", {})


@pytest.fixture
def make_farm(frame_source, credentials) -> Callable[..., CameraFarm]:
    """`make_farm({"C_4": "offline"})`: the demo bay's cameras, to be entered with `async with`."""

    def make(faults=None, *, cameras=None, bay=None, **options) -> CameraFarm:
        bay = bay or load_bay("demo_bay")
        if cameras is not None:
            bay = bay.model_copy(update={"cameras": bay.cameras[:cameras]})
        options = {"latency_s": 0.0, "soap_latency_s": 0.0} | options
        return CameraFarm(
            bay,
            frame_source,
            username=credentials.username,
            password=credentials.password,
            port=0,
            faults=faults,
            **options,
        )

    return make
