"""ArtifactSensor and SlotTrackedSensor: in a triggerer, or in the worker."""

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from bay_observation.errors import ConfigError
from operators import ArtifactSensor, SlotTrackedSensor
from tracking.history import BatchOutcome, History
from triggers import PublishedTrigger, TrackedTrigger
from triggers.events import SlotEvent

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
BATCH = "yard_20250702-071000"
FOUND = {"batch_id": BATCH, "track_count": 3, "event_count": 1}


@pytest.fixture(autouse=True)
def no_connection(monkeypatch):
    def missing(name):
        raise AirflowNotFoundException(name)

    monkeypatch.delenv("HISTORY_DB", raising=False)
    monkeypatch.setattr(BaseHook, "get_connection", missing)


@pytest.fixture
def capture(make_bay, store, make_capture):
    batch = make_capture(make_bay(), SLOT)
    return store.save("capture", "yard", BATCH, batch)


@pytest.fixture
def skipped(make_bay, store):
    make_bay()
    with History.at(store.root) as history:
        history.record("yard", SLOT, BatchOutcome.SKIPPED, "too dark")


def artifact(**arguments):
    return ArtifactSensor(task_id="wait", bay_id="yard", **{"stage": "capture", **arguments})


@pytest.mark.parametrize("deferrable", [True, False])
def test_what_is_there_is_pushed_at_once(capture, airflow_context, deferrable):
    assert artifact(deferrable=deferrable).execute(airflow_context(SLOT)) == capture.to_dict()


def test_execution_timeout_bounds_the_waiting(make_bay, store, airflow_context):
    make_bay()
    with pytest.raises(TaskDeferred) as deferred:
        artifact(execution_timeout=timedelta(seconds=40)).execute(airflow_context(SLOT))
    assert timedelta(seconds=30) < deferred.value.trigger.deadline - datetime.now(UTC) <= timedelta(seconds=40)


@pytest.mark.parametrize("slot", [SLOT, "2025-07-02T07:10:00+00:00", "2025-07-02T16:10:00+09:00"])
def test_of_another_slot_than_the_runs(capture, airflow_context, slot):
    assert artifact(slot=slot).execute(airflow_context(datetime(2025, 1, 1, tzinfo=UTC))) == capture.to_dict()


@pytest.mark.parametrize(
    ("slot", "reason"), [("soon", "'soon' is not a time"), ("2025-07-02 07:10", "no time zone"), (7, "7 is not a time")]
)
def test_a_slot_that_is_none(capture, airflow_context, slot, reason):
    with pytest.raises(AirflowFailException, match=reason):
        artifact(slot=slot).execute(airflow_context(SLOT))


def test_an_artifact_that_is_not_there_yet_is_waited_for(capture, airflow_context):
    sensor = artifact(stage="fusion", timeout=timedelta(minutes=5))
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(airflow_context(SLOT))
    trigger = deferred.value.trigger
    assert isinstance(trigger, PublishedTrigger)
    assert trigger.serialize()[1] | {"deadline": None} == {
        "stage": "fusion",
        "bay_id": "yard",
        "batch_id": BATCH,
        "deadline": None,
        "poll_interval": 10.0,
    }
    assert timedelta(minutes=4) < trigger.deadline - datetime.now(UTC) <= timedelta(minutes=5)
    assert deferred.value.timeout == timedelta(minutes=7)
    event = SlotEvent("there", BATCH, capture.to_dict()).to_dict()
    assert getattr(sensor, deferred.value.method_name)(airflow_context(SLOT), event) == capture.to_dict()


def test_in_the_worker_it_ends_with_its_time(capture, airflow_context):
    sensor = artifact(stage="fusion", deferrable=False, timeout=0, poke_interval=0)
    with pytest.raises(AirflowSensorTimeout):
        sensor.execute(airflow_context(SLOT))


def test_there_is_no_such_stage():
    with pytest.raises(ConfigError, match="'floor' is none of capture, observation, fusion, tracking"):
        artifact(stage="floor")


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowFailException), (True, AirflowSkipException)])
def test_a_slot_that_will_have_no_tracks_is_not_waited_for(skipped, airflow_context, deferrable, soft_fail, error):
    sensor = SlotTrackedSensor(task_id="wait", bay_id="yard", deferrable=deferrable, soft_fail=soft_fail)
    with pytest.raises(error, match="skipped: too dark"):
        sensor.execute(airflow_context(SLOT))


def test_a_slot_that_may_still_come_is_waited_for(make_bay, store, airflow_context):
    make_bay()
    sensor = SlotTrackedSensor(task_id="wait", bay_id="yard")
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(airflow_context(SLOT))
    assert isinstance(deferred.value.trigger, TrackedTrigger)
    event = SlotEvent("there", BATCH, FOUND).to_dict()
    assert sensor.execute_complete(airflow_context(SLOT), event) == FOUND


@pytest.mark.parametrize(
    ("status", "error"),
    [("never", AirflowFailException), ("timed_out", AirflowException), ("failed", AirflowException)],
)
def test_the_reason_why_it_did_not_come(make_bay, store, airflow_context, status, error):
    make_bay()
    event = SlotEvent(status, BATCH, error="because").to_dict()
    with pytest.raises(error, match="because"):
        SlotTrackedSensor(task_id="wait", bay_id="yard").execute_complete(airflow_context(SLOT), event)


def test_a_history_that_is_away_is_waited_for(make_bay, store, airflow_context, monkeypatch):
    make_bay()
    monkeypatch.setenv("HISTORY_DB", "postgresql://yard:secret@127.0.0.1:1/bays")
    with pytest.raises(TaskDeferred):
        SlotTrackedSensor(task_id="wait", bay_id="yard").execute(airflow_context(SLOT))
