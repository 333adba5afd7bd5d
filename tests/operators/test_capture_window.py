"""capture_images asks cameras only while the slot is young, by the main server's clock."""

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from operators import ObservationOperator
from tracking.history import BatchOutcome, History
from triggers import CaptureTrigger, main_clock
from triggers.events import CaptureEvent

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
BATCH = "yard_20250702-071000"


@pytest.fixture
def at(monkeypatch):
    """at(seconds): the main server's clock shows so many seconds after the slot."""
    monkeypatch.delenv("CLOCK")

    def show(seconds):
        moment = SLOT + timedelta(seconds=seconds)
        monkeypatch.setattr(main_clock.MainClock, "now", lambda _: moment)
        monkeypatch.setattr(main_clock.MainClock, "offset", lambda _: timedelta())

    return show


@pytest.fixture
def task():
    return ObservationOperator(task_id="capture_images", bay_id="yard", retries=2)


def record(store):
    with History.at(store.root) as history:
        (batch,) = history.batches("yard", SLOT, SLOT + timedelta(minutes=1))
    return batch


@pytest.mark.parametrize(("seconds", "asked"), [(-60, False), (0, True), (299, True), (301, False), (2400, False)])
def test_cameras_are_asked_within_the_window_only(task, make_bay, store, airflow_context, at, seconds, asked):
    make_bay()
    at(seconds)
    context = airflow_context(SLOT)
    with pytest.raises(TaskDeferred if asked else AirflowSkipException) as ended:
        task.execute(context)
    if not asked:
        reason = context["ti"].pushed["reason"]
        assert reason.startswith("no camera was asked: " + ("before its time" if seconds < 0 else "too late"))
        assert reason in str(ended.value)
        assert (record(store).outcome, record(store).reason) == ("skipped", reason)


def test_a_slot_that_has_a_record_keeps_it(task, make_bay, store, airflow_context, at):
    make_bay()
    at(3600)
    with History.at(store.root) as history:
        history.database.migrate()
        history.record("yard", SLOT, BatchOutcome.CAPTURE_FAILED, "all cameras off")
    with pytest.raises(AirflowSkipException):
        task.execute(airflow_context(SLOT))
    assert record(store).reason == "all cameras off"


@pytest.mark.parametrize("cleared", [0, 1])
def test_after_the_window_the_published_capture_stands(
    task, make_bay, store, make_capture, airflow_context, at, cleared, capsys
):
    bay = make_bay()
    batch = make_capture(bay, SLOT)
    reference = store.save("capture", "yard", BATCH, batch)
    at(3600)
    pushed = task.execute(airflow_context(SLOT, cleared=cleared))
    assert pushed["sha256"] == reference.sha256


def test_a_clearing_within_the_window_takes_new_frames(task, make_bay, store, make_capture, airflow_context, at):
    bay = make_bay()
    reference = store.save("capture", "yard", BATCH, make_capture(bay, SLOT))
    at(120)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(airflow_context(SLOT, cleared=1))
    assert deferred.value.trigger.replaces == reference.sha256


async def fire(replaces=None):
    trigger = CaptureTrigger(bay_id="yard", batch_id=BATCH, timeout=30, replaces=replaces)
    (event,) = [event async for event in trigger.run()]
    return CaptureEvent.from_dict(event.payload, bay_id="yard", batch_id=BATCH)


async def test_a_trigger_that_is_taken_up_late_asks_no_camera(
    task, make_bay, store, scripted_cameras, airflow_context, at
):
    make_bay(image_provider="scripted", image_provider_config={})
    at(901)
    event = await fire()
    assert (event.status, scripted_cameras.asked) == ("outside_window", 0)
    context = airflow_context(SLOT)
    with pytest.raises(AirflowSkipException, match="too late"):
        task.execute_complete(context, event.to_dict())
    assert record(store).outcome == "skipped"
    assert "too late" in context["ti"].pushed["reason"]


async def test_a_trigger_that_would_replace_a_capture_hands_it_on_when_it_is_late(
    make_bay, store, make_capture, scripted_cameras, at
):
    bay = make_bay(image_provider="scripted", image_provider_config={})
    reference = store.save("capture", "yard", BATCH, make_capture(bay, SLOT))
    at(901)
    event = await fire(reference.sha256)
    assert (event.status, event.reference, scripted_cameras.asked) == ("captured", reference, 0)


async def test_lateness_is_recorded(task, make_bay, store, scripted_cameras, airflow_context, at, monkeypatch):
    make_bay(image_provider="scripted", image_provider_config={})
    at(200)
    monkeypatch.setattr(main_clock.MainClock, "offset", lambda _: timedelta(seconds=199))
    event = await fire()
    assert (event.status, event.lateness_s, event.spread_s) == ("captured", 199.0, 0.0)
    task.execute_complete(airflow_context(SLOT), event.to_dict())
    with History.at(store.root) as history:
        (mark,) = history.marks("yard", SLOT, SLOT + timedelta(minutes=1))
    assert (mark.kind, mark.reason) == ("late", "frames taken 3:19 min after the slot")
