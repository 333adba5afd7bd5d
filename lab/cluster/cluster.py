"""A deployment on one machine: Airflow with Celery, PostgreSQL, Redis, and bays that see their own cameras only."""

import contextlib
import json
import secrets
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import httpx
import psutil

from bay_observation.errors import ClusterError
from bays import BayConfig, dag_id, observer_queue, onvif_connection_id, processor_queue
from bays.naming import TaskType
from lab.cluster import network, servers
from lab.cluster.bays import PROJECT, write_bays
from lab.cluster.network import MAIN_ADDRESS, BayAddresses, Host, Network, View
from lab.cluster.packets import PacketCounter
from lab.cluster.services import Service, Supervisor, inherited_environment, tail
from lab.cluster.settings import API_PORT, API_URL, POSTGRESQL_PORT, Settings
from lab.services.airflow_client import AirflowClient, AirflowClientError

STAGES: tuple[TaskType, ...] = ("observation", "fusion", "tracking")
_HEALTHY = ("metadatabase", "scheduler", "dag_processor")
_CAMERA_CONTROL = "127.0.0.1:8790"  # each bay's cameras have a loopback address of their own
_CAMERA_USER = "yard"
_WALL_CLOCK = Path(__file__).parent / "wall_clock.c"
_MAKE_DATABASES = PROJECT / "deploy" / "bin" / "make-databases"
_MOST_CRASHES = 5


class ClusterAirflowError(ClusterError, AirflowClientError):
    """The cluster's Airflow refused, or took too long."""


