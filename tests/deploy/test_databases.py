"""`deploy/bin/make-databases` on a real PostgreSQL: a role owns its database, and has no right beyond it.

A bay's worker writes and reads its own results of tasks, and no others.
"""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from celery import Celery, states
from sqlalchemy.pool import NullPool

from lab.services.postgresql import PostgreSQL

MAKE = Path(__file__).parents[2] / "deploy/bin/make-databases"
WORKERS = ("obs_a", "proc_a", "obs_b")
OWNED = {"airflow": "airflow", "results": "celery_results", "history": "bay_history"}

pytestmark = pytest.mark.slow(0.1)


def make(server, secrets):
    host, _, port = server.url.partition("@")[2].partition("/")[0].partition(":")
    environment = os.environ | {"PGHOST": host, "PGPORT": port, "PYTHONWARNINGS": "error::ResourceWarning"}
    return subprocess.run([sys.executable, MAKE, secrets], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    secrets = tmp_path_factory.mktemp("secrets")
    for name in ("postgres_password", *(f"{role}_db_password" for role in OWNED)):
        (secrets / name).write_text(f"secret-of-{name}\n")
    (secrets / "queue_logins").write_text("".join(f"{queue} secret-of-{queue}\n" for queue in (*WORKERS, "obs_gone")))
    with PostgreSQL() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE postgres SUPERUSER LOGIN")
        for _ in range(2):  # the second time changes nothing
            done = make(server, secrets)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
            (secrets / "queue_logins").write_text("".join(f"{queue} secret-of-{queue}\n" for queue in WORKERS))
        yield server


def connect(server, role, database):
    address = server.url.replace("//bay@", f"//{role}@").rpartition("/")[0]
    return psycopg.connect(f"{address}/{database}", autocommit=True)


@pytest.mark.slow(0.4)
@pytest.mark.parametrize(("role", "database"), OWNED.items())
def test_a_role_makes_tables_in_its_own_database(server, role, database):
    with connect(server, role, database) as connection:
        connection.execute("CREATE TABLE mine (a int)")
        connection.execute("INSERT INTO mine VALUES (1)")
        connection.execute("DROP TABLE mine")


@pytest.mark.parametrize("role", [*OWNED, *WORKERS])
def test_a_role_does_not_even_connect_to_another_database(server, role):
    for database in {"postgres", "template1", *OWNED.values()} - {OWNED.get(role, "celery_results")}:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            connect(server, role, database)


@pytest.mark.parametrize("role", [*OWNED, *WORKERS])
@pytest.mark.parametrize(
    "command",
    [
        "ALTER ROLE CURRENT_USER SUPERUSER", "ALTER ROLE postgres PASSWORD 'x'", "SET ROLE postgres",
        "CREATE ROLE other", "CREATE DATABASE other",
        "COPY (SELECT 1) TO PROGRAM 'true'", "COPY (SELECT 1) TO '/tmp/other'",
        "SELECT pg_read_file('/etc/passwd')", "SELECT rolpassword FROM pg_authid", "ALTER SYSTEM SET work_mem = '1MB'",
        "CREATE EXTENSION adminpack", "DROP DATABASE postgres",
    ],
)  # fmt: skip
def test_a_role_has_no_right_over_the_server(server, role, command):
    with (
        connect(server, role, OWNED.get(role, "celery_results")) as connection,
        pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported)),
    ):
        connection.execute(command)


def test_passwords_are_kept_as_verifiers(server):
    with psycopg.connect(server.url) as connection:
        kept = dict(
            connection.execute(
                "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY(%s)", [[*OWNED, *WORKERS]]
            )
        )
    assert set(kept) == {*OWNED, *WORKERS}
    assert all(verifier.startswith("SCRAM-SHA-256$") for verifier in kept.values())


@pytest.mark.slow(0.7)
def test_a_missing_secret_is_named(server, tmp_path):
    (tmp_path / "postgres_password").write_text("x")
    done = make(server, tmp_path)
    assert done.returncode != 0
    assert "airflow_db_password" in done.stderr


@pytest.fixture
def results(server):
    """`results("obs_a")`: Celery's result backend with that login; `obs_a` and `obs_b` have a result each."""
    backends = {}

    def backend(role):
        if role not in backends:
            address = (
                server.url.replace("//bay@", f"//{role}@")
                .rpartition("/")[0]
                .replace("postgresql", "postgresql+psycopg", 1)
            )
            app = Celery(role, backend=f"db+{address}/celery_results", set_as_current=False)
            app.conf.database_engine_options = {"poolclass": NullPool}
            backends[role] = app.backend
        return backends[role]

    for role in ("obs_a", "obs_b"):
        backend(role).store_result(f"task of {role}", None, states.SUCCESS)
    return backend


def test_a_worker_writes_its_results_and_the_scheduler_reads_all(results):
    results("obs_a").store_result("task of obs_a", KeyError("again"), states.FAILURE, traceback="x")
    assert results("obs_a").get_task_meta("task of obs_a")["status"] == states.FAILURE
    for role, state in (("obs_a", states.FAILURE), ("obs_b", states.SUCCESS)):
        assert results("results").get_task_meta(f"task of {role}")["status"] == state
    results("results").cleanup()


def test_a_worker_can_neither_read_nor_change_the_result_of_another(server, results):
    assert results("obs_a").get_task_meta("task of obs_b")["status"] == states.PENDING
    with connect(server, "obs_a", "celery_results") as taken:
        seen = taken.execute("SELECT task_id FROM celery_taskmeta").fetchall()
        assert seen == [("task of obs_a",)]
        assert (
            taken.execute("UPDATE celery_taskmeta SET status = 'FAILURE' WHERE task_id <> 'task of obs_a'").rowcount
            == 0
        )
        assert results("results").get_task_meta("task of obs_b")["status"] == states.SUCCESS
        for command in (
            "UPDATE celery_taskmeta SET written_by = 'obs_b'",
            "INSERT INTO celery_taskmeta (id, task_id, written_by) VALUES (9999, 'x', 'obs_b')",
            "DELETE FROM celery_taskmeta",
            "TRUNCATE celery_taskmeta",
            "ALTER TABLE celery_taskmeta DISABLE ROW LEVEL SECURITY",
            "DROP POLICY own_results ON celery_taskmeta",
            "SET ROLE obs_b",
            "SET ROLE results",
            "SET SESSION AUTHORIZATION obs_b",
            "SELECT * FROM celery_tasksetmeta",
            "CREATE TABLE mine (a int)",
            "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "SELECT setval('task_id_sequence', 1)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                taken.execute(command)


def test_a_queue_that_is_gone_has_no_login(server):
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        connect(server, "obs_gone", "celery_results")
