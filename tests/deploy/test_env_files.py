import os
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from bay_observation.errors import ConfigError
from bays import bay_ids, load_bay, observer_queue, processor_queue
from bays.__main__ import main
from bays.env_files import env_files, write_env_files
from bays.naming import observer_name, processor_name

PROJECT = Path(__file__).parents[2]
ENV = PROJECT / "env"
FILES = sorted(ENV.rglob("*.env"))
YARD = [bay_id for bay_id in bay_ids() if bay_id != "demo_bay"]


def read(path: Path) -> dict[str, str]:
    variables = {}
    for line in path.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals, f"{path}: {line}"
            assert name == name.strip(), f"{path}: {line}"
            assert name not in variables, f"{path}: {name} stands twice"
            variables[name] = value
    return variables


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ENV)))
def test_an_env_file_is_names_and_values_and_holds_no_secret(path):
    for name, value in read(path).items():
        assert name.replace("_", "").isalnum(), name
        assert not any(word in name.upper() for word in ("PASSWORD", "SECRET", "FERNET", "TOKEN", "KEY")), name
        assert "@" not in value, f"{name}: a login in a URL?"


@pytest.mark.parametrize("environment", ["dev", "prod"])
@pytest.mark.parametrize("bay_id", bay_ids())
def test_every_bay_has_its_two_env_files_as_its_yaml_says(bay_id, environment):
    if bay_id == "demo_bay" and environment == "prod":
        pytest.skip("the demo bay's cameras are simulated")
    for name, text in env_files(load_bay(bay_id), environment).items():
        assert (ENV / environment / name).read_text("utf-8") == text


@pytest.mark.parametrize("bay_id", YARD)
def test_names_ports_and_defaults_of_production(bay_id):
    bay = load_bay(bay_id)
    observer = read(ENV / "prod" / f"observer_{bay_id}.env")
    assert observer["WORKER_NAME"] == observer_name(bay_id) == f"observer-{bay_id}"
    assert observer["WORKER_QUEUES"] == observer_queue(bay_id) == f"obs_{bay_id}"
    assert (observer["WORKER_CONCURRENCY"], observer["WORKER_AUTOSCALE"]) == ("4", "8,4")
    assert observer["CAMERA_SUBNET"] == str(bay.network.camera_subnet)
    assert {observer[name] for name in ("MAIN_SERVER_IP", "POSTGRES_HOST", "REDIS_HOST")} == {"10.150.150.1"}
    assert (observer["POSTGRES_PORT"], observer["REDIS_PORT"]) == ("55432", "56379")
    assert observer["SHARED_DATA_PATH"] == "/mnt/airflow-data"
    processor = read(ENV / "prod" / f"processor_{bay_id}.env")
    assert processor["WORKER_NAME"] == processor_name(bay_id) == f"processor-{bay_id}"
    assert processor["WORKER_QUEUES"] == processor_queue(bay_id) == f"proc_{bay_id}"
    assert (processor["WORKER_CONCURRENCY"], processor["WORKER_AUTOSCALE"]) == ("8", "16,8")
    assert (processor["POSTGRES_HOST"], processor["REDIS_HOST"]) == ("localhost", "localhost")
    assert (processor["POSTGRES_PORT"], processor["REDIS_PORT"]) == ("5432", "6379")
    assert processor["SHARED_DATA_PATH"] == "/mnt/airflow-data"


@pytest.mark.parametrize("bay_id", bay_ids())
def test_names_of_development(bay_id):
    observer = read(ENV / "dev" / f"observer_{bay_id}.env")
    assert observer["WORKER_NAME"] == f"observer-dev-{bay_id}"
    assert observer["WORKER_QUEUES"] == f"obs_{bay_id},default"
    assert observer["SHARED_DATA_PATH"] == "./data"
    assert observer.get("SIMULATED_CAMERAS") == ("yes" if bay_id == "demo_bay" else None)
    processor = read(ENV / "dev" / f"processor_{bay_id}.env")
    assert processor["WORKER_NAME"] == f"processor-dev-{bay_id}"
    assert processor["WORKER_QUEUES"] == f"proc_{bay_id}"


def test_a_description_of_several_lines_writes_no_variable(make_bay):
    bay = make_bay("yard", description="North\nAIRFLOW_IMAGE_NAME=evil\n  hall")
    for environment in ("dev", "prod"):
        for text in env_files(bay, environment).values():
            assert text.startswith("# North AIRFLOW_IMAGE_NAME=evil hall: ")
            assert "\nAIRFLOW_IMAGE_NAME" not in text


def test_another_main_server():
    texts = env_files(load_bay("3bay_north"), "prod", IPv4Address("10.9.8.7"))
    assert "POSTGRES_HOST=10.9.8.7\n" in texts["observer_3bay_north.env"]
    assert "10.150.150.1" not in "".join(texts.values())


def test_writing_leaves_a_file_that_was_changed_alone(tmp_path):
    bay = load_bay("3bay_north")
    observer, processor = write_env_files(bay, tmp_path, "prod")
    assert write_env_files(bay, tmp_path, "prod") == []
    observer.write_text("WORKER_NAME=mine\n")
    processor.unlink()
    with pytest.raises(ConfigError, match="exists with other content"):
        write_env_files(bay, tmp_path, "prod")
    assert observer.read_text() == "WORKER_NAME=mine\n"
    assert not processor.exists()


@pytest.mark.parametrize("kind", ["bytes", "pipe", "folder", "link to nowhere"])
def test_what_is_there_and_no_env_file_is_left_alone(tmp_path, kind):
    path = tmp_path / "prod" / "observer_4bay.env"
    path.parent.mkdir()
    if kind == "bytes":
        path.write_bytes(b"\xff\xfe\0")
    elif kind == "pipe":
        os.mkfifo(path)  # without a writer: to read it would wait for ever
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"observer_4bay\.env"):
        write_env_files(load_bay("4bay"), tmp_path, "prod")
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert not (tmp_path / "elsewhere").exists()


def test_the_command_writes_both_files(tmp_path, capsys):
    assert main(["env", "4bay", "--folder", str(tmp_path), "--main-server", "10.9.8.7"]) == 0
    assert sorted(path.name for path in (tmp_path / "prod").iterdir()) == ["observer_4bay.env", "processor_4bay.env"]
    assert "observer_4bay.env" in capsys.readouterr().out
    assert main(["env", "6bay_south", "--folder", str(tmp_path)]) == 2
    assert "there is no bay 6bay_south" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "prod").write_text("a file")
    with pytest.raises(ConfigError, match="prod"):
        write_env_files(load_bay("4bay"), tmp_path, "prod")
