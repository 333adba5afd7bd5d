"""The exporter: values of every part, a wall around each, a token before all."""

import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from shapely import MultiPolygon

from bay_observation.errors import AirflowUnavailableError
from bay_observation.metrics import EXPORTED
from bays import batch_id
from dashboard import export
from dashboard.__main__ import main
from dashboard.export import BayCollector, guarded_app
from lab.services.ports import free_port
from tests.inference.test_drift import changed, week
from tracking import Tracker
from tracking.history import BatchOutcome, History, TrackedBatch
from tracking.history.messages import Entry, enter
from tracking.history.schema import batches, events
from triggers.listed_queues import ListedQueues
from triggers.status import DeferredTask, Triggerer, status_of

NOW = datetime(2025, 7, 2, 8, 5, tzinfo=UTC)
TOKEN = "a-token-of-some-length"


@pytest.fixture
def asked(monkeypatch):
    """How often Airflow's database was asked, and what it says."""
    calls = []

    def status():
        calls.append("triggerers")
        triggerer = Triggerer(1, "observer", NOW, NOW, True, ListedQueues(("obs_yard",)))
        waiting = DeferredTask("proc_yard", "d", "r", "t", NOW - timedelta(seconds=90), None)
        held = DeferredTask("obs_yard", "d", "r", "t", NOW, 1)
        expected = {"obs_yard", "proc_yard"}
        return status_of(NOW, expected, [triggerer], [waiting, held], timedelta(seconds=30))

    monkeypatch.setattr(export, "triggerer_status", status)
    monkeypatch.setattr(export, "queued_tasks", lambda: {"obs_yard": (2, NOW - timedelta(seconds=40))})
    monkeypatch.setattr(export, "heartbeats", lambda: {"scheduler": NOW - timedelta(seconds=7)})
    return calls


@pytest.fixture
def yard(make_bay, store, monkeypatch, asked):
    """Bay `yard`: tracked at 07:30, failed captures after that."""
    from fusion.types import FusionResult

    bay = make_bay(camera_quorum=8)
    names = tuple(camera.name for camera in bay.cameras)
    known = History.at(store.root)
    slot = datetime(2025, 7, 2, 7, 30, tzinfo=UTC)
    result = Tracker(bay).update(FusionResult(batch_id("yard", slot), "yard", (), MultiPolygon(), cameras=names))
    with known.writer("yard") as writer:
        writer.append([TrackedBatch(result, "a" * 64, names)], "")
    known.record("yard", slot, BatchOutcome.TRACKED, cameras=names)
    for minutes in (10, 20):
        failures = dict.fromkeys(names[:3], "timed out")
        known.record(
            "yard", slot + timedelta(minutes=minutes), BatchOutcome.CAPTURE_FAILED, "too few",
            cameras=names[3:], failures=failures,
        )  # fmt: skip
    monkeypatch.setattr(export, "history", lambda: known)
    yield bay
    known.close()


