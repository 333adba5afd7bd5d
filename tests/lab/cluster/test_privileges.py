"""What someone who has taken a bay's worker tries: with its environment, its logins, its view of the disk."""

import json
import sys

import pytest

from bays import onvif_connection_id

pytestmark = [pytest.mark.slow(20), pytest.mark.timeout(900)]

A, B = "3bay_north", "4bay"
WORKERS = (f"observer-{A}", f"processor-{A}")


@pytest.fixture
def attempt(cluster):
    """`attempt(service, code)`: what Python code prints when the service's processes run it."""

    def run(service, code):
        host = "main" if service.startswith("processor") else f"obs_{A}"
        done = cluster.run(host, sys.executable, "-c", code, service=service)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


# -- Redis ---------------------------------------------------------------------------------------------

REDIS = """
import os, redis
server = redis.Redis.from_url(os.environ["AIRFLOW__CELERY__BROKER_URL"])
for command in {commands!r}:
    try:
        print("DONE", command, server.execute_command(*command))
    except redis.exceptions.NoPermissionError:
        pass
    except redis.exceptions.ResponseError as error:
        if "user executing the script can't" not in str(error):
            print("ERROR", command, error)
"""


@pytest.mark.parametrize("worker", WORKERS)
def test_another_queue_can_neither_be_read_nor_written(attempt, worker):
    other = f"obs_{B}"
    commands = [
        ("LPUSH", other, "x"),
        ("RPUSH", other, "x"),
        ("BRPOP", other, "1"),
        ("LRANGE", other, "0", "-1"),
        ("DEL", other),
        ("RENAME", other, "x"),
        ("LPUSH", f"{other}\x06\x163", "x"),
        ("LPUSH", f"{worker.partition('-')[0]}", "x"),
        ("LPUSH", "default", "x"),
        ("SADD", f"_kombu.binding.{other}", "x"),
        ("SADD", "_kombu.binding.celery.pidbox", "x"),
        ("HGETALL", "unacked"),
        ("HGET", f"unacked.{other}", "x"),
        ("PUBLISH", "/0.celery.pidbox", "x"),
        ("PSUBSCRIBE", "*"),
        ("EVAL", f"return redis.call('LPUSH', '{other}', 'x')", "0"),
        ("EVAL", "return redis.call('LPUSH', KEYS[1], 'x')", "1", other),
    ]
    assert attempt(worker, REDIS.format(commands=commands)) == ""


def test_the_server_itself_is_out_of_reach(attempt):
    commands = [
        ("KEYS", "*"), ("SCAN", "0"), ("FLUSHALL",), ("CONFIG", "GET", "*"), ("CONFIG", "SET", "dir", "/tmp"),
        ("ACL", "LIST"), ("ACL", "SETUSER", "x", "on"), ("CLIENT", "LIST"), ("MONITOR",), ("SHUTDOWN",), ("DEBUG", "x"),
        ("REPLICAOF", "127.0.0.1", "1"), ("MODULE", "LIST"), ("SWAPDB", "0", "1"), ("SAVE",),
    ]  # fmt: skip
    assert attempt(WORKERS[0], REDIS.format(commands=commands)) == ""


def test_its_own_queue_it_can_use(attempt):
    own = f"obs_{A}"
    said = attempt(WORKERS[0], REDIS.format(commands=[("LLEN", own), ("HGET", f"unacked.{own}", "x")]))
    assert said.count("DONE") == 2


# -- PostgreSQL ----------------------------------------------------------------------------------------

SQL = """
import os, psycopg
for name in ("AIRFLOW__CELERY__RESULT_BACKEND", "HISTORY_DB"):
    address = os.environ[name].removeprefix("db+").replace("+psycopg", "")
    for database in ("airflow", "postgres", "template1", address.rpartition("/")[2]):
        try:
            server = psycopg.connect(address.rpartition("/")[0] + "/" + database, autocommit=True)
        except psycopg.OperationalError:
            print("refused", database)
            continue
        for command in {commands!r}:
            try:
                server.execute(command)
                print("DONE", name, database, command)
            except psycopg.errors.InsufficientPrivilege:
                pass
"""
COMMANDS = (
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "SET ROLE postgres",
    "SET ROLE airflow",
    "CREATE ROLE other",
    "CREATE DATABASE other",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/other'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT rolpassword FROM pg_authid",
    "ALTER SYSTEM SET log_connections = 'on'",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'airflow'",
)


@pytest.mark.parametrize("worker", WORKERS)
def test_no_database_but_its_own_and_no_more_rights_in_that(attempt, worker):
    said = attempt(worker, SQL.format(commands=COMMANDS)).splitlines()
    assert [line for line in said if line.startswith("DONE")] == []
    assert sorted(said) == sorted(2 * ["refused airflow", "refused postgres", "refused template1"])


