"""What inference, fusion and tracking tasks share: find the input, wait for it, resume."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from artifacts import ArtifactStore
from bay_observation.errors import FusionError
from operators import FusionOperator, TrackingOperator
from operators._stage import StageOperator
from triggers import ArtifactTrigger
from triggers.events import ArtifactEvent

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)


class CountFrames(StageOperator):
    takes = "capture"

    def process(self, reference, bay, store):
        return {"batch_id": reference.batch_id, "frames": len(store.load(reference).images), "bay": bay.bay_id}


@pytest.fixture
def reference(make_bay, store, make_capture):
    bay = make_bay()
    batch = make_capture(bay, SLOT, count=9)
    return store.save("capture", bay.bay_id, batch.batch_id, batch)


@pytest.fixture
def task():
    return CountFrames(task_id="count", bay_id="yard", wait=timedelta(minutes=3))


DONE = {"batch_id": "yard_20250702-071000", "frames": 9, "bay": "yard"}


def test_takes_the_reference_it_is_given(reference, airflow_context):
    task = CountFrames(task_id="count", bay_id="yard", reference=reference.to_dict())
    assert task.execute(airflow_context()) == DONE


def test_takes_the_reference_from_conf(task, reference, airflow_context):
    assert task.execute(airflow_context(conf={"capture": reference.to_dict()})) == DONE


def test_takes_what_is_published_for_a_batch_id(task, reference, airflow_context):
    assert task.execute(airflow_context(conf={"batch_id": reference.batch_id})) == DONE


@pytest.mark.parametrize(
    ("conf", "kind", "reason"),
    [
        (None, AirflowFailException, "its conf needs"),
        ({"bay_id": "yard"}, AirflowFailException, "holds bay_id"),
        ({"capture": "a path"}, AirflowFailException, "str where a mapping is wanted"),
        ({"capture": {"batch_id": "x"}}, AirflowFailException, "reference without"),
        ({"batch_id": "yard_20250702-080000"}, AirflowFailException, "no capture artifact is published"),
        ({"batch_id": "nonsense"}, AirflowFailException, "'nonsense' is no batch id"),
        ({"batch_id": ["yard_20250702-080000"]}, AirflowFailException, "list where a text is wanted"),
    ],
)
def test_a_run_that_names_no_artifact_fails_with_the_reason(task, reference, airflow_context, conf, kind, reason):
    with pytest.raises(kind, match=reason):
        task.execute(airflow_context(conf=conf))


def test_another_bays_artifact_is_refused(make_bay, reference, airflow_context):
    make_bay("other")
    with pytest.raises(AirflowFailException, match="no capture artifact of bay other"):
        CountFrames(task_id="count", bay_id="other", reference=reference.to_dict()).execute(airflow_context())


def test_waits_while_the_artifact_is_not_whole(task, reference, store, airflow_context):
    path = store.root / reference.path
    content = path.read_bytes()
    path.unlink()
    context = airflow_context(conf={"capture": reference.to_dict()})
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    trigger = deferred.value.trigger
    assert isinstance(trigger, ArtifactTrigger)
    assert trigger.reference == reference.to_dict()
    assert timedelta() < trigger.deadline - datetime.now(UTC) <= timedelta(minutes=3)
    assert deferred.value.timeout > timedelta(minutes=3)
    path.write_bytes(content)
    event = ArtifactEvent("whole", reference).to_dict()
    assert getattr(task, deferred.value.method_name)(context, event) == DONE


@pytest.mark.parametrize(
    ("age", "wait"),
    [
        (timedelta(minutes=1), timedelta(minutes=119)),  # two hours after its slot, the bay's storage.wait
        (timedelta(hours=1, minutes=59), timedelta(minutes=3)),  # but no try without a look of three minutes
        (timedelta(days=30), timedelta(minutes=3)),
        (timedelta(days=-1), timedelta(hours=2)),  # a slot of the future, in a simulated day
    ],
)
def test_waits_as_long_as_the_bay_allows(task, make_bay, reference, age, wait):
    from dataclasses import replace

    from bays import batch_id

    batch = batch_id("yard", datetime.now(UTC) - age)
    late = replace(reference, batch_id=batch, path=f"observation/yard/{batch}/capture.pkl")
    assert abs(task._patience(late) - wait) < timedelta(seconds=30)


def test_a_bay_may_wait_longer(task, make_bay, reference):
    make_bay(storage={"wait": 86_400})
    assert task._patience(reference) == task.wait  # of a slot that is long over
    from dataclasses import replace

    from bays import batch_id

    batch = batch_id("yard", datetime.now(UTC))
    new = replace(reference, batch_id=batch, path=f"observation/yard/{batch}/capture.pkl")
    assert timedelta(hours=23, minutes=59) < task._patience(new) <= timedelta(days=1)


@pytest.mark.parametrize(
    ("spent", "left"), [(0, 40), (25, 15), (60, 0)], ids=["begins", "was deferred before", "is over"]
)
def test_execution_timeout_bounds_the_waiting(reference, store, airflow_context, spent, left):
    (store.root / reference.path).unlink()
    task = CountFrames(
        task_id="count", bay_id="yard", reference=reference.to_dict(), execution_timeout=timedelta(seconds=40)
    )
    context = airflow_context()
    context["ti"].start_date -= timedelta(seconds=spent)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    assert (deferred.value.trigger.deadline - datetime.now(UTC)).total_seconds() == pytest.approx(left, abs=5)
    assert deferred.value.timeout.total_seconds() == pytest.approx(left + 120, abs=5)


@pytest.mark.parametrize(("operator", "stage"), [(FusionOperator, "observation"), (TrackingOperator, "fusion")])
def test_execution_timeout_bounds_the_waiting_of_each_stage(operator, stage, make_bay, store, airflow_context):
    make_bay()
    given = {
        "stage": stage, "bay_id": "yard", "batch_id": "yard_20250702-071000",
        "result_path": f"{stage}/yard/yard_20250702-071000/result.pkl", "sha256": "0" * 64, "size": 9, "schema": 2,
    }  # fmt: skip
    task = operator(task_id="stage", bay_id="yard", reference=given, execution_timeout=timedelta(seconds=40))
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(airflow_context())
    assert timedelta(seconds=30) < deferred.value.trigger.deadline - datetime.now(UTC) <= timedelta(seconds=40)


def test_a_wait_shorter_than_execution_timeout_stays_as_it_is(reference, store, airflow_context):
    (store.root / reference.path).unlink()
    task = CountFrames(
        task_id="count", bay_id="yard", reference=reference.to_dict(), execution_timeout=timedelta(hours=3)
    )
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(airflow_context())
    assert deferred.value.trigger.deadline - datetime.now(UTC) <= timedelta(minutes=9)


def test_fails_when_the_waiting_was_in_vain(task, reference, airflow_context):
    event = ArtifactEvent("timed_out", reference, "not readable until 07:19").to_dict()
    with pytest.raises(AirflowException, match="not readable until 07:19"):
        task.execute_complete(airflow_context(conf={"capture": reference.to_dict()}), event)


class CountTwice(CountFrames):
    def execute_complete(self, context, event):
        pushed = super().execute_complete(context, event)
        return pushed | {"frames": 2 * pushed["frames"]}


@pytest.mark.parametrize(("kind", "frames"), [(CountFrames, 9), (CountTwice, 18)])
def test_a_task_that_was_deferred_before_the_upgrade_wakes(kind, frames, reference, airflow_context):
    event = ArtifactEvent("whole", reference).to_dict()
    context = airflow_context(conf={"capture": reference.to_dict()})
    pushed = kind(task_id="count", bay_id="yard").resume_execution("resume", {"event": event}, context)
    assert pushed == DONE | {"frames": frames}


def test_a_replaced_artifact_fails_at_once_and_for_good(task, reference, store, make_capture, airflow_context):
    from bays import load_bay

    newer = make_capture(load_bay("yard"), SLOT, count=10)
    store.save("capture", "yard", newer.batch_id, newer)
    with pytest.raises(AirflowFailException, match="replaced by a later run of its stage"):
        task.execute(airflow_context(conf={"capture": reference.to_dict()}))


def overwritten(content):
    return content[:-40] + b"\0\0\0\0" + content[-36:]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (overwritten, "its sha256 is not the published one"),
        (lambda content: b"a text\n" * 9999, "bytes where .* were published"),
        (lambda content: content[:100], "truncated: 100 bytes where .* it has not grown"),
        (lambda content: b"", "truncated: 0 bytes"),
    ],
)
def test_a_damaged_artifact_fails_at_once_and_for_good(
    task, reference, store, airflow_context, monkeypatch, damage, reason
):
    monkeypatch.setattr("triggers.artifact._SETTLED", 0.05)
    monkeypatch.setattr("operators._stage._LOOK_AGAIN", 0.02)
    path = store.root / reference.path
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(AirflowFailException, match=reason):
        task.execute(airflow_context(conf={"capture": reference.to_dict()}))


def test_a_file_that_still_grows_is_waited_for(task, reference, store, airflow_context, monkeypatch):
    monkeypatch.setattr("operators._stage._LOOK_AGAIN", 0.01)
    path = store.root / reference.path
    content, looks = path.read_bytes(), []
    path.write_bytes(content[:200])
    look = ArtifactStore.readable_size

    def and_grow(self, wanted):
        looks.append(look(self, wanted))
        path.write_bytes(content[: 200 * 2 ** len(looks)])
        return looks[-1]

    monkeypatch.setattr(ArtifactStore, "readable_size", and_grow)
    assert task.execute(airflow_context(conf={"capture": reference.to_dict()})) == DONE
    assert len(looks) > 2


def test_what_the_trigger_found_wrong_is_not_tried_again(task, reference, airflow_context):
    event = ArtifactEvent("wrong", reference, "its sha256 is not the published one").to_dict()
    with pytest.raises(AirflowFailException, match="its sha256"):
        task.execute_complete(airflow_context(conf={"capture": reference.to_dict()}), event)


def test_a_reference_that_turns_out_empty_fails_and_takes_no_other_batch(reference, airflow_context):
    task = CountFrames(task_id="count", bay_id="yard", reference=None)
    with pytest.raises(AirflowFailException, match="the capture reference that this task was given is empty"):
        task.execute(airflow_context(conf={"batch_id": reference.batch_id}))


@pytest.mark.parametrize("event", [None, {}, {"status": "whole"}])
def test_refuses_a_wrong_event(task, reference, airflow_context, event):
    with pytest.raises(AirflowException, match="event of waiting for observation/yard"):
        task.execute_complete(airflow_context(conf={"capture": reference.to_dict()}), event)


def test_a_failed_stage_fails_its_task(reference, airflow_context, monkeypatch):
    def fail(*_):
        raise FusionError("no camera of the batch has a pose")

    monkeypatch.setattr(CountFrames, "process", fail)
    task = CountFrames(task_id="count", bay_id="yard", reference=reference.to_dict())
    with pytest.raises(AirflowException, match="has a pose") as failed:
        task.execute(airflow_context())
    assert isinstance(failed.value.__cause__, FusionError)


def test_without_deferring_it_waits_in_the_worker(reference, store, airflow_context):
    path = store.root / reference.path
    content = path.read_bytes()
    path.unlink()
    arrives = threading.Timer(0.3, path.write_bytes, [content])
    arrives.start()
    task = CountFrames(
        task_id="count", bay_id="yard", reference=reference.to_dict(), deferrable=False, poll_interval=0.05
    )
    assert task.execute(airflow_context()) == DONE
    arrives.join()


def test_without_deferring_it_gives_up_as_well(reference, store, airflow_context, monkeypatch):
    (store.root / reference.path).unlink()
    monkeypatch.setattr(CountFrames, "_patience", lambda *_: timedelta(seconds=-1))
    task = CountFrames(task_id="count", bay_id="yard", reference=reference.to_dict(), deferrable=False)
    with pytest.raises(AirflowException, match="not readable and whole on this host"):
        task.execute(airflow_context())


def test_takes_what_is_published_for_a_slot(task, reference, airflow_context):
    for slot in ("2025-07-02T07:10:00+00:00", "2025-07-02T16:10:00+09:00", "2025-07-02T07:10:00Z"):
        assert task.execute(airflow_context(conf={"slot": slot, "batch_id": None})) == DONE


@pytest.mark.parametrize(
    ("slot", "reason"), [("soon", "is not a time"), (7, "is not a time"), ("2025-07-02", "no time zone")]
)
def test_a_slot_in_conf_that_is_none(task, reference, airflow_context, slot, reason):
    with pytest.raises(AirflowFailException, match=reason):
        task.execute(airflow_context(conf={"slot": slot}))


def test_the_bay_may_come_from_the_dags_default_arguments():
    with DAG("d", schedule=None, default_args={"bay_id": "yard", "poll_interval": 7.0}):
        task = CountFrames(task_id="count")
    assert (task.bay_id, task.poll_interval) == ("yard", 7.0)
