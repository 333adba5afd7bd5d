"""The commands: exit statuses, tables and JSON, and a login that never stands on a command line."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from bays import batch_id, load_bay
from capture_async.__main__ import main
from capture_async.health import record_health
from capture_async.types import CameraFailure, CaptureBatch, CapturedImage, FailureReason

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)


@pytest.fixture
def serve(make_farm, tmp_path, monkeypatch):
    """serve({"C_4": "offline"}, quorum=2): cameras on a loop of their own, and the bay's file that names them."""
    ends = []

    def start(faults=None, *, quorum=2, cameras=3):
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        farm = make_farm(faults, cameras=cameras)
        asyncio.run_coroutine_threadsafe(farm.__aenter__(), loop).result(30)

        def end():
            asyncio.run_coroutine_threadsafe(farm.close(), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

        ends.append(end)
        content = farm.bay.model_dump(mode="json", by_alias=True, exclude={"bay_id"}) | {"camera_quorum": quorum}
        monkeypatch.setenv("BAYS_PATH", str(tmp_path))
        (tmp_path / "yard.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        assert load_bay("yard").camera_quorum == quorum

    yield start
    for end in ends:
        end()


@pytest.fixture
def login(monkeypatch, credentials):
    monkeypatch.setenv("CAMERA_USER", credentials.username)
    monkeypatch.setenv("CAMERA_PASSWORD", credentials.password)


def test_probe_prints_a_table_and_ends_with_0_when_the_quorum_holds(serve, login, capsys):
    serve({"C_4": "offline"})
    assert main(["probe", "yard"]) == 0
    out = capsys.readouterr().out
    assert "3 of 3 cameras asked, 2 frames, the quorum is 2: it holds" in out
    assert "unreachable" in out
    assert "1920 x 1080" in out
    assert "digest" in out


def test_probe_ends_with_1_when_the_quorum_does_not_hold(serve, login, capsys):
    serve({"C_4": "offline"}, quorum=3)
    assert main(["probe", "yard"]) == 1
    assert "does NOT hold" in capsys.readouterr().out


def test_probe_as_json_is_one_document_on_stdout(serve, login, capsys, tmp_path):
    serve({"C_4": "offline"})
    folder = tmp_path / "new" / "frames"
    assert main(["probe", "yard", "--json", "--save", str(folder)]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert told["holds_quorum"] is True
    saved = [camera["saved"] for camera in told["cameras"] if camera["saved"]]
    assert sorted(map(str, folder.iterdir())) == sorted(saved)
    assert captured.err == ""


def test_probe_shows_its_progress_on_a_terminal(serve, login, capsys, monkeypatch):
    serve()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert main(["probe", "yard"]) == 0
    out = capsys.readouterr().out
    assert "0 of 3 cameras asked" in out  # drawn before anything was known, and again until the end
    assert "3 of 3 cameras asked" in out


def test_an_airflow_connection_in_the_environment_is_enough(serve, monkeypatch, credentials, capsys):
    serve()
    connection = json.dumps({"conn_type": "onvif", "login": credentials.username, "password": credentials.password})
    monkeypatch.setenv("AIRFLOW_CONN_ONVIF_YARD", connection)
    assert main(["probe", "yard", "--json"]) == 0


def test_a_wrong_password_costs_each_camera_one_login_and_no_quorum(serve, monkeypatch, capsys):
    serve()
    monkeypatch.setenv("CAMERA_USER", "yard")
    monkeypatch.setenv("CAMERA_PASSWORD", "not-the-password")
    assert main(["probe", "yard", "--json"]) == 1
    out = capsys.readouterr().out
    assert [camera["reason"] for camera in json.loads(out)["cameras"]] == ["refused credentials"] * 3
    assert "not-the-password" not in out


def test_what_several_cameras_have_is_told_once_with_all_their_names(serve, monkeypatch, capsys):
    serve()
    monkeypatch.setenv("CAMERA_USER", "yard")
    monkeypatch.setenv("CAMERA_PASSWORD", "not-the-password")
    assert main(["probe", "yard"]) == 1
    _, _, notes = capsys.readouterr().out.partition("\nrefused credentials\n")
    assert [line.split()[0] for line in notes.splitlines() if "GetCapabilities" in line] == ["C_2", "C_4", "C_6"]
    assert notes.count("Login or password is not the camera's") == 1


def test_without_a_login_and_a_terminal_it_says_what_to_set(serve, monkeypatch, capsys):
    serve()
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115, PTH123
    assert main(["probe", "yard"]) == 2
    error = capsys.readouterr().err
    sys.stdin.close()
    assert "CAMERA_USER" in error
    assert "AIRFLOW_CONN_ONVIF_YARD" in error


def test_on_a_terminal_the_login_is_asked_for(serve, monkeypatch, credentials, capsys):
    serve()

    class Terminal:
        def isatty(self):
            return True

        def readline(self):
            return credentials.username + "\n"

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda prompt: credentials.password)
    assert main(["probe", "yard", "--json"]) == 0
    assert credentials.password not in capsys.readouterr().out


def test_no_option_takes_a_password(capsys):
    with pytest.raises(SystemExit):
        main(["probe", "--help"])
    assert "--password" not in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["probe"], ["look", "yard"], ["probe", "yard", "--unheard-of"]])
