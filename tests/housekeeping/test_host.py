"""Logs and spool of one host, and Airflow's own rows."""

import os
import subprocess
import sys

import pytest

from bay_observation.errors import ConfigError
from housekeeping import airflow_database, clean_airflow_database, clean_host


@pytest.fixture
def logs(tmp_path):
    for path, age in [
        ("dag_id=a/run_id=1/task_id=t/attempt=1.log", 40),
        ("dag_id=a/run_id=2/task_id=t/attempt=1.log", 3),
        ("dag_processor/2025-07-02/bay.log", 40),
        ("scheduler.log", 40),  # of a service that writes on to it
        ("someone's/notes.txt", 400),
    ]:
        file = tmp_path / "logs" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("line\n")
        old = file.stat().st_mtime - age * 86_400
        os.utime(file, (old, old))
    return tmp_path / "logs"


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_logs_go_once_they_are_old(logs):
    report = clean_host(None, logs, 30, dry_run=False)
    assert files(logs) == ["dag_id=a/run_id=2/task_id=t/attempt=1.log", "scheduler.log", "someone's/notes.txt"]
    assert not (logs / "dag_id=a" / "run_id=1").exists()
    assert [(each.count, each.size) for each in report.freed] == [(2, 10)]


def test_a_dry_run_leaves_them(logs):
    before = files(logs)
    assert clean_host(None, logs, 30, dry_run=True).freed[0].count == 2
    assert files(logs) == before


def test_a_link_is_not_followed(logs, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "old.log").write_text("line\n")
    os.utime(outside / "old.log", (0, 0))
    (logs / "dag_id=a" / "link").symlink_to(outside)
    clean_host(None, logs, 30, dry_run=False)
    assert (outside / "old.log").exists()


SAID = """
Checking table xcom
Found 12 rows meeting deletion criteria.
Performing Delete...

Checking table job
Found 0 rows meeting deletion criteria.
"""


@pytest.fixture
def command(monkeypatch):
    asked = []

    def run(arguments, **options):
        asked.append((arguments, options["env"]))
        return subprocess.CompletedProcess(arguments, 0, SAID, "")

    monkeypatch.setattr(airflow_database.subprocess, "run", run)
    return asked


def test_airflows_own_command_is_asked_with_this_hosts_database(command, monkeypatch):
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "airflow-db-not-allowed:///")
    report = clean_airflow_database(30, dry_run=False)
    ((arguments, environment),) = command
    assert arguments[:5] == [sys.executable, "-m", "airflow", "db", "clean"]
    assert {"--yes", "--skip-archive", "--error-on-cleanup-failure"} <= set(arguments)
    assert "dag" not in arguments[arguments.index("--tables") + 1].split(",")
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in environment
    assert [(each.what, each.count) for each in report.freed] == [("rows of Airflow's xcom", 12)]


def test_an_address_that_was_given_on_purpose_is_kept(command, monkeypatch):
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "sqlite:////tmp/airflow.db")
    clean_airflow_database(30, dry_run=True)
    ((arguments, environment),) = command
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "sqlite:////tmp/airflow.db"
    assert "--dry-run" in arguments


def test_a_command_that_fails_is_an_error_that_names_it(monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "no such host\n")
    monkeypatch.setattr(airflow_database.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(ConfigError, match=r"airflow db clean failed; .*no such host"):
        clean_airflow_database(30, dry_run=False)
