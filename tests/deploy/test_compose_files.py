import re
import subprocess
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
TREE = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text("utf-8"))
PROD = yaml.safe_load((PROJECT / "deploy/docker-compose.prod.yaml").read_text("utf-8"))
SERVICES = TREE["services"]
SECRET_WORDS = re.compile(r"PASSWORD|SECRET|FERNET|TOKEN|CONN$|BROKER_URL|RESULT_BACKEND", re.IGNORECASE)


def of(profile: str) -> set[str]:
    return {name for name, service in SERVICES.items() if service["profiles"] == [profile]}


def test_the_profiles():
    assert of("main") == {
        "postgres", "redis", "init", "api-server", "scheduler", "dag-processor", "triggerer", "main-worker", "flower",
    }  # fmt: skip
    assert of("observer") == {"observer-worker", "observer-triggerer", "inference", "replicator"}
    assert of("processor") == {"processor-worker", "processor-triggerer"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_checked_limited_restarted_and_logs_within_bounds(name):
    service = SERVICES[name]
    assert service["restart"] == ("on-failure" if name == "init" else "unless-stopped")
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["pids_limit"]
    assert service["logging"]["options"] == {"max-size": "50m", "max-file": "5"}
    assert "no-new-privileges:true" in service["security_opt"]
    health = service["healthcheck"]
    if name == "init":
        assert health == {"disable": True}
    else:
        assert health["test"][0] in ("CMD", "CMD-SHELL")
        assert {"interval", "timeout", "retries", "start_period"} <= set(health)


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_but_by_file(name):
    for variable, value in (SERVICES[name].get("environment") or {}).items():
        if SECRET_WORDS.search(variable) and not variable.endswith(("_CMD", "_FILE")):
            raise AssertionError(f"{name}: {variable}={value}")
    if SERVICES[name]["image"].startswith("${AIRFLOW_IMAGE_NAME"):
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["user"] == "${AIRFLOW_UID:-50000}:0"


def test_a_bays_hosts_have_no_secret_of_the_main_server():
    for name in of("observer") | of("processor"):
        assert set(SERVICES[name]["secrets"]) == {
            "postgres_password", "redis_password", "fernet_key", "api_secret_key",
        }  # fmt: skip
    assert SERVICES["cameras"]["secrets"] == []


def test_workers_and_triggerers_serve_the_queues_of_their_env_file():
    for role in ("observer", "processor"):
        assert SERVICES[f"{role}-worker"]["command"].endswith("--queues ${WORKER_QUEUES:-}")
        assert SERVICES[f"{role}-triggerer"]["command"].endswith("--queues ${WORKER_QUEUES:-}")
        assert SERVICES[f"{role}-worker"]["hostname"].startswith("${WORKER_NAME:-")
    for name in ("triggerer", "main-worker"):
        assert SERVICES[name]["command"].endswith("--queues default")


def test_ports_and_volumes_of_the_specification():
    assert SERVICES["postgres"]["ports"] == ["${PUBLISH_ADDRESS:-127.0.0.1}:55432:5432"]
    assert SERVICES["redis"]["ports"] == ["${PUBLISH_ADDRESS:-127.0.0.1}:56379:6379"]
    assert PROD["services"]["postgres"]["ports"] == ["127.0.0.1:5432:5432"]
    assert PROD["services"]["redis"]["ports"] == ["127.0.0.1:6379:6379"]
    for name in of("observer") | of("processor") | {"api-server", "scheduler", "dag-processor", "triggerer"}:
        assert "${SHARED_DATA_PATH:-./data}:/opt/airflow/data" in SERVICES[name]["volumes"]
        assert SERVICES[name]["environment"]["DATA_PATH"] == "/opt/airflow/data"
    for name in of("observer"):
        assert SERVICES[name]["environment"]["SPOOL_PATH"] == "/opt/airflow/spool"
        assert "spool:/opt/airflow/spool" in SERVICES[name]["volumes"]


def test_production_changes_networks_and_ports_alone():
    assert {key for service in PROD["services"].values() for key in service} == {"ports", "network_mode"}
    workers = of("observer") | of("processor")
    assert {name for name, service in PROD["services"].items() if service.get("network_mode") == "host"} == workers
    # An override of network_mode is refused where the service has networks or ports of its own.
    for name in workers:
        assert not {"networks", "ports", "network_mode"} & set(SERVICES[name])


def test_every_script_of_the_image_that_a_service_calls_is_there():
    called = {"airflow-config", "alive", "answers", "init-main", "serve-api", "set-connection"}
    assert {path.name for path in (PROJECT / "deploy/bin").iterdir()} == called


def test_the_image_is_built_of_named_folders_alone():
    lines = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    packages = re.search(r"packages = \[(.*?)\]", (PROJECT / "pyproject.toml").read_text(), re.DOTALL)
    assert packages is not None
    assert {f"!{name}" for name in re.findall(r'"(\w+)"', packages[1])} <= set(lines)
    assert not {"!secrets", "!env", "!data", "!tests", "!."} & set(lines)


def test_the_image_runs_as_nobody_in_particular():
    lines = (PROJECT / "deploy/Dockerfile").read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("USER")][-1] == "USER airflow"
    assert not [line for line in lines if re.match(r"(ENV|ARG).*(PASSWORD|SECRET|TOKEN|KEY)", line)]


def test_airflow_config_prints_each_setting_once_asked(tmp_path):
    text = (PROJECT / "deploy/bin/airflow-config").read_text().replace("/run/secrets", str(tmp_path))
    script = tmp_path / "airflow-config"
    script.write_text(text)
    (tmp_path / "postgres_password").write_text("abc-_=")
    (tmp_path / "redis_password").write_text("def")
    (tmp_path / "flower_password").write_text("ghi")
    variables = {
        "PATH": "/usr/bin:/bin",
        "POSTGRES_HOST": "db", "POSTGRES_PORT": "55432", "REDIS_HOST": "queue", "REDIS_PORT": "56379",
    }  # fmt: skip

    def ask(name: str) -> str:
        return subprocess.run(
            ["sh", str(script), name], env=variables, capture_output=True, text=True, check=True
        ).stdout

    assert ask("database") == "postgresql+psycopg://airflow:abc-_=@db:55432/airflow"
    assert ask("database-async") == "postgresql+psycopg_async://airflow:abc-_=@db:55432/airflow"
    assert ask("results") == "db+postgresql+psycopg://airflow:abc-_=@db:55432/airflow"
    assert ask("history") == "postgresql://airflow:abc-_=@db:55432/airflow"
    assert ask("broker") == "redis://:def@queue:56379/0"
    assert ask("flower-login") == "admin:ghi"
    with pytest.raises(subprocess.CalledProcessError):
        ask("fernet_key")  # the file is missing
    with pytest.raises(subprocess.CalledProcessError):
        ask("everything")
