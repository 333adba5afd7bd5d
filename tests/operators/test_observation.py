"""ObservationOperator: defers at once, checks what the trigger tells, pushes a reference."""

from datetime import UTC, datetime, timedelta

import pytest
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
    assert deferred.method_name == "resume"
    # Airflow's timeout stands behind the trigger's own.
    assert deferred.timeout > timedelta(seconds=deferred.trigger.timeout)


def test_a_run_without_a_logical_date_has_the_slot_of_run_after(task, make_bay, store, airflow_context):
    make_bay()
    deferred = deferral(task, airflow_context(run_after=datetime(2025, 7, 2, 9, 0, 7, 123456, tzinfo=UTC)))
    assert deferred.trigger.batch_id == "yard_20250702-090007"


def test_does_not_start_from_the_trigger(task):
    # Airflow would create the trigger without the task's queue: outside of the bay's network.
    assert task.start_from_trigger is False
    assert task.start_trigger_args is None


def test_pushes_the_reference_and_what_is_missing(task, make_bay, store, make_capture, airflow_context):
    bay = make_bay(camera_quorum=8)
    event = captured(store, make_capture, bay, count=10)
    pushed = task.resume(airflow_context(SLOT), event)
    assert pushed == event["reference"] | {
        "captured_count": 10,
        "failures": {"D_9": "timed out", "D_11": "timed out"},
    }
    assert {"batch_id", "bay_id", "result_path"} <= set(pushed)


def test_fails_below_the_quorum_and_names_the_missing_cameras(task, make_bay, store, airflow_context):
    make_bay(camera_quorum=11)
    counts, failures = {"cameras": 12, "images": 10, "failures": 2}, {"C_2": "timed out", "C_4": "busy"}
    event = CaptureEvent("below_quorum", BATCH, None, counts, failures).to_dict()
    with pytest.raises(
        AirflowException, match=r"10 cameras where bay yard wants 11.*C_2 \(timed out\), C_4 \(busy\)"
    ) as e:
        task.resume(airflow_context(SLOT), event)
    assert not isinstance(e.value, AirflowFailException)  # a retry may find the cameras again


def test_fails_below_the_quorum_whatever_the_status_says(task, make_bay, store, make_capture, airflow_context):
    bay = make_bay(camera_quorum=11)
    with pytest.raises(AirflowException, match="9 cameras where bay yard wants 11"):
        task.resume(airflow_context(SLOT), captured(store, make_capture, bay, count=9))


@pytest.mark.parametrize(("retry", "kind"), [(True, AirflowException), (False, AirflowFailException)])
def test_fails_with_the_triggers_message(task, make_bay, store, airflow_context, retry, kind):
    make_bay()
    event = CaptureEvent("failed", BATCH, error="the bay's network is down", retry=retry).to_dict()
    with pytest.raises(AirflowException, match="the bay's network is down") as failed:
        task.resume(airflow_context(SLOT), event)
    assert type(failed.value) is kind


@pytest.mark.parametrize("event", [None, {}, {"status": "captured"}, {"status": "captured", "batch_id": "other"}])
def test_refuses_a_wrong_event(task, make_bay, store, airflow_context, event):
    make_bay()
    with pytest.raises(AirflowException, match=f"event of capture {BATCH}"):
        task.resume(airflow_context(SLOT), event)


def test_a_wrong_bay_file_is_not_retried(task, bays_folder, store, airflow_context):
    (bays_folder / "yard.yaml").write_text("cameras: [")
    with pytest.raises(AirflowFailException, match=r"yard\.yaml"):
        task.execute(airflow_context(SLOT))


def test_only_a_cleared_task_asks_for_new_frames(task, make_bay, store, make_capture, airflow_context):
    bay = make_bay()
    digest = captured(store, make_capture, bay)["reference"]["sha256"]

    def replaces(try_number, max_tries):
        return deferral(task, airflow_context(SLOT, tries=(try_number, max_tries))).trigger.replaces

    assert replaces(1, 2) is None  # first try
    assert replaces(2, 2) is None  # a retry
    assert replaces(2, 3) == digest  # cleared after its first try
    assert replaces(3, 3) is None  # a retry after that: what is there by now may be the new one
    path = store.root / store.find("capture", "yard", BATCH).path
    path.write_bytes(b"damaged")
    assert replaces(2, 3) is None
