"""Every command that takes a bay refuses one that there is not: it is named, beside those that may be meant."""

import sys

import pytest

from bay_observation import cli
from bay_observation.bay_files import unknown_bays
from bay_observation.cli import ENTRIES
from lab.cluster.cluster import missing

UNKNOWN, MEANT = "3bay_nort", "3bay_north"
# Words for what a command requires beside its bay.
WORDS = {
    "batch": f"{UNKNOWN}_20250702-071000", "stage": "fusion", "camera": "C_4", "points": "points.csv",
    "pictures": __file__, "source": __file__, "out": "out", "into": "out", "folder": "out", "start": "2025-07-02",
    "end": "2025-07-03", "add": "1", "older_than": "30", "length": "8h", "owner": "new", "why": "a test",
}  # fmt: skip
# `bay new` names a bay that there is not yet; `--bays` of a plan is a number.
OTHERS = {("bay", "new"), ("lab", "capacity", "plan")}


def bay_of(entry):
    """The command's argument that names a bay."""
    return next((action for action in entry.parser()._actions if action.dest in ("bay", "bays")), None)


def line_of(entry):
    """A command line that names a bay which there is not."""
    words, parser = [*entry.path], entry.parser()
    needed = [group._group_actions[0] for group in parser._mutually_exclusive_groups if group.required]
    for action in parser._actions:
        if action.dest in ("bay", "bays"):
            words += [*action.option_strings[:1], UNKNOWN]
        elif action.required or action in needed:
            words += [*action.option_strings[:1], WORDS[action.dest]]
    return words


COMMANDS = [entry for entry in ENTRIES if entry.has_parser and entry.path not in OTHERS and bay_of(entry) is not None]


@pytest.mark.slow(0.1)
@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: " ".join(entry.path))
def test_it_is_named_with_what_may_be_meant(entry, tmp_path, store, monkeypatch, capsys):
    if entry.module == "lab.cluster" and (lacking := missing()):
        pytest.skip(lacking)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BAYS_PATH", raising=False)
    for name in ("BAYS_ENABLED", "BAYS_SCHEDULE", "SPOOL_PATH"):  # `demo` sets some, for its own process
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "argv", ["bay-observation", *line_of(entry)])
    assert cli.main() == 2
    told = capsys.readouterr()
    assert f"there is no bay {UNKNOWN} (did you mean {MEANT}?); there are: {MEANT}" in told.err + told.out
    assert not any(tmp_path.iterdir())


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    "words",
    [
        ["bay", "place-cameras", "demo_bay", "--add", "1", "--like", "c_44"],
        ["calibrate", "demo_bay", "--points", "points.csv", "--camera", "c_44"],
        ["camera", "keep-witnesses", "demo_bay", "--camera", "C_2", "--camera", "c_44"],
        ["camera", "overlay", "demo_bay", "--camera", "c_44", "--out", "overlay.jpg"],
        ["demo", "--off", "C_2 c_44"],
        ["simulate", "render", "demo_bay", "--camera", "c_44", "--out", "frame.jpg"],
        ["simulate", "serve", "demo_bay", "--fault", "c_44=offline"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_camera_that_a_bay_has_not_is_named_too(words, tmp_path, store, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BAYS_PATH", raising=False)
    for name in ("BAYS_ENABLED", "BAYS_SCHEDULE", "SPOOL_PATH"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    (tmp_path / "points.csv").write_text("name,u,v,x,y\nP1,1,1,1,1\n")
    monkeypatch.setattr(sys, "argv", ["bay-observation", *words])
    assert cli.main() == 2
    told = capsys.readouterr().err
    assert "bay demo_bay has no camera c_44 (did you mean C_4?); it has: C_2, C_4, C_6" in told
    assert "make demo" not in told


def test_more_than_one_may_be_meant():
    known = ["3bay_north", "3bay_south", "4bay"]
    assert str(unknown_bays(["3bay_sorth", "4bay", "9"], known, "bays")) == (
        "bays: there is no bay 3bay_sorth, 9 (did you mean 3bay_north or 3bay_south?);"
        " there are: 3bay_north, 3bay_south, 4bay"
    )
    assert str(unknown_bays(["yard"], [], "bays")) == "bays: there is no bay yard; there are: none"
