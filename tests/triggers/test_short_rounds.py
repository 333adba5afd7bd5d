"""A triggerer with shorter rounds: when it takes the place of Airflow's own, and what a round does."""

import hashlib
import inspect
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from types import SimpleNamespace

import pytest
from airflow.jobs import triggerer_job_runner
from airflow.jobs.triggerer_job_runner import TriggerRunner, TriggerRunnerSupervisor
from airflow.models.trigger import Trigger
from airflow.plugins_manager import AirflowPlugin
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from bay_observation.errors import ConfigError
from triggers import quick_triggerer
from triggers.quick_triggerer import QuickRunner, QuickSupervisor
from triggers.short_rounds import WRITTEN_FOR, ShortRoundsPlugin, on_starting

NOW = datetime(2025, 7, 2, tzinfo=UTC)
TRIGGERER = ["airflow", "triggerer", "--queues", "obs_a"]


@pytest.fixture(autouse=True)
def _airflows_own(monkeypatch):
    monkeypatch.setattr(triggerer_job_runner, "TriggerRunnerSupervisor", TriggerRunnerSupervisor)
    monkeypatch.setattr(quick_triggerer, "_round_s", 1.0)


@pytest.mark.parametrize(
    ("command", "setting", "taken"),
    [
        (TRIGGERER, "0.2", QuickSupervisor),
        (TRIGGERER, "", TriggerRunnerSupervisor),
        (["airflow", "scheduler"], "0.2", TriggerRunnerSupervisor),
    ],
)
def test_it_takes_the_place_in_a_triggerer_that_is_asked_to(monkeypatch, command, setting, taken):
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setenv("TRIGGERER_ROUND", setting)
    on_starting(SimpleNamespace())
    assert triggerer_job_runner.TriggerRunnerSupervisor is taken


def test_another_airflow_keeps_its_own(monkeypatch, caplog):
    monkeypatch.setattr(sys, "argv", TRIGGERER)
    monkeypatch.setenv("TRIGGERER_ROUND", "0.2")
    monkeypatch.setattr("triggers.short_rounds.WRITTEN_FOR", "3.2.0")
    on_starting(SimpleNamespace())
    assert triggerer_job_runner.TriggerRunnerSupervisor is TriggerRunnerSupervisor
    assert f"for Airflow 3.2.0, this is {version('apache-airflow')}" in caplog.text


@pytest.mark.parametrize("text", ["0", "fast", "-1"])
def test_a_wrong_round_is_named(monkeypatch, text):
    monkeypatch.setattr(sys, "argv", TRIGGERER)
    monkeypatch.setenv("TRIGGERER_ROUND", text)
    with pytest.raises(ConfigError, match="TRIGGERER_ROUND"):
        on_starting(SimpleNamespace())


def test_what_is_replaced_is_what_it_was_written_for():
    """Where this fails Airflow is another one: compare `arun` and `run_once` of `triggers.quick_triggerer` with its."""
    own = {
        method.__qualname__: hashlib.sha256(inspect.getsource(method).encode()).hexdigest()[:16]
        for method in (TriggerRunner.arun, TriggerRunnerSupervisor.run_once)
    }
    assert version("apache-airflow") == WRITTEN_FOR
    assert own == {"TriggerRunner.arun": "2970ea57bd8c6859", "TriggerRunnerSupervisor.run_once": "11a9e2701a6b116a"}
    assert QuickSupervisor.run_in_process.__func__ is not TriggerRunnerSupervisor.run_in_process.__func__
    assert issubclass(QuickRunner, TriggerRunner)


@pytest.fixture
def triggers(monkeypatch):
    """Adds a trigger to a table of Airflow's, in SQLite."""
    from airflow.models import import_all_models

    import_all_models()
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Trigger.__table__.create(engine)

    @contextmanager
    def session():
        with Session(engine) as opened:
            yield opened
            opened.commit()

    def add(queue, holder=None):
        with session() as opened:
            opened.execute(
                insert(Trigger.__table__).values(
                    classpath="a.B", kwargs="{}", created_date=NOW, queue=queue, triggerer_id=holder
                )
            )

    monkeypatch.setattr(quick_triggerer, "create_session", session)
    return add


STEPS = ("_service_subprocess", "load_triggers", "handle_events", "handle_failed_triggers", "heartbeat")
ONCE_A_SECOND = ("clean_unused", "emit_metrics")


class Written(QuickSupervisor):
    """One without a process beneath it, which writes down what it does."""

    def __init__(self, queues=None):
        self.queues, self._full_round_at, self.done = queues, 0.0, []


for name in (*STEPS, *ONCE_A_SECOND):
    setattr(Written, name, lambda self, *_, name=name: self.done.append(name))


@pytest.mark.parametrize(("new", "more"), [(False, []), (True, ["load_triggers"])])
def test_a_full_round_is_once_a_second(triggers, new, more):
    made = Written({"obs_a"})
    made.run_once()
    assert set(made.done) == {*STEPS, *ONCE_A_SECOND}
    if new:
        triggers("obs_a")
    made.done.clear()
    made.run_once()
    assert sorted(made.done) == sorted({*STEPS, *more} - ({"load_triggers"} - set(more)))


@pytest.mark.parametrize(
    ("queues", "queue", "holder", "waits"),
    [
        ({"obs_a"}, "obs_a", None, True),
        ({"obs_a"}, "obs_b", None, False),
        ({"obs_a"}, "obs_a", 7, False),
        ({"obs_a"}, None, None, False),
        (None, None, None, True),
        (None, "obs_a", None, False),
    ],
)
def test_a_trigger_waits_that_nobody_has(triggers, queues, queue, holder, waits):
    made = Written(queues)
    assert not made._trigger_waits()
    triggers(queue, holder)
    assert made._trigger_waits() is waits


def test_airflow_finds_the_plugin():
    assert issubclass(ShortRoundsPlugin, AirflowPlugin)
    assert ShortRoundsPlugin.listeners == [sys.modules["triggers.short_rounds"]]
