"""The three DAGs of a bay in a real Airflow: real cameras' protocol, real triggerer, real models.

One embedded Airflow and one simulated yard for the whole file; the tests build on one
another and run in their order. The bay is a copy of the demo's on addresses of its own.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from artifacts import ArtifactReference, ArtifactStore
from bays import batch_id
from lab.services.ports import free_port

pytestmark = [pytest.mark.slow(12), pytest.mark.timeout(1200)]

PROJECT = Path(__file__).parents[1]
BAY = "test_yard"
FIRST = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)
SLOT = timedelta(minutes=10)
OFFLINE = "C_4"
REPORT = "report_moves"  # docs/examples: another team's DAG
BOARD = """
from pathlib import Path

from airflow.sdk import BaseNotifier


class Board(BaseNotifier):
    template_fields = ("text",)

    def __init__(self, path, text):
        super().__init__()
        self.path, self.text = path, text

    def notify(self, context):
        with Path(self.path).open("a") as board:
            board.write(f"{context['ti'].task_id} {len(context['news']['events'])} {self.text}\\n--\\n")
"""
DAGS = {stage: f"{stage}_{BAY}_dag" for stage in ("observation", "fusion", "tracking")}


class Bay:
    """The test's own bay file: a copy of the demo's on other addresses, changed while the test goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.content = yaml.safe_load((PROJECT / "bays" / "demo_bay.yaml").read_text(encoding="utf-8"))
        subnet = f"127.{os.getpid() % 100 + 100}.{os.getpid() // 100 % 250}"
        self.content |= {"enabled": True, "camera_quorum": 11, "retry_delay": 10}
        board = {"path": str(folder.parent / "board.txt"), "text": "{{ news.text }}"}
        notification = {"name": "board", "notifier": "yard_board.Board", "arguments": board}
        self.content["notifications"] = [notification | {"events": ["initial", "appeared"]}]
        self.content["network"] = {"camera_subnet": f"{subnet}.0/24", "observer_ip": f"{subnet}.1"}
        for camera in self.content["cameras"]:
            host = f"{subnet}.{camera['host'].rpartition('.')[2]}"
            camera |= {"host": host, "port": free_port(host)}
        self.write()

    def write(self, **changes: Any) -> None:
        text = yaml.safe_dump(self.content | changes)
        (self.folder / f"{BAY}.yaml").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    from lab.demo.yard_process import YardProcess
    from lab.services.embedded_airflow import EmbeddedAirflow

    root = tmp_path_factory.mktemp("pipeline")
    bay = Bay(root / "bays")
    (root / "bays" / "wrong_bay.yaml").write_text("description: A bay with a fault\ncameras: seven\n")
    environment = {"BAYS_PATH": str(root / "bays"), "BAYS_SCHEDULE": "off", "DATA_PATH": str(root / "data")}
    environment["CLOCK"] = "slot"  # of a simulated day
    environment["AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME"] = "0.4"  # a pass each 0.1 s takes an eighth of a core
    environment["INFERENCE_SOCKETS"] = str(root / "sockets")
    environment["REPORT_BAY"] = BAY
    dags = root / "dags"
    dags.mkdir()
    for file in (*(PROJECT / "dags").glob("bay_*.py"), PROJECT / "docs" / "examples" / "report_moves.py"):
        shutil.copy(file, dags)
    (dags / "yard_board.py").write_text(BOARD)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("BAYS_PATH", "INFERENCE_SOCKETS"):
            patch.setenv(name, environment[name])
        with YardProcess(BAY, seed=7, moment=FIRST, offline=[OFFLINE], log=root / "cameras.log") as cameras:
            airflow = EmbeddedAirflow(root / "airflow", dags_folder=dags, env=environment)
            airflow.add_connection(f"onvif_{BAY}", kind="generic", login=cameras.username, password=cameras.password)
            with airflow:
                airflow.wait_for_dags([*DAGS.values(), REPORT])
                store = ArtifactStore(root / "data")
                yield SimpleNamespace(
                    root=root, bay=bay, cameras=cameras, airflow=airflow, store=store, environment=environment
                )


