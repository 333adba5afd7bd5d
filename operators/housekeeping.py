"""The callables of `housekeeping_dag`: what they deleted is in the log, and as XCom."""

import logging
from typing import Any

from airflow.sdk.exceptions import AirflowException

from artifacts import ArtifactStore, Spool
from bay_observation import settings
from operators._common import task_errors
from operators._history import open_history

_log = logging.getLogger(__name__)


def clean_store(dry_run: bool = False) -> dict[str, Any]:
    """Artifacts and history of every bay, by its `retention`; and how long the disk lasts."""
    from housekeeping import Report, clean_store, known_bays

    report = Report(dry_run)
    with task_errors(), open_history() as history:
        found = clean_store(ArtifactStore(), history, known_bays(report), dry_run=dry_run)
    report.take(found)
    report.forecast = found.forecast
    return _said(report)


def clean_airflow(dry_run: bool = False) -> dict[str, Any]:
    """Old rows of Airflow's own tables, and the main server's old logs."""
    from airflow.sdk.configuration import conf

    from housekeeping import clean_airflow_database, clean_celery_results

    report, days = _clean_host(dry_run), settings.AIRFLOW_KEPT_DAYS.read()
    results = str(conf.get("celery", "result_backend", fallback="") or "")
    with task_errors():
        report.take(clean_airflow_database(days, dry_run=dry_run))
        if results.startswith("db+"):
            report.take(clean_celery_results(results.removeprefix("db+"), days, dry_run=dry_run))
    return _said(report)


def clean_host(dry_run: bool = False) -> dict[str, Any]:
    """Old logs of the host that runs this, and what its spool keeps no longer."""
    return _said(_clean_host(dry_run))


def _clean_host(dry_run: bool) -> Any:
    from pathlib import Path

    from airflow.sdk.configuration import conf

    from housekeeping import clean_host

    with task_errors():
        logs = Path(conf.get("logging", "base_log_folder"))
        return clean_host(Spool.from_environment(), logs, settings.AIRFLOW_KEPT_DAYS.read(), dry_run=dry_run)


def _said(report: Any) -> dict[str, Any]:
    """The report as XCom.

    Raises:
        AirflowException: something could not be cleaned; the rest is done.
    """
    for line in report.lines():
        _log.info("%s", line)
    if report.faults:
        raise AirflowException("; ".join(report.faults))
    said: dict[str, Any] = report.to_dict()
    return said
