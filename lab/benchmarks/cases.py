"""The client's side of each measurement, in a process of its own.

`python -m lab.benchmarks.cases` takes one line of JSON on stdin (which case, its settings, the
cameras and their login) and prints one line of JSON. A process per case keeps peak memory,
threads and warm-up of one case out of the next; nothing of the product is imported before
a case begins, so that a cold start is one.
"""

import asyncio
import gc
import hashlib
import http.client
import json
import logging
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bay_observation.errors import SimulationError
from lab.benchmarks.yard import FIRST_SLOT, Cameras, allow_open_files

if TYPE_CHECKING:
    from bays import BayConfig, Camera
    from capture_async import CaptureBatch, CaptureService, Credentials
    from capture_async.providers.provider import ImageProvider

_LAG_INTERVAL_S = 0.005
_RESOLVE_DEADLINE_S = 540.0


def cold(cameras: Cameras, started_at: float) -> dict[str, Any]:
    """The first capture of a process, with everything that it imports and parses on the way, of cameras new to it.

    Args:
        cameras: to be captured.
        started_at: `time.time()` when the process was asked for.
    """
    began = time.perf_counter()
    bay = cameras.bay(deadline_s=_RESOLVE_DEADLINE_S)
    with_bay_s = time.perf_counter() - began

    async def run() -> _Capture:
        return await _timed_capture(cameras, FIRST_SLOT, lambda: _pooled_service(bay, cameras))

    capture = asyncio.run(run())
    return capture.to_json() | {
        "with_bay_s": capture.wall_s + with_bay_s,
        "from_process_start_s": time.time() - started_at,
        "peak_mib": _peak_mib(),
    }


def known(cameras: Cameras, repeats: int) -> dict[str, Any]:
    """Captures of cameras whose addresses are known, each over new connections: ten minutes close the old ones."""
    bay, patient = cameras.bay(), cameras.bay(deadline_s=_RESOLVE_DEADLINE_S)

    async def run() -> dict[str, Any]:
        await _warm_up()
        await _timed_capture(cameras, cameras.show(0), lambda: _own_service(patient, cameras))
        captures = []
        for number in range(1, repeats + 1):
            slot = cameras.show(number)
            captures.append((await _timed_capture(cameras, slot, lambda: _own_service(bay, cameras))).to_json())
        return {"captures": captures, "peak_mib": _peak_mib()}

    return asyncio.run(run())


def raw(cameras: Cameras, repeats: int) -> dict[str, Any]:
    """By aiohttp alone: addresses and nonces known, all at once over new connections, nothing judged or kept."""
    from lab.benchmarks.sketch import snapshot_target

    target = snapshot_target(cameras)

    async def run() -> dict[str, Any]:
        import aiohttp

        logins = [aiohttp.DigestAuthMiddleware(cameras.username, cameras.password) for _ in cameras.addresses]

        async def fetch(session: aiohttp.ClientSession, number: int) -> None:
            address = cameras.addresses[number]
            url = f"http://{address.host}:{address.port}{target}"
            async with session.get(URL(url, encoded=True), middlewares=(logins[number],)) as reply:
                _refuse_no_frame(address, reply.status, await reply.read())

        walls = []
        for number in range(repeats + 1):
            cameras.show(number)
            began = time.perf_counter()
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                await asyncio.gather(*(fetch(session, one) for one in range(len(cameras.addresses))))
                walls.append(time.perf_counter() - began)
        return {"wall_s": walls[1:]}  # the first one learns the nonces

    from yarl import URL

    return asyncio.run(run())


def faulty(cameras: Cameras, repeats: int, deadline_s: float, faults: dict[str, list[str]]) -> dict[str, Any]:
    """When the well cameras' frames arrive, without and with the faulty ones beside them."""
    bay, patient = cameras.bay(deadline_s=deadline_s), cameras.bay(deadline_s=_RESOLVE_DEADLINE_S)
    well = [address.name for address in cameras.addresses if address.name not in faults]

    async def run() -> dict[str, Any]:
        from capture_async.providers.onvif import forget_cameras

        await _warm_up()
        rounds = []
        for number in range(repeats):
            # What the last round's faults left behind is not this round's: begin with strangers.
            forget_cameras()
            await _timed_capture(cameras, cameras.show(3 * number), lambda: _own_service(patient, cameras))
            healthy = await _arrivals(bay, cameras, cameras.show(3 * number + 1))
            cameras.set_faults(faults)
            slot = cameras.show(3 * number + 2)
            began = time.perf_counter()
            arrivals = await _arrivals(bay, cameras, slot)
            wall_s = time.perf_counter() - began
            cameras.set_faults({name: [] for name in faults})
            rounds.append(
                {
                    "healthy_s": max(healthy.frames[name] for name in well),
                    "beside_faults_s": max(arrivals.frames[name] for name in well),
                    "wall_s": wall_s,
                    "reasons": arrivals.reasons,
                }
            )
        return {"rounds": rounds}

    return asyncio.run(run())