class Cluster(AirflowClient):
    """Builds the hosts, starts the services, and takes everything down again.

        with Cluster(home, bays=["3bay_north", "4bay"]) as cluster:
            cluster.send("3bay_north", slot)
            cluster.kill("scheduler")
            with cluster.without_line("main", "obs_3bay_north"):
                ...

    Hosts are `main`, and for every bay `obs_{bay}` and `cameras_{bay}`. Services are `postgresql`,
    `redis`, `api-server`, `scheduler`, `dag-processor`, `triggerer` and `processor-{bay}` on `main`,
    `observer-{bay}` (Celery worker) and `triggerer-{bay}` on the observer, and `cameras-{bay}`. One
    that dies is started again after a second.

    Args:
        home: folder for configuration, logs, artifacts; they stay afterwards.
        bays: ids of `bays/*.yaml`.
        cameras: how many cameras of each bay.
        frame_scale: size of a frame, as a part of the camera's.
        seed: of the simulated yards; the second bay has the next one.
        moment: simulated time at which the cameras start (aware).
        data: root of the artifact store (`DATA_PATH`) of the hosts by name; `home/data` for the others.
        env: further environment of all Airflow services.
        observer_env: further environment of the services on observers.
        bay_changes: keys of the bay files that are set in each.
        leave_out: variables of `env/base.env` that are not set, for a comparison.

    Raises:
        ClusterError: on entering, when this machine cannot do it (see `missing`) or a service does not start.
    """

    error: ClassVar[type[AirflowClientError]] = ClusterAirflowError

    def __init__(
        self,
        home: Path,
        *,
        bays: Sequence[str],
        cameras: int = 4,
        frame_scale: float = 0.5,
        seed: int = 2100,
        moment: datetime,
        data: Mapping[str, Path] | None = None,
        env: Mapping[str, str] | None = None,
        observer_env: Mapping[str, str] | None = None,
        bay_changes: Mapping[str, Any] | None = None,
        leave_out: Collection[str] = (),
    ) -> None:
        super().__init__(home)
        self.bays: dict[str, BayConfig] = {}
        self._wanted = (tuple(bays), cameras, frame_scale, dict(bay_changes or {}))
        self._seed = seed
        self._moment = moment
        self._data = dict(data or {})
        self._env = dict(env or {})
        self._observer_env = dict(observer_env or {})
        self._leave_out = frozenset(leave_out)
        self.camera_password = secrets.token_urlsafe(16)
        self._crashes_before: Counter[str] = Counter()
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """Address of the API server; it is reached from the cluster's hosts alone."""
        return API_URL

    def __enter__(self) -> Self:
        if lacking := missing():
            raise ClusterError(f"no cluster on this machine: {lacking}")
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()
        self._stack.close()

    # What it is made of

    def host(self, name: str) -> Host:
        """A host by its name.

        Raises:
            ClusterError: there is none of this name.
        """
        if name not in self._network.hosts:
            raise ClusterError(f"no host {name}; there are: {', '.join(self._network.hosts)}")
        return self._network.hosts[name]

    def host_of_queue(self, queue: str) -> str:
        """Hostname of the one host whose worker takes this queue's tasks."""
        observers = {observer_queue(bay): host.hostname for bay, host in self._network.observers.items()}
        return observers.get(queue, self._network.main.hostname)

    def data(self, host: str = network.MAIN) -> Path:
        """Root of the artifact store as a host sees it."""
        return self._data.get(self.host(host).name, self.home / "data")

    @property
    def history_db(self) -> str:
        """Address of the tracking history; to be used within `on_host`."""
        return self._settings.database("bay_history")

    def on_host(self, name: str = network.MAIN) -> AbstractContextManager[None]:
        """What this thread connects to in the context, it connects to from that host."""
        return self.host(name).entered()

    def run(self, host: str, *command: str, service: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command on a host as one of its services, with its environment and rights; as a plain one else."""
        if service is None:
            return self._run(host, command, self._environment(self.host(host), {}))
        return self._run(host, command, self._supervisor.environment(service), self._supervisor.view(service))

    def _run(
        self, host: str, command: Sequence[str], environment: Mapping[str, str], view: View | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.host(host).command(command, view=view),
            env=dict(environment),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def processes(self, service: str) -> list[psutil.Process]:
        """All processes of a service, its first one first."""
        return self._supervisor.processes(service)

    def log(self, service: str) -> Path:
        """What a service has printed."""
        return self._supervisor.log(service)

    def services(self, host: str | None = None) -> tuple[str, ...]:
        """Names of all services, or of one host's."""
        return tuple(n for n in self._supervisor.names if host in (None, self._supervisor.host_of(n).name))

    def cpu_s(self) -> dict[str, float]:
        """Seconds of CPU that each service has used so far, with what it started."""
        return {name: sum(map(_cpu_s, self._supervisor.processes(name))) for name in self._supervisor.names}

    # A day

    def wait_until_healthy(self, timeout: float = 300) -> None:
        """Return once every service answers and every DAG can be run.

        Raises:
            ClusterError: a service dies again and again, or the time is over.
        """
        workers = [f"{role}-{bay}" for role in ("processor", "observer") for bay in self.bays]
        triggerers = 1 + len(self.bays)

        def healthy() -> bool:
            with self.on_host():
                health = httpx.get(f"{API_URL}/api/v2/monitor/health", timeout=10).json()
                # What tasks talk to; it is built at its first use.
                httpx.get(f"{API_URL}/execution/health", timeout=30).raise_for_status()
            return (
                all(health.get(part, {}).get("status") == "healthy" for part in _HEALTHY)
                and len(self.live_triggerers()) >= triggerers
                and all(" ready." in self.log(worker).read_text(errors="replace") for worker in workers)
                and all(self._cameras_answer(bay) for bay in self.bays)
            )

        self._wait(healthy, timeout, "the cluster is not healthy")
        self.wait_for_dags(dag_id(stage, bay) for bay in self.bays for stage in STAGES)
        # What died until now, with PostgreSQL for example, has come back.
        self._crashes_before = Counter({name: self._supervisor.starts(name) for name in self._supervisor.names})

    def answers(self) -> bool:
        """Whether the API server does."""
        try:
            with self.on_host():
                return httpx.get(f"{API_URL}/api/v2/monitor/health", timeout=10).is_success
        except httpx.HTTPError:
            return False

    def set_time(self, moment: datetime) -> None:
        """Move all yards to `moment`; returns when the cameras have its pictures ready.

        Raises:
            ClusterError: the cameras do not answer, or refuse.
        """
        for bay in self.bays:
            self._ask_cameras(bay, "time", {"time": moment.isoformat()})

    def set_faults(self, bay: str, faults: Mapping[str, Sequence[str]]) -> None:
        """Give cameras of a bay the faults of `lab.simulation.faults`, by camera.

        Raises:
            ClusterError: the cameras do not answer, or refuse.
        """
        self._ask_cameras(bay, "faults", {camera: list(names) for camera, names in faults.items()})

    def send(self, bay: str, slot: datetime, due: datetime | None = None) -> str:
        """Start the observation of a slot, at once or when it is due; the run's id. See `set_time` for the cameras."""
        return self.trigger(dag_id("observation", bay), slot, due=due)

    def packets_to_cameras(self) -> dict[str, Counter[tuple[str, str]]]:
        """Packets that were meant for cameras, by the host that saw them: sender's and camera's address.

        At `cameras_{bay}` those that arrived; at `router` those that did not.
        """
        return {name: counter.counts() for name, counter in self._counters.items()}

    def connections(self) -> set[tuple[str, str, int]]:
        """TCP connections that one host asked of another across the router: from, to, port."""
        names = {host.address: host.name for host in self._airflow_hosts()}
        opened = self._counters[network.ROUTER].opened()
        return {(names[one], names[other], port) for one, other, port in opened if one in names and other in names}

    # Faults

    def kill(self, service: str) -> None:
        """SIGKILL a service with all its processes; it is started again after a second."""
        self._crashes_before[service] += 1
        self._supervisor.kill(service)

    def stop(self, service: str) -> None:
        """End a service in good order; it stays down until `start`."""
        self._supervisor.stop(service)

    def start(self, service: str) -> None:
        """Start a service that was stopped."""
        self._crashes_before[service] += 1
        self._supervisor.start(service)

    def empty_redis(self) -> None:
        """Kill Redis; it comes back with nothing in it: no queue, no message, no acknowledgement."""
        self.kill("redis")

    def cut(self, one: str, other: str) -> None:
        """Cut the line between two hosts; see `Network.cut`."""
        self._network.cut(one, other)

    def mend(self, one: str, other: str) -> None:
        """Undo `cut`."""
        self._network.mend(one, other)

    @contextlib.contextmanager
    def without_line(self, one: str, other: str) -> Iterator[None]:
        """`cut` while the context is open."""
        self.cut(one, other)
        try:
            yield
        finally:
            self.mend(one, other)

    def set_clock(self, host: str, seconds: int) -> None:
        """Set the wall clock of a host off by so many whole seconds; its services are started again.

        Raises:
            ClusterError: there is no C compiler (`cluster/wall_clock.c` is made into a library).
        """
        off = {"LD_PRELOAD": str(self._wall_clock()), "BAY_CLUSTER_CLOCK": str(seconds)}
        for service in self.services(host):
            self.stop(service)
            self._supervisor.set_environment(service, off if seconds else dict.fromkeys(off))
            self.start(service)

    def _wall_clock(self) -> Path:
        library = self.home / "wall_clock.so"
        compiler = shutil.which("cc")
        if compiler is None:
            raise ClusterError("no C compiler for a clock that is off: the distribution's package gcc")
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(_WALL_CLOCK)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"{_WALL_CLOCK} cannot be compiled: {done.stderr.strip()}")
        return library

    def add_triggerer(self, bay: str) -> str:
        """Start one more triggerer on a bay's observer; its name."""
        host = self._network.observers[bay]
        name = f"triggerer-{bay}-{1 + sum(n.startswith(f'triggerer-{bay}') for n in self._supervisor.names)}"
        command, environment = self._triggerer_command(observer_queue(bay)), self._triggerer_environment(bay)
        self._add(name, host, command, environment, self._view(host, f"observation/{bay}"))
        return name

    def add_service(self, name: str, command: Sequence[str]) -> None:
        """Start a further program on the main server, with what Airflow's own services there are given."""
        self._add(name, self._network.main, command, self._settings.main())

    # Inside

    def _build(self) -> None:
        bay_ids, cameras, scale, changes = self._wanted
        self.bays = write_bays(self.home / "bays", bay_ids, cameras=cameras, frame_scale=scale, changes=changes)
        queues = [queue for bay in bay_ids for queue in (observer_queue(bay), processor_queue(bay))]
        self._settings = Settings(self.home, self._leave_out, queues)
        enter = self._stack.enter_context
        postgresql = enter(servers.PostgreSQLFolder(self._settings.secret("postgres_password")))
        self._network = enter(Network({bay_id: _addresses(bay) for bay_id, bay in self.bays.items()}))
        for name in {host.name for host in self._airflow_hosts()}:
            (self.home / name / "logs").mkdir(parents=True, exist_ok=True)
            # Airflow writes a file of all its defaults where there is none, and its services would race to do it.
            (self.home / name / "airflow.cfg").touch()
        self._counters = self._count_packets()
        self._supervisor = enter(Supervisor(self.home / "logs", self.home))
        self._start_cameras()
        main = self._network.main
        plain = inherited_environment()
        redis = servers.redis_command(self.home / "redis", self._settings.secrets, queues)
        self._supervisor.add(Service("postgresql", main, postgresql.command, plain, postgresql.user))
        self._supervisor.add(Service("redis", main, redis, plain))
        self._make_databases()
        self._start_airflow()
        self.wait_until_healthy()

    def _count_packets(self) -> dict[str, PacketCounter]:
        everything = [str(camera.host) for bay in self.bays.values() for camera in bay.cameras]
        hosts = [self._network.router, *self._network.cameras.values()]
        return {host.name: self._stack.enter_context(PacketCounter(host, everything)) for host in hosts}

    def _start_cameras(self) -> None:
        login = {"SIMULATED_CAMERA_USER": _CAMERA_USER, "SIMULATED_CAMERA_PASSWORD": self.camera_password}
        for number, (bay, host) in enumerate(self._network.cameras.items()):
            command = [sys.executable, "-m", "lab.simulation", "serve", bay, "--seed", str(self._seed + number)]
            command += ["--time", self._moment.isoformat(), "--control", _CAMERA_CONTROL]
            environment = inherited_environment() | login | {"BAYS_PATH": str(self.home / "bays")}
            self._supervisor.add(Service(f"cameras-{bay}", host, command, environment))

    def _make_databases(self) -> None:
        main = self._network.main
        address = {"PGHOST": MAIN_ADDRESS, "PGPORT": str(POSTGRESQL_PORT), "PGCONNECT_TIMEOUT": "5"}
        make = [sys.executable, str(_MAKE_DATABASES), str(self._settings.secrets)]

        def made() -> bool:
            return self._run(network.MAIN, make, self._environment(main, address)).returncode == 0

        self._wait(made, 60, "PostgreSQL does not answer, or its databases cannot be made")
        for command in (_airflow("db", "migrate"), [sys.executable, "-m", "tracking", "migrate"]):
            done = self._run(network.MAIN, command, self._environment(main, self._settings.main()))
            if done.returncode != 0:
                raise ClusterError(f"{' '.join(command[2:])} failed:\n{(done.stdout + done.stderr).strip()[-2000:]}")

    def _start_airflow(self) -> None:
        main, settings = self._network.main, self._settings
        server = _airflow("api-server", "--host", MAIN_ADDRESS, "--port", str(API_PORT), "--workers", "1")
        self._add("api-server", main, server, settings.main())
        self._add("scheduler", main, _airflow("scheduler", "--skip-serve-logs"), settings.main() | settings.scheduler())
        self._add("dag-processor", main, _airflow("dag-processor"), settings.main())
        central = ",".join(["default", *(processor_queue(bay) for bay in self.bays)])
        self._add("triggerer", main, [*self._triggerer_command(central), "--skip-serve-logs"], settings.metadata())
        for bay, observer in self._network.observers.items():
            # Processors write their logs where the API server reads: only observers serve theirs.
            queue = processor_queue(bay)
            processor = [*self._worker_command(queue), "--skip-serve-logs"]
            self._add(
                f"processor-{bay}",
                main,
                processor,
                settings.worker(queue) | settings.history(),
                self._view(main, f"fusion/{bay}", f"tracking/{bay}"),
            )
            queue = observer_queue(bay)
            worker = settings.worker(queue) | settings.history() | settings.logs()
            view = self._view(observer, f"observation/{bay}")
            self._add(f"observer-{bay}", observer, self._worker_command(queue), worker, view)
            command, environment = self._triggerer_command(queue), self._triggerer_environment(bay)
            self._add(f"triggerer-{bay}", observer, command, environment, view)

    def _worker_command(self, queue: str) -> list[str]:
        # A name of its own (--celery-hostname) would be asked for among all workers, which no worker may do.
        quiet = ("--without-mingle", "--without-gossip")
        return _airflow("celery", "worker", "--queues", queue, "--concurrency", "2", *quiet)

    def _triggerer_command(self, queues: str) -> list[str]:
        return _airflow("triggerer", "--queues", queues)

    def _triggerer_environment(self, bay: str) -> dict[str, str]:
        """As in compose: the cameras' login is in a file of the one service that uses it."""
        login = {"conn_type": "generic", "login": _CAMERA_USER, "password": self.camera_password}
        file = self.home / f"obs_{bay}" / "camera_login.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps({onvif_connection_id(bay): login}), encoding="utf-8")
        backend = {
            "AIRFLOW__WORKERS__SECRETS_BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
            "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS": json.dumps({"connections_file_path": str(file)}),
        }
        return self._settings.metadata() | self._settings.logs() | backend

    def _view(self, host: Host, *folders: str) -> View:
        """As a bay's container: these folders of the store to write, and nothing of other hosts."""
        store = self.data(host.name)
        store.mkdir(parents=True, exist_ok=True)
        others = [self.home / other.name for other in self._airflow_hosts() if other is not host]
        hidden = (self._settings.secrets, self.home / "redis", *others)
        return View(store, tuple(store / folder for folder in folders), hidden)

    def _add(
        self, name: str, host: Host, command: Sequence[str], environment: Mapping[str, str], view: View | None = None
    ) -> None:
        self._supervisor.add(Service(name, host, command, self._environment(host, environment), view=view))

    def _environment(self, host: Host, more: Mapping[str, str]) -> dict[str, str]:
        return {
            **inherited_environment(),
            **self._settings.everywhere(),
            "AIRFLOW_HOME": str(self.home / host.name),
            "BAYS_PATH": str(self.home / "bays"),
            "BAYS_SCHEDULE": "off",
            "CLOCK": "slot",  # slots of a simulated day
            "DATA_PATH": str(self.data(host.name)),
            "INFERENCE_SOCKETS": str(self.home / host.name / "sockets"),
            **self._env,
            **({} if host is self._network.main else self._observer_env),
            **more,
        }

    def _airflow_hosts(self) -> list[Host]:
        return [self._network.main, *self._network.observers.values()]

    def _cameras_answer(self, bay: str) -> bool:
        with self._network.cameras[bay].entered():
            return httpx.get(f"http://{_CAMERA_CONTROL}/state", timeout=10).is_success

    def _ask_cameras(self, bay: str, what: str, body: Mapping[str, Any]) -> None:
        try:
            with self._network.cameras[bay].entered():
                answer = httpx.put(f"http://{_CAMERA_CONTROL}/{what}", json=body, timeout=60)
        except httpx.HTTPError as error:
            raise ClusterError(
                f"the cameras of {bay} do not answer ({error!r}): {self.log(f'cameras-{bay}')}"
            ) from error
        if answer.is_error:
            raise ClusterError(f"the cameras of {bay} refuse {what} {body}: {answer.text}")

    def _reaching(self) -> AbstractContextManager[None]:
        return self.on_host()

    def _wait(self, condition: Callable[[], bool], timeout: float, complaint: str) -> None:
        """As the base's, and through outages: a question that is not answered is asked again."""

        def met() -> bool:
            try:
                return condition()
            except (ClusterError, httpx.HTTPError, OSError):
                return False

        super()._wait(met, timeout, complaint)

    def _check_alive(self) -> None:
        for name in self._supervisor.names:
            if self._supervisor.starts(name) - self._crashes_before[name] > _MOST_CRASHES:
                raise ClusterError(f"{name} dies again and again; the end of its log:\n{tail(self.log(name))}")


def missing() -> str:
    """What this machine lacks for a cluster, in one sentence; empty when it has all."""
    return network.missing() or servers.missing()


def _addresses(bay: BayConfig) -> BayAddresses:
    cameras = [str(camera.host) for camera in bay.cameras]
    return BayAddresses(str(bay.network.camera_subnet), str(bay.network.observer_ip), cameras)


def _cpu_s(process: psutil.Process) -> float:
    """Its own, and that of children that it has waited for."""
    try:
        return float(sum(process.cpu_times()[:4]))
    except psutil.NoSuchProcess:
        return 0.0


def _airflow(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "airflow", *arguments]
