import stat
import subprocess

import pytest

WORKER_SECRETS = {"postgres_password", "redis_password", "fernet_key", "api_secret_key"}
MAIN_SECRETS = {*WORKER_SECRETS, "jwt_secret", "admin_password", "flower_password"}


def test_the_first_start_of_main_makes_secrets_for_their_owner_alone(host):
    result = host.run("start-main.sh", "dev")
    assert result.status == 0, result.said
    made = {path.name: path for path in host.secrets.iterdir()}
    assert set(made) == MAIN_SECRETS
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in made.values())
    values = [path.read_text() for path in made.values()]
    assert len(set(values)) == len(values)
    assert not any(value in result.said + result.calls for value in values)
    assert "--profile main up -d" in result.calls
    assert "network create bay-observation" not in result.calls  # the fake network is there


def test_the_second_start_keeps_the_secrets(host):
    host.run("start-main.sh", "dev")
    before = {path.name: path.read_text() for path in host.secrets.iterdir()}
    assert host.run("start-main.sh", "dev").status == 0
    assert {path.name: path.read_text() for path in host.secrets.iterdir()} == before


@pytest.mark.parametrize("name", ["postgres_password", "fernet_key"])
def test_a_secret_that_the_database_was_made_with_is_not_made_anew(host, name):
    host.provide_secrets()
    (host.secrets / name).unlink()
    result = host.run("start-main.sh", "dev")
    assert result.status == 1
    assert "restore it from your backup" in result.said
    assert not (host.secrets / name).exists()


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("airflow", "a well-known default"),
        ("ChangeMe", "a well-known default"),
        ("short-1234", "at least 20 are needed"),
        ("", "at least 20 are needed"),
        ("with a space and/slash in it", "it becomes part of URLs"),
        ("two-lines-of-a-password\nand-another-one", "it becomes part of URLs"),
    ],
)
def test_an_insecure_secret_keeps_production_from_starting(host, value, complaint):
    host.provide_secrets()
    path = host.secrets / "postgres_password"
    path.write_text(value)
    for script, arguments in (("start-main.sh", ()), ("start-observers.sh", ("3bay_north",))):
        result = host.run(script, "prod", *arguments, **host.on_local_disk)
        assert result.status == 1
        assert complaint in result.said
        assert value == "" or value not in result.said
        assert " up " not in result.calls


def test_a_secret_that_others_may_read_is_refused(host):
    host.provide_secrets()
    (host.secrets / "redis_password").chmod(0o640)
    result = host.run("start-observers.sh", "dev", "demo_bay")
    assert result.status == 1
    assert "chmod 600" in result.said


def test_what_is_no_fernet_key_is_refused(host):
    host.provide_secrets()
    (host.secrets / "fernet_key").write_text("a" * 43)
    result = host.run("start-main.sh", "prod", **host.on_local_disk)
    assert result.status == 1
    assert "not a Fernet key" in result.said


def test_an_observer_without_secrets_is_told_where_they_come_from(host):
    result = host.run("start-observers.sh", "dev", "demo_bay")
    assert result.status == 1
    assert "copy postgres_password redis_password fernet_key api_secret_key from the main server" in result.said
    assert " up " not in result.calls


def test_an_observer_needs_no_secret_of_the_main_server_alone(host):
    host.provide_secrets()
    for name in MAIN_SECRETS - WORKER_SECRETS:
        (host.secrets / name).unlink()
    assert host.run("start-observers.sh", "dev", "demo_bay").status == 0


def test_an_observer_starts_with_its_env_file_under_a_project_of_its_own(host):
    host.provide_secrets()
    result = host.run("start-observers.sh", "prod", "3bay_north", **host.on_local_disk)
    assert result.status == 0, result.said
    assert "Starting observer for 3bay_north" in result.said
    up = next(line for line in result.calls.splitlines() if line.endswith("up -d"))
    assert f"--env-file {host.folder}/env/prod/observer_3bay_north.env" in up
    assert up.count("--env-file") == 1  # docker-compose 1.29 takes one
    assert "--project-name airflow-observer-3bay_north " in up
    assert "--profile observer" in up
    assert "docker-compose.prod.yaml" in up
    assert "--profile cameras" not in up


def test_the_demo_bay_brings_its_cameras(host):
    host.provide_secrets()
    result = host.run("start-observers.sh", "dev", "demo_bay")
    assert "--profile observer --profile cameras up -d" in result.calls
    assert "docker-compose.prod.yaml" not in result.calls


def test_another_instance_has_a_name_of_its_own(host):
    host.provide_secrets()
    result = host.run("start-processors.sh", "prod", "3bay_north", "2", **host.on_local_disk)
    assert result.status == 0, result.said
    assert "--project-name airflow-processor-3bay_north-2 " in result.calls
    assert "WORKER_NAME=processor-3bay_north-2 " in result.calls


