"""`bay-observation`: every command by its job, under one name, without a slow `--help`."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from bay_observation import cli, cli_reference
from bay_observation.cli import ENTRIES, Entry
from bay_observation.commands import called_as, program, status_of
from bay_observation.errors import ConfigError, FusionError, HistoryUnavailableError

PROJECT = Path(__file__).parents[2]


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["bay-observation", *arguments])
    try:
        return cli.main()
    except SystemExit as ended:
        return ended.code


def test_help_lists_every_command_and_imports_nothing_of_the_product():
    script = (
        "import sys; sys.argv[1:] = ['--help']\n"
        "from bay_observation import cli\n"
        "cli.main()\n"
        "print([m for m in ('bays', 'artifacts', 'tracking', 'numpy', 'airflow', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    *lines, imported = done.stdout.splitlines()
    assert imported == "[]"
    for entry in ENTRIES:
        assert any(line.strip().startswith(" ".join(entry.path)) for line in lines), entry.path
    assert {entry.path[0] for entry in ENTRIES} == set(cli.JOBS)


@pytest.mark.slow(0.1)
@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.has_parser], ids=lambda entry: " ".join(entry.path))
def test_every_command_is_there_and_is_named_as_it_is_typed(entry):
    parser = entry.parser()
    assert parser.prog.split() == ["bay-observation", *entry.path]
    assert callable(importlib.import_module(f"{entry.module}.__main__").main)
    assert all(action.help for action in parser._actions), "an argument without a word of help"


def test_every_subcommand_of_the_aliases_is_among_them():
    known = {(entry.module, entry.words) for entry in ENTRIES}
    for module in {entry.module for entry in ENTRIES if entry.has_parser}:
        parser = importlib.import_module(f"{module}.__main__").make_parser()
        words = [word for action in parser._actions for word in (action.choices or ()) if action.dest == "command"]
        words = words or [
            word for a in parser._actions if type(a).__name__ == "_SubParsersAction" for word in a.choices
        ]
        assert {(module, (word,)) for word in words} <= known, module


def test_a_command_runs_as_its_alias_does(bays_folder, make_bay, monkeypatch, capsys):
    make_bay("yard")
    assert run(monkeypatch, "bay", "list", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [(bay["bay"], bay["cameras"]) for bay in document["bays"]] == [("yard", 12)]
    (bays_folder / "other.yaml").write_text("nothing: [")
    assert run(monkeypatch, "bay", "list") == 1
    told = capsys.readouterr()
    assert "yard" in told.out
    assert "other.yaml" in told.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nope"], "No such command 'nope'"),
        (["bay", "nope"], "No such command 'nope'"),
        (["bay", "list", "--nope"], "usage: bay-observation bay"),
        (["bay", "validate", "nope"], "there is no bay nope"),
        (["history", "show", "nope"], "there is no bay nope"),
        (["camera", "health", "nope"], "there is no bay nope"),
        (["calibrate", "nope", "--camera", "C_4", "--points", "x.csv"], "there is no bay nope"),
        (["models", "health", "nope"], "there is no bay nope"),
    ],
)
def test_wrong_use_is_2_everywhere(arguments, words, make_bay, store, monkeypatch, capsys):
    make_bay("yard")
    assert run(monkeypatch, *arguments) == 2
    assert words in capsys.readouterr().err
    assert not store.root.exists()  # a command that fails makes no path


def test_a_group_alone_lists_its_commands(monkeypatch, capsys):
    assert run(monkeypatch, "store") == 2
    assert "replicate" in capsys.readouterr().err


def test_version(monkeypatch, capsys):
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("bay-observation ")


def completed(*words):
    *before, incomplete = words
    complete = ShellComplete(cli.program_group(), {}, "bay-observation", "_BAY_OBSERVATION_COMPLETE")
    return [item.value for item in complete.get_completions(before, incomplete)]


def test_the_shell_completes_commands_options_and_bays(bays_folder):
    for name in ("north", "south"):
        (bays_folder / f"{name}.yaml").write_text("")
    assert completed("hist") == ["history"]
    assert completed("history", "ex") == ["export"]
    assert completed("history", "show", "n") == ["north"]
    assert completed("history", "show", "--a") == ["--at", "--area"]
    assert "--dry-run" in completed("calibrate", "--d")
    assert completed("airflow", "--") == []


def test_the_bays_of_the_installation_are_completed_without_a_setting(monkeypatch):
    monkeypatch.delenv("BAYS_PATH", raising=False)
    assert "3bay_north" in completed("bay", "validate", "")


def test_airflow_gets_its_arguments_and_this_installations_dags(monkeypatch):
    asked = {}
    monkeypatch.setattr("airflow.__main__.main", lambda: asked.update(argv=list(sys.argv)))
    monkeypatch.delenv("AIRFLOW__CORE__DAGS_FOLDER", raising=False)
    assert run(monkeypatch, "airflow", "dags", "list") == 0
    assert asked["argv"] == ["airflow", "dags", "list"]
    import os

    assert os.environ["AIRFLOW__CORE__DAGS_FOLDER"] == str(PROJECT / "dags")
    monkeypatch.delenv("AIRFLOW__CORE__DAGS_FOLDER")


def test_a_usage_names_what_was_typed():
    assert program("python -m bays") == "python -m bays"
    with called_as("bay-observation bay"):
        assert program("python -m bays") == "bay-observation bay"
    assert Entry(("store", "clean"), "housekeeping", (), "x").usage_name == "bay-observation store clean"
    assert Entry(("calibrate",), "fusion", ("calibrate",), "x").usage_name == "bay-observation"


@pytest.mark.parametrize(
    ("error", "status"), [(ConfigError("x"), 2), (HistoryUnavailableError("x"), 3), (FusionError("x"), 1)]
)
def test_one_convention_of_statuses(error, status):
    assert status_of(error) == status


def test_the_page_of_commands_is_what_the_parsers_say():
    page = (PROJECT / "docs/commands.md").read_text("utf-8")
    assert page == cli_reference.document(), "python -m bay_observation.cli_reference > docs/commands.md"
