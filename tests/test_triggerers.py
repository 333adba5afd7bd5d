"""Bays' triggerers in a real Airflow: who runs what, and what becomes of a capture when one ends.

One embedded Airflow for the whole file, with triggerer queues on: two triggerers of bay a, one
that has no queue, and one of bay b that is started by a test. The cameras listen in this
process, so that each test can count what they were asked, and hold their frames while it kills.
Airflow takes a triggerer for dead after `DEAD` seconds here, after 30 by default.
"""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import yaml

from artifacts import ArtifactReference, ArtifactStore
from bays import batch_id

pytestmark = [pytest.mark.slow(16), pytest.mark.timeout(600)]

PROJECT = Path(__file__).parents[1]
SLOTS = (datetime(2025, 7, 2, 1, 0, tzinfo=UTC) + number * timedelta(minutes=10) for number in range(100))
CAMERAS = 3
PASSWORD = "s3cret-of-the-yard"
DEAD = 10
DAG_FILE = """
from datetime import datetime, timedelta, timezone
from airflow.sdk import DAG
from bays import bay_ids, observer_queue
from operators import ObservationOperator

# Two DAGs a bay: the second one asks for slots again that the first has captured.
for bay_id in bay_ids():
    for name in (f"capture_{bay_id}", f"again_{bay_id}"):
        with DAG(name, schedule=None, start_date=datetime(2025, 1, 1, tzinfo=timezone.utc)) as dag:
            ObservationOperator(
                task_id="capture_images", bay_id=bay_id, queue=observer_queue(bay_id),
                retries=2, retry_delay=timedelta(seconds=1),
            )
        globals()[name] = dag
"""


class Cameras:
    """The cameras of one bay, on an event loop of their own."""

    def __init__(self, bay_id: str, bays: Path, jpeg: bytes) -> None:
        from bays import load_bay
        from lab.simulation.cameras import CameraFarm
        from lab.simulation.clock import SimulatedClock

        self.bay_id = bay_id
        self._file = bays / f"{bay_id}.yaml"
        self._content = yaml.safe_load((PROJECT / "bays" / "demo_bay.yaml").read_text(encoding="utf-8"))
        subnet = f"127.{os.getpid() % 100 + 100}.{os.getpid() // 100 % 250}"
        cameras = self._content["cameras"][:CAMERAS]
        for camera in cameras:
            camera["host"] = f"{subnet}.{camera['host'].rpartition('.')[2]}"
        self._content |= {"enabled": True, "camera_quorum": CAMERAS, "cameras": cameras}
        # Long enough for a test to strike while frames are held, and for a frozen triggerer to find
        # its frames when it wakes up, and to bring them too late.
        self._content |= {"capture_deadline": 120, "image_provider_config": {"timeout": 120}}
        self._content["network"] = {"camera_subnet": f"{subnet}.0/24", "observer_ip": f"{subnet}.1"}
        self._write()
        self.farm = CameraFarm(
            load_bay(bay_id),
            _numbered(jpeg),
            username="yard",
            password=PASSWORD,
            port=0,
            clock=SimulatedClock(datetime(2025, 7, 2, tzinfo=UTC), running=True),
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"cameras of {bay_id}")

    def __enter__(self) -> "Cameras":
        self._thread.start()
        self._run(self.farm.__aenter__())
        for camera in self._content["cameras"]:
            camera["port"] = self.farm.cameras[camera["name"]].port
        self._write()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self.farm.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def hold(self) -> None:
        """Let every frame that is asked for wait, until `release`."""
        self._run(self.farm.hold_frames())

    def release(self) -> None:
        self._run(self.farm.release_frames())

    def fault(self, name: str | None) -> None:
        """Give the first camera a fault, or none."""
        first = next(iter(self.farm.cameras))
        self._run(self.farm.set_faults({first: [name] if name else []}))

    def requests(self) -> int:
        return sum(counters.requests for counters in self.farm.counters.values())

    def resolved(self) -> int:
        """How often the cameras were asked for their snapshot addresses."""
        return sum(counters.operations["GetSnapshotUri"] for counters in self.farm.counters.values())

    def connected(self, processes: list[psutil.Process]) -> int:
        """Connections of these processes to the cameras."""
        return sum(len(self._connections(camera, processes)) for camera in self.farm.cameras.values())

    def asked_for_frames(self, processes: list[psutil.Process]) -> int:
        """Cameras that prepare a frame for one of these processes: a connection alone may be kept from before."""
        return sum(
            not self._connections(camera, processes).isdisjoint(list(camera._under_way))
            for camera in self.farm.cameras.values()
        )

    @staticmethod
    def _connections(camera: Any, processes: list[psutil.Process]) -> set[tuple[str, int]]:
        """The addresses from which these processes are connected to a camera."""
        found: set[tuple[str, int]] = set()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                held = process.net_connections("tcp")
                open_ = (c for c in held if c.status == psutil.CONN_ESTABLISHED and c.raddr)
                found |= {tuple(c.laddr) for c in open_ if tuple(c.raddr) == (camera.host, camera.port)}
        return found

    def _write(self) -> None:
        self._file.write_text(yaml.safe_dump(self._content), encoding="utf-8")

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


