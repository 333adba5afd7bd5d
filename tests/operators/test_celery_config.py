"""Celery's results, written by a worker and read by the scheduler."""

import os
import pickle
import sqlite3

import pytest
from celery import Celery, states
from celery.app.task import Context

from operators.celery_config import CELERY_CONFIG


class Evil:
    """What runs a command where `pickle` reads it."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def backend(tmp_path):
    backend = Celery("scheduler", backend=f"db+sqlite:///{tmp_path}/results", set_as_current=False).backend
    yield backend
    backend.ResultSession().get_bind().dispose()


def query(path, statement, *values):
    with sqlite3.connect(path / "results") as database:
        rows = database.execute(statement, values).fetchall()
    database.close()
    return rows


@pytest.mark.parametrize(
    ("result", "state"), [(None, states.SUCCESS), ({"a": object()}, states.SUCCESS), (KeyError("x", 1), states.FAILURE)]
)
def test_the_state_is_kept_and_no_result(backend, tmp_path, result, state):
    backend.store_result("one", result, state, traceback="trace", request=Context())
    assert query(tmp_path, "SELECT status, result, traceback FROM celery_taskmeta") == [(state, None, "trace")]
    meta = backend.get_task_meta("one")
    assert (meta["status"], meta["result"], meta["traceback"]) == (state, None, "trace")


@pytest.mark.parametrize("state", [states.SUCCESS, states.FAILURE])
def test_a_forged_result_runs_no_code_and_ends_no_scheduler(backend, tmp_path, state):
    mark = tmp_path / "mark"
    for forged in (pickle.dumps(Evil(f"touch {mark}")), pickle.dumps("no error's"), pickle.dumps({"exc_type": 5}), b""):
        backend.store_result("forged", None, state)
        query(tmp_path, "UPDATE celery_taskmeta SET result = ? WHERE task_id = 'forged'", forged)
        assert backend.get_task_meta("forged")["status"] == state  # as Airflow's scheduler reads it
        assert not mark.exists()


def test_it_is_airflow_s_configuration_that_is_used():
    from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

    assert CELERY_CONFIG is DEFAULT_CELERY_CONFIG
