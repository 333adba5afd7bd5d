"""What users of Airflow do to past, future and late slots, through a real Airflow and simulated cameras.

The bay's `capture_window` is short, so that a slot is over after a minute: a run that waits
that long stands for one that waited for forty minutes under the default window.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_urlsafe
from threading import Thread
from typing import Any
from unittest.mock import patch

import yaml

from artifacts import ArtifactReference, ArtifactStore
from bays import batch_id, dag_id, load_bay
from lab.benchmarks.slot_sequences import fused_floor
from lab.services.embedded_airflow import EmbeddedAirflow, EmbeddedAirflowError
from lab.services.ports import free_port
from lab.services.postgresql import PostgreSQL
from tracking.history import History
from tracking.ledger import track

BAY = "demo_bay"
WINDOW_S = 60.0
OBSERVATION, FUSION, HOUSEKEEPING = dag_id("observation", BAY), dag_id("fusion", BAY), "housekeeping_dag"
_DAY = datetime(2025, 7, 2, 3, 0, tzinfo=UTC)
_PROJECT = Path(__file__).resolve().parents[2]


@dataclass
class Case:
    """One thing that was done, and what came of it.

    Attributes:
        name: in words.
        expected: state of `capture_images` that the case must end with.
        state: the one that it ended with.
        foreign_frames: slots whose published frames are of another time.
        changed_lines: lines of the history that changed without a new frame.
    """

    name: str
    expected: str
    state: str = ""
    foreign_frames: int = 0
    changed_lines: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing was put into a slot that does not belong there, and the run ended as it must."""
        return self.state == self.expected and self.foreign_frames == 0 and self.changed_lines == 0


@dataclass
class AirflowFigures:
    """The cases, how a damaged artifact ended, and how housekeeping did.

    Attributes:
        cases: one for each thing that was done.
        damaged_s: seconds until the damaged artifact's run failed.
        damaged_tries: its tries.
        next_batch: state of the next batch's fusion.
        housekeeping: state of each task of `housekeeping_dag`, by name.
    """

    cases: list[Case] = field(default_factory=list)
    damaged_s: float = float("inf")
    damaged_tries: int = 0
    next_batch: str = ""
    housekeeping: dict[str, str] = field(default_factory=dict)


def run_cases(folder: Path, progress: Callable[[str], None] = lambda _: None) -> AirflowFigures:
    """Run every case in one Airflow.

    Args:
        folder: empty; takes the Airflow, its data and its logs.
        progress: called with the name of each case that begins, and with what came of it.

    Raises:
        EmbeddedAirflowError: Airflow does not come up, or a run does not end.
        OSError: the cameras cannot listen.
    """
    # For the cameras' process, and for this one while it lasts.
    with patch.dict(os.environ, BAYS_PATH=str(folder / "bays")), _yard(folder) as yard:
        figures = AirflowFigures()
        for make in (
            yard.backfill,
            yard.past,
            yard.future,
            yard.scheduler_away,
            yard.within,
            yard.triggerer_away,
            yard.cleared_later,
            yard.queued,
            yard.marked_success,
        ):
            progress(f"{make.__name__.replace('_', ' ')} ...")
            case = make()
            progress(f"  {case.state}, {case.foreign_frames} foreign, {case.changed_lines} changed")
            figures.cases.append(case)
        progress("a damaged artifact ...")
        figures.damaged_s, figures.damaged_tries, figures.next_batch = yard.damaged()
        progress(f"  {figures.damaged_s:.1f} s, {figures.damaged_tries} try, the next one: {figures.next_batch}")
        progress("housekeeping ...")
        figures.housekeeping = yard.housekeeping()
        return figures