class Metrics:
    """A statsd server: what the triggerers tell of their captures."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, name="statsd")
        self._told: list[str] = []
        self.environment = {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self._socket.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def __enter__(self) -> "Metrics":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def of_captures(self) -> list[str]:
        return [line for line in list(self._told) if ".bay_capture." in line]

    def _listen(self) -> None:
        while told := self._socket.recv(65536):
            self._told += told.decode().splitlines()


def _numbered(jpeg: bytes) -> Callable[[str, datetime], bytes]:
    """Frames that differ, as real ones do."""

    def draw(camera: str, _: datetime) -> bytes:
        note = f"{camera} {time.monotonic_ns()}".encode()
        return jpeg[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2) + note + jpeg[2:]

    return draw


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    import cv2
    import numpy as np

    from lab.services.embedded_airflow import EmbeddedAirflow

    root = tmp_path_factory.mktemp("triggerers")
    for folder in ("bays", "dags"):
        (root / folder).mkdir()
    (root / "dags" / "captures.py").write_text(DAG_FILE)
    jpeg = cv2.imencode(".jpg", np.full((1080, 1920, 3), 90, np.uint8))[1].tobytes()
    environment = {
        "BAYS_PATH": str(root / "bays"),
        "DATA_PATH": str(root / "data"),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.4",  # a pass each 0.1 s takes an eighth of a core
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(DEAD),
    }
    with pytest.MonkeyPatch.context() as patch, Metrics() as metrics:
        environment |= metrics.environment
        patch.setenv("BAYS_PATH", environment["BAYS_PATH"])
        with Cameras("a", root / "bays", jpeg) as a, Cameras("b", root / "bays", jpeg) as b:
            airflow = EmbeddedAirflow(
                root / "airflow",
                dags_folder=root / "dags",
                env=environment,
                preload=("operators",),
                triggerers={"observer-a": ["obs_a"], "second-of-a": ["obs_a"], "centre": []},
            )
            for bay in ("a", "b"):
                airflow.add_connection(f"onvif_{bay}", kind="generic", login="yard", password=PASSWORD)
            with airflow:
                airflow.wait_for_dags(["capture_a", "again_a", "capture_b", "again_b"])
                yield SimpleNamespace(
                    root=root, a=a, b=b, airflow=airflow, store=ArtifactStore(root / "data"), metrics=metrics
                )


class Run:
    """One slot's run of `capture_{bay}`."""

    def __init__(self, yard: SimpleNamespace, cameras: Cameras, slot: datetime | None = None, dag: str = "") -> None:
        self.yard, self.airflow, self.cameras = yard, yard.airflow, cameras
        self.slot = slot or next(SLOTS)
        self.batch = batch_id(cameras.bay_id, self.slot)
        self.dag = dag or f"capture_{cameras.bay_id}"
        self.id = self.airflow.trigger(self.dag, self.slot)

    def task(self) -> dict[str, Any]:
        return self.airflow.task_instances(self.dag, self.id)["capture_images"]

    def host(self) -> str | None:
        """The triggerer that has this run's trigger now, by the name of its host."""
        job = self.task()["triggerer_job"]
        return job["hostname"] if job else None

    def wait(self, what: Callable[[], bool], complaint: str, timeout: float = 60) -> None:
        self.airflow.wait_until(what, timeout, f"{self.dag} {self.id}: {complaint}")

    def wait_until_the_cameras_are_asked(self) -> str:
        """Return once a triggerer has this run's trigger and every camera prepares a frame for it; its name."""
        asking: list[str] = []

        def asked() -> bool:
            # A triggerer that is slow to give a sign of life loses its triggers to the other one: what
            # the database says is asked together with what is connected.
            host = self.host()
            if host is None or host not in self.airflow._services:
                return False
            asking.append(host)
            return self.cameras.asked_for_frames(self.airflow.triggerer_processes(host)) == CAMERAS

        self.wait(asked, "no camera is asked")
        return asking[-1]

    def connections(self, triggerer: str) -> int:
        return self.cameras.connected(self.airflow.triggerer_processes(triggerer))

    def end(self, state: str = "success") -> dict[str, Any]:
        """Wait for the run's end; its task. In `capture` there is one file, whole."""
        assert self.airflow.wait_for_run(self.dag, self.id, timeout=90) == state, self.log()
        return self.task()

    def log(self) -> str:
        return self.airflow.task_log(self.dag, self.id, "capture_images", max(1, self.task()["try_number"]))

    def files(self) -> list[Path]:
        folder = self.yard.store.root / "observation" / self.cameras.bay_id / self.batch
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def captured(self) -> ArtifactReference:
        """The reference that the task has pushed, after a look at the file that it names."""
        reference = ArtifactReference.from_dict(self.airflow.xcom(self.dag, self.id, "capture_images"))
        assert [path.name for path in self.files()] == ["capture.pkl"]
        assert len(self.yard.store.load(reference).images) == CAMERAS
        return reference


