"""ObservationOperator: defers at once, checks what the trigger tells, pushes a reference."""

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from operators import ObservationOperator
from triggers import CaptureTrigger
from triggers.events import CaptureEvent

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
BATCH = "yard_20250702-071000"


@pytest.fixture
def task():
    return ObservationOperator(task_id="capture_images", bay_id="yard", retries=2)


def deferral(task, context):
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    return deferred.value


def captured(store, make_capture, bay, count=12):
    batch = make_capture(bay, SLOT, count=count)
    reference = store.save("capture", bay.bay_id, batch.batch_id, batch)
    counts = {"cameras": 12, "images": count, "failures": 12 - count}
    failures = {failure.camera_name: failure.reason.value for failure in batch.failures}
    return CaptureEvent("captured", BATCH, reference, counts, failures).to_dict()


def test_defers_at_once_to_the_bays_trigger(task, make_bay, store, airflow_context):
    make_bay(capture_deadline=25)
    deferred = deferral(task, airflow_context(SLOT))
    assert isinstance(deferred.trigger, CaptureTrigger)
    assert deferred.trigger.serialize()[1] == {"bay_id": "yard", "batch_id": BATCH, "timeout": 85.0, "replaces": None}
    assert deferred.method_name == "execute_complete"
    # Airflow's timeout stands behind the trigger's own.
    assert deferred.timeout > timedelta(seconds=deferred.trigger.timeout)


def test_a_run_without_a_logical_date_has_the_slot_of_run_after(task, make_bay, store, airflow_context):
    make_bay()
    deferred = deferral(task, airflow_context(run_after=datetime(2025, 7, 2, 9, 0, 7, 123456, tzinfo=UTC)))
    assert deferred.trigger.batch_id == "yard_20250702-090007"


def deferring_operators():
    import operators

    return [kind for name in operators.__all__ if issubclass(kind := getattr(operators, name), BaseOperator)]


@pytest.mark.parametrize("kind", deferring_operators(), ids=lambda kind: kind.__name__)
def test_nothing_starts_from_the_trigger(kind):
    # Airflow would create the trigger without the task's queue: outside of the bay's network.
    assert kind.start_from_trigger is False
    assert kind.start_trigger_args is None


def test_nor_does_what_the_scheduler_reads_of_a_dag(make_bay):
    from airflow.serialization.serialized_objects import DagSerialization

    from dags.bay_dag_factory import observation_dag

    make_bay()
    dag = observation_dag(make_bay())
    serialized = DagSerialization.to_dict(dag)
    for task in serialized["dag"]["tasks"]:
        assert not task["__var"].get("start_from_trigger")
        assert task["__var"].get("start_trigger_args") is None
    for task in DagSerialization.from_dict(serialized).tasks:
        assert task.start_from_trigger is False
        assert task.queue == "obs_yard"


def test_pushes_the_reference_and_what_is_missing(task, make_bay, store, make_capture, airflow_context):
    bay = make_bay(camera_quorum=8)
    event = captured(store, make_capture, bay, count=10)
    pushed = task.execute_complete(airflow_context(SLOT), event)
    assert pushed == event["reference"] | {
        "captured_count": 10,
        "failures": {"D_9": "timed out", "D_11": "timed out"},
    }
    assert {"batch_id", "bay_id", "result_path"} <= set(pushed)


def test_a_task_that_was_deferred_before_the_upgrade_wakes(task, make_bay, store, make_capture, airflow_context):
    event = captured(store, make_capture, make_bay())
    pushed = task.resume_execution("resume", {"event": event}, airflow_context(SLOT))
    assert pushed == task.execute_complete(airflow_context(SLOT), event)


@pytest.mark.slow(1)
def test_fails_below_the_quorum_and_names_the_missing_cameras(task, make_bay, store, airflow_context):
    make_bay(camera_quorum=11)
    counts, failures = {"cameras": 12, "images": 10, "failures": 2}, {"C_2": "timed out", "C_4": "busy"}
    event = CaptureEvent("below_quorum", BATCH, None, counts, failures).to_dict()
    with pytest.raises(
        AirflowException, match=r"10 cameras where bay yard wants 11.*C_2 \(timed out\), C_4 \(busy\)"
    ) as e:
        task.execute_complete(airflow_context(SLOT), event)
    assert not isinstance(e.value, AirflowFailException)  # a retry may find the cameras again


@pytest.mark.slow(1)
def test_fails_below_the_quorum_whatever_the_status_says(task, make_bay, store, make_capture, airflow_context):
    bay = make_bay(camera_quorum=11)
    with pytest.raises(AirflowException, match="9 cameras where bay yard wants 11"):
        task.execute_complete(airflow_context(SLOT), captured(store, make_capture, bay, count=9))


