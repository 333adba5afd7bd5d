"""A loopback endpoint that moves the simulated time and switches faults while the cameras run.

    GET  /state                                      time, faults and counters
    PUT  /time    {"time": "2025-07-02T16:10:00+09:00", "prepare": true, "running": false}
    PUT  /faults  {"C_4": ["offline"], "D_6": []}

A request that is wrong is answered 400 with a sentence in `error`.
"""

import errno
import json
from datetime import datetime
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from bay_observation.errors import SimulationError
from lab.simulation.cameras import CameraFarm


class ControlServer:
    """Serves the endpoint on a loopback address while the context is open.

    Args:
        farm: the cameras that it governs.
        host: a loopback address; anyone who reaches it may move the time.
        port: 0 takes a free one, see `address`.

    Raises:
        SimulationError: `host` is no loopback address; on entering, it is in use.
    """

    def __init__(self, farm: CameraFarm, host: str = "127.0.0.1", port: int = 0) -> None:
        try:
            loopback = ip_address(host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise SimulationError(f"control address {host} is not on loopback: use 127.0.0.1")
        self._farm = farm
        self.host = host
        self.port = port
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        """`http://host:port`."""
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_get("/state", self._state)
        application.router.add_put("/time", self._time)
        application.router.add_put("/faults", self._faults)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port).start()
        except OSError as error:
            await runner.cleanup()
            reason = "is in use; choose another with --control" if error.errno == errno.EADDRINUSE else error.strerror
            raise SimulationError(f"control address {self.host}:{self.port}: {reason}") from error
        self.port = runner.addresses[0][1]
        self._runner = runner
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _state(self, _request: web.Request) -> web.Response:
        return web.json_response(self._state_now())

    async def _time(self, request: web.Request) -> web.Response:
        try:
            wanted = await _json_object(request)
            text, prepare = wanted.get("time"), wanted.get("prepare", True)
            running = wanted.get("running", self._farm.clock.running)
            if not isinstance(text, str) or not isinstance(prepare, bool) or not isinstance(running, bool):
                raise SimulationError(
                    'send {"time": "2025-07-02T16:10:00+09:00"}, and "prepare" and "running" true or false'
                )
            await self._farm.set_time(datetime.fromisoformat(text), prepare=prepare, running=running)
        except (SimulationError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(self._state_now())

    async def _faults(self, request: web.Request) -> web.Response:
        try:
            wanted = await _json_object(request)
            if not all(isinstance(value, str | list) for value in wanted.values()):
                raise SimulationError('send {"C_4": ["offline"]}: a fault, or a list of faults, for each camera')
            await self._farm.set_faults(wanted)
        except (SimulationError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(self._state_now())

    def _state_now(self) -> dict[str, Any]:
        return {
            "bay": self._farm.bay.bay_id,
            "time": self._farm.clock.now().isoformat(),
            "running": self._farm.clock.running,
            "cameras": {
                name: {
                    "address": f"{camera.host}:{camera.port}",
                    "faults": sorted(camera.faults),
                    "counters": camera.counters.as_json(),
                }
                for name, camera in self._farm.cameras.items()
            },
        }


async def _json_object(request: web.Request) -> dict[str, Any]:
    try:
        content = json.loads(await request.text())
    except json.JSONDecodeError as error:
        raise SimulationError(f"the request is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise SimulationError("the request is not a JSON object")
    return content