@pytest.fixture(autouse=True)
def _all_is_well(yard: SimpleNamespace) -> None:
    """Cameras that hold nothing and have no fault, and both triggerers of bay a, whatever the test before has left."""
    for cameras in (yard.a, yard.b):
        cameras.release()
    yard.a.fault(None)
    known = {job["id"] for job in yard.airflow.live_triggerers()}
    missing = {name for name in ("observer-a", "second-of-a") if name not in yard.airflow._services}
    for name in missing:
        yard.airflow.start_triggerer(name, ["obs_a"])

    def back() -> bool:
        return missing <= {job["hostname"] for job in yard.airflow.live_triggerers() if job["id"] not in known}

    yard.airflow.wait_until(back, 60, f"not back: triggerers {missing}")


def trigger_logs(yard: SimpleNamespace, run: Run) -> dict[str, str]:
    """What each triggerer wrote into the task's log, by its host: Airflow names the files by the job."""
    jobs = yard.airflow._get("jobs", job_type="TriggererJob", limit=100)["jobs"]
    hosts = {job["id"]: job["hostname"] for job in jobs}
    folder = yard.root / "airflow" / "logs" / f"dag_id={run.dag}" / f"run_id={run.id}"
    return {hosts[int(path.name.split(".")[-2])]: path.read_text() for path in folder.rglob("*.trigger.*.log")}


def test_a_bays_capture_runs_on_its_own_triggerer_and_nowhere_else(yard):
    # Nobody lists the queue of bay b yet: its task waits, for all to see, and no camera of it is asked.
    waiting = Run(yard, yard.b)
    waiting.wait(lambda: waiting.task()["state"] == "deferred", "is not deferred")
    yard.a.hold()
    run = Run(yard, yard.a)
    asking = run.wait_until_the_cameras_are_asked()
    assert run.task()["trigger"]["queue"] == "obs_a"
    assert [name for name in ("observer-a", "second-of-a", "centre") if run.connections(name)] == [asking]
    yard.a.release()
    assert run.end()["try_number"] == 1
    run.captured()
    assert asking in set(trigger_logs(yard, run)) <= {"observer-a", "second-of-a"}

    task = waiting.task()
    assert (task["state"], task["trigger"]["queue"], task["trigger"]["triggerer_id"]) == ("deferred", "obs_b", None)
    assert yard.b.requests() == 0
    shown = who_runs_what(yard)
    assert "queue obs_b: no triggerer that lives serves it" in shown["problems"][0]
    queues, names = {queue["queue"]: queue for queue in shown["queues"]}, triggerer_names(shown)
    assert [task["run_id"] for task in queues["obs_b"]["unclaimed"]] == [waiting.id]
    assert {names[number] for number in queues["obs_a"]["triggerers"]} == {"observer-a", "second-of-a"}
    assert set(names.values()) == {"observer-a", "second-of-a", "centre"}
    yard.b.hold()
    yard.airflow.start_triggerer("observer-b", ["obs_b"])
    assert waiting.wait_until_the_cameras_are_asked() == "observer-b"
    assert [name for name in ("observer-a", "second-of-a", "centre") if waiting.connections(name)] == []
    yard.b.release()
    assert waiting.end()["try_number"] == 1
    waiting.captured()
    assert set(trigger_logs(yard, waiting)) == {"observer-b"}


