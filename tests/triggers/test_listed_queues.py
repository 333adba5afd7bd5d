"""What a triggerer says of its queues in its row of Airflow's table `job`."""

import sys
from types import SimpleNamespace

import pytest
from airflow.jobs.job import Job
from airflow.plugins_manager import AirflowPlugin

from triggers.listed_queues import ListedQueues, ListedQueuesPlugin, on_starting, queues_of_command, read, written


@pytest.mark.parametrize(
    ("command", "queues"),
    [
        ("airflow triggerer --queues obs_a", ("obs_a",)),
        ("airflow triggerer --skip-serve-logs --queues=obs_b,obs_a --capacity 7", ("obs_a", "obs_b")),
        ("airflow triggerer", ()),
        ("airflow scheduler", None),
        ("airflow", None),
    ],
)
def test_the_queues_of_a_command(command, queues):
    assert queues_of_command(command.split(" ")) == queues


def test_blanks_around_a_queue_are_not_of_its_name():
    assert queues_of_command(["airflow", "triggerer", "--queues", "obs_a, obs_b,"]) == ("obs_a", "obs_b")


def test_a_triggerers_job_says_its_queues(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["airflow", "triggerer", "--queues", "obs_a"])
    assert read(Job().executor_class) == ListedQueues(("obs_a",))


def test_another_process_leaves_its_job_alone(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["airflow", "scheduler"])
    job = SimpleNamespace(executor_class=None)
    on_starting(job)
    assert job.executor_class is None


def test_more_queues_than_the_column_holds_are_said_to_be_incomplete():
    queues = tuple(f"proc_{number}bay_north" for number in range(100))
    text = written(queues)
    assert len(text) <= Job.__table__.c.executor_class.type.length
    said = read(text)
    assert not said.complete
    assert said.queues == queues[: len(said.queues)]
    assert len(said.queues) > 20


@pytest.mark.parametrize("column", [None, "", "LocalExecutor"])
def test_a_row_without_queues_says_nothing(column):
    assert read(column) is None


def test_airflow_finds_the_plugin():
    assert issubclass(ListedQueuesPlugin, AirflowPlugin)
    assert ListedQueuesPlugin.listeners == [sys.modules["triggers.listed_queues"]]