def test_wrong_arguments_end_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_an_unknown_bay_and_a_folder_that_cannot_be_made_end_with_2(bays_folder, make_bay, login, tmp_path, capsys):
    assert main(["probe", "no_such_bay"]) == 2
    assert main(["health", "no_such_bay"]) == 2
    make_bay()
    (tmp_path / "file").write_text("")
    assert main(["probe", "yard", "--save", str(tmp_path / "file" / "frames")]) == 2
    assert "--save" in capsys.readouterr().err


def record(number, *, failing):
    slot = SLOT + timedelta(minutes=10 * number)
    names = [camera.name for camera in load_bay("yard").cameras]
    images = tuple(CapturedImage(name, "yard", slot, b"") for name in names if name not in failing)
    failures = tuple(CameraFailure(name, FailureReason.BUSY, "answered 503") for name in failing)
    record_health(None, CaptureBatch(batch_id("yard", slot), "yard", images, failures))


def test_health_prints_the_failing_cameras_first(make_bay, store, capsys):
    make_bay(camera_quorum=11)
    record(0, failing=())
    record(1, failing=("D_6",))
    record(2, failing=("D_6",))
    assert main(["health", "yard"]) == 0
    out = capsys.readouterr().out
    assert "11 of 12 cameras well in slot 2025-07-02 16:30 KST" in out
    rows = [line for line in out.splitlines() if line.startswith("│")]
    assert "D_6" in rows[0]
    assert "busy: answered 503" in rows[0]
    assert "33 % of 3" in rows[0]