def who_runs_what(yard: SimpleNamespace) -> dict[str, Any]:
    """What `python -m triggers status` says, asked as an operator of this Airflow."""
    command = [sys.executable, "-m", "triggers", "status", "--json"]
    asked = subprocess.run(command, env=yard.airflow._environment(), capture_output=True, text=True, check=False)
    assert asked.returncode == 1, asked.stderr
    return json.loads(asked.stdout)


def triggerer_names(shown: dict[str, Any]) -> dict[int, str]:
    return {triggerer["job_id"]: triggerer["host"] for triggerer in shown["triggerers"]}


def test_a_running_triggerer_tells_its_captures_to_statsd(yard):
    before = len(yard.metrics.of_captures())
    run = Run(yard, yard.a)
    run.end()
    run.wait(lambda: len(yard.metrics.of_captures()) >= before + 4, "tells no metrics", timeout=15)
    told = dict(line.split(":", 1) for line in yard.metrics.of_captures()[before:])
    assert told["airflow.bay_capture.frames,bay=a"] == f"{CAMERAS}|c"
    assert float(told["airflow.bay_capture.duration,bay=a"].removesuffix("|ms")) >= 200  # what a camera takes
    assert told["airflow.bay_capture.cameras_working,bay=a"] == "1.0|g"
    assert "airflow.bay_capture.loop_lag,bay=a" in told


def test_a_slot_that_is_captured_is_not_captured_again(yard):
    run = Run(yard, yard.a)
    run.end()
    captured = run.captured()
    inode, asked = run.files()[0].stat().st_ino, yard.a.requests()
    again = Run(yard, yard.a, run.slot, dag="again_a")
    assert again.end()["try_number"] == 1
    assert again.captured() == captured
    assert (run.files()[0].stat().st_ino, yard.a.requests()) == (inode, asked)


def test_a_cleared_task_takes_new_frames_even_on_a_later_try(yard):
    run = Run(yard, yard.a)
    run.end()
    old, asked = run.captured(), yard.a.requests()
    yard.a.fault("busy")
    yard.airflow.clear(run.dag, run.id)
    run.wait(lambda: run.task()["try_number"] == 3, "is not tried a third time")
    assert yard.store.is_whole(old)  # what the first try found, and must not have handed on
    yard.a.fault(None)
    task = run.end()
    assert task["try_number"] >= 3
    assert run.captured() != old
    assert yard.a.requests() > asked


@pytest.mark.parametrize("leader_only", [False, True], ids=["host loses power", "process is killed"])
def test_killed_in_the_middle_of_a_capture(yard, leader_only):
    """Exactly one artifact and one resumed task, on another triggerer of the queue."""
    yard.a.hold()
    resolved = yard.a.resolved()
    run = Run(yard, yard.a)
    victim = run.wait_until_the_cameras_are_asked()
    yard.airflow.end_triggerer(victim, signal.SIGKILL, leader_only=leader_only)
    struck = time.monotonic()
    run.wait(lambda: run.host() not in (victim, None), "is not taken over")
    print(f"\ntaken over after {time.monotonic() - struck:.1f} s, dead after {DEAD} s")
    heir = run.wait_until_the_cameras_are_asked()
    assert heir != victim
    yard.a.release()
    assert run.end()["try_number"] == 1, run.log()
    run.captured()
    assert {victim, heir} == {"observer-a", "second-of-a"}
    # What the victim had to log may have died with it.
    assert heir in trigger_logs(yard, run)
    assert set(trigger_logs(yard, run)) <= {victim, heir}
    assert run.log().count("published: ") == 1
    assert yard.a.resolved() - resolved <= 2 * CAMERAS


