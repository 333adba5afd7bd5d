"""The environment of each host of a cluster: `env/base.env` as deployed, addresses, and secrets made once per home."""

import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable
from pathlib import Path

from bay_observation.errors import ClusterError
from lab.cluster.bays import PROJECT
from lab.cluster.network import MAIN_ADDRESS

BASE_ENV = PROJECT / "env" / "base.env"
POSTGRESQL_PORT = 55432
REDIS_PORT = 56379
API_PORT = 8080
LOG_PORT = 8793  # a worker's logs, for the API server
TRIGGERER_LOG_PORT = 8794
DATABASES = {"airflow": "airflow", "celery_results": "results", "bay_history": "history"}
"""Each with the role that owns it; `deploy/bin/make-databases` makes them."""
API_URL = f"http://{MAIN_ADDRESS}:{API_PORT}"


def read_env(path: Path) -> dict[str, str]:
    """The variables of an env file: `NAME=VALUE` lines, as `docker compose` reads them.

    Raises:
        ClusterError: the file is not there, or a line is none of those.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ClusterError(f"{path}: {error.strerror}") from error
    variables = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ClusterError(f"{path}:{number}: write NAME=VALUE")
        variables[name.strip()] = value.strip()
    return variables


def section_of_base_env(title: str) -> frozenset[str]:
    """Names of the variables below the line `# --- {title}` of `env/base.env`, up to the next such line.

    Raises:
        ClusterError: the file has no such section.
    """
    names: set[str] = set()
    section = None
    for line in BASE_ENV.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ---"):
            section = line.strip("# -")
        elif section == title and not line.startswith("#") and "=" in line:
            names.add(line.partition("=")[0].strip())
    if not names:
        raise ClusterError(f"{BASE_ENV}: no section {title!r}")
    return frozenset(names)


class Settings:
    """Environments of the hosts.

    Args:
        home: of the cluster; its secrets are kept there.
        leave_out: variables of `env/base.env` that are not set.
        queues: whose workers have a login of Redis and of Celery's results.
    """

    def __init__(self, home: Path, leave_out: Collection[str] = (), queues: Iterable[str] = ()) -> None:
        self.secrets = home / "secrets"
        """Files as a deployment's `secrets/`."""
        _make_secrets(self.secrets, queues)
        self._shared = {name: value for name, value in read_env(BASE_ENV).items() if name not in leave_out}

    def secret(self, name: str) -> str:
        """The content of a file of `secrets`."""
        return (self.secrets / name).read_text(encoding="ascii")

    def database(self, name: str, scheme: str = "postgresql", queue: str | None = None) -> str:
        """Address of one of `DATABASES`, as the role that owns it, or as that of a queue."""
        role = DATABASES[name] if queue is None else queue
        password = self.secret(f"{role}_db_password" if queue is None else f"redis_{queue}")
        return f"{scheme}://{role}:{password}@{MAIN_ADDRESS}:{POSTGRESQL_PORT}/{name}"

    def everywhere(self) -> dict[str, str]:
        """The environment of every Airflow service: no secret."""
        return {
            **self._shared,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{API_URL}/execution/",
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__API__HOST": MAIN_ADDRESS,
            "AIRFLOW__API__PORT": str(API_PORT),
            "AIRFLOW__API__BASE_URL": API_URL,
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(LOG_PORT),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(TRIGGERER_LOG_PORT),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "PYTHONUNBUFFERED": "1",
        }

    def main(self) -> dict[str, str]:
        """For the services of the main server: Airflow's database, and the keys that it signs and encrypts with."""
        return {
            **self.metadata(),
            **self.logs(),
            **self.history(),
            "AIRFLOW__CORE__FERNET_KEY": self.secret("fernet_key"),
            "AIRFLOW__API_AUTH__JWT_SECRET": self.secret("jwt_secret"),
        }

    def metadata(self) -> dict[str, str]:
        """For services that use Airflow's own database: all but the Celery workers."""
        address = self.database("airflow", "postgresql+psycopg")
        return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": address}

    def logs(self) -> dict[str, str]:
        """For services that serve logs, or ask for them."""
        return {"AIRFLOW__API__SECRET_KEY": self.secret("api_secret_key")}

    def history(self) -> dict[str, str]:
        """For what writes or shows the tracking history."""
        return {"HISTORY_DB": self.database("bay_history")}

    def scheduler(self) -> dict[str, str]:
        """Celery's side of the scheduler: it writes every queue."""
        return self._celery("airflow", "redis_password", None)

    def worker(self, queue: str) -> dict[str, str]:
        """Celery's side of the worker of one queue."""
        own = {
            f"AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__{key.upper()}_KEY": f"{key}.{queue}"
            for key in ("unacked", "unacked_index", "unacked_mutex")
        }
        return self._celery(queue, f"redis_{queue}", queue) | own

    def _celery(self, user: str, secret: str, queue: str | None) -> dict[str, str]:
        results = self.database("celery_results", "postgresql+psycopg", queue)
        return {
            "AIRFLOW__CELERY__BROKER_URL": f"redis://{user}:{self.secret(secret)}@{MAIN_ADDRESS}:{REDIS_PORT}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{results}",
        }


def _make_secrets(folder: Path, queues: Iterable[str]) -> None:
    """Those that are missing; and the file of the queues' logins, as the start scripts write it."""
    queues = list(queues)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    names = ["postgres_password", *(f"{role}_db_password" for role in DATABASES.values()), "redis_password"]
    names += ["api_secret_key", "jwt_secret", "fernet_key", *(f"redis_{queue}" for queue in queues)]
    for name in names:
        if not (folder / name).exists():
            made = urlsafe_b64encode(secrets.token_bytes(32)).decode()
            _write(folder / name, made)
    logins = [f"{queue} {(folder / f'redis_{queue}').read_text(encoding='ascii')}\n" for queue in queues]
    (folder / "queue_logins").unlink(missing_ok=True)
    _write(folder / "queue_logins", "".join(logins))


def _write(path: Path, content: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
