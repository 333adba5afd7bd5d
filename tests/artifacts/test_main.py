"""`python -m artifacts`: what an operator asks and starts."""

import json

import pytest

from artifacts import ArtifactStore
from artifacts.__main__ import main
from artifacts.filesystem import MARKER

from .conftest import BAY, batch_name


@pytest.fixture
def host(broken, spool, monkeypatch):
    monkeypatch.setenv("DATA_PATH", str(broken))
    monkeypatch.setenv("SPOOL_PATH", str(spool.folder))
    return ArtifactStore()


def test_init_marks_a_store_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATA_PATH", str(tmp_path))
    assert main(["init"]) == 0
    assert (tmp_path / MARKER).is_file()
    inode = (tmp_path / MARKER).stat().st_ino
    assert main(["init"]) == 0
    assert (tmp_path / MARKER).stat().st_ino == inode
    assert "STORE_MARKER=required" in capsys.readouterr().out


def test_status_tells_of_the_store_and_what_waits(host, broken, capsys, a_capture):
    assert main(["status"]) == 1
    assert "the shared storage is not there: mount it" in capsys.readouterr().out
    host.save("capture", BAY, batch_name(9), a_capture(9))
    broken.unlink()
    assert main(["status", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["pending"], told["fault"], told["replicator"]) == (1, None, False)
    assert told["bays"][0]["oldest_batch"] == batch_name(9)
    with host.spool.only_replicator(0):
        main(["status"])
    out = capsys.readouterr().out
    assert "replicator  runs" in out
    assert f"{BAY}: 1 wait" in out


def test_status_of_a_folder_that_is_not_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "no" / "such"))
    monkeypatch.delenv("SPOOL_PATH", raising=False)
    assert main(["status"]) == 3
    assert f"{tmp_path}/no/such: not there" in capsys.readouterr().out
    assert main(["status", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["exists"] is False
    assert not (tmp_path / "no").exists()


def test_list_and_get(tmp_path, monkeypatch, capsys, a_capture):
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    monkeypatch.delenv("SPOOL_PATH", raising=False)
    store = ArtifactStore()
    for hour in (8, 9):
        store.save("capture", BAY, batch_name(hour), a_capture(hour))
    assert main(["list", BAY]) == 0
    assert capsys.readouterr().out == f"{batch_name(8)}  capture\n{batch_name(9)}  capture\n"
    assert main(["list", BAY, "--newest", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["batches"] == {batch_name(9): ["capture"]}

    assert main(["get", BAY, "newest", "capture"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["images"][0]["jpeg"] == {"bytes": 11}
    assert f"{batch_name(9)}/capture.pkl" in told.err
    assert main(["get", BAY, batch_name(8), "capture", "--frames", str(tmp_path / "frames")]) == 0
    (frame,) = (tmp_path / "frames").iterdir()
    assert frame.read_bytes() == a_capture(8).images[0].jpeg


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["list", BAY], 3, "no artifact of bay"),
        (["get", BAY, "newest", "fusion"], 3, "lists what there is"),
        (["get", BAY, batch_name(9), "fusion"], 3, f"no fusion artifact of {batch_name(9)}"),
        (["get", BAY, "../x", "fusion"], 1, "no plain name"),
    ],
)
def test_what_is_not_there_is_said(tmp_path, monkeypatch, capsys, arguments, status, words):
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    monkeypatch.delenv("SPOOL_PATH", raising=False)
    assert main(arguments) == status
    assert words in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("arguments", [["list", "3bay_nort"], ["get", "3bay_nort", "newest", "fusion"]])
def test_a_bay_that_there_is_not_is_wrong_use(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    monkeypatch.delenv("SPOOL_PATH", raising=False)
    assert main(arguments) == 2
    assert f"there is no bay 3bay_nort (did you mean {BAY}?)" in capsys.readouterr().err


def test_artifacts_of_a_bay_without_a_file_are_still_read(tmp_path, monkeypatch, capsys, a_capture):
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    monkeypatch.delenv("SPOOL_PATH", raising=False)
    ArtifactStore().save("capture", "former", batch_name(9, "former"), a_capture(9, bay="former"))
    assert main(["list", "former"]) == 0
    assert main(["get", "former", "newest", "capture"]) == 0
    assert main(["get", "former", "newest", "fusion"]) == 3
    assert "no fusion artifact" in capsys.readouterr().err


def test_replicate_once(host, broken, capsys, a_capture):
    host.save("capture", BAY, batch_name(9), a_capture(9))
    assert main(["replicate", "--once"]) == 1
    assert "cannot be" in capsys.readouterr().err
    broken.unlink()
    assert main(["replicate", "--once"]) == 0
    assert host.batch_ids("capture", BAY) == [batch_name(9)]
    assert main(["status"]) == 0


def test_a_second_one_waits(host, capsys):
    with host.spool.only_replicator(0):
        assert main(["replicate", "--once"]) == 1
    assert "held by another process" in capsys.readouterr().err


def test_without_a_spool_there_is_nothing_to_replicate(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATA_PATH", str(tmp_path))
    monkeypatch.delenv("SPOOL_PATH", raising=False)
    assert main(["replicate"]) == 2
    assert "SPOOL_PATH is not set" in capsys.readouterr().err
    assert main(["status"]) == 0
    assert "SPOOL_PATH is not set" in capsys.readouterr().out
