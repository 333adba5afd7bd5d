"""The embedded Airflow before it starts: what it refuses, what it writes, what it hands to whom."""

import os
import signal
import socket
import stat
import subprocess
import sys

import pytest

from bay_observation.errors import ConfigError
from lab.services import embedded_airflow
from lab.services.embedded_airflow import EmbeddedAirflow, EmbeddedAirflowError


@pytest.fixture
def airflow(tmp_path):
    return EmbeddedAirflow(tmp_path / "home", dags_folder=tmp_path / "dags", env={"DATA_PATH": "/somewhere"})


@pytest.fixture
def commands(monkeypatch):
    """The commands that would be run, in place of running Airflow."""
    run = []

    def note(command, **options):
        run.append((command, options))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(embedded_airflow.subprocess, "run", note)
    return run


def test_a_port_in_use_is_one_clear_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=rf"^port {port} of 127\.0\.0\.1 is in use or not allowed; choose another$"
        ):
            EmbeddedAirflow(tmp_path, dags_folder=tmp_path, port=port).migrate()


def test_a_home_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"{tmp_path / 'file' / 'home'}: cannot be used for Airflow"):
        EmbeddedAirflow(tmp_path / "file" / "home", dags_folder=tmp_path).migrate()


def test_a_full_disk_is_named(airflow, monkeypatch):
    class Usage:
        free = 7 * 1024**2

    monkeypatch.setattr(embedded_airflow.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(ConfigError, match="home: 7 MB free where 512 MB are needed"):
        airflow.migrate()


def test_keys_are_private_and_made_once_per_home(airflow, commands):
    airflow.migrate()
    keys = (airflow.home / "secrets.json").read_text()
    for name in ("airflow.cfg", "secrets.json"):
        assert stat.S_IMODE((airflow.home / name).stat().st_mode) == 0o600
    airflow.migrate()
    assert (airflow.home / "secrets.json").read_text() == keys
    assert airflow.url == f"http://127.0.0.1:{airflow.port}"


@pytest.mark.slow(3)
def test_airflow_reads_the_configuration_as_it_is_meant(tmp_path, commands):
    airflow = EmbeddedAirflow(tmp_path / "100 % home", dags_folder=tmp_path / "dags")
    airflow.migrate()
    monkey = airflow._environment()
    wanted = {
        "core executor": "LocalExecutor",
        "core load_examples": "False",
        "core parallelism": "3",
        "core dags_are_paused_at_creation": "False",
        "api host": "127.0.0.1",
        "api port": str(airflow.port),
        "scheduler scheduler_idle_sleep_time": "0.1",
        "workers min_heartbeat_interval": "1",
        "triggerer queues_enabled": "False",
        "usage_data_collection enabled": "False",
        "database sql_alchemy_conn": f"sqlite:///{airflow.home / 'airflow.db'}",
    }
    code = (
        "import sys\n"
        "from airflow.configuration import conf\n"
        "for option in sys.argv[1:]:\n"
        "    print(conf.get(*option.split()))\n"
    )
    read = subprocess.Popen(
        [sys.executable, "-c", code, *wanted], env=monkey, stdout=subprocess.PIPE, text=True
    ).communicate()[0]
    assert dict(zip(wanted, read.splitlines(), strict=True)) == wanted


def test_another_airflows_environment_is_not_handed_on(airflow, commands, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", "http://elsewhere")
    airflow.migrate()
    environment = commands[0][1]["env"]
    assert {key for key in environment if key.startswith("AIRFLOW")} == {"AIRFLOW_HOME"}
    assert environment["DATA_PATH"] == "/somewhere"
    assert environment["PATH"] == os.environ["PATH"]


def test_a_connection_reaches_the_triggerer_and_no_command_line(airflow, commands, monkeypatch):
    started = {}

    class Process:
        pid = 0

        def __init__(self, command, env, **_):
            started[" ".join(command)] = env

    monkeypatch.setattr(embedded_airflow.subprocess, "Popen", Process)
    airflow.add_connection("onvif_yard", kind="generic", login="operator", password="s3cret-of-the-yard")
    airflow.migrate()
    airflow.start()
    assert len(started) == 4
    for command, environment in started.items():
        assert "s3cret" not in command
        assert ("AIRFLOW_CONN_ONVIF_YARD" in environment) is ("triggerer" in command)
    with pytest.raises(EmbeddedAirflowError, match="connection onvif_other: add it before"):
        airflow.add_connection("onvif_other", kind="generic", login="a", password="b")
    airflow._services.clear()


@pytest.fixture
def started(monkeypatch):
    """Command and environment of what would be started, in place of starting it."""
    started = []

    class Process:
        pid = 0

        def __init__(self, command, env, **_):
            started.append((command, env))

    monkeypatch.setattr(embedded_airflow.subprocess, "Popen", Process)
    return started


def test_one_triggerer_without_queues_by_default(airflow, commands, started):
    airflow.migrate()
    airflow.start()
    (triggerer,) = [command for command, _ in started if "triggerer" in command]
    assert "--queues" not in triggerer
    assert "queues_enabled = False" in (airflow.home / "airflow.cfg").read_text()
    airflow._services.clear()


def test_each_triggerer_has_its_queues_and_its_name(tmp_path, commands, started):
    queues = {"observer-a": ["obs_a"], "observer-b": ["obs_b", "obs_c"], "centre": []}
    airflow = EmbeddedAirflow(tmp_path / "home", dags_folder=tmp_path / "dags", triggerers=queues)
    airflow.add_connection("onvif_yard", kind="generic", login="operator", password="s3cret-of-the-yard")
    airflow.migrate()
    airflow.start()
    assert "queues_enabled = True" in (airflow.home / "airflow.cfg").read_text()
    triggerers = [(command, env) for command, env in started if "triggerer" in command]
    given = [command[command.index("--queues") + 1] if "--queues" in command else None for command, _ in triggerers]
    assert given == ["obs_a", "obs_b,obs_c", None]
    assert [env["EMBEDDED_AIRFLOW_TRIGGERER"] for _, env in triggerers] == list(queues)
    assert all("AIRFLOW_CONN_ONVIF_YARD" in env for _, env in triggerers)
    with pytest.raises(EmbeddedAirflowError, match="triggerer centre is already running"):
        airflow.start_triggerer("centre")
    airflow._services.clear()


@pytest.mark.slow(3)
def test_a_triggerer_is_shown_under_its_name(tmp_path, commands):
    airflow = EmbeddedAirflow(tmp_path / "home", dags_folder=tmp_path / "dags", triggerers={"observer-a": ["obs_a"]})
    airflow.migrate()
    environment = airflow._environment() | {
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "lab.services.embedded_airflow.triggerer_host",
        "EMBEDDED_AIRFLOW_TRIGGERER": "observer-a",
    }
    code = "from airflow.utils.net import get_hostname; print(get_hostname())"
    read = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    assert read.communicate()[0].splitlines()[-1] == "observer-a"


@pytest.mark.slow(1)
@pytest.mark.parametrize("leader_only", [False, True])
def test_a_triggerer_is_ended_with_all_that_it_started(airflow, tmp_path, leader_only):
    pids = tmp_path / "pids"
    parent = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()'], stdin=subprocess.PIPE)\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}\\n')\n"
        "time.sleep(600)\n"
    )
    airflow._services["triggerer"] = subprocess.Popen([sys.executable, "-c", parent], start_new_session=True)
    while not pids.exists() or not pids.read_text().endswith("\n"):
        assert airflow._services["triggerer"].poll() is None
    both = [int(pid) for pid in pids.read_text().split()]
    assert [process.pid for process in airflow.triggerer_processes()] == both
    airflow.end_triggerer(number=signal.SIGKILL, leader_only=leader_only)
    assert not any(embedded_airflow.psutil.pid_exists(pid) for pid in both)
    with pytest.raises(EmbeddedAirflowError, match="no triggerer triggerer runs"):
        airflow.triggerer_processes()