class _Yard:
    def __init__(self, airflow: EmbeddedAirflow, store: ArtifactStore) -> None:
        self.airflow, self.store = airflow, store
        self.captured: tuple[str, datetime] = ("", _DAY)

    # -- cases ---------------------------------------------------------------------------------------

    def backfill(self) -> Case:
        def act() -> str:
            self.airflow.backfill(OBSERVATION, _DAY - timedelta(days=2), _DAY)
            self.airflow.wait_until(lambda: len(self._ended("backfill__")) == 3, 300, "the backfill has not ended")
            return self._ended("backfill__")[-1]

        return self._case(Case("backfill of three past slots", "skipped"), act)

    def past(self) -> Case:
        return self._case(
            Case("manual run with a past date", "skipped"), lambda: self._run(_DAY - timedelta(days=1, minutes=30))
        )

    def future(self) -> Case:
        """Airflow itself would start no task of such a run, and hold up the bay's next ones."""

        def act() -> str:
            try:
                return self._trigger(datetime.now(UTC) + timedelta(days=400))
            except EmbeddedAirflowError as error:
                return "refused" if "lies in the future" in str(error) else str(error)

        return self._case(Case("manual run with a future date", "refused"), act)

    def scheduler_away(self) -> Case:
        slot = _now() - timedelta(minutes=25)
        return self._case(Case("scheduler away for 25 minutes", "skipped"), lambda: self._run(slot))

    def within(self) -> Case:
        def act() -> str:
            slot = _now()
            self.captured = (self._run(slot), slot)
            return self.captured[0]

        return self._case(Case("a run in its time", "success"), act, brings_frames=True)

    def triggerer_away(self) -> Case:
        def act() -> str:
            self.airflow.end_triggerer()
            run = self._trigger(_now())
            self.airflow.wait_until(lambda: self._state(run) == "deferred", 120, f"{run} is not deferred")
            time.sleep(WINDOW_S)
            self.airflow.start_triggerer()
            self.airflow.wait_for_run(OBSERVATION, run)
            return run

        return self._case(Case("deferred capture, triggerer back too late", "skipped"), act)

    def cleared_later(self) -> Case:
        def act() -> str:
            run, slot = self.captured
            time.sleep(max(0.0, (slot + timedelta(seconds=WINDOW_S + 1) - datetime.now(UTC)).total_seconds()))
            self.airflow.clear(OBSERVATION, run)
            self.airflow.wait_for_run(OBSERVATION, run)
            return run

        return self._case(Case("run cleared after its window", "success"), act)

    def queued(self) -> Case:
        def act() -> str:
            self.airflow.pause(OBSERVATION)
            run = self._trigger(_now())
            time.sleep(WINDOW_S + 1)
            self.airflow.unpause(OBSERVATION)
            self.airflow.wait_for_run(OBSERVATION, run)
            return run

        return self._case(Case("capture that waited in a queue", "skipped"), act)

    def marked_success(self) -> Case:
        def act() -> str:
            self.airflow.end_triggerer()
            run = self._trigger(_now())
            self.airflow.wait_until(lambda: self._state(run) == "deferred", 120, f"{run} is not deferred")
            self.airflow.mark(OBSERVATION, run, "capture_images", "success")
            self.airflow.wait_for_run(OBSERVATION, run)
            self.airflow.start_triggerer()
            check = self.airflow.task_instances(OBSERVATION, run)["check_should_proceed"]
            return run if (check["state"], check["try_number"]) == ("success", 1) else "check_should_proceed failed"

        return self._case(Case("deferred capture marked success by hand", "success"), act)

    def damaged(self) -> tuple[float, int, str]:
        """Four bytes of an Observation overwritten, then the next batch's fusion behind it."""
        bad, good = (self._observation(_DAY + timedelta(hours=1, minutes=minutes)) for minutes in (0, 10))
        path = self.store.root / bad.path
        content = path.read_bytes()
        path.write_bytes(content[:-40] + b"\xff\xff\xff\xff" + content[-36:])
        began = time.monotonic()
        runs = [self.airflow.trigger(FUSION, None, {"observation": one.to_dict()}) for one in (bad, good)]
        self.airflow.wait_for_run(FUSION, runs[0])
        seconds = time.monotonic() - began
        tries = int(self.airflow.task_instances(FUSION, runs[0])["process_fusion"]["try_number"])
        self.airflow.wait_for_run(FUSION, runs[1])
        state = self.airflow.task_instances(FUSION, runs[1])["process_fusion"]["state"]
        return seconds, tries, f"{state}"

    def housekeeping(self) -> dict[str, str]:
        """The run of `housekeeping_dag` that began with Airflow; also Airflow's own tables are cleaned by it."""
        (run,) = [run["dag_run_id"] for run in self.airflow.dag_runs(HOUSEKEEPING)]
        self.airflow.wait_for_run(HOUSEKEEPING, run, 600)
        return {name: f"{task['state']}" for name, task in self.airflow.task_instances(HOUSEKEEPING, run).items()}

    # -- inside --------------------------------------------------------------------------------------

    def _case(self, case: Case, act: Callable[[], str], *, brings_frames: bool = False) -> Case:
        before, captures = self._export(), self._captures()
        run = act()
        case.state = self._state(run) if run.count("__") else run
        case.foreign_frames = self._foreign_frames()
        case.changed_lines = len(set(before) ^ set(self._export()))
        if not brings_frames:
            now = self._captures()
            case.foreign_frames += sum(1 for batch, sha256 in now.items() if captures.get(batch) != sha256)
        return case

    def _ended(self, prefix: str) -> list[str]:
        runs = self.airflow.dag_runs(OBSERVATION)
        ended = [run["dag_run_id"] for run in runs if run["state"] in ("success", "failed")]
        return [name for name in ended if name.startswith(prefix)]

    def _trigger(self, slot: datetime) -> str:
        return self.airflow.trigger(OBSERVATION, slot)

    def _run(self, slot: datetime) -> str:
        run = self._trigger(slot)
        self.airflow.wait_for_run(OBSERVATION, run)
        return run

    def _state(self, run: str) -> str:
        task = self.airflow.task_instances(OBSERVATION, run).get("capture_images", {})
        return "not started" if task.get("start_date") is None else str(task["state"])

    def _export(self) -> list[str]:
        with History(f"sqlite:///{self.store.root / 'history.db'}") as history:
            return list(history.export(BAY))

    def _captures(self) -> dict[str, str]:
        found = {name: self.store.find("capture", BAY, name) for name in self.store.batch_ids("capture", BAY)}
        return {name: reference.sha256 for name, reference in found.items() if reference is not None}

    def _foreign_frames(self) -> int:
        """Published captures with a frame that was not taken within the window of their slot."""
        bay, count = load_bay(BAY), 0
        for name in self.store.batch_ids("capture", BAY):
            reference = self.store.find("capture", BAY, name)
            batch: Any = self.store.load(reference) if reference else None
            allowed = timedelta(seconds=WINDOW_S + bay.capture_deadline)
            count += batch is None or any(
                not -timedelta(seconds=1) <= image.captured_at - batch.slot <= allowed for image in batch.images
            )
        return count

    def _observation(self, slot: datetime) -> ArtifactReference:
        from inference.types import CameraObservation, Observation

        bay, name = load_bay(BAY), batch_id(BAY, slot)
        cameras = tuple(CameraObservation(camera.name, slot, (1920, 1080), ()) for camera in bay.cameras)
        return self.store.save("observation", BAY, name, Observation(name, BAY, cameras))