RESULTS = """
import os, psycopg
address = os.environ["AIRFLOW__CELERY__RESULT_BACKEND"].removeprefix("db+").replace("+psycopg", "")
server = psycopg.connect(address, autocommit=True)
print(sorted({writer for (writer,) in server.execute("SELECT written_by FROM celery_taskmeta")}))
change = "UPDATE celery_taskmeta SET status = 'FAILURE' WHERE written_by <> current_user"
print(server.execute(change).rowcount)
"""


def test_the_results_of_other_workers_can_neither_be_read_nor_overwritten(day, attempt):
    slot = day.slots[-1] if day.slots else day.send()
    for bay in (A, B):
        day.cluster.wait_until(
            lambda bay=bay: day.state(bay, slot, "capture_images") == "success", 300, f"no capture of {bay}"
        )
    own = f"obs_{A}"
    assert attempt(WORKERS[0], RESULTS).splitlines() == [str([own]), "0"]


# -- Secrets, the store, the machine --------------------------------------------------------------------

LOOK = """
import json, os, pathlib
told = " ".join(os.environ.values())
seen = []
for folder in {folders!r}:
    try:
        seen += os.listdir(folder)
    except OSError:
        pass
print(json.dumps([told, seen]))
"""


@pytest.mark.parametrize("worker", WORKERS)
def test_no_login_of_cameras_no_key_and_no_file_of_other_hosts(cluster, attempt, worker):
    foreign = [cluster.home / "secrets", cluster.home / "redis", cluster.home / f"obs_{B}"]
    told, seen = json.loads(attempt(worker, LOOK.format(folders=[str(folder) for folder in foreign])))
    assert seen == []
    for secret in ("postgres_password", "airflow_db_password", "redis_password", "fernet_key", "jwt_secret", f"redis_obs_{B}"):  # fmt: skip # noqa: E501
        assert (cluster.home / "secrets" / secret).read_text() not in told
    assert cluster.camera_password not in told


# What a bay's worker holds while it runs a task: the task's token for the Execution API. Made here with the main
# server's key, so that no task has to be robbed of its own.
TOKEN = """
import sys
from airflow.executors.base_executor import BaseExecutor
print(BaseExecutor().jwt_generator.generate({"sub": sys.argv[1]}))
"""
ASK = """
import os, urllib.request, urllib.error
for name in {names!r}:
    address = os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] + "connections/" + name
    request = urllib.request.Request(address, headers={{"Authorization": "Bearer {token}"}})
    try:
        print(urllib.request.urlopen(request).status, end=" ")
    except urllib.error.HTTPError as error:
        print(error.code, end=" ")
"""


def test_no_task_s_token_reads_a_login_of_cameras(cluster, day, attempt):
    slot = day.slots[-1] if day.slots else day.send()
    task = day.tasks(A, slot)["capture_images"]["id"]
    made = cluster.run("main", sys.executable, "-c", TOKEN, task, service="scheduler")
    control = {"connection_id": "control", "conn_type": "generic", "login": "x"}
    cluster._ask("POST", "connections", json=control)
    names = ["control", onvif_connection_id(A), onvif_connection_id(B)]
    said = attempt(WORKERS[0], ASK.format(names=names, token=made.stdout.split()[-1]))
    assert said == "200 404 404"


WRITE = """
import os, subprocess
from pathlib import Path
data = Path(os.environ["DATA_PATH"])
for path in {paths!r}:
    try:
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_text("x")
        print("DONE", path)
    except OSError:
        pass
for command in {commands!r}:
    if subprocess.run(command, shell=True, capture_output=True).returncode == 0:
        print("DONE", command)
"""


@pytest.mark.parametrize(("worker", "own"), [(WORKERS[0], f"observation/{A}"), (WORKERS[1], f"fusion/{A}")])
def test_no_folder_of_the_store_but_its_own(cluster, attempt, worker, own):
    elsewhere = [f"{stage}/{bay}/x" for stage in ("observation", "fusion", "tracking") for bay in (A, B)]
    writable = {f"fusion/{A}/x", f"tracking/{A}/x"} if worker.startswith("processor") else {f"{own}/x"}
    paths = [path for path in elsewhere if path not in writable]
    store = str(cluster.data())
    commands = [
        f"mount -o remount,bind,rw {store}",
        f"umount {store}",
        f"mount --bind /tmp {store}",
        f"unshare --user --map-root-user --mount mount -o remount,bind,rw {store}",
        "mknod /tmp/device b 8 0",
        "chroot / true",
        "setpriv --reuid=1 true",
        "ip link add other type dummy",
        "nsenter --net=/proc/1/ns/net true",
    ]
    assert attempt(worker, WRITE.format(paths=[*paths, "x"], commands=commands)) == ""
    assert attempt(worker, WRITE.format(paths=[f"{own}/x"], commands=[])) == f"DONE {own}/x"
    (cluster.data() / own / "x").unlink()
