"""What the demo refuses before it starts anything: one clear line each."""

import os
import re
import shutil
import socket
import sys
from collections import namedtuple
from pathlib import Path

import pytest

import bays
from bay_observation.errors import ConfigError
from bays import BayConfig, load_bay
from lab.demo import __main__ as demo
from lab.demo.preflight import check_can_listen, check_opencv, prepare_output
from lab.services.ports import free_port


def test_an_earlier_demo_s_output_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "demo_output"
    prepare_output(folder)
    (folder / "data").mkdir()
    prepare_output(folder)
    assert [path.name for path in folder.iterdir()] == [".made-by-the-demo"]


def test_a_folder_with_somebody_s_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="holds files that the demo did not write"):
        prepare_output(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**40, 2**40, 2**20))
    with pytest.raises(ConfigError, match="1 MB are free, and the demo writes up to"):
        prepare_output(tmp_path / "demo_output")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be used for the demo's output"):
        prepare_output(tmp_path / "file" / "demo_output")


def _unused() -> BayConfig:
    """The demo's bay on addresses of its own: a demo may run beside the tests."""
    bay = load_bay("demo_bay")
    host = f"127.{os.getpid() % 100 + 100}.{os.getpid() // 100 % 250}.2"
    return bay.model_copy(
        update={"cameras": tuple(c.model_copy(update={"host": host, "port": free_port(host)}) for c in bay.cameras)}
    )


def test_a_camera_s_address_in_use_is_told() -> None:
    bay = _unused()
    camera = bay.cameras[3]
    with socket.socket() as other:
        other.bind((str(camera.host), camera.port))
        other.listen()
        with pytest.raises(ConfigError, match=rf"camera {camera.name} cannot listen on {camera.host}:{camera.port}"):
            check_can_listen(bay, 8793)


def test_the_ui_s_port_in_use_is_told() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"the Airflow UI cannot listen on 127.0.0.1:{port}: .*--port"):
            check_can_listen(_unused(), port)


def test_missing_libraries_of_opencv_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ConfigError, match="apt install libgl1"):
        check_opencv()


def test_a_bay_that_cannot_work_is_told_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BAYS_ENABLED", "BAYS_SCHEDULE"):  # restored afterwards: the demo sets them
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("BAYS_PATH", str(tmp_path / "bays"))
    (tmp_path / "bays").mkdir()
    text = Path(bays.__file__).with_name("demo_bay.yaml").read_text(encoding="utf-8")
    (tmp_path / "bays/broken.yaml").write_text("cameras: [")
    path = tmp_path / "bays/yard.yaml"
    path.write_text(re.sub(r"tilt: [\d.]+", "tilt: -40", text, count=1))  # of the first camera
    line = next(n for n, words in enumerate(path.read_text().splitlines(), start=1) if "tilt: -40" in words)
    assert demo.main(["--bay", "yard", "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert f"error: {path}:{line}: cameras.C_2.pose: tilt -40°: it looks at the horizon or above" in said
    assert said.endswith("bay yard cannot work so: correct it, and see bay check yard\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--off", "C_4 X_1"], "has no camera X_1; it has: C_2, C_4"), (["--slots", "0"], "--slots 0: give at least 1")],
)
def test_a_wrong_argument_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("BAYS_ENABLED", "BAYS_SCHEDULE"):  # restored afterwards: the demo sets them
        monkeypatch.setenv(name, "")
    assert demo.main([*arguments, "--output", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.splitlines()) == 1
    assert not (tmp_path / "out").exists()