def test_frozen_in_the_middle_of_a_capture_and_awake_after_another_has_published(yard):
    """A host that hangs longer than Airflow waits for it: what it brings is too late, and changes nothing."""
    yard.a.hold()
    run = Run(yard, yard.a)
    frozen = run.wait_until_the_cameras_are_asked()
    processes = yard.airflow.triggerer_processes(frozen)
    _suspend(processes, yard.airflow)
    yard.a.release()
    try:
        assert run.end()["try_number"] == 1
        captured, inode = run.captured(), run.files()[0].stat().st_ino
    finally:
        for process in processes:
            process.resume()
    run.wait(lambda: run.connections(frozen) == 0, f"{frozen} does not let go of the cameras")
    # Airflow may close the task's log before "trigger completed", of a trigger that another triggerer has by now.
    ends = ("Trigger fired event", "trigger completed")
    run.wait(lambda: any(end in trigger_logs(yard, run).get(frozen, "") for end in ends), f"{frozen} does not end it")
    # What it may have fired is with the database now. (SQLite gives a trigger's number to the next
    # one: the event would wake the next test's task, which refuses an event of another batch.)
    told = datetime.now(UTC) + timedelta(seconds=2)
    run.wait(lambda: _heartbeat(yard, frozen) > told, f"{frozen} gives no sign of life")
    assert run.captured() == captured
    assert run.files()[0].stat().st_ino == inode
    assert run.task()["try_number"] == 1


def _suspend(processes: list[psutil.Process], airflow: Any) -> None:
    """Freeze them while the test alone writes to Airflow's SQLite: one frozen while it writes locks everyone out."""
    with closing(sqlite3.connect(airflow.home / "airflow.db", timeout=60, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        for process in processes:
            process.suspend()
        database.execute("ROLLBACK")


def _heartbeat(yard: SimpleNamespace, host: str) -> datetime:
    beats = [j["latest_heartbeat"] for j in yard.airflow.live_triggerers() if j["hostname"] == host]
    return max((datetime.fromisoformat(beat) for beat in beats), default=datetime.min.replace(tzinfo=UTC))


def test_stopped_in_the_middle_of_a_capture(yard):
    """SIGTERM: sockets closed, nothing published by halves."""
    yard.a.hold()
    run = Run(yard, yard.a)
    stopped = run.wait_until_the_cameras_are_asked()
    yard.airflow.end_triggerer(stopped, signal.SIGTERM, leader_only=True)
    yard.a.release()
    # The leader may notice ten seconds late that its process has ended, as Airflow waits for it:
    # by now another triggerer may be done.
    assert run.end()["try_number"] == 1
    run.captured()
    told = trigger_logs(yard, run)
    assert set(told) == {"observer-a", "second-of-a"}
    assert {host for host, log in told.items() if " published: " in log} == set(told) - {stopped}
    assert "trigger completed" in told[stopped]
    assert "Trigger fired event" not in told[stopped]


def test_marked_failed_in_the_middle_of_a_capture(yard):
    """The triggerer lets go of the cameras, goes on, and publishes nothing."""
    yard.a.hold()
    run = Run(yard, yard.a)
    asking = run.wait_until_the_cameras_are_asked()
    yard.airflow.mark(run.dag, run.id, "capture_images", "failed")
    run.wait(lambda: run.connections(asking) == 0, "the cameras are still asked")
    assert run.end("failed")["state"] == "failed"
    yard.a.release()
    time.sleep(2)  # by now a capture that went on would be published
    assert run.files() == []
    assert "published" not in run.log()
    after = Run(yard, yard.a)
    after.end()
    after.captured()


def test_the_cameras_password_is_nowhere_on_disk(yard):
    looked_at = [path for path in yard.root.rglob("*") if path.is_file()]
    assert any(path.name == "airflow.db" for path in looked_at)
    assert [path for path in looked_at if PASSWORD.encode() in path.read_bytes()] == []