def bays(cameras: Cameras, repeats: int, size: int, deadline_s: float) -> dict[str, Any]:
    """Captures of several bays at once in the same loop, as in one triggerer.

    The first bay's alone, and beside the others while all their cameras hang; those of
    all bays, and that of one bay with as many cameras.
    """
    first, *others = cameras.parts(size)
    hanging = {address.name: ["hang"] for part in others for address in part.addresses}

    async def wall_s(slot: datetime, some: Cameras) -> float:
        return (await _timed_capture(some, slot, lambda: _own_service(some.bay(), some))).wall_s

    async def in_vain(slot: datetime, some: Cameras) -> None:
        async with _own_service(some.bay(deadline_s=deadline_s), some) as service:
            await service.capture(slot)

    async def run() -> dict[str, Any]:
        await _warm_up()
        await wall_s(cameras.show(0), cameras)
        rounds = []
        for number in range(0, 4 * repeats, 4):
            measured = {"alone_s": await wall_s(cameras.show(number + 1), first)}
            cameras.set_faults(hanging)
            slot = cameras.show(number + 2)
            async with asyncio.TaskGroup() as group:
                for part in others:
                    group.create_task(in_vain(slot, part))
                measured["beside_hanging_s"] = await wall_s(slot, first)
            cameras.set_faults({name: [] for name in hanging})
            measured["one_bay_s"] = await wall_s(cameras.show(number + 3), cameras)
            slot = cameras.show(number + 4)
            measured["together_s"] = max(await asyncio.gather(*(wall_s(slot, part) for part in (first, *others))))
            rounds.append(measured)
        return {"rounds": rounds, "bays": 1 + len(others)}

    return asyncio.run(run())


def repeated(cameras: Cameras, captures: int, compare_with: int) -> dict[str, Any]:
    """What the process holds after `compare_with` captures and after `captures`."""

    async def run() -> dict[str, Any]:
        await _warm_up()
        bay = cameras.bay()
        held = {}
        for number in range(1, captures + 1):
            await _timed_capture(cameras, cameras.show(number), lambda: _own_service(bay, cameras))
            if number in (compare_with, captures):
                held[number] = _held()
        return {"before": held[compare_with], "after": held[captures], "captures": captures}

    return asyncio.run(run())


