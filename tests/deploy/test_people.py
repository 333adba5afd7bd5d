"""Roles of people, as production has them: FAB's auth manager behind a real API server that speaks TLS."""

import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from bays import dag_id
from lab.services.ports import free_port
from triggers.main_clock import MainClock

PROJECT = Path(__file__).parents[2]
NORTH, DEMO = "3bay_north", "demo_bay"
STAGES = ("observation", "fusion", "tracking")
PASSWORDS = {
    "admin": "admins-own-secret-1",
    "nora": "noras-own-secret-2",
    "olaf": "olafs-own-secret-3",
    "both": "both-4",
}
ROLES = {"nora": [f"viewer_{NORTH}"], "olaf": [f"operator_{NORTH}"], "both": [f"viewer_{NORTH}", f"operator_{DEMO}"]}

# The second time changes nothing.
TWICE = """
import pathlib, runpy, sys
make = runpy.run_path(sys.argv[1])["main"]
make(pathlib.Path(sys.argv[2]))
make(pathlib.Path(sys.argv[2]))
"""

pytestmark = [pytest.mark.slow(40), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """(address, file of the authority) of the API server."""
    folder, port = tmp_path_factory.mktemp("people"), free_port()
    secrets = folder / "secrets"
    bash = f"source {PROJECT}/deploy/deployment.sh; AIRFLOW_UID=$(id -u); umask 077; mkdir -p $SECRETS_PATH"
    bash += "; provide_certificates localhost 127.0.0.1"
    run(["bash", "-euc", bash], {"PATH": os.environ["PATH"], "SECRETS_PATH": str(secrets)})
    (secrets / "admin_password").write_text(PASSWORDS["admin"])
    bays = folder / "bays"
    bays.mkdir()
    for bay in (NORTH, DEMO):
        shutil.copy(PROJECT / "bays" / f"{bay}.yaml", bays)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "BAYS_"))}
    environment = kept | {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__AUTH_MANAGER": auth_manager_of_production(),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "AIRFLOW__API__SECRET_KEY": "x" * 32,
        "AIRFLOW__API_AUTH__JWT_SECRET": "y" * 64,
        "AIRFLOW__API__BASE_URL": f"https://127.0.0.1:{port}",
        "AIRFLOW__API__SSL_CERT": str(secrets / "tls_api_certificate"),
        "AIRFLOW__API__SSL_KEY": str(secrets / "tls_api_key"),
        "AIRFLOW__API__SSL_CA_FILE": str(secrets / "tls_ca_certificate"),
        "AIRFLOW__API__WORKERS": "1",
        "BAYS_PATH": str(bays),
        "BAYS_ENABLED": f"{NORTH} {DEMO}",
        "DATA_PATH": str(folder / "data"),
    }
    airflow = [sys.executable, "-m", "airflow"]
    run([*airflow, "db", "migrate"], environment)
    run([sys.executable, "-c", TWICE, str(PROJECT / "deploy/bin/make-roles"), str(secrets)], environment)
    run([*airflow, "dags", "reserialize"], environment)
    log = folder / "api-server.log"
    with log.open("wb") as output:
        command = [*airflow, "api-server", "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
    address, authority = f"https://127.0.0.1:{port}", secrets / "tls_ca_certificate"
    try:
        wait_for(process, address, authority, log)
        yield address, authority
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it would wait for clients that keep their connections
        process.wait()


def auth_manager_of_production():
    lines = (PROJECT / "env/prod/main.env").read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith("AUTH_MANAGER="))


def run(command, environment):
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def wait_for(process, address, authority, log):
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        try:
            for path in ("api/v2/monitor", "execution"):  # each is built at its first use
                httpx.get(f"{address}/{path}/health", verify=trusting(authority), timeout=30).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.3)
        else:
            return
    raise AssertionError(log.read_text()[-3000:])


def trusting(authority):
    return ssl.create_default_context(cafile=authority)


@pytest.fixture(scope="module")
def person(server):
    """`person("nora")`: a client that has logged in as her; who is not there is made by the admin."""
    address, authority = server
    clients = {}

    def log_in(name):
        client = httpx.Client(base_url=address, verify=trusting(authority), timeout=60)
        answer = client.post("/auth/token", json={"username": name, "password": PASSWORDS[name]})
        assert answer.status_code == 201, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return client

    clients["admin"] = log_in("admin")
    for name, roles in ROLES.items():
        body = {"username": name, "email": f"{name}@yard.example", "first_name": name, "last_name": name}
        body |= {"roles": [{"name": role} for role in roles], "password": PASSWORDS[name]}
        answer = clients["admin"].post("/auth/fab/v1/users", json=body)
        assert answer.status_code in (200, 201), answer.text
        clients[name] = log_in(name)
    yield clients.__getitem__
    for client in clients.values():
        client.close()


