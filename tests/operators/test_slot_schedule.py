"""The schedule of an observation DAG: as cron, but for a run by hand whose slot lies in the future."""

from datetime import UTC, datetime, timedelta

import pendulum
import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from operators.slot_schedule import SlotSchedule


@pytest.fixture
def schedule(monkeypatch):
    monkeypatch.delenv("CLOCK")
    return SlotSchedule("*/10 * * * *", timezone="UTC")


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=1500)])
def test_a_slot_of_the_future_is_refused_with_what_to_do(schedule, ahead):
    with pytest.raises(ValueError, match="lies in the future: cameras show what is there now; leave the logical date"):
        schedule.infer_manual_data_interval(run_after=pendulum.now("UTC") + ahead)


@pytest.mark.parametrize("ago", [timedelta(days=400), timedelta(0), timedelta(minutes=-10)])
def test_any_other_slot_is_taken(schedule, ago):
    slot = pendulum.now("UTC") - ago
    assert schedule.infer_manual_data_interval(run_after=slot).end <= slot


def test_a_simulated_day_may_lie_anywhere(schedule, monkeypatch):
    monkeypatch.setenv("CLOCK", "slot")
    schedule.infer_manual_data_interval(run_after=pendulum.datetime(2090, 1, 1))


def test_airflow_keeps_it_as_it_is(schedule):
    dag = DAG("some_dag", schedule=schedule, start_date=datetime(2025, 1, 1, tzinfo=UTC))
    kept = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    assert type(kept) is SlotSchedule
    assert kept == schedule
    assert kept.summary == "*/10 * * * *"
