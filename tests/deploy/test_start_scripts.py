import hashlib
import json
import stat
import subprocess

import pytest

BAYS = ("3bay_north", "4bay", "5bay", "demo_bay")
REDIS_USERS = {f"redis_{role}_{bay}" for bay in BAYS for role in ("obs", "proc")}
MAIN_SECRETS = {
    "postgres_password", "airflow_db_password", "results_db_password", "history_db_password", "redis_password",
    "fernet_key", "api_secret_key", "jwt_secret", "admin_password", "flower_password",
    "flower_viewer_password", *REDIS_USERS, "metrics_token", "alerts_token", "grafana_password",
    "grafana_secret_key",
}  # fmt: skip
TLS_FILES = {
    f"tls_{name}_{kind}" for name in ("ca", "postgres", "redis", "api", "proxy") for kind in ("key", "certificate")
}
OBSERVER_SECRETS = (
    "airflow_db_password", "api_secret_key", "redis_obs_demo_bay", "tls_ca_certificate",
)  # fmt: skip


@pytest.mark.slow(0.5)
def test_the_first_start_of_main_makes_secrets_for_their_owner_alone(host):
    result = host.run("start-main.sh", "dev")
    assert result.status == 0, result.said
    made = {path.name: path for path in host.secrets.iterdir()}
    assert set(made) == MAIN_SECRETS | TLS_FILES | {"redis_acl", "queue_logins"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in made.values())
    values = [path.read_text() for path in made.values()]
    assert len(set(values)) == len(values)
    assert not any(value in result.said + result.calls for value in values)
    assert "--profile main up -d" in result.calls
    assert "network create bay-observation" not in result.calls  # the fake network is there


@pytest.mark.slow(0.8)
def test_the_monitoring_is_started_where_the_env_file_asks_for_it(host):
    result = host.run("start-main.sh", "dev", MONITORING="yes")
    assert result.status == 0, result.said
    assert "--profile main --profile monitoring up -d" in result.calls
    assert {path.name for path in (host.folder / "logs/monitoring").iterdir()} == {
        "prometheus", "alertmanager", "grafana",
    }  # fmt: skip
    assert "grafana_password" in result.said
    assert (host.secrets / "grafana_password").read_text() not in result.said + result.calls


@pytest.mark.slow(0.8)
def test_the_second_start_keeps_the_secrets(host):
    host.run("start-main.sh", "dev")
    before = {path.name: path.read_text() for path in host.secrets.iterdir()}
    assert host.run("start-main.sh", "dev").status == 0
    assert {path.name: path.read_text() for path in host.secrets.iterdir()} == before


@pytest.mark.slow(0.3)
@pytest.mark.parametrize("name", ["postgres_password", "fernet_key"])
def test_a_secret_that_the_database_was_made_with_is_not_made_anew(host, name):
    host.provide_secrets()
    (host.secrets / name).unlink()
    result = host.run("start-main.sh", "dev")
    assert result.status == 1
    assert "restore it from your backup" in result.said
    assert not (host.secrets / name).exists()


@pytest.mark.slow(0.1)
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
    path = host.secrets / "redis_obs_3bay_north"
    path.write_text(value)
    for script, arguments in (("start-main.sh", ()), ("start-observers.sh", ("3bay_north",))):
        result = host.run(script, "prod", *arguments, **host.on_local_disk)
        assert result.status == 1
        assert complaint in result.said
        assert value == "" or value not in result.said
        assert " up " not in result.calls


def test_a_secret_that_others_may_read_is_refused(host):
    host.provide_secrets()
    (host.secrets / "redis_obs_demo_bay").chmod(0o640)
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
    names = "airflow_db_password api_secret_key redis_obs_demo_bay"
    assert f"copy {names} from the main server" in result.said
    assert " up " not in result.calls


def test_an_observer_needs_no_secret_of_the_main_server_alone(host):
    host.provide_secrets()
    for path in host.secrets.iterdir():
        if path.name not in OBSERVER_SECRETS:
            path.unlink()
    assert host.run("start-observers.sh", "dev", "demo_bay").status == 0