def observe(yard: SimpleNamespace, slot: datetime) -> str:
    """Run the observation DAG of a slot to its end; the run's id."""
    yard.cameras.set_time(slot)
    run = yard.airflow.trigger(DAGS["observation"], slot)
    yard.airflow.wait_for_run(DAGS["observation"], run, timeout=600)
    return run


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def states(yard: SimpleNamespace, stage: str, run: str) -> dict[str, str]:
    return {task_id: task["state"] for task_id, task in yard.airflow.task_instances(DAGS[stage], run).items()}


def runs_of(yard: SimpleNamespace, stage: str, slot: datetime) -> list[str]:
    batch = batch_id(BAY, slot)
    return [r["dag_run_id"] for r in yard.airflow.dag_runs(DAGS[stage]) if r["dag_run_id"].startswith(batch)]


def history(yard: SimpleNamespace) -> dict[str, str]:
    """sha256 of the tracking artifacts, by batch."""
    store = yard.store
    return {batch: store.find("tracking", BAY, batch).sha256 for batch in store.batch_ids("tracking", BAY)}


def test_batches_travel_the_whole_way(yard):
    airflow, store = yard.airflow, yard.store
    for number, slot in enumerate((FIRST, FIRST + SLOT), start=1):
        run = observe(yard, slot)
        tasks = airflow.task_instances(DAGS["observation"], run)
        assert {name: task["state"] for name, task in tasks.items()} == dict.fromkeys(
            ("capture_images", "check_should_proceed", "run_inference", "trigger_fusion"), "success"
        ), airflow.task_log(DAGS["observation"], run, "run_inference")
        assert {task["queue"] for task in tasks.values()} == {f"obs_{BAY}"}
        for stage in ("fusion", "tracking"):
            (ended,) = [r for r in airflow.wait_for_runs(DAGS[stage], number) if batch_id(BAY, slot) in r["dag_run_id"]]
            assert ended["state"] == "success"
            tasks = airflow.task_instances(DAGS[stage], ended["dag_run_id"])
            assert {task["queue"] for task in tasks.values()} == {f"proc_{BAY}"}

    capture = airflow.xcom(DAGS["observation"], run, "capture_images")
    assert capture["failures"] == {OFFLINE: "unreachable"}
    assert capture["captured_count"] == 11
    assert len(str(capture)) < 1000  # a reference, no image
    batch = store.load(ArtifactReference.from_dict(capture))
    assert {image.camera_name for image in batch.images} | {OFFLINE} == {c["name"] for c in yard.bay.content["cameras"]}
    assert airflow.xcom(DAGS["observation"], run, "check_should_proceed", "reason").startswith("11 of 11 frames")
    observation = store.load(ArtifactReference.from_dict(airflow.xcom(DAGS["observation"], run, "run_inference")))
    assert observation.failures == {OFFLINE: "unreachable"}

    first, second = (store.load(store.find("tracking", BAY, batch)) for batch in store.batch_ids("tracking", BAY))
    assert len(first.tracks) >= 10
    # In ten minutes most blocks stand where they stood, and keep their identity.
    assert len({t.track_id for t in first.tracks} & {t.track_id for t in second.tracks}) >= 0.8 * len(first.tracks)


def test_another_teams_dag_runs_when_something_happened(yard):
    airflow = yard.airflow
    first, *_ = airflow.asset_events(f"tracking://{BAY}")
    batch = batch_id(BAY, FIRST)
    assert first["extra"]["batch_id"] == batch
    initial = yard.store.load(yard.store.find("tracking", BAY, batch)).events
    assert first["extra"]["counts"] == {"initial": len(initial)}
    assert (first["source_dag_id"], first["source_task_id"]) == (DAGS["tracking"], "process_tracking")
    run, *_ = airflow.wait_for_runs(REPORT, 1)
    assert run["state"] == "success"
    assert run["run_type"] == "asset_triggered"
    lines = airflow.xcom(REPORT, run["dag_run_id"], "report")
    assert {event.track_id for event in initial} <= {line.split()[1] for line in lines}


