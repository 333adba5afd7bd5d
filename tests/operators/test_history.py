"""What the stages note in the history, and where the operators look for it."""

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from bay_observation.errors import ConfigError, FusionError, HistoryUnavailableError
from operators import ObservationOperator, _history
from operators._stage import StageOperator
from operators.conditions import check_execution_conditions
from tracking.history import BatchOutcome, History
from triggers.events import CaptureEvent

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
BATCH = "yard_20250702-071000"


@pytest.fixture(autouse=True)
def no_connection(monkeypatch):
    def missing(name):
        raise AirflowNotFoundException(name)

    monkeypatch.delenv("HISTORY_DB", raising=False)
    monkeypatch.setattr(BaseHook, "get_connection", missing)


def noted(store):
    with History.at(store.root) as history:
        (batch,) = history.batches("yard", SLOT, SLOT + timedelta(minutes=1))
    return batch


class Fuses(StageOperator):
    takes = "capture"
    error = None

    def process(self, reference, bay, store):
        if self.error is not None:
            raise self.error
        return {}


@pytest.fixture
def captured(make_bay, store, make_capture):
    batch = make_capture(make_bay(), SLOT, count=9)
    return store.save("capture", "yard", batch.batch_id, batch)


def test_a_stage_notes_how_it_ended(captured, store, airflow_context, monkeypatch):
    task = Fuses(task_id="fuse", bay_id="yard", reference=captured.to_dict())
    monkeypatch.setattr(Fuses, "error", FusionError("no pose of C_2"))
    with pytest.raises(AirflowException):
        task.execute(airflow_context())
    assert (noted(store).outcome, noted(store).reason) == ("inference failed", "no pose of C_2")
    monkeypatch.setattr(Fuses, "error", None)
    task.execute(airflow_context())
    assert (noted(store).outcome, noted(store).reason) == ("inferred", "")


def test_a_history_that_is_away_stops_no_batch(captured, airflow_context, monkeypatch, caplog):
    monkeypatch.setenv("HISTORY_DB", "postgresql://yard:secret@127.0.0.1:1/bays")
    assert Fuses(task_id="fuse", bay_id="yard", reference=captured.to_dict()).execute(airflow_context()) == {}
    assert f"batch {BATCH}: inferred is not in the history" in caplog.text
    assert "secret" not in caplog.text


def test_a_batch_that_is_skipped_says_why(make_bay, store, make_capture, airflow_context):
    batch = make_capture(make_bay(skip_times=["16:00-17:00"]), SLOT)
    reference = store.save("capture", "yard", batch.batch_id, batch)
    assert not check_execution_conditions("yard", reference.to_dict(), **airflow_context())
    assert noted(store).outcome == "skipped"
    assert "lies in the skip window 16:00-17:00" in noted(store).reason


def test_a_capture_tells_of_its_cameras(make_bay, store, airflow_context, captured):
    task = ObservationOperator(task_id="capture_images", bay_id="yard")
    event = CaptureEvent("captured", BATCH, captured, {"images": 9}, {"C_2": "busy", "D_4": "timed out"})
    task.execute_complete(airflow_context(SLOT), event.to_dict())
    told = noted(store)
    assert (told.outcome, told.failures) == ("captured", {"C_2": "busy", "D_4": "timed out"})
    assert len(told.cameras) == 10
    assert "C_2" not in told.cameras


@pytest.mark.parametrize(
    ("event", "reason", "cameras"),
    [
        (CaptureEvent("below_quorum", BATCH, counts={"images": 1}, failures={"C_2": "busy"}), "quorum of 8", 11),
        (CaptureEvent("failed", BATCH, error="the storage hangs"), "the storage hangs", 0),
    ],
)
def test_a_capture_that_failed_says_why(make_bay, store, airflow_context, event, reason, cameras):
    make_bay(camera_quorum=8)
    with pytest.raises(AirflowException):
        ObservationOperator(task_id="capture_images", bay_id="yard").execute_complete(
            airflow_context(SLOT), event.to_dict()
        )
    told = noted(store)
    assert told.outcome == "capture failed"
    assert reason in told.reason
    assert len(told.cameras) == cameras


def test_the_database_is_the_environments_then_the_connections_then_a_file(store, monkeypatch):
    def location():
        with _history.open_history() as history:
            return history.database.location

    assert location() == f"sqlite:///{store.root}/history.db"
    connection = Connection(
        conn_id="bay_history",
        conn_type="postgres",
        host="db.yard",
        port=5433,
        login="u",
        password="p@/:",
        schema="bays",
    )
    monkeypatch.setattr(BaseHook, "get_connection", lambda name: {"bay_history": connection}[name])
    assert location() == "postgresql://db.yard:5433/bays"
    monkeypatch.setenv("HISTORY_DB", "postgresql://other.yard/bays")
    assert location() == "postgresql://other.yard/bays"


def test_without_a_folder_the_history_needs_a_server(monkeypatch):
    monkeypatch.setenv("DATA_PATH", "s3://bucket/yard")
    with (
        pytest.raises(ConfigError, match=r"s3://bucket/yard is no folder.*HISTORY_DB to a PostgreSQL"),
        _history.open_history(),
    ):
        pass
    monkeypatch.setenv("HISTORY_DB", "postgresql://u@127.0.0.1:1/bays")
    _history.record_outcome("yard", BATCH, BatchOutcome.FUSED)  # goes on: it cannot be written, and that stops no batch


def test_a_store_that_hangs_holds_up_no_note(store, make_bay, monkeypatch, caplog):
    import threading

    from artifacts.hang_guard import _guards
    from artifacts.local_folder import LocalFileSystem

    released = threading.Event()
    monkeypatch.setenv("STORE_TIMEOUT", "0.05")
    monkeypatch.setattr(LocalFileSystem, "status", lambda *_: released.wait(30))
    try:
        _history.record_outcome("yard", BATCH, BatchOutcome.FUSED)
    finally:
        released.set()
        _guards.clear()
    assert "fused is not in the history" in caplog.text
    assert "the shared storage hangs" in caplog.text


def test_tracking_fails_where_its_history_is_away(store, make_bay, monkeypatch, fused_floor):
    from tracking.ledger import track

    with (
        History("postgresql://yard:secret@127.0.0.1:1/bays") as history,
        pytest.raises(HistoryUnavailableError, match=r"127\.0\.0\.1:1/bays"),
    ):
        track(store, make_bay(), fused_floor, history)
    assert store.batch_ids("tracking", "yard") == []


@pytest.fixture
def fused_floor(store):
    from shapely import MultiPolygon

    from fusion.types import FusionResult

    return store.save("fusion", "yard", BATCH, FusionResult(BATCH, "yard", (), MultiPolygon()))
