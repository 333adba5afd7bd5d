"""The simulated cameras as a child process, as far away from the pipeline as real ones."""

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from bay_observation.errors import SimulationError

_LISTENING = re.compile(r"control (http://\S+)")
_START_LIMIT = 180.0  # a machine that is busy with tests needs more than a minute
_STOP_GRACE = 10.0


class YardProcess:
    """`python -m lab.simulation serve` while the context is open.

    Every process gets a new login, made here and handed over in its environment.

    Args:
        bay_id: bay whose cameras listen.
        seed: of the yard.
        moment: simulated time to start at (aware).
        offline: names of cameras that are switched off.
        log: file that takes what the process prints.

    Raises:
        SimulationError: on entering, when the cameras cannot listen; the process's own words.
    """

    def __init__(self, bay_id: str, *, seed: int, moment: datetime, offline: Iterable[str], log: Path) -> None:
        self.username = "demo"
        self.password = secrets.token_urlsafe(16)
        self._command = [sys.executable, "-m", "lab.simulation", "serve", bay_id]
        self._command += ["--seed", str(seed), "--time", moment.isoformat(), "--control", "127.0.0.1:0"]
        for camera in offline:
            self._command += ["--fault", f"{camera}=offline"]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._control = ""

    def __enter__(self) -> Self:
        environment = os.environ | {
            "SIMULATED_CAMERA_USER": self.username,
            "SIMULATED_CAMERA_PASSWORD": self.password,
        }
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._control = self._wait_until_listening(self._process)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def set_time(self, moment: datetime, *, running: bool = False) -> None:
        """Move the yard to `moment`, where it stands still or runs on; returns when its pictures are ready.

        Raises:
            SimulationError: the process does not answer, or refuses.
        """
        wanted = {"time": moment.isoformat(), "running": running}
        try:
            answer = httpx.put(f"{self._control}/time", json=wanted, timeout=60)
        except httpx.HTTPError as error:
            raise SimulationError(f"the simulated yard does not answer ({error!r}); its log: {self._log}") from error
        if answer.is_error:
            raise SimulationError(f"the simulated yard cannot go to {moment.isoformat()}: {answer.text}")

    def _wait_until_listening(self, process: subprocess.Popen[bytes]) -> str:
        deadline = time.monotonic() + _START_LIMIT
        while time.monotonic() < deadline:
            printed = self._log.read_text(errors="replace")
            if found := _LISTENING.search(printed):
                return found[1]
            if process.poll() is not None:
                raise SimulationError(printed.strip() or f"the simulated yard ended with code {process.returncode}")
            time.sleep(0.1)
        raise SimulationError(f"the simulated yard did not start within {_START_LIMIT:g} s; its log: {self._log}")

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
