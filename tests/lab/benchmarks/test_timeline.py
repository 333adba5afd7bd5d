"""Where the seconds of a batch go: put to accounts once each, and read from logs as Airflow writes them."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from lab.benchmarks.timeline import (
    ACCOUNTS,
    TASKS,
    Start,
    Task,
    TimelineError,
    account,
    messages,
    read_task,
)

DUE = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)
LOG_PATH = "dag_id=observation_3bay_north_dag/run_id=r/task_id=capture_images/attempt=1.log"


def at(seconds):
    return DUE + timedelta(seconds=seconds)


def start(received, *, work=0.0):
    """A start whose every step takes a tenth of a second, and its work as long as asked."""
    steps = [0.0, 0.1, 0.2, 0.3, 0.3 + work, 0.4 + work]
    return Start(*(at(received + step) for step in steps))


def day(**changed):
    """A batch of seven tasks, one after the other, a second and a half each: one second's wait, 0.1 s of work."""
    tasks = {name: Task(name, (start(1.0 + 1.5 * number, work=0.1),)) for number, name in enumerate(TASKS)}
    return [*(tasks | changed).values()]


def test_every_second_is_counted_once():
    batch = account("3bay_north", DUE, day())
    assert batch.total == pytest.approx(6 * 1.5 + 1.5)
    counted = sum(sum(accounts.values()) for accounts in batch.seconds.values())
    assert counted == pytest.approx(batch.total)
    assert {name for accounts in batch.seconds.values() for name in accounts} == set(ACCOUNTS)


def test_work_is_the_stages_and_the_rest_is_airflows():
    batch = account("3bay_north", DUE, day())
    # Two of the seven start the next stage's run, which is no stage's work.
    assert batch.work == pytest.approx(5 * 0.1)
    assert batch.own_share == pytest.approx(batch.total - 0.5)
    assert batch.seconds["trigger_fusion"]["work"] == 0
    assert batch.seconds["trigger_fusion"]["reporting"] == pytest.approx(0.2)


def test_a_deferral_is_airflows_but_for_the_triggers_own_work():
    # Asked for at 1.4; the trigger works from 3.0 to 3.4, and a worker holds the message again at 4.0.
    capture = Task("capture_images", (start(1.0), start(4.0)), ((at(3.0), at(3.4)),))
    tasks = [capture, *(Task(name, (start(5.5 + 1.5 * n, work=0.1),)) for n, name in enumerate(TASKS[1:]))]
    spent = account("3bay_north", DUE, tasks).seconds["capture_images"]
    assert spent["waiting"] == pytest.approx(1.0)
    assert spent["deferral"] == pytest.approx(1.6 + 0.6)
    assert spent["work"] == pytest.approx(0.4)
    assert spent["process"] == pytest.approx(0.2)


def test_what_overlaps_is_not_counted_twice():
    # The fusion run starts before trigger_fusion's process has ended.
    early = Task("process_fusion", (start(1.0 + 1.5 * 3 + 0.3),))
    tasks = [early if task.name == early.name else task for task in day()]
    batch = account("3bay_north", DUE, tasks)
    assert batch.seconds["process_fusion"]["waiting"] == 0
    assert sum(sum(accounts.values()) for accounts in batch.seconds.values()) == pytest.approx(batch.total)


def test_a_batch_of_other_tasks_is_refused():
    with pytest.raises(TimelineError, match="wanted capture_images, "):
        account("3bay_north", DUE, day()[1:])


def test_a_deferral_without_its_trigger_is_refused():
    capture = Task("capture_images", (start(1.0), start(4.0)))
    with pytest.raises(TimelineError, match="2 starts and 0 triggers"):
        account("3bay_north", DUE, [capture, *day()[1:]])


LIFE = ("::group::Pre Execute", "Worker startup parse complete", "::endgroup::", "batch x", "::group::Post Execute")


def write_log(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [{"timestamp": at(seconds).isoformat(), "event": event} for seconds, event in lines]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def test_a_task_is_read_with_its_trigger(tmp_path):
    log = tmp_path / LOG_PATH
    first = [(1.0 + 0.1 * number, event) for number, event in enumerate((*LIFE, "::endgroup::"))]
    second = [(5.0 + 0.1 * number, event) for number, event in enumerate((*LIFE, "::endgroup::"))]
    write_log(log, first + second)
    beside = log.with_name("attempt=1.log.trigger.2.log")
    write_log(beside, [(3.0, "trigger starting"), (3.4, "Trigger fired event"), (3.5, "trigger completed")])
    task = read_task(log, [at(4.9), at(0.9)])
    assert task.name == "capture_images"
    assert task.starts[0] == Start(*(at(s) for s in (0.9, 1.0, 1.1, 1.2, 1.4, 1.5)))
    assert task.starts[1].received == at(4.9)
    assert task.triggers == ((at(3.0), at(3.4)),)


def test_a_task_that_starts_a_run_has_told_when_the_run_is_there(tmp_path):
    log = tmp_path / "task_id=trigger_fusion" / "attempt=1.log"
    events = [*LIFE, "Dag Run triggered successfully.", "::endgroup::"]
    write_log(log, [(1.0 + 0.1 * number, event) for number, event in enumerate(events)])
    assert read_task(log, [at(0.9)]).starts[0].reported == at(1.5)


def test_a_second_try_a_lost_line_and_a_lost_message_are_named(tmp_path):
    log = tmp_path / LOG_PATH
    write_log(log, [(1.0 + 0.1 * number, event) for number, event in enumerate(LIFE)])
    with pytest.raises(TimelineError, match="1 starts and 0 messages"):
        read_task(log, [])
    write_log(log, [(1.0, LIFE[0])])
    with pytest.raises(TimelineError, match="no line 'Worker startup parse complete'"):
        read_task(log, [at(0.9)])
    write_log(log.with_name("attempt=2.log"), [(9.0, LIFE[0])])
    with pytest.raises(TimelineError, match="more than one try"):
        read_task(log, [at(0.9)])


def test_a_worker_says_when_it_held_a_message(tmp_path):
    log = tmp_path / "observer.log"
    message = "1738bf6e-91a8-4e35-b65f-7779d79ca64a"
    log.write_text(
        f"2025-07-02T01:00:01.500000Z [info     ] Task execute_workload[{message}] received [celery.worker.strategy]\n"
        f"2025-07-02T01:00:01.600000Z [info ] [{message}] Executing workload in Celery: ti=x log_path='{LOG_PATH}'\n"
        f"2025-07-02T01:00:02.600000Z [info     ] Task execute_workload[{message}] succeeded in 1.0s: None\n"
    )
    assert messages([log]) == {LOG_PATH: [at(1.5)]}
