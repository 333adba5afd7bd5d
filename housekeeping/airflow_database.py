"""Airflow's own tables: old rows go by Airflow's own command.

`airflow db clean` is the documented way (Airflow 3.3, "Purge history from metadata database"), and there is no
REST call for it. Airflow 3 keeps its database from the processes of tasks: their environment names an address
that leads nowhere. The command is a program besides, with the address that this host's configuration has; it
works where that host may use the database, as the main server's worker may.
"""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bay_observation.errors import ConfigError
from housekeeping.report import Report

# What a task's process is given in place of the address.
_NOT_ALLOWED = "airflow-db-not-allowed"
_ADDRESSES = ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__SQL_ALCHEMY_CONN")
# All but `dag` and `dag_version`, which a bay that is disabled for a season keeps: whether it was paused.
_TABLES = (
    "asset_event", "callback", "celery_taskmeta", "celery_tasksetmeta", "dag_run", "deadline", "import_error", "job",
    "log", "revoked_token", "task_instance", "task_instance_history", "task_reschedule", "task_state_store", "trigger",
    "xcom",
)  # fmt: skip
_BATCH = 10_000
_PATIENCE_S = 1500.0
_SHOWN = 1500
_TABLE = re.compile(r"^Checking table (\w+)$")
_FOUND = re.compile(r"^Found (\d+) rows meeting deletion criteria")


def clean_airflow_database(days: float, *, dry_run: bool) -> Report:
    """Delete rows of Airflow's tables that are older than some days; the newest scheduled run of a DAG stays.

    Args:
        days: for which they are kept.
        dry_run: delete nothing, and report what would be.

    Raises:
        ConfigError: this host may not use the database, or the command fails.
    """
    before = datetime.now(UTC) - timedelta(days=days)
    options = ["--dry-run"] if dry_run else ["--skip-archive", "--batch-size", str(_BATCH)]
    command = [sys.executable, "-m", "airflow", "db", "clean", "--yes", "--error-on-cleanup-failure"]
    command += ["--tables", ",".join(_TABLES), "--clean-before-timestamp", before.isoformat(), *options]
    try:
        done = subprocess.run(
            command, env=_environment(), capture_output=True, text=True, check=False, timeout=_PATIENCE_S
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"airflow db clean: not done after {_PATIENCE_S:g} s; run it by hand") from error
    if done.returncode != 0:
        raise ConfigError(
            "airflow db clean failed; it needs Airflow's database, which the main server's containers have:"
            f" {(done.stderr or done.stdout).strip()[-_SHOWN:]}"
        )
    return _reported(done.stdout, dry_run)


def log_folder() -> Path:
    """Airflow's folder of logs on this host, as its configuration has it.

    Raises:
        ConfigError: Airflow does not say.
    """
    command = [sys.executable, "-m", "airflow", "config", "get-value", "logging", "base_log_folder"]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0 or not done.stdout.strip():
        raise ConfigError(f"airflow config get-value: {(done.stderr or done.stdout).strip()[-_SHOWN:]}")
    return Path(done.stdout.strip().splitlines()[-1])


def _environment() -> dict[str, str]:
    """This process's, without the address that keeps tasks out."""
    return {
        name: value for name, value in os.environ.items() if not (name in _ADDRESSES and value.startswith(_NOT_ALLOWED))
    }


def _reported(output: str, dry_run: bool) -> Report:
    report, table = Report(dry_run), ""
    for line in output.splitlines():
        if match := _TABLE.match(line):
            table = match[1]
        elif match := _FOUND.match(line):
            report.add("", f"rows of Airflow's {table}", int(match[1]))
    return report
