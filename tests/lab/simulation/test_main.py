import json
import re
import signal
import subprocess
import sys
import urllib.request

import cv2
import numpy as np
import pytest

from bay_observation.errors import ConfigError
from bays import load_bay
from lab.services.ports import free_port
from lab.simulation.__main__ import _login, main

pytestmark = pytest.mark.slow(1)


def test_render_writes_a_frame(tmp_path, capsys):
    out = tmp_path / "frame.jpg"
    assert main(["render", "demo_bay", "--camera", "C_4", "--time", "2025-07-02T16:10", "--out", str(out)]) == 0
    assert cv2.imread(str(out)).shape == (1080, 1920, 3)
    assert "2025-07-02T16:10:00+09:00" in capsys.readouterr().out


def test_render_writes_a_frame_of_each_camera_and_the_marks_in_them(tmp_path, capsys, monkeypatch):
    from bays.camera_model import CameraModel
    from capture_async.stored import frames_in_folder

    text = (load_bay_text("demo_bay").partition("\n  - name: C_6\n")[0]).replace("camera_quorum: 8", "camera_quorum: 1")
    (tmp_path / "small_bay.yaml").write_text(text)
    monkeypatch.setenv("BAYS_PATH", str(tmp_path))
    bay, folder, points = load_bay("small_bay"), tmp_path / "frames", tmp_path / "points.csv"
    where = ["--out", str(folder), "--points", str(points)]
    assert main(["render", "small_bay", *where]) == 0
    assert set(frames_in_folder(folder, "small_bay", ["C_2", "C_4"])) == {"C_2", "C_4"}
    header, *rows = (line.split(",") for line in points.read_text().splitlines())
    assert header == ["camera", "name", "u", "v"]
    for camera, name, u, v in rows:
        mark = bay.witnesses[name]
        pixel, _ = CameraModel.of(bay.camera(camera)).project((mark.x, mark.y, mark.z))
        assert (float(u), float(v)) == pytest.approx(tuple(pixel), abs=6)
    assert main(["render", "small_bay", *where, "--blocks", "0"]) == 0
    assert len(points.read_text().splitlines()) > len(rows) + 1  # blocks hide some of them
    said = capsys.readouterr().out
    assert "points of 2 cameras, each about a pixel off" in said
    assert re.search(
        r"C_4 of small_bay at .* marks show, [1-9]\d* are hidden \(.*by (block|crane|equipment|person)", said
    )
    assert re.search(r"C_4 of small_bay at .* marks show, 0 are hidden\n", said)  # an empty hall


