"""`deploy/bin/make-databases` on a real PostgreSQL: a role owns its database, and has no right beyond it."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from lab.services.postgresql import PostgreSQL

MAKE = Path(__file__).parents[2] / "deploy/bin/make-databases"
OWNED = {"airflow": "airflow", "results": "celery_results", "history": "bay_history"}


def make(server, secrets):
    host, _, port = server.url.partition("@")[2].partition("/")[0].partition(":")
    environment = os.environ | {"PGHOST": host, "PGPORT": port}
    return subprocess.run([sys.executable, MAKE, secrets], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    secrets = tmp_path_factory.mktemp("secrets")
    for name in ("postgres_password", *(f"{role}_db_password" for role in OWNED)):
        (secrets / name).write_text(f"secret-of-{name}\n")
    with PostgreSQL() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE postgres SUPERUSER LOGIN")
        for _ in range(2):  # the second time changes nothing
            done = make(server, secrets)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
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


@pytest.mark.parametrize("role", OWNED)
def test_a_role_does_not_even_connect_to_another_database(server, role):
    for database in {"postgres", "template1", *OWNED.values()} - {OWNED[role]}:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            connect(server, role, database)


@pytest.mark.parametrize("role", OWNED)
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
        connect(server, role, OWNED[role]) as connection,
        pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported)),
    ):
        connection.execute(command)


def test_passwords_are_kept_as_verifiers(server):
    with psycopg.connect(server.url) as connection:
        kept = dict(
            connection.execute("SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY(%s)", [list(OWNED)])
        )
    assert set(kept) == set(OWNED)
    assert all(verifier.startswith("SCRAM-SHA-256$") for verifier in kept.values())


@pytest.mark.slow(0.7)
def test_a_missing_secret_is_named(server, tmp_path):
    (tmp_path / "postgres_password").write_text("x")
    done = make(server, tmp_path)
    assert done.returncode != 0
    assert "airflow_db_password" in done.stderr
