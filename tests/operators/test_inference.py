"""InferenceOperator: the server's work where there is a server, the task's own where there is none."""

import asyncio
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from bay_observation.errors import ConfigError, InferenceError
from inference.serving import Observed
from inference.types import Observation
from operators import InferenceOperator
from triggers import InferenceTrigger
from triggers.events import InferenceEvent

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
BATCH = "yard_20250702-071000"


@pytest.fixture
def capture(make_bay, store, make_capture):
    bay = make_bay()
    batch = make_capture(bay, SLOT, count=9)
    return store.save("capture", bay.bay_id, batch.batch_id, batch)


@pytest.fixture
def published(store, capture):
    return store.save("observation", "yard", BATCH, Observation(BATCH, "yard", ()))


@pytest.fixture
def task(capture):
    return InferenceOperator(task_id="run_inference", bay_id="yard", reference=capture.to_dict())


@pytest.fixture
def in_process(monkeypatch, published):
    """Stands in for the models in the task's own process; the captures that it was given."""
    asked = []

    def observe(capture, bay, store):
        asked.append((capture, bay.bay_id))
        return Observed(published, 9, 21, {"C_4": "dark"}, 0.5)

    monkeypatch.setattr("inference.serving.observe_capture", observe)
    return asked


@pytest.fixture
def server(serving, scripted_work, published):
    """with server(): one runs in a thread, as the task asks it from outside of its loop."""
    scripted_work.publish = lambda _: Observed(published, 9, 21, {"C_4": "dark"}, 0.5)

    @contextmanager
    def start(limit=8):
        loop = asyncio.new_event_loop()
        up, stop = threading.Event(), asyncio.Event()

        async def run():
            async with serving(limit=limit):
                up.set()
                await stop.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
        thread.start()
        up.wait(10)
        try:
            yield
        finally:
            scripted_work.released.set()
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            loop.close()

    return start


def done(published):
    return {**published.to_dict(), "processed_count": 9, "object_count": 21}


def test_without_a_server_the_models_run_in_the_task(
    task, inference_sockets, in_process, capture, published, airflow_context, capsys
):
    assert task.execute(airflow_context()) == done(published)
    assert in_process == [(capture, "yard")]
    log = capsys.readouterr().out
    assert "no server has the models of bay yard" in log
    assert "the models run in this task" in log
    assert "nothing seen by camera C_4: dark" in log


def test_with_a_server_the_task_hands_the_batch_in_and_holds_no_worker(
    task, server, scripted_work, in_process, capture, airflow_context
):
    scripted_work.released.clear()
    with server():
        with pytest.raises(TaskDeferred) as deferred:
            task.execute(airflow_context())
        assert scripted_work.began.wait(10)  # before the trigger has started
    trigger = deferred.value.trigger
    assert isinstance(trigger, InferenceTrigger)
    assert trigger.capture == capture.to_dict()
    assert timedelta() < trigger.deadline - datetime.now(UTC) <= timedelta(minutes=9)
    assert deferred.value.timeout > timedelta(minutes=9)
    assert in_process == []


@pytest.mark.parametrize(("spent", "left"), [(0, 40), (25, 15)])
def test_execution_timeout_bounds_the_wait_for_the_server(task, server, scripted_work, airflow_context, spent, left):
    task.execution_timeout = timedelta(seconds=40)
    context = airflow_context()
    context["ti"].start_date -= timedelta(seconds=spent)  # it waited for the capture before
    scripted_work.released.clear()
    with server(), pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    assert (deferred.value.trigger.deadline - datetime.now(UTC)).total_seconds() == pytest.approx(left, abs=8)


def test_the_servers_observation_is_pushed(task, published, capture, airflow_context, capsys):
    event = InferenceEvent(
        "observed", capture.sha256, published, {"frames": 9, "objects": 21}, {"C_4": "dark"}
    ).to_dict()
    assert task.take_over(airflow_context(), event) == done(published)
    log = capsys.readouterr().out
    assert "nothing seen by camera C_4: dark" in log


def test_what_the_server_did_before_needs_no_deferral(task, server, scripted_work, published, airflow_context):
    with server():
        with pytest.raises(TaskDeferred):
            task.execute(airflow_context())
        for _ in range(500):
            time.sleep(0.02)
            try:
                assert task.execute(airflow_context()) == done(published)
                break
            except TaskDeferred:
                continue
        else:
            pytest.fail("a finished batch is deferred")
    assert len(scripted_work.asked) == 1


def test_a_full_server_is_waited_for(task, server, scripted_work, in_process, make_capture, store, airflow_context):
    from bays import load_bay

    scripted_work.released.clear()
    with server(limit=1):
        for minutes in (10, 20):
            batch = make_capture(load_bay("yard"), SLOT + timedelta(minutes=minutes))
            other = store.save("capture", "yard", batch.batch_id, batch)
            with pytest.raises(TaskDeferred):
                InferenceOperator(task_id="t", bay_id="yard", reference=other.to_dict()).execute(airflow_context())
            assert scripted_work.began.wait(10)
        with pytest.raises(TaskDeferred):
            task.execute(airflow_context())
    assert in_process == []


def test_a_server_that_ended_in_the_middle_leaves_the_batch_to_the_task(
    task, in_process, capture, published, airflow_context, capsys
):
    event = InferenceEvent(
        "no_server", capture.sha256, error="yard.sock: the server ended before it answered"
    ).to_dict()
    assert task.take_over(airflow_context(), event) == done(published)
    assert in_process == [(capture, "yard")]
    log = capsys.readouterr().out
    assert "the server ended before it answered" in log


@pytest.mark.parametrize(
    ("status", "retry", "kind"),
    [
        ("failed", True, AirflowException),
        ("failed", False, AirflowFailException),
        ("timed_out", True, AirflowException),
    ],
)
def test_a_batch_that_fails_fails_the_task(task, in_process, capture, airflow_context, status, retry, kind):
    event = InferenceEvent(status, capture.sha256, error="the reason", retry=retry).to_dict()
    with pytest.raises(kind, match="the reason") as failed:
        task.take_over(airflow_context(), event)
    assert type(failed.value) is kind
    assert in_process == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [(InferenceError("the segmenter failed"), AirflowException), (ConfigError("wrong"), AirflowFailException)],
)
def test_the_models_errors_in_the_task_fail_it(task, inference_sockets, airflow_context, monkeypatch, error, kind):
    def fail(*_):
        raise error

    monkeypatch.setattr("inference.serving.observe_capture", fail)
    with pytest.raises(kind, match=str(error)):
        task.execute(airflow_context())


def test_an_observation_that_is_not_on_this_host_is_told(task, store, published, capture, airflow_context):
    (store.root / published.path).unlink()
    event = InferenceEvent("observed", capture.sha256, published, {"frames": 9, "objects": 21}).to_dict()
    with pytest.raises(AirflowException, match="do server and worker have the same DATA_PATH"):
        task.take_over(airflow_context(), event)


@pytest.mark.parametrize("event", [None, {}, {"status": "observed"}])
def test_a_wrong_event_is_refused(task, capture, airflow_context, event):
    with pytest.raises(AirflowException, match=f"event of inference {BATCH}"):
        task.take_over(airflow_context(), event)


@pytest.mark.slow(3)
def test_the_operators_import_loads_no_models():
    import subprocess
    import sys

    code = "import sys, operators, triggers; print([n for n in ('torch', 'cv2', 'ultralytics') if n in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip().splitlines()[-1] == "[]"
