"""The load test's cameras: their addresses, the bay they form, and the processes they run in.

Each process (`python -m lab.benchmarks.yard`) serves a part of the cameras with
`lab.simulation.cameras`, as far away from the client as real cameras: it takes its orders as
one line of JSON on stdin, prints its ports as one on stdout, and ends with its stdin, so
that none outlives the test. Frames are drawn once and served in turn, encoded already:
what the cameras cost is taken from the client's cores, and must be little.
"""

import asyncio
import json
import resource
import secrets
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from bay_observation.errors import SimulationError

if TYPE_CHECKING:
    from bays import BayConfig

FIRST_SLOT = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)
_SUBNET = "127.77.0.0/16"
_PER_HOST_BYTE = 250
# A socket per camera and connection; what libraries hold open besides.
_SPARE_FILES = 128
# One process, so that on two cores the client has one of them.
_CAMERAS_PER_PROCESS = 1000
_NOON = datetime(2025, 7, 2, 3, 0, tzinfo=UTC)
_CONTROL_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where one camera listens."""

    name: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Cameras:
    """What a client must know of the cameras; goes to it as JSON on its stdin, the login too."""

    addresses: tuple[Address, ...]
    controls: tuple[str, ...]
    username: str
    password: str = field(repr=False)

    def first(self, count: int) -> "Cameras":
        """The first `count` of them."""
        return self._some(self.addresses[:count])

    def parts(self, size: int) -> list["Cameras"]:
        """They all, `size` at a time."""
        return [self._some(self.addresses[begin : begin + size]) for begin in range(0, len(self.addresses), size)]

    def _some(self, addresses: tuple[Address, ...]) -> "Cameras":
        return Cameras(addresses, self.controls, self.username, self.password)

    def bay(self, *, deadline_s: float = 60.0) -> "BayConfig":
        """A bay of these cameras, of provider `onvif` at its defaults."""
        from bays import BayConfig

        return BayConfig.model_validate(
            {
                "bay_id": "load_test",
                "description": "simulated cameras of the load test",
                "network": {"camera_subnet": _SUBNET, "observer_ip": "127.77.255.254"},
                "capture_deadline": deadline_s,
                "models": {"yolo_detection": "none", "sam_segmentation": "none", "classification": "none"},
                "factory_layout": {"width": 150, "height": 40},
                "cameras": [asdict(address) | {"intrinsics": {"focal_px": 1450}} for address in self.addresses],
            }
        )

    def show(self, number: int) -> datetime:
        """Move the yard to slot `number`, so that every camera has another frame than before; returns the slot."""
        slot = FIRST_SLOT + timedelta(minutes=10 * number)
        self._put("/time", {"time": slot.isoformat(), "prepare": True})
        return slot

    def set_faults(self, faults: Mapping[str, Sequence[str]]) -> None:
        """Let cameras misbehave; an empty list makes one well again. Faults are of the first process's cameras."""
        self._put("/faults", dict(faults), self.controls[:1])

    def _put(self, path: str, content: Mapping[str, Any], controls: Sequence[str] | None = None) -> None:
        for control in self.controls if controls is None else controls:
            request = urllib.request.Request(  # noqa: S310  our own process, on loopback
                control + path, json.dumps(content).encode(), {"Content-Type": "application/json"}, method="PUT"
            )
            with _direct.open(request, timeout=_CONTROL_TIMEOUT_S) as reply:
                reply.read()

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        addresses = tuple(Address(**address) for address in values["addresses"])
        return cls(addresses, tuple(values["controls"]), values["username"], values["password"])