def test_redis_knows_each_worker_by_its_queue_and_by_a_digest(host):
    host.provide_secrets()
    users = (host.secrets / "redis_acl").read_text()
    assert [line.split()[1] for line in users.splitlines()] == [
        "default", "airflow", *(f"{role}_{bay}" for bay in BAYS for role in ("obs", "proc")),
    ]  # fmt: skip
    for name in REDIS_USERS | {"redis_password"}:
        secret = (host.secrets / name).read_text()
        assert secret not in users
        assert hashlib.sha256(secret.encode()).hexdigest() in users
    assert users.startswith("user default off")
    four = next(line for line in users.splitlines() if line.startswith("user proc_4bay "))
    assert {word for word in four.split() if "~" in word} == {
        "~proc_4bay", "~proc_4bay\x06\x16*", "~_kombu.binding.proc_4bay", "~_kombu.binding_permanent.proc_4bay",
        "~unacked.proc_4bay", "~unacked_index.proc_4bay", "~unacked_mutex.proc_4bay",
    }  # fmt: skip


def test_postgresql_knows_each_worker_by_its_queue_and_the_same_password(host):
    host.provide_secrets()
    logins = dict(line.split() for line in (host.secrets / "queue_logins").read_text().splitlines())
    assert {f"redis_{queue}" for queue in logins} == REDIS_USERS
    assert all((host.secrets / f"redis_{queue}").read_text() == password for queue, password in logins.items())


@pytest.mark.slow(0.5)
def test_the_queue_default_is_an_observer_s_in_development_alone(host):
    host.provide_secrets()
    assert " ~default " in (host.secrets / "redis_acl").read_text()
    assert host.run("start-main.sh", "prod", **host.on_local_disk).status == 0
    assert " ~default " not in (host.secrets / "redis_acl").read_text()


def test_the_folders_that_a_bay_writes_are_made_before_its_containers(host):
    host.provide_secrets()
    assert host.run("start-observers.sh", "prod", "3bay_north", **host.on_local_disk).status == 0
    assert host.run("start-processors.sh", "prod", "3bay_north", **host.on_local_disk).status == 0
    store = host.marker.parent
    assert {str(path.relative_to(store)) for path in store.glob("*/*")} == {
        "observation/3bay_north", "fusion/3bay_north", "tracking/3bay_north",
    }  # fmt: skip


def test_a_worker_is_started_under_its_queue_s_name(host):
    host.provide_secrets()
    for script, queue in (("start-observers.sh", "obs_demo_bay"), ("start-processors.sh", "proc_demo_bay")):
        assert f"WORKER_QUEUE={queue} " in host.run(script, "dev", "demo_bay").calls


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
    assert "processor_4bay.env not found: bay-observation bay env 4bay" in result.said
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
    assert "WORKER_QUEUES does not name obs_3bay_north alone" in result.said


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("SIMULATED_CAMERAS=yes\r\n", "a carriage return"),
        ('SIMULATED_CAMERAS="yes"\n', "write NAME=VALUE, without quotes"),
        ("SIMULATED_CAMERAS='yes'\n", "write NAME=VALUE, without quotes"),
        ("export SIMULATED_CAMERAS=yes\n", "write NAME=VALUE, without quotes"),
        (" SIMULATED_CAMERAS=yes\n", "blanks before it"),
        ("SIMULATED_CAMERAS=yes \n", "a blank at the end"),
        ("SIMULATED_CAMERAS", "write NAME=VALUE"),
        ("WORKER_MEMORY=${MEMORY}\n", "a value has no $"),
        ("WORKER_MEMORY=$(rm x)\n", "a value has no $"),
        ("WORKER_MEMORY=`rm x`\n", "a value has no $"),
        ("WORKER_MEMORY=8\\g\n", "a value has no $"),
        ("WORKER_MEMORY=8g # as the host\n", "no comment behind it"),
        ("WORKER_MEMORY=8g\t#\n", "no comment behind it"),
        ("WORKER_MEMORY=8\x00g\n", "a control character"),
        ("WORKER_MEMORY=8g\x1b[31m\n", "a control character"),
        ("WORKER-MEMORY=8g\n", "write NAME=VALUE"),
        ("8GB=8g\n", "write NAME=VALUE"),
        ("\ufeffWORKER_MEMORY=8g\n", "write NAME=VALUE"),
    ],
)
def test_a_line_that_docker_compose_would_read_otherwise_is_refused(host, line, complaint):
    host.provide_secrets()
    file = host.folder / "env/dev/observer_demo_bay.env"
    file.write_text("# comment\n\n" + file.read_text() + line, newline="")
    number = file.read_bytes().count(b"\n") + (not line.endswith("\n"))
    result = host.run("start-observers.sh", "dev", "demo_bay")
    assert result.status == 1
    assert f"observer_demo_bay.env:{number}: " in result.said
    assert complaint in result.said
    assert " up " not in result.calls


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    "line", ["# a $ in a comment costs nothing\n", "TEXT=a#b\n", "TEXT=a=b\n", "EMPTY=\n", "\n", "TEXT=한글\n"]
)
def test_a_line_that_is_read_alike_everywhere(host, line):
    host.provide_secrets()
    file = host.folder / "env/dev/observer_demo_bay.env"
    file.write_text(file.read_text() + line)
    result = host.run("start-observers.sh", "dev", "demo_bay")
    assert result.status == 0, result.said