@contextmanager
def _yard(folder: Path) -> Iterator[_Yard]:
    bays = folder / "bays"
    bays.mkdir(parents=True)
    content = yaml.safe_load((_PROJECT / "bays" / f"{BAY}.yaml").read_text(encoding="utf-8"))
    # Captured, and then stopped: the models have no part in this. (Frames that the hours stop are deleted.)
    content |= {"enabled": True, "capture_window": WINDOW_S, "conditions": {"min_brightness": 255}}
    content["schedule"] = {"observation": "0 3 * * *"}  # once a day: a backfill needs a schedule
    content |= {"image_provider": "http", "image_provider_config": {"timeout": 10}}
    port = free_port(content["cameras"][0]["host"])
    for camera in content["cameras"]:
        camera["port"] = port
    (bays / f"{BAY}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    dags = folder / "dags"
    dags.mkdir()
    for file in (_PROJECT / "dags").glob("*_*.py"):
        shutil.copy(file, dags)
    store = ArtifactStore(folder / "data")
    _track_a_day(store)
    environment = {
        "BAYS_PATH": str(bays),
        "BAYS_ENABLED": BAY,
        "DATA_PATH": str(store.root),
    }
    hosts = [camera["host"] for camera in content["cameras"]]
    # Not SQLite: it answers 503 to a backfill while the scheduler writes.
    with _cameras(hosts, port), PostgreSQL({"fsync": "off"}) as server:
        airflow = EmbeddedAirflow(
            folder / "airflow",
            dags_folder=dags,
            env=environment,
            preload=("operators.conditions", "fusion.pipeline"),
            database=server.url,
        )
        airflow.add_connection(f"onvif_{BAY}", kind="generic", login="nobody", password=token_urlsafe())
        with airflow:
            airflow.wait_for_dags([OBSERVATION, FUSION, HOUSEKEEPING])
            yield _Yard(airflow, store)


@contextmanager
def _cameras(hosts: Sequence[str], port: int) -> Iterator[None]:
    """Cameras that give a new picture with each answer, as long as the context is open."""
    servers = [ThreadingHTTPServer((host, port), _Camera) for host in hosts]
    threads = [Thread(target=server.serve_forever, daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


class _Camera(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        import cv2
        import numpy as np

        picture = np.full((1080, 1920, 3), 128, np.uint8)
        cv2.putText(picture, f"{datetime.now(UTC)}", (60, 200), cv2.FONT_HERSHEY_SIMPLEX, 3.0, (0, 0, 0), 5)
        content = cv2.imencode(".jpg", picture)[1].tobytes()
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def _track_a_day(store: ArtifactStore) -> None:
    """A history before and after the slots that the cases touch."""
    bay = load_bay(BAY)
    with History(f"sqlite:///{store.root / 'history.db'}") as history:
        for number in range(6):
            fused = fused_floor(bay, number)
            track(store, bay, store.save("fusion", BAY, fused.batch_id, fused), history)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
