"""Services of a cluster: started on their hosts, and started again when they die, as compose's restart policy does."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from bay_observation.errors import ClusterError
from lab.cluster.bays import PROJECT
from lab.cluster.network import Host, View

_RESTART_DELAY = 1.0
_POLL = 0.1
_STOP_GRACE = 20.0


@dataclass
class Service:
    """One process tree on one host.

    Args:
        name: as `scheduler` or `observer-3bay_north`.
        host: where it runs.
        command: program and arguments.
        environment: all of it.
        user: account that runs it; None is this one.
        view: what it sees of the disk, without any capability; None is everything.
    """

    name: str
    host: Host
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    user: str | None = None
    view: View | None = None


class Supervisor:
    """Runs services while the context is open, and restarts each that ends until it is stopped.

    Args:
        logs: folder of their outputs, `{service}.log`.
        working_folder: of all of them.
    """

    def __init__(self, logs: Path, working_folder: Path) -> None:
        self._logs = logs
        self._folder = working_folder
        self._services: dict[str, Service] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._due: dict[str, float] = {}
        self._starts: dict[str, int] = {}
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._watcher.join()
        for name in reversed(list(self._services)):
            self.kill(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all services, in the order in which they were added."""
        return tuple(self._services)

    def starts(self, name: str) -> int:
        """How often a service was started."""
        return self._starts.get(name, 0)

    def log(self, name: str) -> Path:
        """What a service has printed."""
        return self._logs / f"{name}.log"

    def add(self, service: Service) -> None:
        """Take a service in and start it.

        Raises:
            ClusterError: one of this name is there.
        """
        with self._lock:
            if service.name in self._services:
                raise ClusterError(f"service {service.name} is there already")
            self._services[service.name] = service
            self._start(service.name)

    def start(self, name: str) -> None:
        """Start a service that was stopped."""
        with self._lock:
            if self._known(name) not in self._running:
                self._start(name)

    def stop(self, name: str) -> None:
        """End a service in good order (SIGTERM); it stays down until `start`."""
        with self._lock:
            process = self._running.pop(self._known(name), None)
            self._due.pop(name, None)
        if process is None:
            return
        for first in _inner(process):
            with contextlib.suppress(psutil.NoSuchProcess):
                first.terminate()
        try:
            process.wait(_STOP_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self, name: str) -> None:
        """SIGKILL a service with all its processes, as a loss of power; it is restarted while the context is open."""
        with self._lock:
            process = self._running.get(self._known(name))
        if process is None:
            return
        # With the first process of its namespace the kernel ends all others. (`unshare --kill-child` is not
        # enough: the kernel forgets that promise where the child changes its account, as PostgreSQL's does.)
        for first in _inner(process):
            with contextlib.suppress(psutil.NoSuchProcess):
                first.kill()
        process.kill()
        process.wait()

    def host_of(self, name: str) -> Host:
        """Where a service runs."""
        return self._services[self._known(name)].host

    def environment(self, name: str) -> Mapping[str, str]:
        """The environment of a service at its next start."""
        return self._services[self._known(name)].environment

    def view(self, name: str) -> View | None:
        """What a service sees of the disk."""
        return self._services[self._known(name)].view

    def set_environment(self, name: str, environment: Mapping[str, str | None]) -> None:
        """Change variables of a service's environment (None removes one), from its next start on."""
        service = self._services[self._known(name)]
        changed: dict[str, str | None] = {**service.environment, **environment}
        service.environment = {variable: value for variable, value in changed.items() if value is not None}

    def processes(self, name: str) -> list[psutil.Process]:
        """All processes of a service, its first one first."""
        with self._lock:
            process = self._running.get(self._known(name))
        return [] if process is None else [each for first in _inner(process) for each in (first, *_below(first))]

    def _known(self, name: str) -> str:
        if name not in self._services:
            raise ClusterError(f"no service {name}; there are: {', '.join(self._services)}")
        return name

    def _start(self, name: str) -> None:
        service = self._services[name]
        with self.log(name).open("ab") as output:
            self._running[name] = subprocess.Popen(
                service.host.command(service.command, user=service.user, view=service.view),
                env=dict(service.environment),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._starts[name] = self.starts(name) + 1
        self._due.pop(name, None)

    def _watch(self) -> None:
        while not self._ended.wait(_POLL):
            with self._lock:
                now = time.monotonic()
                for name, process in list(self._running.items()):
                    if process.poll() is None:
                        continue
                    if self._due.setdefault(name, now + _RESTART_DELAY) <= now:
                        self._start(name)


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log; what is wrong, where it cannot be read."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"({error})"


def inherited_environment() -> dict[str, str]:
    """This process's environment without what configures another Airflow, and with this project's own packages."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW_", "_AIRFLOW_"))}
    return kept | {"PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])}


def _inner(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The first process inside: `process` itself is `unshare`, which only waits for it."""
    try:
        return list(psutil.Process(process.pid).children())
    except psutil.NoSuchProcess:
        return []


def _below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []
