"""Per queue: which triggerers live, what they hold, what no process holds; from rows of Airflow's own tables."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from bay_observation.errors import AirflowUnavailableError
from triggers.__main__ import main
from triggers.status import expected_queues, queued_tasks, triggerer_status


class Database:
    """Airflow's three tables, in SQLite."""

    def __init__(self):
        from airflow.jobs.job import Job
        from airflow.models import import_all_models
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.trigger import Trigger

        import_all_models()  # tables refer to one another
        self.job, self.trigger, self.task = Job.__table__, Trigger.__table__, TaskInstance.__table__
        self.engine = create_engine("sqlite://", poolclass=StaticPool)
        for table in (self.job, self.trigger, self.task):
            table.create(self.engine)

    @contextmanager
    def session(self):
        with Session(self.engine) as session:
            yield session
            session.commit()

    def triggerer(self, queues, *, silent=1.0, host=None, state="running", ended=None):
        beat = datetime.now(UTC) - timedelta(seconds=silent)
        with self.session() as session:
            row = session.execute(
                insert(self.job).values(
                    job_type="TriggererJob",
                    state=state,
                    hostname=host or f"host of {queues}",
                    executor_class=queues,
                    start_date=beat - timedelta(hours=1),
                    latest_heartbeat=beat,
                    end_date=ended,
                )
            )
            return row.inserted_primary_key[0]

    def deferred(self, queue, *, holder=None, seconds=5.0, state="deferred"):
        since = datetime.now(UTC) - timedelta(seconds=seconds)
        with self.session() as session:
            trigger = session.execute(
                insert(self.trigger).values(
                    classpath="triggers.capture.CaptureTrigger",
                    kwargs="{}",
                    created_date=since,
                    triggerer_id=holder,
                    queue=queue,
                )
            ).inserted_primary_key[0]
            session.execute(
                insert(self.task).values(
                    id=uuid4(),
                    task_id="capture_images",
                    dag_id=f"observation_{queue}_dag",
                    run_id=f"manual__{uuid4()}",
                    map_index=-1,
                    state=state,
                    try_number=1,
                    max_tries=2,
                    pool="default_pool",
                    pool_slots=1,
                    queue=queue or "default",
                    trigger_id=trigger,
                    updated_at=since,
                    queued_dttm=since,
                    context_carrier={},
                    span_status="not_started",
                )
            )


@pytest.fixture
def database(monkeypatch):
    found = Database()
    monkeypatch.setattr("airflow.utils.session.create_session", found.session)
    return found


@pytest.fixture
def queues_on(monkeypatch):
    monkeypatch.setenv("AIRFLOW__TRIGGERER__QUEUES_ENABLED", "True")


@pytest.fixture
def two_bays(make_bay, queues_on):
    make_bay("a")
    make_bay("b")


def by_name(status):
    return {queue.queue: queue for queue in status.queues}


def test_every_queue_of_every_enabled_bay_is_expected(make_bay):
    make_bay("a")
    make_bay("off", enabled=False)
    assert expected_queues() == {"obs_a", "proc_a"}


def test_a_bay_whose_file_is_wrong_takes_no_other_bays_queues_away(make_bay, bays_folder, caplog):
    make_bay("a")
    (bays_folder / "wrong.yaml").write_text("{", encoding="utf-8")
    assert expected_queues() == {"obs_a", "proc_a"}
    assert "wrong" in caplog.text


def test_served_queues_have_no_problem_also_while_nothing_is_deferred(database, two_bays):
    database.triggerer("queues=obs_a")
    database.triggerer("queues=obs_b")
    database.triggerer("queues=proc_a,proc_b")
    status = triggerer_status()
    assert status.problems == ()
    assert {name: [one.host for one in queue.triggerers] for name, queue in by_name(status).items()} == {
        "obs_a": ["host of queues=obs_a"],
        "obs_b": ["host of queues=obs_b"],
        "proc_a": ["host of queues=proc_a,proc_b"],
        "proc_b": ["host of queues=proc_a,proc_b"],
    }


def test_a_queue_without_a_triggerer_is_a_problem_before_anything_waits_in_it(database, two_bays):
    database.triggerer("queues=obs_b,proc_a,proc_b")
    (problem,) = triggerer_status().problems
    assert problem == "queue obs_a: no triggerer that lives serves it: start one (airflow triggerer --queues obs_a)"


@pytest.mark.parametrize("silent", [{"silent": 31.0}, {"state": "success"}, {"ended": datetime.now(UTC)}])
def test_a_triggerer_that_died_serves_nothing_and_holds_nothing(database, two_bays, silent):
    database.triggerer("queues=obs_b,proc_a,proc_b")
    dead = database.triggerer("queues=obs_a", **silent)
    database.deferred("obs_a", holder=dead, seconds=40)
    status = triggerer_status()
    queue = by_name(status)["obs_a"]
    assert (queue.triggerers, queue.held, len(queue.unclaimed)) == ((), (), 1)
    assert "no triggerer that lives" in queue.problems[0]
    assert "1 deferred tasks that no process holds, the oldest for 4" in queue.problems[1]
    assert "observation_obs_a_dag" in queue.problems[1]


def test_what_a_living_triggerer_holds(database, two_bays):
    holder = database.triggerer("queues=obs_a,obs_b,proc_a,proc_b")
    database.deferred("obs_a", holder=holder, seconds=300)
    status = triggerer_status()
    assert status.problems == ()
    assert [task.held_by for task in by_name(status)["obs_a"].held] == [holder]
    assert status.to_dict()["triggerers"][0]["held"] == 1


def test_a_task_that_was_deferred_a_moment_ago_may_wait(database, two_bays):
    database.triggerer("queues=obs_a,obs_b,proc_a,proc_b")
    database.deferred("obs_a", seconds=5)
    assert triggerer_status().problems == ()
    assert len(triggerer_status(patience=timedelta(seconds=2)).problems) == 1


def test_a_trigger_whose_task_went_on_is_not_waited_for(database, two_bays):
    database.triggerer("queues=obs_a,obs_b,proc_a,proc_b")
    database.deferred("obs_a", seconds=500, state="running")
    assert by_name(triggerer_status())["obs_a"].unclaimed == ()


def test_another_queue_counts_once_something_is_deferred_into_it(database, two_bays):
    database.triggerer("queues=obs_a,obs_b,proc_a,proc_b")
    database.deferred("default", seconds=60)
    assert [problem.split(":")[0] for problem in triggerer_status().problems] == ["queue default", "queue default"]


def test_a_triggerer_that_does_not_say_its_queues_may_serve_any(database, two_bays):
    database.triggerer(None)
    status = triggerer_status()
    assert status.problems == ()
    assert all(queue.triggerers == () for queue in status.queues)
    database.deferred("obs_a", seconds=60)
    assert len(triggerer_status().problems) == 1, "what waits is a problem all the same"


def test_a_triggerer_with_more_queues_than_its_row_holds_may_serve_the_rest(database, two_bays):
    database.triggerer("queues=obs_a,...")
    assert triggerer_status().problems == ()


def test_a_triggerer_without_queues_serves_what_has_none_alone(database, two_bays):
    database.triggerer("queues=")
    database.deferred(None, seconds=1)
    status = triggerer_status()
    assert len(by_name(status)[None].triggerers) == 1
    assert len(status.problems) == 4


def test_without_queues_in_the_whole_set_up(database, make_bay):
    make_bay("a")
    assert triggerer_status().problems == (
        "tasks without a queue: no triggerer that lives serves it: start one (airflow triggerer)",
    )
    database.triggerer("queues=")
    assert triggerer_status().problems == ()


def test_a_host_whose_triggerer_was_started_again_is_not_called_silent(database, two_bays):
    database.triggerer("queues=obs_a", silent=600, host="observer-a")
    database.triggerer("queues=obs_a", host="observer-a")
    database.triggerer("queues=obs_b", silent=600, host="observer-b")
    assert [(one.host, one.alive) for one in triggerer_status().triggerers] == [
        ("observer-a", True),
        ("observer-b", False),
    ]


def test_the_command(database, two_bays, capsys):
    database.triggerer("queues=obs_a,obs_b,proc_a,proc_b")
    assert main(["status"]) == 0
    assert "obs_a" in capsys.readouterr().out
    database.deferred("obs_a", seconds=60)
    assert main(["status", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["problems"]
    assert [queue["queue"] for queue in document["queues"]] == ["obs_a", "obs_b", "proc_a", "proc_b"]
    assert main(["status", "--patience", "90"]) == 0


@pytest.mark.parametrize("seconds", ["-1", "soon", "nan", "inf"])
def test_a_patience_that_is_none(seconds, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["status", "--patience", seconds])
    assert ended.value.code == 2
    assert "seconds" in capsys.readouterr().err


def test_a_database_that_does_not_answer_has_its_name(monkeypatch, two_bays, tmp_path, capsys):
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    monkeypatch.setattr("airflow.utils.session.create_session", lambda: Session(engine))
    with pytest.raises(AirflowUnavailableError, match="no such table"):
        triggerer_status()
    assert main(["status"]) == 3
    assert "Airflow's database does not answer here" in capsys.readouterr().err


def test_tasks_that_wait_for_a_worker(database):
    assert queued_tasks() == {}
    database.deferred("obs_a", seconds=40, state="queued")
    database.deferred("obs_a", seconds=90, state="queued")
    database.deferred("obs_b", seconds=5, state="running")
    ((queue, (count, since)),) = queued_tasks().items()
    assert (queue, count) == ("obs_a", 2)
    assert 90 <= (datetime.now(UTC) - since).total_seconds() < 100