def test_the_bays_notifier_was_told_once(yard):
    first, *more = (yard.root / "board.txt").read_text().split("--\n")[:-1]
    initial = yard.store.load(yard.store.find("tracking", BAY, batch_id(BAY, FIRST))).events
    assert first.startswith(
        f"process_tracking {len(initial)} Demo bay (simulated yard), 2025-07-02 10:00\n10:00 initial "
    )
    told = [line.split()[2] for text in (first, *more) for line in text.splitlines()[1:]]
    assert len(told) == len(set(told))


def test_the_capture_ran_in_the_triggerer(yard):
    run = yard.airflow.dag_runs(DAGS["observation"])[0]["dag_run_id"]
    log = yard.airflow.task_log(DAGS["observation"], run, "capture_images")
    assert "Pausing task as DEFERRED" in log
    assert f"{DAGS['observation']}/{run}/capture_images" in log  # the trigger's own lines, merged into the task's
    assert "Trigger fired event" in log
    assert f"camera {OFFLINE}: unreachable" in log


def test_a_stage_that_runs_again_changes_nothing(yard):
    slot = FIRST + SLOT
    before = history(yard)
    told, board = yard.airflow.asset_events(f"tracking://{BAY}"), (yard.root / "board.txt").read_text()
    (fusion,) = runs_of(yard, "fusion", slot)
    yard.airflow.clear(DAGS["fusion"], fusion)
    assert yard.airflow.wait_for_run(DAGS["fusion"], fusion) == "success"
    tries = {task: ti["try_number"] for task, ti in yard.airflow.task_instances(DAGS["fusion"], fusion).items()}
    assert tries == {"process_fusion": 2, "trigger_tracking": 2}
    assert states(yard, "fusion", fusion) == {"process_fusion": "success", "trigger_tracking": "success"}
    (tracking,) = runs_of(yard, "tracking", slot)  # no second one
    yard.airflow.clear(DAGS["tracking"], tracking)
    assert yard.airflow.wait_for_run(DAGS["tracking"], tracking) == "success"
    assert history(yard) == before
    assert yard.airflow.asset_events(f"tracking://{BAY}") == told
    assert (yard.root / "board.txt").read_text() == board


def test_a_cleared_capture_takes_new_frames(yard):
    (run,) = [
        r["dag_run_id"] for r in yard.airflow.dag_runs(DAGS["observation"]) if r["logical_date"] == _utc(FIRST + SLOT)
    ]
    before = yard.airflow.xcom(DAGS["observation"], run, "capture_images")
    yard.cameras.set_time(FIRST + SLOT)
    yard.airflow.clear(DAGS["observation"], run)
    assert yard.airflow.wait_for_run(DAGS["observation"], run, timeout=600) == "success"
    after = yard.airflow.xcom(DAGS["observation"], run, "capture_images")
    assert after["sha256"] != before["sha256"]
    assert "is published already" not in yard.airflow.task_log(DAGS["observation"], run, "capture_images", 2)
    for stage in ("fusion", "tracking"):
        for run_id in runs_of(yard, stage, FIRST + SLOT):
            assert yard.airflow.wait_for_run(DAGS[stage], run_id) == "success"


def test_fusion_waits_for_an_observation_that_has_not_arrived(yard):
    reference = yard.store.find("observation", BAY, batch_id(BAY, FIRST))
    path = yard.store.root / reference.path
    aside = path.with_suffix(".aside")
    path.rename(aside)
    run = yard.airflow.trigger(DAGS["fusion"], None, {"observation": reference.to_dict()})

    def deferred() -> bool:
        return states(yard, "fusion", run)["process_fusion"] == "deferred"

    yard.airflow.wait_until(deferred, 120, "process_fusion was not deferred")
    aside.rename(path)
    assert yard.airflow.wait_for_run(DAGS["fusion"], run) == "success"
    assert "is not on this host yet" in yard.airflow.task_log(DAGS["fusion"], run, "process_fusion")
    assert len(runs_of(yard, "tracking", FIRST)) == 1  # the artifact is the same: tracked already