def test_processors_of_several_bays_and_one_that_cannot_start(host):
    host.provide_secrets()
    (host.folder / "env/dev/processor_4bay.env").unlink()
    result = host.run("start-processors.sh", "dev", "3bay_north 4bay 5bay")
    assert result.status == 1
    assert "processor_4bay.env not found: python -m bays env 4bay" in result.said
    assert "Warning: skipping 4bay" in result.said
    assert [bay for bay in ("3bay_north", "4bay", "5bay") if f"airflow-processor-{bay} " in result.calls] == [
        "3bay_north",
        "5bay",
    ]


def test_the_standard_compose_of_1_29_is_found_where_the_plugin_is_missing(host):
    host.provide_secrets()
    result = host.run("start-observers.sh", "dev", "demo_bay", COMPOSE_PLUGIN="1")
    assert result.status == 0, result.said
    assert "docker-compose --project-directory" in result.calls


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("stage", "demo_bay"), "write dev or prod"),
        (("dev", "6bay_south"), "unknown bay '6bay_south'"),
        (("dev", "../demo_bay"), "is not a bay id"),
        (("dev", "demo_bay", "0"), "write a number from 1 to 99"),
        (("prod", "demo_bay"), "observer_demo_bay.env not found"),
    ],
)
def test_wrong_use_of_the_observer_script(host, arguments, complaint):
    result = host.run("start-observers.sh", *arguments)
    assert result.status == 1
    assert complaint in result.said
    assert result.calls == ""


def test_an_unknown_bay_is_told_with_those_that_are_there(host):
    assert "known bays: 3bay_north 4bay 5bay demo_bay" in host.run("start-observers.sh", "dev", "6bay_south").said


def test_an_env_file_that_serves_another_bays_queue_is_refused(host):
    file = host.folder / "env/prod/observer_3bay_north.env"
    file.write_text(file.read_text().replace("obs_3bay_north", "obs_4bay"))
    result = host.run("start-observers.sh", "prod", "3bay_north")
    assert result.status == 1
    assert "WORKER_QUEUES does not name obs_3bay_north" in result.said


def test_production_without_its_mount_is_refused(host):
    host.provide_secrets()
    result = host.run("start-observers.sh", "prod", "3bay_north", SHARED_DATA_PATH=str(host.folder))
    assert result.status == 1
    assert "nothing is mounted there" in result.said


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"DOCKER_INFO": "1"}, "the Docker daemon does not answer"),
        ({"IMAGE_MISSING": "1"}, "there is no image bay-observation:latest on this host"),
    ],
)
def test_a_daemon_or_an_image_that_is_missing(host, variables, complaint):
    result = host.run("start-main.sh", "dev", **variables)
    assert result.status == 1
    assert complaint in result.said


def test_docker_that_is_missing(host):
    (host.programs / "docker").unlink()
    path = host.folder / "few"
    path.mkdir()
    for name in ("bash", "dirname", "id", "sed", "tail", "env"):
        (path / name).symlink_to(f"/usr/bin/{name}")
    result = host.run("start-main.sh", "dev", PATH=str(path))
    assert result.status == 1
    assert "docker is not installed" in result.said


def test_compose_reaches_what_was_started(host):
    result = host.run("deploy/compose.sh", "prod", "processor:3bay_north:2", "logs", "-f")
    assert "--project-name airflow-processor-3bay_north-2 --profile processor logs -f" in result.calls
    result = host.run("deploy/compose.sh", "dev", "main", "ps")
    assert "--project-name airflow-main --profile main ps" in result.calls
    assert "write main, observer:BAY or processor:BAY" in host.run("deploy/compose.sh", "dev", "worker", "ps").said


def test_the_login_of_cameras_stands_on_no_command_line(host):
    host.provide_secrets()
    script = host.folder / "deploy/set-camera-login.sh"
    done = subprocess.run(
        [str(script), "dev", "demo_bay"],
        env={"PATH": f"{host.programs}:/usr/bin:/bin", "DOCKER_CALLS": str(host.folder / "calls"), "HOME": "/"},
        input='observer\nrare "pass"\n',
        capture_output=True,
        text=True,
        check=True,
    )
    calls = (host.folder / "calls").read_text()
    assert "exec -T api-server set-connection onvif_demo_bay generic" in calls
    assert "rare" not in calls + done.stdout + done.stderr


def test_the_first_start_of_main_marks_the_store_and_containers_require_the_marker(host):
    environment = host.on_local_disk
    host.marker.unlink()
    assert host.run("start-main.sh", "prod", **environment).status == 0
    assert host.marker.exists()
    result = host.run("start-observers.sh", "prod", "3bay_north", **environment)
    assert result.status == 0
    assert "STORE_MARKER=required" in result.calls


def test_a_worker_does_not_take_an_unmarked_folder_for_the_store(host):
    host.provide_secrets()
    environment = host.on_local_disk
    host.marker.unlink()
    result = host.run("start-observers.sh", "prod", "3bay_north", **environment)
    assert result.status != 0
    assert "run start-main.sh prod on the main server first" in result.said
    assert "--project-name" not in result.calls


def test_production_refuses_a_clock_of_a_simulated_day(host):
    result = host.run("start-main.sh", "prod", CLOCK="slot", **host.on_local_disk)
    assert result.status != 0
    assert "CLOCK is for demo, lab and backtest" in result.said
