"""The newest heartbeat of each kind of process, in Airflow's own tables."""

from datetime import UTC, datetime, timedelta

import pytest

from bay_observation.errors import AirflowUnavailableError
from dashboard.airflow_processes import heartbeats


@pytest.mark.usefixtures("_airflow_database")
def test_the_newest_of_each_kind():
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session

    now = datetime.now(UTC)
    ages = {"SchedulerJob": (5, 300), "DagProcessorJob": (60,), "TriggererJob": (1,)}
    with create_session() as session:
        jobs = [
            Job(job_type=kind, latest_heartbeat=now - timedelta(seconds=age)) for kind, of in ages.items() for age in of
        ]
        session.add_all(jobs)
        session.flush()
        numbers = [job.id for job in jobs]
    try:
        found = {kind: round((now - beat).total_seconds()) for kind, beat in heartbeats().items()}
    finally:
        with create_session() as session:
            session.query(Job).filter(Job.id.in_(numbers)).delete()
    assert found == {"scheduler": 5, "dag_processor": 60}


def test_a_database_that_does_not_answer(monkeypatch):
    def away():
        raise RuntimeError("postgresql://user:secret@host")

    monkeypatch.setattr("airflow.utils.session.create_session", away)
    with pytest.raises(AirflowUnavailableError) as refused:
        heartbeats()
    assert "secret" not in str(refused.value)
