"""What the capture is compared with: the specification's sketch, on onvif-zeep and requests.

Chapter 6 of the specification asks one camera after another: an `ONVIFCamera`, its Media
service, the first profile's snapshot address, one request with digest authentication. The
obvious step up from it is the same in a pool of threads.
"""

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any

from lab.benchmarks.yard import Address, Cameras

_TIMEOUT_S = 10


def capture_one(address: Address, username: str, password: str) -> bytes:
    """One frame, as the sketch takes it."""
    import requests
    from onvif import ONVIFCamera
    from requests.auth import HTTPDigestAuth

    camera: Any = ONVIFCamera(address.host, address.port, username, password)
    media = camera.create_media_service()
    profiles = media.GetProfiles()
    # The largest profile, which the product takes as well: the bytes must be comparable.
    token = max(profiles, key=lambda profile: profile.VideoEncoderConfiguration.Resolution.Width).token
    uri = media.GetSnapshotUri({"ProfileToken": token}).Uri
    response = requests.get(uri, auth=HTTPDigestAuth(username, password), timeout=_TIMEOUT_S)
    response.raise_for_status()
    return response.content


def snapshot_target(cameras: Cameras) -> str:
    """Path and query of a snapshot, asked of the first camera; the same for all."""
    from urllib.parse import urlsplit

    from onvif import ONVIFCamera

    address = cameras.addresses[0]
    camera: Any = ONVIFCamera(address.host, address.port, cameras.username, cameras.password)
    media = camera.create_media_service()
    token = max(media.GetProfiles(), key=lambda one: one.VideoEncoderConfiguration.Resolution.Width).token
    parts = urlsplit(media.GetSnapshotUri({"ProfileToken": token}).Uri)
    return f"{parts.path}?{parts.query}"


def one_after_another(cameras: Cameras, limit_s: float) -> list[float]:
    """Seconds from the beginning until each camera's frame, for as many cameras as `limit_s` bears."""
    finished: list[float] = []
    began = time.perf_counter()
    for address in cameras.addresses:
        capture_one(address, cameras.username, cameras.password)
        finished.append(time.perf_counter() - began)
        if finished[-1] >= limit_s:
            break
    return finished


def in_threads(cameras: Cameras, threads: int, limit_s: float) -> list[float]:
    """The same for a pool of threads. Frames under way at `limit_s` are waited for, and not counted."""
    finished: list[float] = []
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        waiting = iter(cameras.addresses)

        def start(addresses: Sequence[Address]) -> set[Future[bytes]]:
            return {pool.submit(capture_one, one, cameras.username, cameras.password) for one in addresses}

        running = start(list(islice(waiting, threads)))
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            seconds = time.perf_counter() - began
            for future in done:
                future.result()
                if seconds <= limit_s:
                    finished.append(seconds)
            if seconds < limit_s:
                running |= start(list(islice(waiting, len(done))))
    return finished
