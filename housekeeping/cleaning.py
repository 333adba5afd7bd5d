"""All bays of a store, and what lies on one host's own disk."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from artifacts import ArtifactStore, Spool
from bay_observation.bay_files import unknown_bays
from bay_observation.errors import BayObservationError, ConfigError
from bays import BayConfig, bay_ids, bays_path, load_bay
from housekeeping.bay import clean_bay
from housekeeping.forecast import forecast
from housekeeping.report import Report
from tracking.history import History

_DAY_S = 86_400.0
# What Airflow writes beneath its folder of logs: of tasks, and of the files that it parses.
_LOG_FOLDERS = ("dag_id=*", "dag_processor", "dag_processor_manager", "scheduler")


def clean_store(
    store: ArtifactStore, history: History, bays: Sequence[BayConfig], now: datetime | None = None, *, dry_run: bool
) -> Report:
    """Delete what bays keep no longer, and say how long the disk lasts.

    Args:
        store: of the artifacts.
        history: of the bays.
        bays: of which retention; what is of no bay stays.
        now: the time (aware); by default the clock's.
        dry_run: delete nothing, and report what would be.
    """
    now = now or datetime.now(UTC)
    report = Report(dry_run)
    if history.database.is_sqlite:
        history.database.migrate()  # a server's is a person's deliberate step; this one appears with its first use
    for bay in bays:
        report.take(clean_bay(store, history, bay, now, dry_run=dry_run))
    try:
        report.forecast = forecast(store, bays, now)
    except BayObservationError as error:
        report.faults.append(f"forecast: {error}")
    return report


def clean_host(spool: Spool | None, logs: Path | None, days: float, *, dry_run: bool) -> Report:
    """Delete old logs of this host, and what its spool keeps no longer.

    Args:
        spool: of this host; None where it has none.
        logs: Airflow's folder of logs; None where it is not to be cleaned.
        days: for which logs are kept.
        dry_run: delete nothing, and report what would be.
    """
    report = Report(dry_run)
    if spool is not None and not dry_run:
        spool.prune()
    if logs is not None:
        count = size = 0
        for path, status in _old_files(logs, time.time() - days * _DAY_S):
            if not dry_run:
                with suppress(FileNotFoundError):
                    path.unlink()
                _remove_empty(path.parent, logs)
            count, size = count + 1, size + status.st_size
        report.add("", f"log files of {logs}", count, size)
    return report


def known_bays(report: Report, names: Sequence[str] = ()) -> list[BayConfig]:
    """The bays of some names, of all files when empty; one whose file is wrong is a fault of the report.

    Raises:
        ConfigError: there is no bay of a name that is given.
    """
    bays, there = [], bay_ids()
    if not set(names) <= set(there):
        raise unknown_bays(names, there, bays_path())
    for name in names or there:
        try:
            bays.append(load_bay(name))
        except ConfigError as error:
            report.faults.append(f"{name}: nothing of it is deleted: {error}")
    return bays


def _old_files(logs: Path, before: float) -> Iterator[tuple[Path, os.stat_result]]:
    for pattern in _LOG_FOLDERS:
        for folder in logs.glob(pattern):
            for where, _, names in os.walk(folder):
                for name in names:
                    path = Path(where, name)
                    with suppress(FileNotFoundError):
                        status = path.lstat()
                        if status.st_mtime < before:
                            yield path, status


def _remove_empty(folder: Path, logs: Path) -> None:
    while folder != logs:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