class Yard:
    """`count` cameras in processes of their own, while the context is open.

    Args:
        count: how many.
        latency_s, soap_latency_s: what a snapshot and an ONVIF operation take, in seconds.
        frames: JPEG files that are served in turn.
        niceness: of their processes; 19 leaves the machine to what asks them, as cameras elsewhere would.

    Raises:
        SimulationError: on entering, when they cannot listen.
    """

    def __init__(
        self, count: int, *, latency_s: float, soap_latency_s: float, frames: Sequence[Path], niceness: int = 0
    ) -> None:
        self._niceness = niceness
        self._hosts = [
            (f"L_{number + 1:04}", f"127.77.{number // _PER_HOST_BYTE}.{number % _PER_HOST_BYTE + 1}")
            for number in range(count)
        ]
        self._orders: dict[str, Any] = {
            "username": "load",
            "password": secrets.token_urlsafe(16),
            "latency_s": latency_s,
            "soap_latency_s": soap_latency_s,
            "frames": [str(path) for path in frames],
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Cameras:
        parts = [
            self._hosts[begin : begin + _CAMERAS_PER_PROCESS]
            for begin in range(0, len(self._hosts), _CAMERAS_PER_PROCESS)
        ]
        try:
            for part in parts:
                command = ["nice", "-n", str(self._niceness), sys.executable, "-m", "lab.benchmarks.yard"]
                process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                self._processes.append(process)
                _pipe(process.stdin).write(json.dumps(self._orders | {"hosts": part}).encode() + b"\n")
                _pipe(process.stdin).flush()
            answers = [json.loads(_pipe(process.stdout).readline() or b"null") for process in self._processes]
        except BaseException:
            self._stop()
            raise
        if None in answers:
            self._stop()
            raise SimulationError("the simulated cameras do not listen; their process says why above")
        addresses = tuple(Address(*address) for answer in answers for address in answer["addresses"])
        controls = tuple(answer["control"] for answer in answers)
        return Cameras(addresses, controls, self._orders["username"], self._orders["password"])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def cpu_s(self) -> float:
        """Seconds of CPU that the cameras' processes have used so far."""
        import psutil

        return sum(sum(psutil.Process(process.pid).cpu_times()[:2]) for process in self._processes)

    def _stop(self) -> None:
        for process in self._processes:
            _pipe(process.stdin).close()  # their order to end
        for process in self._processes:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _pipe(process.stdout).close()
        self._processes.clear()


def draw_frames(folder: Path, count: int) -> list[Path]:
    """Real 1080p JPEGs of the demo's yard, each of another camera: the largest ones.

    Args:
        folder: where to.
        count: how many, up to the bay's 12 cameras.
    """
    from bays import load_bay
    from lab.simulation.rendering import FrameSource
    from lab.simulation.yard import Yard as SimulatedYard

    bay = load_bay("demo_bay")
    source = FrameSource(SimulatedYard(bay, seed=7))
    names = [camera.name for camera in bay.cameras]
    with ThreadPoolExecutor(2) as pool:
        frames = sorted(pool.map(lambda name: source(name, _NOON), names), key=len, reverse=True)[:count]
    paths = [folder / f"{number}.jpg" for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        path.write_bytes(frame)
    return paths


def allow_open_files(count: int) -> None:
    """Raise this process's limit of open files to what `count` connections need.

    Raises:
        SimulationError: the machine allows fewer.
    """
    needed = count + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SimulationError(
            f"{needed} open files are needed and this machine allows {hard}: raise it (ulimit -Hn), or pass --sizes"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


# Proxies of the environment are not for loopback.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise SimulationError("a process of the load test was started without a pipe")
    return stream


def _main() -> int:
    """Serve until stdin ends."""
    orders = json.loads(sys.stdin.buffer.readline())
    try:
        asyncio.run(_serve(orders, [Path(path).read_bytes() for path in orders["frames"]]))
    except SimulationError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _serve(orders: Mapping[str, Any], frames: Sequence[bytes]) -> None:
    from lab.simulation.cameras import CameraFarm
    from lab.simulation.clock import SimulatedClock
    from lab.simulation.control import ControlServer

    # Each camera's listening socket, and a connection or two to it.
    allow_open_files(3 * len(orders["hosts"]))
    addresses = tuple(Address(name, host, 1) for name, host in orders["hosts"])
    bay = Cameras(addresses, (), orders["username"], orders["password"]).bay()
    farm = CameraFarm(
        bay,
        _in_turn(frames, [address.name for address in addresses]),
        username=orders["username"],
        password=orders["password"],
        latency_s=orders["latency_s"],
        soap_latency_s=orders["soap_latency_s"],
        clock=SimulatedClock(FIRST_SLOT),
        port=0,
    )
    control = ControlServer(farm)
    async with farm, control:
        answers = [(camera.name, str(camera.host), camera.port) for camera in farm.bay.cameras]
        print(json.dumps({"addresses": answers, "control": control.address}), flush=True)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wait_for_end() -> None:
            sys.stdin.buffer.read()
            loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=wait_for_end, daemon=True).start()
        await ended.wait()


def _in_turn(frames: Sequence[bytes], names: Sequence[str]) -> Callable[[str, datetime], bytes]:
    """A camera's frame: another one for each slot, of the few that are kept."""
    place = {name: number for number, name in enumerate(names)}

    def frame(name: str, moment: datetime) -> bytes:
        slots = int((moment - FIRST_SLOT) / timedelta(minutes=10))
        return frames[(place[name] + slots) % len(frames)]

    return frame


if __name__ == "__main__":
    sys.exit(_main())
