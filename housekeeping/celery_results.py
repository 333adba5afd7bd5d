"""Rows of Celery's results, which a deployment keeps in a database apart from Airflow's own (docs/security.md)."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import column, create_engine, func, inspect, select, table
from sqlalchemy.exc import SQLAlchemyError

from bay_observation.errors import ConfigError
from housekeeping.report import Report

_TABLES = ("celery_taskmeta", "celery_tasksetmeta")


def clean_celery_results(address: str, days: float, *, dry_run: bool) -> Report:
    """Delete the results that are older than some days: the scheduler reads each one once, within minutes.

    Args:
        address: Celery's result backend as an SQLAlchemy URL, without its `db+`.
        days: for which they are kept.
        dry_run: delete nothing, and report what would be.

    Raises:
        ConfigError: the database cannot be used.
    """
    report = Report(dry_run)
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)  # as Celery writes it
    try:
        engine = create_engine(address)
        with engine.begin() as connection:
            for name in filter(inspect(connection).has_table, _TABLES):
                rows = table(name, column("date_done"))
                old = rows.c.date_done < before
                report.add(
                    "", f"rows of {name}", connection.scalar(select(func.count()).select_from(rows).where(old)) or 0
                )
                if not dry_run:
                    connection.execute(rows.delete().where(old))
        engine.dispose()
    except SQLAlchemyError as error:
        raise ConfigError(f"Celery's results cannot be cleaned: {type(error).__name__}; is PostgreSQL up?") from error
    return report