def latency(cameras: Cameras, sample: int) -> dict[str, Any]:
    """Each of some cameras on its own, over a plain socket: one digest request, from its first byte to its last."""
    from lab.benchmarks.sketch import snapshot_target

    target = snapshot_target(cameras)
    step = max(1, len(cameras.addresses) // sample)
    seconds = {
        address.name: _one_request(address.host, address.port, target, cameras.username, cameras.password)
        for address in cameras.addresses[::step][:sample]
    }
    return {"seconds": seconds}


def sketch(cameras: Cameras, limit_s: float, threads: int) -> dict[str, Any]:
    """The specification's loop, or with `threads` a pool over it."""
    from lab.benchmarks.sketch import in_threads, one_after_another

    cpu = time.process_time()
    finished = in_threads(cameras, threads, limit_s) if threads else one_after_another(cameras, limit_s)
    return {"finished_s": finished, "cpu_s": time.process_time() - cpu, "peak_mib": _peak_mib()}


CASES: dict[str, Callable[..., dict[str, Any]]] = {
    function.__name__: function for function in (cold, known, raw, faulty, bays, repeated, latency, sketch)
}


@dataclass(slots=True)
class _Capture:
    """One capture, as its client saw it."""

    frames: int
    wall_s: float
    cpu_s: float
    lag_s: float
    mean_bytes: float

    def to_json(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class _Arrivals:
    """Seconds from the beginning until each frame, and the reason of each camera without one."""

    frames: dict[str, float]
    reasons: dict[str, str]


async def _timed_capture(
    cameras: Cameras, slot: datetime, service: "Callable[[], AbstractAsyncContextManager[CaptureService]]"
) -> _Capture:
    """One capture, from asking for a service to the batch.

    Raises:
        SimulationError: a camera gave no frame, so that the time says nothing.
    """
    cpu, began = time.process_time(), time.perf_counter()
    from capture_async.metrics import LoopLag

    with LoopLag(_LAG_INTERVAL_S) as lag:
        async with service() as open_service:
            batch = await open_service.capture(slot)
            wall_s = time.perf_counter() - began
    cpu_s = time.process_time() - cpu
    _refuse_failures(batch)
    size = sum(len(image.jpeg) for image in batch.images) / len(batch.images)
    return _Capture(len(batch.images), wall_s, cpu_s, lag.largest_s, size)


def _pooled_service(bay: "BayConfig", cameras: Cameras) -> "AbstractAsyncContextManager[CaptureService]":
    """As a triggerer has it: libraries are loaded in a thread, connections stay for the next capture."""
    from capture_async.service_pool import pooled_service

    return pooled_service(bay, _credentials(cameras))


async def _warm_up() -> None:
    """What a process has done before its second capture."""
    from capture_async.service_pool import load_the_rest, warm_up

    await warm_up()
    await load_the_rest()


def _own_service(bay: "BayConfig", cameras: Cameras) -> "CaptureService":
    """A service whose connections are all new, and closed at its end."""
    from capture_async import CaptureService

    return CaptureService(bay, credentials=_credentials(cameras))


async def _arrivals(bay: "BayConfig", cameras: Cameras, slot: datetime) -> _Arrivals:
    from capture_async import CaptureService, ImageProvider, ImageProviderFactory

    class Watched(ImageProvider):
        """The bay's provider, and when each camera's frame was there."""

        def __init__(self, inner: "ImageProvider") -> None:
            self._inner = inner
            self.at: dict[str, float] = {}

        async def get_images(self, reference_time: datetime, cameras: "Sequence[Camera]", bay_id: str) -> list[Any]:
            outcomes = await self._inner.get_images(reference_time, cameras, bay_id)
            self.at |= {outcome.camera_name: time.perf_counter() for outcome in outcomes}
            return outcomes

    credentials = _credentials(cameras)
    async with Watched(ImageProviderFactory.create("onvif", credentials=credentials)) as watched:
        began = time.perf_counter()
        async with CaptureService(bay, provider=watched) as service:
            batch = await service.capture(slot)
        await watched._inner.close()
    return _Arrivals(
        {image.camera_name: watched.at[image.camera_name] - began for image in batch.images},
        {failure.camera_name: failure.reason.value for failure in batch.failures},
    )


def _credentials(cameras: Cameras) -> "Credentials":
    from capture_async import Credentials

    return Credentials(cameras.username, cameras.password)


def _refuse_failures(batch: "CaptureBatch") -> None:
    if batch.failures:
        first = batch.failures[0]
        raise SimulationError(
            f"{len(batch.failures)} of {len(batch.failures) + len(batch.images)} cameras gave no frame, "
            f"as {first.camera_name}: {first.reason}: {first.detail}"
        )


def _held() -> dict[str, float]:
    """Open files, threads and resident memory of this process, with garbage collected."""
    gc.collect()
    status = _status()
    return {
        "open_files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208  the listing's own descriptor counts each time
        "threads": int(status["Threads"]),
        "memory_mib": _kib(status["VmRSS"]) / 1024,
    }


def _peak_mib() -> float:
    # Not getrusage: its maximum is inherited from the process that started this one.
    return _kib(_status()["VmHWM"]) / 1024


def _status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _kib(text: str) -> int:
    """As `  12345 kB`."""
    return int(text.split(maxsplit=1)[0])


def _one_request(host: str, port: int, target: str, username: str, password: str) -> float:
    """Seconds of one authenticated GET on a connection that is open; RFC 7616 with `qop=auth`, MD5.

    Raises:
        SimulationError: the camera gave no frame.
    """
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request("GET", target)
        refusal = connection.getresponse()
        refusal.read()
        challenge = dict(re.findall(r'(\w+)="([^"]*)"', refusal.headers["WWW-Authenticate"] or ""))
        cnonce = secrets.token_hex(8)
        ha1 = _md5(f"{username}:{challenge['realm']}:{password}")
        response = _md5(f"{ha1}:{challenge['nonce']}:00000001:{cnonce}:auth:{_md5(f'GET:{target}')}")
        header = (
            f'Digest username="{username}", realm="{challenge["realm"]}", nonce="{challenge["nonce"]}", '
            f'uri="{target}", response="{response}", qop=auth, nc=00000001, cnonce="{cnonce}"'
        )
        began = time.perf_counter()
        connection.request("GET", target, headers={"Authorization": header})
        reply = connection.getresponse()
        body = reply.read()
        seconds = time.perf_counter() - began
    finally:
        connection.close()
    _refuse_no_frame(f"{host}:{port}", reply.status, body)
    return seconds


def _refuse_no_frame(where: object, status: int, body: bytes) -> None:
    if status != http.HTTPStatus.OK or not body.endswith(b"\xff\xd9"):
        raise SimulationError(f"{where} answers {status} with {len(body)} bytes that are no frame")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _main() -> int:
    """Run the case that stdin names."""
    orders = json.loads(sys.stdin.buffer.readline())
    cameras = Cameras.from_json(orders["cameras"])
    logging.getLogger().addHandler(logging.NullHandler())  # the faulty cameras' warnings are asked for
    try:
        allow_open_files(2 * len(cameras.addresses))
        result = CASES[orders["case"]](cameras, **orders["settings"])
    except SimulationError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
