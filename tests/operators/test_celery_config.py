"""Celery's results, written by a worker and read by the scheduler."""

import os
import pickle
import sqlite3

import pytest
from celery import Celery, states
from celery.app.task import Context
from celery.backends.database.models import Task

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


def stored(path):
    with sqlite3.connect(path / "results") as database:
        rows = database.execute("SELECT result FROM celery_taskmeta").fetchall()
    database.close()
    return [content for (content,) in rows]


@pytest.mark.parametrize(
    ("result", "state"), [(None, states.SUCCESS), ({"a": [1, "é"]}, states.SUCCESS), (KeyError("x", 1), states.FAILURE)]
)
def test_a_result_is_stored_as_plain_data_and_read_again(backend, tmp_path, result, state):
    backend.store_result("one", result, state, traceback="trace", request=Context())
    assert [content[:2] for content in stored(tmp_path) if content] == ([] if result is None else [b"\x80\x04"])
    meta = backend.get_task_meta("one")
    assert meta["status"] == state
    assert repr(meta["result"]) == repr(result)


def test_a_forged_result_runs_no_code_and_hides_no_other(backend, tmp_path):
    for name in ("forged", "other"):
        backend.store_result(name, "fine", states.SUCCESS)
    mark = tmp_path / "mark"
    with sqlite3.connect(tmp_path / "results") as database:
        forged = pickle.dumps(Evil(f"touch {mark}"))
        database.execute("UPDATE celery_taskmeta SET result = ? WHERE task_id = 'forged'", (forged,))
    database.close()
    session = backend.ResultSession()
    read = {
        task.task_id: (task.status, task.result) for task in session.query(Task).all()
    }  # as Airflow's scheduler does
    session.close()
    assert read["forged"] == (states.SUCCESS, None)
    assert read["other"][0] == states.SUCCESS
    assert read["other"][1] is not None
    assert not mark.exists()


def test_it_is_airflow_s_configuration_that_is_used():
    from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

    assert CELERY_CONFIG is DEFAULT_CELERY_CONFIG