def test_outside_of_the_hours_a_batch_stops_after_its_capture(yard):
    slot = FIRST + 2 * SLOT  # 10:20 in the bay
    yard.bay.write(operating_hours=["08:30-09:20"])
    run = observe(yard, slot)
    yard.bay.write()
    assert yard.airflow.run_state(DAGS["observation"], run) == "success"
    assert states(yard, "observation", run) == {
        "capture_images": "success",
        "check_should_proceed": "success",
        "run_inference": "skipped",
        "trigger_fusion": "skipped",
    }
    reason = yard.airflow.xcom(DAGS["observation"], run, "check_should_proceed", "reason")
    assert reason == "10:20 Asia/Seoul is outside of the operating hours 08:30-09:20"
    assert runs_of(yard, "fusion", slot) == []


def test_below_the_quorum_the_capture_fails_and_a_retry_takes_new_frames(yard):
    slot = FIRST + 3 * SLOT
    yard.bay.write(camera_quorum=12)
    yard.cameras.set_time(slot)
    run = yard.airflow.trigger(DAGS["observation"], slot)

    def will_be_retried() -> bool:
        return states(yard, "observation", run)["capture_images"] == "up_for_retry"

    yard.airflow.wait_until(will_be_retried, 120, "capture_images is not up for a retry")
    log = yard.airflow.task_log(DAGS["observation"], run, "capture_images", 1)
    assert f"frames of 11 cameras where bay {BAY} wants 12; missing: {OFFLINE} (unreachable)" in log
    assert yard.store.find("capture", BAY, batch_id(BAY, slot)) is None
    yard.bay.write()
    assert yard.airflow.wait_for_run(DAGS["observation"], run) == "success"
    assert yard.airflow.task_instances(DAGS["observation"], run)["capture_images"]["try_number"] == 2
    assert yard.store.find("capture", BAY, batch_id(BAY, slot)) is not None


@pytest.fixture
def inference_server(yard: SimpleNamespace) -> Iterator[Callable[[], dict[str, Any]]]:
    """`python -m inference serve` of the bay; gives what asks for its health."""
    from inference.serving import InferenceClient, NoServerError

    def health() -> dict[str, Any]:
        return asyncio.run(InferenceClient(BAY).health())

    def answers() -> bool:
        try:
            return bool(health())
        except NoServerError:
            assert server.poll() is None, (yard.root / "inference.log").read_text()
            return False

    with (yard.root / "inference.log").open("wb") as log:
        command = [sys.executable, "-m", "inference", "serve", BAY]
        server = subprocess.Popen(command, env=os.environ | yard.environment, stdout=log, stderr=log)
    try:
        yard.airflow.wait_until(answers, 120, "the inference server does not answer")
        yield health
    finally:
        server.terminate()
        server.wait(60)


def test_a_warm_server_does_the_batch_while_the_task_is_deferred(yard, inference_server):
    slot = FIRST + 4 * SLOT
    run = observe(yard, slot)
    task = yard.airflow.task_instances(DAGS["observation"], run)["run_inference"]
    log = yard.airflow.task_log(DAGS["observation"], run, "run_inference")
    assert (task["state"], task["try_number"]) == ("success", 1), log
    assert "the inference server has the batch" in log
    assert "Pausing task as DEFERRED" in log
    assert "the models run in this task" not in log
    pushed = ArtifactReference.from_dict(yard.airflow.xcom(DAGS["observation"], run, "run_inference"))
    assert len(yard.store.load(pushed).cameras) == 11
    assert inference_server()["done"] == 1


def test_a_wrong_bay_file_is_shown_and_hurts_no_other_bay(yard):
    errors = yard.airflow.import_errors()
    assert [Path(name).name for name in errors] == ["bay_config_check.py"]
    assert "wrong_bay.yaml:2: cameras" in next(iter(errors.values()))


def test_the_cameras_password_is_nowhere_on_disk(yard):
    secret = yard.cameras.password.encode()
    looked_at = [path for path in yard.root.rglob("*") if path.is_file()]
    assert any(path.name == "airflow.db" for path in looked_at)
    assert [path for path in looked_at if secret in path.read_bytes()] == []