def test_the_file_of_all_services_is_looked_at_too(host):
    file = host.folder / "env/base.env"
    file.write_text(file.read_text().replace("\n", "\r\n"), newline="")
    result = host.run("start-main.sh", "dev")
    assert result.status == 1
    assert "base.env:1: a carriage return" in result.said
    assert result.calls == ""


@pytest.mark.parametrize("uid", ["0", "00", "root", "-1", "1 0"])
def test_no_container_runs_as_root(host, uid):
    result = host.run("start-main.sh", "dev", AIRFLOW_UID=uid)
    assert result.status == 1
    assert f"AIRFLOW_UID={uid}: give the number of a user who is not root" in result.said


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


def set_camera_login(host, text):
    return subprocess.run(
        [str(host.folder / "deploy/set-camera-login.sh"), "demo_bay"],
        env={"PATH": f"{host.programs}:/usr/bin:/bin", "DOCKER_CALLS": str(host.folder / "calls"), "HOME": "/"},
        input=text.encode(),
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ('observer\nrare "pass" \\n {x} $HOME\n', 'rare "pass" \\n {x} $HOME'),
        ("observer\n  blanks at both ends \n", "  blanks at both ends "),
        ("observer\r\nfrom Windows\r\n", "from Windows"),
        ("observer\nno line end", "no line end"),
        ("observer\nпароль 암호\n", "пароль 암호"),
    ],
)
def test_the_login_of_cameras_is_in_one_file_and_on_no_command_line(host, text, password):
    done = set_camera_login(host, text)
    assert done.returncode == 0, done.stderr
    file = host.secrets / "camera_login_demo_bay"
    login = {"conn_type": "generic", "login": "observer", "password": password}
    assert json.loads(file.read_text()) == {"onvif_demo_bay": login}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not (host.folder / "calls").exists()
    assert password.encode() not in done.stdout + done.stderr


@pytest.mark.parametrize("text", ["", "observer", "observer\n", "\n\n", "observer\na\tb\n"])
def test_a_login_that_is_none_changes_nothing(host, text):
    set_camera_login(host, "observer\nright\n")
    before = (host.secrets / "camera_login_demo_bay").read_text()
    done = set_camera_login(host, text)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert (host.secrets / "camera_login_demo_bay").read_text() == before


def test_an_observer_without_a_camera_login_starts_and_says_so(host):
    host.provide_secrets()
    result = host.run("start-observers.sh", "dev", "demo_bay")
    assert result.status == 0
    assert "deploy/set-camera-login.sh demo_bay" in result.said
    assert json.loads((host.secrets / "camera_login_demo_bay").read_text()) == {}
    (host.secrets / "camera_login_demo_bay").chmod(0o644)
    assert "chmod 600" in host.run("start-observers.sh", "dev", "demo_bay").said


@pytest.mark.slow(0.7)
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
