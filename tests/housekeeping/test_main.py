"""`python -m housekeeping`."""

import json

from housekeeping.__main__ import main


def test_an_empty_store_has_nothing_to_delete(store, make_bay, capsys):
    make_bay("yard")
    store.root.mkdir()
    assert main([]) == 0
    assert "0.0 MB freed" in capsys.readouterr().out
    assert main(["--json", "--dry-run", "--bay", "yard"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["freed"] == []
    assert report["dry_run"] is True
    assert report["forecast"]["disk"] > report["forecast"]["free"] > 0


def test_nothing_is_deleted_of_a_bay_whose_file_is_wrong(store, make_bay, bays_folder, capsys):
    make_bay("yard")
    (bays_folder / "broken.yaml").write_text("retention: {frames: 0}\n")
    store.root.mkdir()
    assert main([]) == 1
    assert "NOT CLEANED: broken: nothing of it is deleted:" in capsys.readouterr().out


def test_a_store_that_is_not_there_is_not_made(store, make_bay, capsys):
    make_bay("yard")
    assert main(["--dry-run"]) == 2
    assert "is DATA_PATH right?" in capsys.readouterr().err
    assert not store.root.exists()


def test_no_file_system_no_answer(monkeypatch, make_bay, capsys):
    make_bay("yard")
    monkeypatch.setenv("DATA_PATH", "/proc/1/nowhere")
    monkeypatch.setenv("HISTORY_DB", "mysql://no")
    assert main([]) == 2
    assert "HISTORY_DB" in capsys.readouterr().err