def dags_of(*bays):
    return {dag_id(stage, bay) for stage in STAGES for bay in bays}


def trigger(client, bay):
    slot = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    return client.post(f"/api/v2/dags/{dag_id('observation', bay)}/dagRuns", json={"logical_date": slot.isoformat()})


@pytest.mark.parametrize(
    ("name", "bays"), [("nora", [NORTH]), ("olaf", [NORTH]), ("both", [NORTH, DEMO]), ("admin", [NORTH, DEMO])]
)
def test_a_person_sees_the_bays_of_the_roles(person, name, bays):
    shown = {dag["dag_id"] for dag in person(name).get("/api/v2/dags").json()["dags"]}
    assert shown - {"housekeeping_dag"} == dags_of(*bays)
    assert ("housekeeping_dag" in shown) == (name == "admin")
    shown = {bay["bay_id"] for bay in person(name).get("/bay/api/v1/bays").json()["bays"]}
    assert shown == set(bays)


@pytest.mark.parametrize(
    ("name", "bay", "status"),
    [
        ("nora", NORTH, 403),
        ("nora", DEMO, 403),
        ("olaf", NORTH, 200),
        ("olaf", DEMO, 403),
        ("both", NORTH, 403),
        ("both", DEMO, 200),
    ],
)
def test_an_operator_starts_the_runs_of_the_own_bay_alone(person, name, bay, status):
    assert trigger(person(name), bay).status_code == status
    dag = f"/api/v2/dags/{dag_id('observation', bay)}"
    assert person(name).patch(dag, json={"is_paused": True}).status_code == status


@pytest.mark.parametrize("name", ["nora", "olaf", "both"])
def test_another_bay_is_out_of_sight_on_the_dashboard(person, name):
    hidden = {NORTH, DEMO, "4bay"} - {role.partition("_")[2] for role in ROLES[name]}
    for bay in hidden:
        assert person(name).get(f"/bay/api/v1/bays/{bay}").status_code == 403
        assert person(name).get(f"/api/v2/dags/{dag_id('tracking', bay)}").status_code == 403
        assert person(name).get(f"/api/v2/dags/{dag_id('tracking', bay)}/dagRuns").status_code == 403


def test_an_operator_corrects_and_a_viewer_does_not(person):
    review = f"/bay/api/v1/bays/{NORTH}/reviews"
    assert person("nora").post(review, json={}).status_code == 403
    assert person("olaf").post(review, json={}).status_code == 422  # may, and says nothing


@pytest.mark.parametrize("name", ["nora", "olaf", "both"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/v2/connections", "/api/v2/variables", "/api/v2/pools", "/api/v2/config", "/api/v2/eventLogs",
        "/auth/fab/v1/users", "/auth/fab/v1/roles", "/api/v2/dags/housekeeping_dag",
    ],
)  # fmt: skip
def test_what_is_no_bay_s_is_the_admin_s(person, name, path):
    assert person(name).get(path).status_code == 403
    assert person("admin").get(path).status_code in (200, 403 if path.endswith("config") else 200)


def test_nobody_makes_himself_an_operator(person):
    body = {"roles": [{"name": "Admin"}]}
    for name in ("nora", "olaf"):
        assert person(name).patch(f"/auth/fab/v1/users/{name}", json=body).status_code == 403
        made = {"username": "x", "email": "x@x", "first_name": "x", "last_name": "x", "password": "x", **body}
        assert person(name).post("/auth/fab/v1/users", json=made).status_code == 403


def test_without_a_login_or_with_a_wrong_one_there_is_nothing(server):
    address, authority = server
    with httpx.Client(base_url=address, verify=trusting(authority)) as client:
        assert client.get("/api/v2/dags").status_code == 401
        assert client.get("/bay/api/v1/bays").status_code == 401
        for login in ({"username": "admin", "password": "admin"}, {"username": "nobody", "password": "x" * 30}):
            assert client.post("/auth/token", json=login).status_code == 401


def test_the_api_answers_over_tls_alone(server):
    address, authority = server
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{address.replace('https', 'http')}/api/v2/monitor/health")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{address}/api/v2/monitor/health")
    answer = subprocess.run(
        [sys.executable, PROJECT / "deploy/bin/answers", f"{address}/api/v2/monitor/health"],
        env={"PATH": os.environ["PATH"], "AIRFLOW__API__SSL_CA_FILE": str(authority)},
        check=False,
    )
    assert answer.returncode == 0


def test_a_trigger_reads_main_s_clock_over_tls(server, monkeypatch, caplog):
    address, authority = server
    monkeypatch.setenv("AIRFLOW__API__SSL_CA_FILE", str(authority))
    assert abs(MainClock(f"{address}/execution/").offset()) < timedelta(seconds=5)
    assert "cannot be read" not in caplog.text
