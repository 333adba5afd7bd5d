"""PostgreSQL and Redis of a cluster: their folders, and the commands that run them."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bay_observation.errors import ClusterError, SimulationError
from lab.cluster.bays import PROJECT
from lab.cluster.network import MAIN_ADDRESS
from lab.cluster.settings import POSTGRESQL_PORT, REDIS_PORT
from lab.services.postgresql import account, initialise, programs, serve_command
from lab.services.redis import redis_server

_CLIENTS = "10.150.0.0/16"
_CONNECTIONS = 200
_ACL = PROJECT / "deploy" / "redis-acl.sh"


class PostgreSQLFolder:
    """A new PostgreSQL's data while the context is open; `command` serves it.

    Args:
        password: of its superuser, `postgres`.
    """

    def __init__(self, password: str) -> None:
        self._password = password
        self.user = account()

    def __enter__(self) -> Self:
        self._programs = programs()
        # Not below the cluster's home: another account must be able to reach it.
        self._folder = Path(tempfile.mkdtemp(prefix="bay-cluster-postgresql-"))
        try:
            self._initialise()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def command(self) -> list[str]:
        """Serves the folder on the main host."""
        settings = {
            "listen_addresses": MAIN_ADDRESS,
            "port": str(POSTGRESQL_PORT),
            "max_connections": str(_CONNECTIONS),
        }
        return serve_command(self._folder, self._programs, settings)

    def _initialise(self) -> None:
        initialise(self._folder, self._programs, self.user, self._password, superuser="postgres")
        with (self._folder / "data" / "pg_hba.conf").open("a", encoding="ascii") as access:
            access.write(f"host all all {_CLIENTS} scram-sha-256\n")


def redis_command(folder: Path, secrets: Path, queues: Sequence[str]) -> list[str]:
    """Serves an empty Redis on the main host; it keeps nothing, so that it is empty again after every start.

    Args:
        folder: for its settings.
        secrets: with the passwords of its users, whom `deploy/redis-acl.sh` describes.
        queues: each of which has a user.

    Raises:
        ClusterError: there is no Redis here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    users = subprocess.run([_ACL, secrets, *queues], capture_output=True, text=True, check=True).stdout
    acl, settings = folder / "users.acl", folder / "redis.conf"
    acl.write_text(users, encoding="utf-8")
    lines = [f"bind {MAIN_ADDRESS}", f"port {REDIS_PORT}", f"aclfile {acl}", 'save ""', f"dir {folder}"]
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [str(redis_server()), str(settings)]


def missing() -> str:
    """Which of the two is not here, in one sentence; empty when both are."""
    try:
        programs()
        redis_server()
    except (ClusterError, SimulationError) as error:
        return str(error)
    return ""
