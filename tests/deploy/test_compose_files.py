import re
import shutil
import subprocess
import tomllib
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
    assert of("monitoring") == {"exporter", "alerts", "prometheus", "alertmanager", "grafana", "proxy"}


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
        by_file = ("_CMD", "_FILE", "__SECRETS_BACKEND", "__SECRETS_BACKEND_KWARGS")
        if SECRET_WORDS.search(variable) and not variable.endswith(by_file):
            raise AssertionError(f"{name}: {variable}={value}")
    if SERVICES[name]["image"].startswith("${AIRFLOW_IMAGE_NAME"):
        assert SERVICES[name]["user"] == "${AIRFLOW_UID:-50000}:0"


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_has_a_capability_or_a_disk_to_write(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    # What the entry points of these two take to become their own user; no right over the kernel or the network.
    own_user = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    assert set(service.get("cap_add", [])) == (own_user if name in ("postgres", "redis") else set())


# docs/security.md has the same table.
KEYS = {"fernet_key", "api_secret_key", "jwt_secret"}
FLOWER = {"flower_password", "flower_viewer_password"}
SECRETS = {
    "postgres": {"postgres_password", "tls_postgres_key", "tls_postgres_certificate"},
    "redis": {"redis_acl", "redis_password", "tls_redis_key", "tls_redis_certificate"},
    "init": {
        "postgres_password", "airflow_db_password", "results_db_password", "history_db_password", "admin_password",
        "queue_logins", *KEYS,
    },
    "api-server": {
        "airflow_db_password", "history_db_password", "admin_password", "tls_api_key", "tls_api_certificate", *KEYS,
    },
    "scheduler": {"airflow_db_password", "results_db_password", "redis_password", *KEYS},
    "dag-processor": {"airflow_db_password", *KEYS},
    "triggerer": {"airflow_db_password", *KEYS},
    "main-worker": {"airflow_db_password", "results_db_password", "redis_password"},
    "flower": {"results_db_password", "redis_password", *FLOWER},
    "observer-worker": {"api_secret_key", "queue_password"},
    "observer-triggerer": {"airflow_db_password", "api_secret_key", "camera_login"},
    "inference": set(),
    "replicator": set(),
    "cameras": set(),
    "processor-worker": {"queue_password"},
    "processor-triggerer": {"airflow_db_password"},
    "exporter": {"airflow_db_password", "fernet_key", "metrics_token"},
    "alerts": {"airflow_db_password", "fernet_key", "alerts_token"},
    "prometheus": {"metrics_token"},
    "alertmanager": {"alerts_token"},
    "grafana": {"grafana_password", "grafana_secret_key"},
    "proxy": {"tls_proxy_key", "tls_proxy_certificate", *FLOWER},
}  # fmt: skip
# What connects to PostgreSQL, Redis or the API server; the authority's key is nobody's.
for _name in set(SECRETS) - {
    "postgres",
    "inference",
    "replicator",
    "cameras",
    "prometheus",
    "alertmanager",
    "grafana",
    "proxy",
}:
    SECRETS[_name].add("tls_ca_certificate")
# Which file each setting comes from.
ASKED = {
    "database": "airflow_db_password", "database-async": "airflow_db_password", "results": "results_db_password",
    "broker": "redis_password", "flower-logins": "flower_password",
}  # fmt: skip


def given(name: str) -> dict[str, str]:
    """Files at /run/secrets, by their names there."""
    listed = [{"source": one} if isinstance(one, str) else one for one in SERVICES[name].get("secrets", [])]
    return {one.get("target", one["source"]): one["source"] for one in listed}


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_its_own_secrets_and_no_others(name):
    assert set(given(name).values()) == SECRETS[name]
    assert set(TREE["secrets"]) >= SECRETS[name]


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_asks_for_the_settings_whose_secrets_it_has(name):
    settings = [
        value.split()[1] for key, value in (SERVICES[name].get("environment") or {}).items() if key.endswith("_CMD")
    ]
    assert {ASKED.get(setting, setting) for setting in settings} <= set(given(name))


def test_a_worker_has_keys_of_its_own_in_redis():
    environment = SERVICES["observer-worker"]["environment"]
    for key in ("unacked", "unacked_index", "unacked_mutex"):
        assert (
            environment[f"AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__{key.upper()}_KEY"] == f"{key}.${{WORKER_QUEUE:-}}"
        )
    assert environment["REDIS_USER"] == "${WORKER_QUEUE:-}"


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
        worker = name in of("observer") | of("processor")
        assert f"${{SHARED_DATA_PATH:-./data}}:/opt/airflow/data{':ro' if worker else ''}" in SERVICES[name]["volumes"]
        assert SERVICES[name]["environment"]["DATA_PATH"] == "/opt/airflow/data"
    for name in of("observer"):
        assert SERVICES[name]["environment"]["SPOOL_PATH"] == "/opt/airflow/spool"
        assert "spool:/opt/airflow/spool" in SERVICES[name]["volumes"]


@pytest.mark.parametrize(("role", "stages"), [("observer", {"observation"}), ("processor", {"fusion", "tracking"})])
def test_a_bay_s_containers_write_their_own_folders_of_the_store(role, stages):
    for name in of(role):
        mounted = [volume for volume in SERVICES[name]["volumes"] if "/opt/airflow/data" in volume]
        assert set(mounted) == {
            "${SHARED_DATA_PATH:-./data}:/opt/airflow/data:ro",
            *(f"${{SHARED_DATA_PATH:-./data}}/{s}/${{BAY_ID:-}}:/opt/airflow/data/{s}/${{BAY_ID:-}}" for s in stages),
        }


def test_what_the_monitoring_is_told_of_itself():
    """Names, ports and files of the services, in the configurations that they are given."""
    folder = PROJECT / "deploy/monitoring"
    prometheus = yaml.safe_load((folder / "prometheus.yml").read_text("utf-8"))
    [scrape] = prometheus["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["exporter:9470"]}]
    assert scrape["authorization"]["credentials_file"] == "/run/secrets/metrics_token"
    assert "--listen 0.0.0.0:9470 --token-file /run/secrets/metrics_token" in SERVICES["exporter"]["command"]
    assert prometheus["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]
    manager = yaml.safe_load((folder / "alertmanager.yml").read_text("utf-8"))
    [webhook] = manager["receivers"][0]["webhook_configs"]
    assert webhook["url"] == "http://alerts:9471/alerts"
    assert webhook["http_config"]["authorization"]["credentials_file"] == "/run/secrets/alerts_token"
    assert "--listen 0.0.0.0:9471 --token-file /run/secrets/alerts_token" in SERVICES["alerts"]["command"]
    for name in of("monitoring"):
        for volume in SERVICES[name]["volumes"]:
            source = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).split(":")[0]
            assert not source.startswith("./deploy") or (PROJECT / source).exists()
        # The proxy alone asks for a login over TLS.
        own = "${PUBLISH_ADDRESS:-127.0.0.1}:" if name == "proxy" else "127.0.0.1:"
        assert all(port.startswith(own) for port in SERVICES[name].get("ports", []))


def test_production_changes_networks_and_ports_alone():
    assert {key for service in PROD["services"].values() for key in service} == {"ports", "network_mode"}
    workers = of("observer") | of("processor")
    assert {name for name, service in PROD["services"].items() if service.get("network_mode") == "host"} == workers
    # An override of network_mode is refused where the service has networks or ports of its own.
    for name in workers:
        assert not {"networks", "ports", "network_mode"} & set(SERVICES[name])


def test_every_script_of_the_image_that_a_service_calls_is_there():
    called = {
        "airflow-config", "alive", "answers", "init-main", "make-databases", "make-roles", "serve-api",
        "set-connection",
    }  # fmt: skip
    assert {path.name for path in (PROJECT / "deploy/bin").iterdir()} == called


def test_the_image_is_built_of_named_folders_alone():
    lines = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    packages = re.search(r"packages = \[(.*?)\]", (PROJECT / "pyproject.toml").read_text(), re.DOTALL)
    assert packages is not None
    assert {f"!{name}" for name in re.findall(r'"(\w+)"', packages[1])} <= set(lines)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert {f"!{path.split('/')[0]}" for path in shared} <= set(lines)
    assert not {"!secrets", "!env", "!data", "!tests", "!."} & set(lines)


@pytest.mark.slow(0.8)
@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="no docker-compose here")
@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_docker_compose_reads_the_files(environment):
    files = ["--file", "docker-compose.yaml"]
    files += ["--file", "deploy/docker-compose.prod.yaml"] if environment == "prod" else []
    command = ["docker-compose", *files, "--env-file", f"env/{environment}/main.env", "--profile", "main", "config"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    manager = services["api-server"]["environment"]["AIRFLOW__CORE__AUTH_MANAGER"]
    assert manager.endswith(".FabAuthManager" if environment == "prod" else ".SimpleAuthManager")


def test_airflow_finds_its_file_of_settings_in_the_image():
    """It would write one into a root file system that is read-only."""
    assert "touch /opt/airflow/airflow.cfg" in (PROJECT / "deploy/Dockerfile").read_text("utf-8")


def test_the_image_runs_as_nobody_in_particular():
    lines = (PROJECT / "deploy/Dockerfile").read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("USER")][-1] == "USER airflow"
    assert not [line for line in lines if re.match(r"(ENV|ARG).*(PASSWORD|SECRET|TOKEN|KEY)", line)]


def test_airflow_config_prints_each_setting_once_asked(tmp_path):
    text = (PROJECT / "deploy/bin/airflow-config").read_text().replace("/run/secrets", str(tmp_path))
    script = tmp_path / "airflow-config"
    script.write_text(text)
    for name in (
        "airflow_db_password",
        "results_db_password",
        "history_db_password",
        "redis_password",
        "flower_password",
        "flower_viewer_password",
    ):
        (tmp_path / name).write_text(f"{name}-_=")
    variables = {
        "PATH": "/usr/bin:/bin",
        "POSTGRES_HOST": "db", "POSTGRES_PORT": "55432",
        "REDIS_USER": "obs_a", "REDIS_HOST": "queue", "REDIS_PORT": "56379",
    }  # fmt: skip

    def ask(name: str) -> str:
        return subprocess.run(
            ["sh", str(script), name], env=variables, capture_output=True, text=True, check=True
        ).stdout

    assert ask("database") == "postgresql+psycopg://airflow:airflow_db_password-_=@db:55432/airflow"
    assert ask("database-async") == "postgresql+psycopg_async://airflow:airflow_db_password-_=@db:55432/airflow"
    assert ask("results") == "db+postgresql+psycopg://results:results_db_password-_=@db:55432/celery_results"
    variables["RESULTS_USER"] = "obs_a"
    assert ask("results") == "db+postgresql+psycopg://obs_a:results_db_password-_=@db:55432/celery_results"
    assert ask("history") == "postgresql://history:history_db_password-_=@db:55432/bay_history"
    assert ask("broker") == "rediss://obs_a:redis_password-_=@queue:56379/0"
    assert ask("flower-logins") == "admin:flower_password-_=,viewer:flower_viewer_password-_="
    with pytest.raises(subprocess.CalledProcessError):
        ask("fernet_key")  # the file is missing
    with pytest.raises(subprocess.CalledProcessError):
        ask("everything")
