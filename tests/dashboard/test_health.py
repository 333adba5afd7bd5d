"""How a bay is, from its history, its store and Airflow's database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any


def test_what_is_checked(ask: Callable[..., Any]) -> None:
    health = ask("bays/yard/health")

    checks = {one["name"]: one["state"] for one in health["checks"]}
    assert set(checks) == {"floor", "cameras", "queue:obs_yard", "queue:proc_yard", "store", "disk"}
    # The newest slot is long ago, and nothing is known of the cameras of today.
    assert (checks["floor"], checks["queue:obs_yard"], checks["store"]) == ("failed", "ok", "ok")
    assert {one["state"] for one in health["cameras"]} == {"unknown"}


def test_triggers_that_no_living_triggerer_runs_are_counted(ask: Callable[..., Any]) -> None:
    """Airflow's own page says that the triggerer is healthy while one of another bay's is."""
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session

    from dashboard.api.routes.health import _unclaimed

    now = datetime.now(UTC)
    with create_session() as session:
        alive = Job(job_type="TriggererJob")
        alive.latest_heartbeat = now
        session.add(alive)
        session.flush()
        statement = str(_unclaimed(["obs_yard"], now).compile(compile_kwargs={"literal_binds": False}))
        assert session.execute(_unclaimed(["obs_yard"], now + timedelta(minutes=5))).all() == []

    assert "triggerer_id IS NULL OR" in statement
