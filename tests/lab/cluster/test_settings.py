import stat

import pytest

from bay_observation.errors import ClusterError, ConfigError
from lab.cluster.bays import write_bays
from lab.cluster.settings import BASE_ENV, Settings, read_env


def test_what_is_deployed_is_what_is_tested(tmp_path):
    everywhere = Settings(tmp_path).everywhere()
    deployed = read_env(BASE_ENV)
    assert deployed["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert {name: everywhere[name] for name in deployed} == deployed


def test_a_wrong_line_of_an_env_file_is_named(tmp_path):
    file = tmp_path / "wrong.env"
    file.write_text("# comment\nA=1\n\nexport B=2\n")
    with pytest.raises(ClusterError, match=r"wrong\.env:4: write NAME=VALUE"):
        read_env(file)
    with pytest.raises(ClusterError, match=r"none\.env: No such file"):
        read_env(tmp_path / "none.env")


def test_secrets_are_private_and_made_once_per_home(tmp_path):
    first, second = Settings(tmp_path, queues=["obs_a"]), Settings(tmp_path, queues=["obs_a"])
    assert first.main() == second.main()
    assert first.worker("obs_a") == second.worker("obs_a")
    for file in (tmp_path / "secrets").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_each_service_is_given_its_own_secrets_alone(tmp_path):
    settings = Settings(tmp_path, queues=["obs_a", "proc_a"])
    secrets = {file.name: file.read_text() for file in settings.secrets.iterdir()}
    logins = secrets.pop("queue_logins")  # of both; make-databases alone reads it
    assert logins == f"obs_a {secrets['redis_obs_a']}\nproc_a {secrets['redis_proc_a']}\n"
    given = {
        "everywhere": settings.everywhere(),
        "main": settings.main(),
        "scheduler": settings.scheduler(),
        "triggerer": settings.metadata() | settings.logs(),
        "worker": settings.worker("obs_a") | settings.history() | settings.logs(),
    }
    found = {
        who: {name for name, value in secrets.items() if value in " ".join(environment.values())}
        for who, environment in given.items()
    }
    assert found == {
        "everywhere": set(),
        "main": {"airflow_db_password", "history_db_password", "fernet_key", "api_secret_key", "jwt_secret"},
        "scheduler": {"results_db_password", "redis_password"},
        "triggerer": {"airflow_db_password", "api_secret_key"},
        "worker": {"history_db_password", "api_secret_key", "redis_obs_a"},
    }


def test_bays_keep_their_addresses_and_an_unsurveyed_one_borrows_its_hall(tmp_path):
    bays = write_bays(tmp_path, ["3bay_north", "4bay"], cameras=3, frame_scale=0.5, changes={"capture_deadline": 20})
    north, four = bays["3bay_north"], bays["4bay"]
    assert [str(c.host) for c in north.cameras] == ["10.150.160.183", "10.150.160.184", "10.150.160.193"]
    assert [str(c.host) for c in four.cameras] == ["10.150.161.183", "10.150.161.184", "10.150.161.193"]
    assert str(four.network.observer_ip) == "10.150.161.1"
    assert (north.cameras[0].intrinsics.width, north.cameras[0].intrinsics.focal_px) == (960, 721)
    assert north.capture_deadline == 20
    assert north.enabled
    assert four.enabled


def test_a_bay_of_no_file_and_too_many_cameras_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"9bay\.yaml: there is no bay 9bay \(did you mean 4bay"):
        write_bays(tmp_path, ["9bay"], cameras=2, frame_scale=1, changes={})
    with pytest.raises(ClusterError, match="13 cameras: bay 3bay_north has 1 to 12"):
        write_bays(tmp_path, ["3bay_north"], cameras=13, frame_scale=1, changes={})
    with pytest.raises(ConfigError, match="camera_quorum"):
        write_bays(tmp_path, ["3bay_north"], cameras=2, frame_scale=1, changes={"camera_quorum": 99})