def test_cameras_that_hang_off_are_calibrated_back(tmp_path, capsys, monkeypatch):
    """The bay's file says what was planned; the points are of how they hang."""
    from bays.camera_model import rotation
    from fusion.__main__ import main as calibrate
    from lab.simulation.hanging import hung_off

    text = (load_bay_text("demo_bay").partition("\n  - name: C_6\n")[0]).replace("camera_quorum: 8", "camera_quorum: 1")
    (tmp_path / "small_bay.yaml").write_text(text)
    monkeypatch.setenv("BAYS_PATH", str(tmp_path))
    planned, points = load_bay("small_bay"), tmp_path / "points.csv"
    options = ["--blocks", "0", "--hang-off", "1.5", "--seed", "7"]
    assert main(["render", "small_bay", *options, "--out", str(tmp_path / "frames"), "--points", str(points)]) == 0
    assert "each camera hangs 1.5° off what small_bay.yaml says" in capsys.readouterr().out
    assert load_bay("small_bay") == planned
    hung = hung_off(planned, 1.5, 7)

    def turn(one, other):
        cosine = (np.trace(rotation(one.pose) @ rotation(other.pose).T) - 1) / 2
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    assert [turn(*pair) for pair in zip(planned.cameras, hung.cameras, strict=True)] == pytest.approx([1.5, 1.5])
    status = calibrate(["calibrate", "small_bay", "--points", str(points), "--size", "1920x1080"])
    assert status == 0, capsys.readouterr()
    found = load_bay("small_bay")
    assert max(turn(*pair) for pair in zip(found.cameras, hung.cameras, strict=True)) < 0.25
    assert hung_off(planned, 0, 7) is planned


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["serve", "9bay"], 2, "there is no bay 9bay"),
        (["serve", "demo_bay", "--fault", "C_4=broken"], 2, "no fault broken; the faults are: offline"),
        (["serve", "demo_bay", "--fault", "C_4"], 2, "write CAMERA=FAULT"),
        (["serve", "demo_bay", "--fault", "X=offline"], 2, "no camera X"),
        (["serve", "demo_bay", "--time", "noon"], 2, "not an ISO time"),
        (["serve", "demo_bay", "--time", "1999-01-01"], 1, "1998-12-31T15:00"),
        (["serve", "demo_bay", "--control", "8790"], 2, "HOST:PORT"),
        (["serve", "demo_bay", "--control", "0.0.0.0:8790"], 1, "loopback"),
        (["serve", "3bay_north"], 2, "SIMULATED_CAMERA_PASSWORD"),
        (["render", "demo_bay", "--camera", "X", "--out", "x.jpg"], 2, "no camera X"),
        (["render", "demo_bay", "--camera", "C_4", "--out", "/nowhere/x.jpg"], 2, "/nowhere/x.jpg"),
        (["render", "demo_bay", "--out", "/nowhere/x"], 2, "/nowhere/x"),
        (["render", "demo_bay", "--out", __file__], 2, "is a file: name a folder, or one camera with --camera"),
        (["render", "3bay_north", "--out", "frames", "--points", "p.csv"], 2, "bay 3bay_north has no witnesses"),
        (["render", "demo_bay", "--out", "frames", "--hang-off", "11"], 2, "--hang-off 11: give 0 to 10 degrees"),
    ],
)
def test_what_is_wrong_is_one_line_and_a_status(arguments, status, message, capsys, monkeypatch):
    monkeypatch.delenv("SIMULATED_CAMERA_USER", raising=False)
    monkeypatch.delenv("SIMULATED_CAMERA_PASSWORD", raising=False)
    assert main(arguments) == status
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_login_comes_from_the_environment():
    demo, real = load_bay("demo_bay"), load_bay("3bay_north")
    both = {"SIMULATED_CAMERA_USER": "a", "SIMULATED_CAMERA_PASSWORD": "b"}
    assert _login(demo, both) == _login(real, both) == ("a", "b")
    assert _login(demo, {}) == ("yard", "yard")
    with pytest.raises(ConfigError, match="both"):
        _login(demo, {"SIMULATED_CAMERA_USER": "a"})


def test_serve_until_it_is_told_to_stop(tmp_path):
    """The command as `make demo` uses it, on a bay of two cameras."""
    text = (load_bay_text("demo_bay").partition("\n  - name: C_6\n")[0]).replace("camera_quorum: 8", "camera_quorum: 1")
    (tmp_path / "small_bay.yaml").write_text(text)
    port, control = free_port("127.60.0.183"), free_port()
    serve = [sys.executable, "-m", "lab.simulation", "serve", "small_bay", "--port", str(port)]
    options = ["--control", f"127.0.0.1:{control}", "--time", "2025-07-02T16:10", "--fault", "C_4=offline"]
    environment = {"BAYS_PATH": str(tmp_path), "PATH": "/usr/bin"}
    login = {"SIMULATED_CAMERA_USER": "a", "SIMULATED_CAMERA_PASSWORD": "topsecret"}
    process = subprocess.Popen(
        [*serve, *options], env=environment | login, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline()
        where = f"127.60.0.183:{port} to 127.60.0.184:{port}"
        assert line.startswith(f"2 cameras of small_bay listening on {where} (1 offline), simulated time 2025-07-02")
        assert "16:10:00 KST; login a, password of SIMULATED_CAMERA_PASSWORD; control http://" in line
        with urllib.request.urlopen(f"http://127.0.0.1:{control}/state") as reply:
            assert json.load(reply)["cameras"]["C_4"]["faults"] == ["offline"]
        second = subprocess.run(serve, env=environment, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert second.stderr == f"camera C_2: 127.60.0.183:{port} is in use; stop what listens there, or use --port\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert "Traceback" not in err
    assert "topsecret" not in line + out + err


def load_bay_text(bay_id):
    from bays import bays_path

    return (bays_path() / f"{bay_id}.yaml").read_text(encoding="utf-8")
