"""An Airflow with logins and a path in front of its address, of which only what serves pages runs."""

import json
import secrets
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil

from lab.services.embedded_airflow import EmbeddedAirflow, EmbeddedAirflowError

PREFIX = "/yard"
PEOPLE = {"boss": "admin", "looker": "viewer"}
_HOST = "127.0.0.1"


class PageServer(EmbeddedAirflow):
    """API server and DAG processor, nothing that runs a task.

    Args:
        home: its `AIRFLOW_HOME`.
        dags_folder: folder with the DAG files.
        env: further environment.
        parse: start the DAG processor too.
    """

    def __init__(self, home: Path, *, dags_folder: Path, env: Mapping[str, str], parse: bool = True) -> None:
        with socket.socket() as probe:
            probe.bind((_HOST, 0))
            port = int(probe.getsockname()[1])
        own = {
            "AIRFLOW__API__BASE_URL": f"http://{_HOST}:{port}{PREFIX}",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in PEOPLE.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(Path(home).resolve() / "passwords.json"),
        }
        super().__init__(home, dags_folder=dags_folder, env={**own, **env}, port=port)
        self.parse = parse
        self.passwords = {name: secrets.token_urlsafe(12) for name in PEOPLE}
        self.start_s = self.start_cpu_s = 0.0

    @property
    def url(self) -> str:
        """Address of the UI, with its path."""
        return f"http://{_HOST}:{self.port}{PREFIX}"

    def start(self) -> None:
        """Start the API server, and the DAG processor where it is wanted."""
        passwords = self.home / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps(self.passwords), encoding="utf-8")
        airflow = ["-m", "airflow"]
        self._spawn("api-server", [*airflow, "api-server", "--host", _HOST, "--port", str(self.port), "--workers", "1"])
        if self.parse:
            self._spawn("dag-processor", [*airflow, "dag-processor"])

    def wait_until_healthy(self, timeout: float = 240) -> None:
        """Return once the API server answers; `start_s` and `start_cpu_s`: how long that took, by clock and processor.

        Raises:
            EmbeddedAirflowError: it died, or the time is over.
        """
        began = time.monotonic()

        def answers() -> bool:
            try:
                return httpx.get(f"{self.url}/api/v2/version", timeout=10).is_success
            except httpx.HTTPError:
                return False

        self._wait(answers, timeout, "the API server does not answer")
        self.start_s = time.monotonic() - began
        used = [one.cpu_times() for one in self._processes()]
        self.start_cpu_s = float(sum(one.user + one.system for one in used))

    def token(self, person: str) -> str:
        """A token of a person.

        Raises:
            EmbeddedAirflowError: the login is refused.
        """
        login = {"username": person, "password": self.passwords[person]}
        answer = httpx.post(f"{self.url}/auth/token", json=login, timeout=30)
        if answer.is_error:
            raise EmbeddedAirflowError(f"login of {person}: {answer.status_code} {answer.text[:300]}")
        return str(answer.json()["access_token"])

    def memory_mib(self) -> float:
        """Memory that the API server's processes hold alone (their private pages), MiB."""
        return float(sum(one.memory_full_info().uss for one in self._processes())) / 2**20

    def _processes(self) -> list[psutil.Process]:
        leader = psutil.Process(self._services["api-server"].pid)
        return [leader, *leader.children(recursive=True)]

    def _connected(self) -> httpx.Client:
        if self._client is None:
            headers = {"Authorization": f"Bearer {self.token('boss')}", "Accept": "application/json"}
            self._client = httpx.Client(base_url=f"{self.url}/api/v2/", headers=headers, timeout=60)
        return self._client
