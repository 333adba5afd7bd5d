"""When Airflow's own processes last gave a sign of life."""

from datetime import UTC, datetime, timedelta

from bay_observation.errors import AirflowUnavailableError

_PROCESSES = {"SchedulerJob": "scheduler", "DagProcessorJob": "dag_processor"}
_KEPT = timedelta(days=7)
"""A process that has been gone for longer was taken down for good."""


def heartbeats() -> dict[str, datetime]:
    """The newest heartbeat (aware) of any scheduler and any DAG processor that was there in the last week.

    Raises:
        AirflowUnavailableError: Airflow's database does not answer on this host.
    """
    from airflow.jobs.job import Job
    from airflow.sdk.exceptions import AirflowException
    from airflow.utils.session import create_session
    from sqlalchemy import func, select
    from sqlalchemy.exc import SQLAlchemyError

    asked = (
        select(Job.job_type, func.max(Job.latest_heartbeat))
        .where(Job.job_type.in_(_PROCESSES), Job.latest_heartbeat > datetime.now(UTC) - _KEPT)
        .group_by(Job.job_type)
    )
    try:
        with create_session() as session:
            rows = session.execute(asked).all()
    except (SQLAlchemyError, AirflowException, RuntimeError) as error:
        raise AirflowUnavailableError(f"Airflow's database does not answer here: {type(error).__name__}") from error
    return {_PROCESSES[kind]: beat if beat.tzinfo else beat.replace(tzinfo=UTC) for kind, beat in rows if kind and beat}