def test_a_service_that_dies_is_an_error_with_the_end_of_its_log(airflow, commands, monkeypatch):
    airflow.migrate()
    monkeypatch.setattr(embedded_airflow, "_SCHEDULER", "raise SystemExit('the scheduler has no database')")
    popen = subprocess.Popen

    def only_the_scheduler(command, **options):
        return popen(
            command if "scheduler" in command else [sys.executable, "-c", "import time; time.sleep(600)"], **options
        )

    monkeypatch.setattr(embedded_airflow.subprocess, "Popen", only_the_scheduler)
    monkeypatch.setattr(EmbeddedAirflow, "migrate", lambda self: None)
    started = airflow._services
    with pytest.raises(EmbeddedAirflowError, match=r"scheduler ended with code 1(?s:.)*has no database"), airflow:
        pass
    assert started == {}


@pytest.mark.slow(1)
def test_stop_ends_everything_that_was_started(airflow, tmp_path):
    """Also what ignores SIGTERM, and what has left the service's process group."""
    pids = tmp_path / "pids"
    stubborn = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}\\n')\n"
        "time.sleep(600)\n"
    )
    service = subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True)
    airflow._services["stubborn"] = service
    while not pids.exists() or not pids.read_text().endswith("\n"):
        assert service.poll() is None
    embedded_airflow._STOP_GRACE, grace = 0.2, embedded_airflow._STOP_GRACE
    try:
        airflow.stop()
    finally:
        embedded_airflow._STOP_GRACE = grace
    for pid in map(int, pids.read_text().split()):
        assert not embedded_airflow.psutil.pid_exists(pid)
    airflow.stop()  # once more does no harm