def test_health_ends_with_1_below_the_quorum_and_reads_another_store(make_bay, store, capsys):
    make_bay(camera_quorum=12)
    record(0, failing=("D_6",))
    assert main(["health", "yard", "--json", "--data", str(store.root)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert sum(camera["is_well"] for camera in told["cameras"]) == 11


def test_health_of_a_bay_that_was_never_captured(make_bay, store, capsys):
    make_bay()
    assert main(["health", "yard", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["last_slot"] is None
    assert main(["health", "yard"]) == 3
    assert "no capture of bay yard was recorded yet" in capsys.readouterr().err


def test_the_end_of_the_input_at_the_password_is_one_line(serve, monkeypatch, capsys):
    serve()

    class Terminal:
        def isatty(self):
            return True

        def readline(self):
            return "yard\n"

    def ended(_):
        raise EOFError

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", ended)
    assert main(["probe", "yard"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("no login was given")


@pytest.mark.slow(1)
@pytest.mark.parametrize(("device", "status"), [("/dev/full", 1)])
def test_a_full_disk_behind_the_output_is_one_line(device, status, tmp_path):
    """In a process of its own: what Python writes at its end goes there as well."""
    bay = (Path(__file__).parents[2] / "bays" / "demo_bay.yaml").read_text(encoding="utf-8")
    (tmp_path / "yard.yaml").write_text(bay, encoding="utf-8")
    with open(device, "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "capture_async", "health", "yard", "--json", "--data", str(tmp_path)],
            env=os.environ | {"BAYS_PATH": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (status, "the output cannot be written: No space left on device\n")


def test_the_bay_is_drawn_over_a_live_frame_and_over_a_stored_one(serve, login, store, make_capture, tmp_path, capsys):
    serve()
    live = tmp_path / "live.jpg"
    assert main(["overlay", "yard", "--camera", "C_4", "--live", "--out", str(live)]) == 0
    assert "lines over a live frame of C_4" in capsys.readouterr().out
    assert live.stat().st_size > 10_000
    bay = load_bay("yard")
    store.save("capture", "yard", batch_id("yard", SLOT), make_capture(bay, SLOT, grey=[90, 90, 90]))
    stored = tmp_path / "stored.png"
    assert main(["overlay", "yard", "--camera", "C_4", "--out", str(stored)]) == 0
    assert "lines over the newest frame in" in capsys.readouterr().out
    again = tmp_path / "again.png"
    assert main(["overlay", "yard", "--camera", "C_4", "--frame", str(live), "--out", str(again)]) == 0


def test_an_overlay_of_each_camera_that_has_a_frame(serve, login, store, tmp_path, capsys):
    serve()
    frames = tmp_path / "frames"
    assert main(["probe", "yard", "--save", str(frames)]) == 0
    next(frames.glob("*_C_6_*")).unlink()
    out = tmp_path / "overlays"
    assert main(["overlay", "yard", "--frames", str(frames), "--out", str(out)]) == 1
    assert sorted(path.name for path in out.iterdir()) == ["C_2.jpg", "C_4.jpg"]
    assert "C_6: not drawn: there is no frame of it" in capsys.readouterr().err
    assert (
        main(["overlay", "yard", "--camera", "C_4", "--frames", str(frames), "--out", str(tmp_path / "one.png")]) == 0
    )


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--live", "--out", "there"], 2, "--live is of one camera: name it with --camera"),
        (["--out", "a_file"], 2, "--out a_file: is a file: name a folder, or one camera with --camera"),
        (["--out", "no/there"], 2, "--out no/there: there is no folder no"),
        (["--out", "there"], 3, "no frame of a camera of yard that has a pose: give --frames DIR"),
    ],
)
def test_overlays_that_cannot_be_drawn_make_no_folder(
    make_bay, store, tmp_path, monkeypatch, capsys, options, status, words
):
    make_bay("yard")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").touch()
    assert main(["overlay", "yard", *options]) == status
    assert words in capsys.readouterr().err
    assert not (tmp_path / "there").exists()


@pytest.mark.slow(8)
def test_no_overlay_is_drawn_where_there_is_no_frame(serve, login, store, tmp_path, capsys):
    serve({"C_4": "offline"})
    out = ["--out", str(tmp_path / "none.jpg")]
    assert main(["overlay", "yard", "--camera", "X_1", *out]) == 2
    assert "it has: C_2, C_4, C_6" in capsys.readouterr().err
    assert main(["overlay", "yard", "--camera", "C_4", *out]) == 3
    assert "give --live or --frame" in capsys.readouterr().err
    assert main(["overlay", "yard", "--camera", "C_4", "--live", *out]) == 1
    assert "camera C_4 gave no frame: unreachable" in capsys.readouterr().err
    assert not (tmp_path / "none.jpg").exists()