def exported(collector=None):
    """Values by name and labels, as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector or BayCollector(now=lambda: NOW, patience_s=60.0))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_every_declared_metric_has_a_value(yard):
    names = {key[0] for key in exported()}
    # Nothing happened in the yard: no events. No slot of it was observed: nothing of its cameras' drift.
    assert names == {one.name for one in EXPORTED} - {"bay_events", "bay_camera_drift"}


def test_a_bays_slots_and_cameras(yard):
    values = exported()
    assert values["bay_tracked_age_seconds", "yard"] == 35 * 60
    assert values["bay_open", "yard"] == 1
    assert values["bay_slots_missing", "yard", "capture_failed"] == 2
    assert values["bay_slots_missing", "yard", "not_run"] == 1  # 08:00; nothing was missed before 07:30
    assert values["bay_quorum_margin", "yard"] == 9 - 8
    assert values["bay_camera_failures_in_row", "yard", yard.cameras[0].name] == 2
    assert values["bay_camera_failures_in_row", "yard", yard.cameras[5].name] == 0


def test_what_fails_is_late_or_doubted(yard, monkeypatch):
    values = exported()
    assert values["bay_failures_in_row", "yard", "capture_failed"] == 2
    assert values["bay_failures_in_row", "yard", "fusion_failed"] == 0
    assert values["bay_frames_late_lately", "yard"] == 0
    assert values["bay_floor_doubts_lately", "yard"] == 0
    slot = NOW - timedelta(minutes=35)
    known = export.history()
    with known.database.writing() as connection, connection.begin():
        connection.execute(batches.update().where(batches.c.slot == slot).values(lateness_s=70))
        row = {"bay_id": "yard", "slot": slot, "number": 0, "kind": "floor_doubted", "track_id": "", "time": slot}
        connection.execute(events.insert().values(row))
    values = exported()
    assert values["bay_frames_late_lately", "yard"] == 1
    assert values["bay_floor_doubts_lately", "yard"] == 1


def test_a_file_that_is_wrong(yard, bays_folder):
    (bays_folder / "broken.yaml").write_text("enabled: perhaps\n")
    values = exported()
    assert values["bay_config_faulty", "broken"] == 1
    assert values["bay_config_faulty", "yard"] == 0
    assert ("bay_open", "broken") not in values


def test_processes_and_messages(yard):
    assert exported()["bay_airflow_heartbeat_age_seconds", "scheduler"] == 7
    assert exported()["bay_messages_waiting",] == 0
    entered = NOW - timedelta(minutes=20)
    enter(export.history(), [Entry("r", "office", "item", "began", "yard", {}, entered)], entered)
    assert exported()["bay_messages_waiting",] == 1
    assert exported()["bay_messages_waiting_seconds",] == 20 * 60


@pytest.mark.slow(0.9)
def test_a_camera_that_drifted_and_a_bay_of_which_too_little_is_known(yard, store):
    assert [name for name in exported() if name[0] == "bay_camera_drift"] == []
    slots = week(90, begin=NOW - timedelta(hours=90), bay_id="yard")
    for seen in slots[:-12] + changed(slots[-12:], "C_5", lightness=-12):
        store.save("observation", "yard", seen.batch_id, seen)
    values = exported()
    assert values["bay_camera_drift", "yard", "C_5"] > 1
    assert 0 < values["bay_camera_drift", "yard", "C_7"] < 1
    assert values["bay_export_failed", "drift yard"] == 0


def test_queues(yard):
    values = exported()
    assert values["bay_triggerers_alive", "obs_yard"] == 1
    assert values["bay_triggerers_alive", "proc_yard"] == 0
    assert values["bay_queue_expected", "proc_yard"] == 1
    assert values["bay_deferred_held", "obs_yard"] == 1
    assert values["bay_deferred_unclaimed", "proc_yard"] == 1
    assert values["bay_deferred_unclaimed_oldest_seconds", "proc_yard"] == 90
    assert values["bay_tasks_queued", "obs_yard"] == 2
    assert values["bay_tasks_queued_oldest_seconds", "obs_yard"] == 40


def test_a_part_that_fails_is_absent_and_named(yard, monkeypatch, caplog):
    def away():
        raise AirflowUnavailableError("the database is away")

    monkeypatch.setattr(export, "triggerer_status", away)
    values = exported()
    assert values["bay_export_failed", "triggerers"] == 1
    assert values["bay_export_failed", "history yard"] == 0
    assert not [key for key in values if key[0] == "bay_triggerers_alive"]
    assert values["bay_tracked_age_seconds", "yard"] == 35 * 60
    assert "the database is away" in caplog.text


@pytest.mark.slow(2)
def test_a_database_that_hangs_holds_up_no_scrape(yard, monkeypatch):
    hangs = threading.Event()
    monkeypatch.setattr(export, "triggerer_status", lambda: hangs.wait(20))
    began = time.monotonic()
    try:
        values = exported(BayCollector(now=lambda: NOW, patience_s=2.0))
        assert time.monotonic() - began < 10
    finally:
        hangs.set()
    assert values["bay_tracked_age_seconds", "yard"] == 35 * 60
    assert values["bay_store_answers",] == 1
    assert ("bay_triggerers_alive", "obs_yard") not in values


def test_a_store_that_is_away_is_a_value(yard, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "file" / "data"))
    assert exported()["bay_store_answers",] == 0


def test_a_bay_before_its_first_slot(make_bay, store, monkeypatch, asked):
    make_bay()
    with History.at(store.root) as known:
        monkeypatch.setattr(export, "history", lambda: known)
        values = exported()
    assert values["bay_open", "yard"] == 1
    assert values["bay_export_failed", "history yard"] == 0
    assert ("bay_tracked_age_seconds", "yard") not in values


def test_the_database_is_asked_once_for_many_scrapes(yard, asked):
    collector = BayCollector(every=60, now=lambda: NOW)
    for _ in range(5):
        exported(collector)
    assert asked == ["triggerers"]


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("header", "path", "status"),
    [
        (f"Bearer {TOKEN}", "/metrics", "200 OK"),
        (f"Bearer {TOKEN}", "/", "404 Not Found"),
        ("Bearer wrong", "/metrics", "401 Unauthorized"),
        (None, "/metrics", "401 Unauthorized"),
        (TOKEN, "/metrics", "401 Unauthorized"),
        ("Bearer \u00e9", "/metrics", "401 Unauthorized"),
    ],
)
def test_the_token_comes_before_everything(yard, asked, header, path, status):
    answers = []
    app = guarded_app(BayCollector(now=lambda: NOW), TOKEN)
    environment = {"PATH_INFO": path, "REQUEST_METHOD": "GET", "QUERY_STRING": ""}
    body = b"".join(
        app(environment | ({} if header is None else {"HTTP_AUTHORIZATION": header}), lambda *a: answers.append(a[0]))
    )
    assert answers == [status]
    assert (b"bay_open" in body) == (status == "200 OK")
    assert bool(asked) == (status == "200 OK")


@pytest.mark.parametrize(
    ("content", "reason"),
    [("short\n", "at least 16"), ("two words of it", "at least 16"), (None, "cannot be read")],
)
def test_a_token_that_is_none(tmp_path, capsys, content, reason):
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    assert main(["export", "--token-file", str(file)]) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert content is None or content.strip() not in said


def test_without_a_token_nothing_is_served(capsys):
    assert main(["export"]) == 2
    assert "--token-file" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--listen=here", "--listen=:80", "--every=0", "--every=soon"])
def test_options_that_are_none(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["export", option])
    assert ended.value.code == 2


@pytest.mark.slow(6)
def test_a_running_exporter(tmp_path, make_bay, store, bays_folder):
    make_bay()
    (tmp_path / "token").write_text(TOKEN + "\n")
    port = free_port("127.0.0.1")
    command = [sys.executable, "-m", "dashboard", "export", "--listen", f"127.0.0.1:{port}"]
    command += ["--token-file", str(tmp_path / "token")]
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path / "airflow")}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if "metrics at" in line:
                break
        url = f"http://127.0.0.1:{port}/metrics"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(url, timeout=60)
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        body = urllib.request.urlopen(request, timeout=60).read().decode()
    finally:
        process.terminate()
        process.communicate(timeout=20)
    # Its Airflow has no tables yet: that part says so, the others are there.
    assert 'bay_export_failed{part="triggerers"} 1.0' in body
    assert "bay_store_answers 1.0" in body
    assert 'bay_open{bay="yard"} 1.0' in body