@pytest.mark.parametrize(("retry", "kind"), [(True, AirflowException), (False, AirflowFailException)])
def test_fails_with_the_triggers_message(task, make_bay, store, airflow_context, retry, kind):
    make_bay()
    event = CaptureEvent("failed", BATCH, error="the bay's network is down", retry=retry).to_dict()
    with pytest.raises(AirflowException, match="the bay's network is down") as failed:
        task.execute_complete(airflow_context(SLOT), event)
    assert type(failed.value) is kind


@pytest.mark.parametrize("event", [None, {}, {"status": "captured"}, {"status": "captured", "batch_id": "other"}])
def test_refuses_a_wrong_event(task, make_bay, store, airflow_context, event):
    make_bay()
    with pytest.raises(AirflowException, match=f"event of capture {BATCH}"):
        task.execute_complete(airflow_context(SLOT), event)


def test_a_wrong_bay_file_is_not_retried(task, bays_folder, store, airflow_context):
    (bays_folder / "yard.yaml").write_text("cameras: [")
    with pytest.raises(AirflowFailException, match=r"yard\.yaml"):
        task.execute(airflow_context(SLOT))


def test_what_is_published_is_handed_on_without_a_deferral(task, make_bay, store, make_capture, airflow_context):
    bay = make_bay(camera_quorum=10)
    event = captured(store, make_capture, bay, count=10)
    context = airflow_context(SLOT, tries=(2, 2))
    assert task.execute(context) == task.execute_complete(context, event)


def test_what_is_published_below_the_quorum_is_not_handed_on(task, make_bay, store, make_capture, airflow_context):
    bay = make_bay(camera_quorum=11)
    captured(store, make_capture, bay, count=10)
    assert deferral(task, airflow_context(SLOT, tries=(2, 2))).trigger.replaces is None


def test_a_cleared_task_takes_new_frames_on_whichever_try(task, make_bay, store, make_capture, airflow_context):
    bay = make_bay()
    old = captured(store, make_capture, bay)["reference"]["sha256"]
    cleared = airflow_context(SLOT, tries=(2, 4), cleared=1)
    assert deferral(task, cleared).trigger.replaces == old
    # That try published nothing; its retry must not be given the old capture either.
    retry = airflow_context(SLOT, tries=(3, 4), cleared=1, state=cleared["task_state_store"])
    assert deferral(task, retry).trigger.replaces == old
    # A try has published and failed after that: its retry is given what it published.
    batch = make_capture(bay, SLOT, grey=7)
    new = store.save("capture", bay.bay_id, batch.batch_id, batch)
    last = airflow_context(SLOT, tries=(4, 4), cleared=1, state=cleared["task_state_store"])
    assert task.execute(last)["sha256"] == new.sha256 != old
    # Cleared once more.
    again = airflow_context(SLOT, tries=(5, 7), cleared=2, state=cleared["task_state_store"])
    assert deferral(task, again).trigger.replaces == new.sha256


def test_cleared_before_anything_was_published_a_retry_takes_over(task, make_bay, store, make_capture, airflow_context):
    bay = make_bay()
    cleared = airflow_context(SLOT, tries=(2, 4), cleared=1)
    assert deferral(task, cleared).trigger.replaces is None
    new = captured(store, make_capture, bay)["reference"]["sha256"]
    retry = airflow_context(SLOT, tries=(3, 4), cleared=1, state=cleared["task_state_store"])
    assert task.execute(retry)["sha256"] == new


def test_a_damaged_capture_is_not_waited_for(task, make_bay, store, make_capture, airflow_context):
    bay = make_bay()
    captured(store, make_capture, bay)
    (store.root / store.find("capture", "yard", BATCH).path).write_bytes(b"damaged")
    assert deferral(task, airflow_context(SLOT, tries=(2, 4), cleared=1)).trigger.replaces is None
    assert deferral(task, airflow_context(SLOT, tries=(2, 2))).trigger.replaces is None


@pytest.mark.slow(1)
def test_without_deferring_the_worker_asks_the_cameras(make_bay, store, scripted_cameras, airflow_context):
    bay = make_bay(image_provider="scripted", image_provider_config={}, camera_quorum=8)
    scripted_cameras.down = frozenset({bay.cameras[0].name})
    task = ObservationOperator(task_id="capture_images", bay_id="yard", deferrable=False)
    pushed = task.execute(airflow_context(SLOT))
    assert (pushed["batch_id"], pushed["captured_count"]) == (BATCH, 11)
    assert pushed["failures"] == {bay.cameras[0].name: "unreachable"}
    assert scripted_cameras.asked >= 12


def test_execution_timeout_bounds_the_capture(make_bay, store, airflow_context):
    make_bay(capture_deadline=25)
    task = ObservationOperator(task_id="capture_images", bay_id="yard", execution_timeout=timedelta(seconds=40))
    assert deferral(task, airflow_context(SLOT)).trigger.timeout == 40.0
