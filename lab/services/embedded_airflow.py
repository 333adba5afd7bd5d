"""A whole Airflow in a folder of its own: SQLite, LocalExecutor, and its services as child processes.

For the demo and the tests, on one machine and the loopback address. As a rule triggerer queues
stay off and one triggerer runs every bay's triggers; with `triggerers` they are on, as in a
set-up with several hosts, and each triggerer runs the triggers of its queues.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from bay_observation.errors import ConfigError
from lab.services.airflow_client import AirflowClient, AirflowClientError
from lab.services.ports import free_port, is_free

_HOST = "127.0.0.1"
_STOP_GRACE = 20.0
_HEALTHY = ("metadatabase", "scheduler", "triggerer", "dag_processor")
# Imported by the scheduler before it forks its workers: tasks then pay for none of it (torch alone
# costs seconds each time), and the workers share the memory. A module that is not installed is left out.
_PRELOADED = ("operators.conditions", "inference.service", "fusion.pipeline", "tracking.tracker")
_SCHEDULER = """
import importlib, sys
for name in sys.argv.pop(1).split(","):
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(f"not preloaded: {name}: {error}", flush=True)
from airflow.__main__ import main
main()
"""
_TRIGGERER = "triggerer"
_TRIGGERER_HOST = "EMBEDDED_AIRFLOW_TRIGGERER"
_END_LIMIT = 60.0
_ROOM_NEEDED = 512 * 1024**2  # bytes: database, logs and a few batches of frames


class EmbeddedAirflowError(AirflowClientError):
    """A service of the embedded Airflow died, refused, or took too long."""


class EmbeddedAirflow(AirflowClient):
    """Starts, asks and stops an Airflow of its own.

        with EmbeddedAirflow(home, dags_folder=dags, env={"BAYS_ENABLED": "demo_bay"}) as airflow:
            run_id = airflow.trigger("observation_demo_bay_dag", slot)
            airflow.wait_for_run("observation_demo_bay_dag", run_id)

    Args:
        home: its `AIRFLOW_HOME`; configuration, database and logs lie there and stay afterwards.
        dags_folder: folder with the DAG files.
        env: further environment of every service. Variables of this process that configure
            another Airflow (`AIRFLOW_*`) are not handed on.
        port: of API server and UI; a free one by default.
        parallelism: tasks at the same time. Each worker takes some 120 MB even when idle.
        reparse_interval: seconds between two looks at the DAG files.
        triggerers: the queues of each triggerer, by the name under which Airflow shows it (its
            host). Without queues it runs what has none. By default one triggerer, and no queues.
        preload: modules that the scheduler imports before it forks its workers.
        database: `postgresql://...` of Airflow's database, without a password; SQLite in `home` by default, which
            answers 503 while another process writes.
    """

    error = EmbeddedAirflowError

    def __init__(
        self,
        home: Path,
        *,
        dags_folder: Path,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
        parallelism: int = 3,
        reparse_interval: int = 60,
        triggerers: Mapping[str, Sequence[str]] | None = None,
        preload: Sequence[str] = _PRELOADED,
        database: str | None = None,
    ) -> None:
        super().__init__(home)
        self.dags_folder = Path(dags_folder).resolve()
        self.parallelism = parallelism
        self.reparse_interval = reparse_interval
        self.preload = tuple(preload)
        self.database = database
        self.triggerers = None if triggerers is None else {name: tuple(queues) for name, queues in triggerers.items()}
        self._extra_env = dict(env or {})
        self._connections: dict[str, str] = {}
        self._wanted_port = port
        self.port = 0
        self._services: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """Address of the UI; anyone who opens it on this machine is its administrator."""
        return f"http://{_HOST}:{self.port}"

    def __enter__(self) -> Self:
        try:
            self.migrate()
            self.start()
            self.wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Set-up

    def add_connection(self, name: str, *, kind: str, login: str, password: str) -> None:
        """Give the triggerer an Airflow Connection, through its environment alone.

        Raises:
            EmbeddedAirflowError: the services run already.
        """
        if self._services:
            raise EmbeddedAirflowError(f"connection {name}: add it before the embedded Airflow starts")
        value = {"conn_type": kind, "login": login, "password": password}
        self._connections[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(value)

    def migrate(self) -> None:
        """Write the configuration and bring the database up to date.

        Raises:
            ConfigError: the port is taken, or the folder cannot be used.
            EmbeddedAirflowError: the database cannot be made.
        """
        self.port = self._wanted_port or free_port(_HOST)
        if not is_free(_HOST, self.port):
            raise ConfigError(f"port {self.port} of {_HOST} is in use or not allowed; choose another")
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            (self.home / "logs").mkdir(exist_ok=True)
            free = shutil.disk_usage(self.home).free
            if free < _ROOM_NEEDED:
                raise ConfigError(f"{self.home}: {free >> 20} MB free where {_ROOM_NEEDED >> 20} MB are needed")
            _write_private(self.home / "airflow.cfg", self._configuration())
        except OSError as error:
            raise ConfigError(f"{self.home}: cannot be used for Airflow: {error.strerror or error}") from error
        log = self._log("db-migrate")
        with log.open("wb") as output:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env=self._environment(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise EmbeddedAirflowError(f"the database cannot be made; the end of {log}:\n{_tail(log)}")

    def start(self) -> None:
        """Start scheduler, DAG processor, triggerers and API server, each in a process group of its own."""
        airflow = ["-m", "airflow"]
        services = {
            "api-server": [*airflow, "api-server", "--host", _HOST, "--port", str(self.port), "--workers", "1"],
            "scheduler": ["-c", _SCHEDULER, ",".join(self.preload), "scheduler", "--skip-serve-logs"],
            "dag-processor": [*airflow, "dag-processor"],
        }
        triggerers = {_TRIGGERER: ()} if self.triggerers is None else self.triggerers
        for name in (*services, *triggerers):
            self._log(name).unlink(missing_ok=True)
        for name, arguments in services.items():
            self._spawn(name, arguments)
        for name, queues in triggerers.items():
            self.start_triggerer(name, queues)

    def start_triggerer(self, name: str = _TRIGGERER, queues: Sequence[str] = ()) -> None:
        """Start one more triggerer, or start one again after `end_triggerer`.

        Raises:
            EmbeddedAirflowError: one of this name runs.
        """
        if name in self._services:
            raise EmbeddedAirflowError(f"triggerer {name} is already running")
        arguments = ["-m", "airflow", "triggerer", "--skip-serve-logs"]
        if queues:
            arguments += ["--queues", ",".join(queues)]
        # Camera passwords go where cameras are asked, and nowhere else.
        environment = dict(self._connections)
        if self.triggerers is not None:
            environment |= {
                "AIRFLOW__CORE__HOSTNAME_CALLABLE": f"{triggerer_host.__module__}.{triggerer_host.__name__}",
                _TRIGGERER_HOST: name,
            }
        self._spawn(name, arguments, environment)

    def end_triggerer(
        self, name: str = _TRIGGERER, number: signal.Signals = signal.SIGTERM, *, leader_only: bool = False
    ) -> None:
        """Send a signal that ends a triggerer, and return when all of it is gone.

        Args:
            name: the triggerer.
            number: SIGTERM for an orderly end, SIGKILL for a host that loses power.
            leader_only: leave it to the triggerer to end the process that runs its triggers.

        Raises:
            EmbeddedAirflowError: it has not ended after a minute.
        """
        family = self.triggerer_processes(name)
        service = self._services.pop(name)
        for process in family[:1] if leader_only else family:
            _signal(process, number)
        service.wait()
        _, left = psutil.wait_procs(family, timeout=_END_LIMIT)
        if left:
            self._services[name] = service  # `stop` ends what is left
            raise EmbeddedAirflowError(
                f"triggerer {name}: {len(left)} processes run {_END_LIMIT:g} s after signal {number}"
            )

    def triggerer_processes(self, name: str = _TRIGGERER) -> list[psutil.Process]:
        """A triggerer's processes: the one that talks to the database, then those that run its triggers.

        Raises:
            EmbeddedAirflowError: no triggerer of this name runs.
        """
        if name not in self._services:
            raise EmbeddedAirflowError(f"no triggerer {name} runs")
        return _family([self._services[name]])

    def wait_until_healthy(self, timeout: float = 240) -> None:
        """Return once every service says that it is well.

        Raises:
            EmbeddedAirflowError: one died, or the time is over.
        """
        expected = 1 if self.triggerers is None else len(self.triggerers)

        def healthy() -> bool:
            try:
                health = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=10).json()
                # What tasks talk to; it is built at its first use.
                httpx.get(f"{self.url}/execution/health", timeout=30).raise_for_status()
            except (httpx.HTTPError, ValueError):
                return False  # not listening yet
            # Airflow's health covers its most recent triggerer alone.
            return all(health.get(part, {}).get("status") == "healthy" for part in _HEALTHY) and (
                expected <= 1 or len(self.live_triggerers()) >= expected
            )

        self._wait(healthy, timeout, "the embedded Airflow is not healthy")

    def stop(self) -> None:
        """Stop every process that was started, and what those started; safe to call again."""
        self.disconnect()
        family = _family(self._services.values())
        for service in self._services.values():
            if service.poll() is None:
                service.terminate()
        psutil.wait_procs(family, timeout=_STOP_GRACE)
        # A service that went at once may have left children that were born meanwhile.
        for service in self._services.values():
            _kill_group(service.pid)
        for process in family:
            if process.is_running():
                _kill_group(process.pid)
                _kill(process)
        psutil.wait_procs(family, timeout=5)
        for service in self._services.values():
            service.wait()
        self._services.clear()

    # Inside

    def _configuration(self) -> str:
        """airflow.cfg; what it does not name has Airflow's own default."""
        keys = self._secrets()
        sections: dict[str, dict[str, object]] = {
            "core": {
                "executor": "LocalExecutor",
                "parallelism": self.parallelism,
                "dags_folder": self.dags_folder,
                "plugins_folder": self.home / "plugins",
                "load_examples": False,
                "dags_are_paused_at_creation": False,
                "simple_auth_manager_all_admins": True,
                "execution_api_server_url": f"{self.url}/execution/",
                "fernet_key": keys["fernet_key"],
            },
            "database": self._database(),
            "api": {
                "host": _HOST,
                "port": self.port,
                "base_url": self.url,
                "workers": 1,
                "secret_key": keys["secret_key"],
            },
            "api_auth": {"jwt_secret": keys["jwt_secret"]},
            # A pass of the scheduler's loop per 0.1 s of idleness, not per second: what a task costs
            # on two cores falls from 1.5 s to 0.4 s.
            "scheduler": {"scheduler_idle_sleep_time": 0.1},
            # A task's supervisor that misses the moment of the process's end looks again after this long.
            # With 5 s (the default) a short deferral can be over before the scheduler hears that the worker
            # let go of the task; it then takes the resumed task for a killed one, and retries it.
            "workers": {"min_heartbeat_interval": 1},
            "triggerer": {"queues_enabled": self.triggerers is not None},
            "dag_processor": {"parsing_processes": 1, "min_file_process_interval": self.reparse_interval},
            "logging": {"base_log_folder": self.home / "logs", "colored_console_log": False},
            "usage_data_collection": {"enabled": False},
        }
        lines: list[str] = []
        for section, options in sections.items():
            # Airflow reads % as interpolation, and some paths hold one.
            lines += [
                f"[{section}]",
                *(f"{key} = {str(value).replace('%', '%%')}" for key, value in options.items()),
                "",
            ]
        return "\n".join(lines)

    def _database(self) -> dict[str, object]:
        if self.database is None:
            return {"sql_alchemy_conn": f"sqlite:///{self.home / 'airflow.db'}"}
        where = self.database.removeprefix("postgresql://")
        return {
            "sql_alchemy_conn": f"postgresql+psycopg://{where}",
            "sql_alchemy_conn_async": f"postgresql+psycopg_async://{where}",
        }

    def _secrets(self) -> dict[str, str]:
        """Keys of this Airflow, made once per home."""
        path = self.home / "secrets.json"
        if not path.exists():
            made = {
                "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "secret_key": secrets.token_urlsafe(32),
                "jwt_secret": secrets.token_urlsafe(48),
            }
            _write_private(path, json.dumps(made))
        kept: dict[str, str] = json.loads(path.read_text())
        return kept

    def _spawn(self, name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        with self._log(name).open("ab") as output:
            self._services[name] = subprocess.Popen(
                [sys.executable, *arguments],
                env=self._environment() | dict(environment or {}),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW_", "_AIRFLOW_"))}
        return inherited | self._extra_env | {"AIRFLOW_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}

    def _log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def _check_alive(self) -> None:
        for name, service in self._services.items():
            if (code := service.poll()) is not None:
                raise EmbeddedAirflowError(
                    f"Airflow's {name} ended with code {code}; the end of {self._log(name)}:\n{_tail(self._log(name))}"
                )


def triggerer_host() -> str:
    """What a triggerer of the embedded Airflow calls its host; Airflow shows it with the job."""
    return os.environ[_TRIGGERER_HOST]


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _family(services: Iterable[subprocess.Popen[bytes]]) -> list[psutil.Process]:
    """The services that live, and their descendants (some of which lead groups of their own)."""
    family: list[psutil.Process] = []
    for service in services:
        try:
            leader = psutil.Process(service.pid)
            family += [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    return family


def _kill_group(pid: int) -> None:
    """Kill the process group that `pid` leads, if it does and if any of it is left."""
    try:
        if pid == os.getpgid(pid):
            os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        try:
            os.killpg(pid, signal.SIGKILL)  # the leader is gone, its group may not be
        except ProcessLookupError:
            return


def _kill(process: psutil.Process) -> None:
    _signal(process, signal.SIGKILL)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _tail(path: Path, lines: int = 15) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"({error})"
