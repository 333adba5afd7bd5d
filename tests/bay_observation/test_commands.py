"""Every command ends odd input, closed pipes, full disks, Ctrl-C and Ctrl-D with one line at most, and its status."""

import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
# Scripts that a person runs with `python -m`: they have a block for that at their end.
SCRIPTS = sorted(
    path
    for package in PROJECT.iterdir()
    if package.is_dir() and not package.name.startswith((".", "tests", "deploy"))
    for path in package.rglob("*.py")
    if 'if __name__ == "__main__":' in path.read_text("utf-8")
)
# No person's: started by another script, with arguments of its own.
INNER = {
    "lab/benchmarks/cases.py",
    "lab/benchmarks/deferred.py",
    "lab/benchmarks/yard.py",
    "lab/hostile/bays_in_airflow.py",
    "lab/simulation/failing_store.py",
}

# Where a shell started the tests in the background, their children ignore Ctrl-C: not those that are tried with it.
WALL = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from bay_observation.commands import run_command
from bay_observation.errors import ConfigError

def main():
{body}

run_command(main)
"""
CASES = {
    "done": ("    print('x'); return 0", 0, ""),
    "its own status": ("    return 3", 3, ""),
    "wrong arguments": ("    sys.exit(2)", 2, ""),
    "Ctrl-C": ("    raise KeyboardInterrupt", 130, ""),
    "Ctrl-D": ("    input('Login: ')", 2, "the input ended before an answer; nothing was done"),
    "an error of ours": ("    raise ConfigError('bays/x.yaml:3: no')", 2, "bays/x.yaml:3: no"),
    "no such file": ("    open('/nothing/there')", 1, "/nothing/there: No such file or directory"),
    "a full file": (
        "    print('x' * 100_000, file=open('/dev/full', 'w'))",
        1,
        "the output cannot be written: No space left on device",
    ),
}


INPUTS = {
    "inference predict": ["predict", "demo_bay", "/nothing/there", "--out", "x"],
    "inference export": ["export", "--data", "/nothing/there", "--format", "yolo", "--out", "x"],
    "inference import": ["import", "/nothing/there", "--out", "x"],
    "lab.training train": ["train", "detector", "--data", "/nothing/there"],
    "lab.training train again": ["train", "detector", "--start", "/nothing/there"],
    "lab.training score": ["score", "--data", "/nothing/there"],
    "lab.backtest": ["run", "demo_bay", "--params", "/nothing/there", "--from", "2025-07-01", "--to", "2025-07-02"],
    "fusion calibrate": ["calibrate", "demo_bay", "--camera", "C_1", "--points", "x", "--frame", "/nothing/there"],
    "fusion calibrate by a survey": [
        "calibrate",
        "demo_bay",
        "--camera",
        "C",
        "--points",
        "x",
        "--survey",
        "/nothing/there",
    ],
    "fusion keep-witnesses": ["keep-witnesses", "demo_bay", "--frames", "/nothing/there"],
    "capture_async overlay": ["overlay", "demo_bay", "--camera", "C_1", "--frame", "/nothing/there", "--out", "x.png"],
    "artifacts convert": ["convert", "/nothing/there", "x"],
    "tracking name": ["name", "demo_bay", "--list", "/nothing/there"],
    "legacy import": ["import", "/nothing/there"],
    "legacy check": ["check", "/nothing/there"],
    "legacy compare": ["compare", "demo_bay", "--from", "2025-07-01", "--old", "/nothing/there"],
}


def python(*arguments, **options):
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "BAYS_PATH": str(PROJECT / "bays")}
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen([sys.executable, *arguments], env=environment, text=True, **given)


def wall(body, **options):
    return python("-c", WALL.format(body=body), **options)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_command_has_the_wall(path):
    block = path.read_text("utf-8").partition('if __name__ == "__main__":')[2]
    assert ("run_command(main)" in block) is (str(path.relative_to(PROJECT)) not in INNER)


def test_the_commands_that_a_page_names_are_among_them():
    named = re.findall(r"`python -m ([\w.]+)", (PROJECT / "docs/commands.md").read_text("utf-8"))
    there = {str(path.relative_to(PROJECT)) for path in SCRIPTS}
    assert len(named) > 10
    for module in named:
        file = module.replace(".", "/")
        assert {f"{file}/__main__.py", f"{file}.py"} & there, module


@pytest.mark.parametrize(("body", "status", "said"), CASES.values(), ids=CASES.keys())
def test_what_a_command_ends_with(body, status, said):
    process = wall(body)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors.strip()) == (status, said)


def test_a_full_disk_behind_the_output():
    with Path("/dev/full").open("w") as full:
        process = wall("    print('x'); return 0", stdout=full)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors.strip()) == (1, "the output cannot be written: No space left on device")


def test_a_full_disk_behind_both():
    with Path("/dev/full").open("w") as full:
        process = wall("    print('x'); return 0", stdout=full, stderr=full)
        assert process.wait(30) == 1


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_reader_that_has_seen_enough(size):
    process = wall(f"    print('x' * {size}); return 0")
    process.stdout.close()
    assert process.wait(30) == 1
    assert process.stderr.read() == ""
    process.stderr.close()


def test_ctrl_c_in_the_middle():
    process = wall("    print('ready', flush=True); import time; time.sleep(60)")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")


@pytest.mark.parametrize(
    ("closed", "body", "status", "said"),
    [
        (">&-", "print('x'); return 0", 1, "the output cannot be written: Bad file descriptor"),
        (">&-", "return 3", 3, ""),
        (
            ">&-",
            "from rich.console import Console; Console().print('x'); return 0",
            1,
            "the output cannot be written: Bad file descriptor",
        ),
        ("<&-", "input('Login: ')", 2, "the input ended before an answer; nothing was done"),
        (
            "<&-",
            "import getpass; getpass.getpass() if sys.stdin.isatty() else input()",
            2,
            "the input ended before an answer; nothing was done",
        ),
        ("2>&-", "raise ConfigError('no')", 2, ""),
        ("<&- >&- 2>&-", "print('x'); return 0", 1, ""),
        ("<&- >&-", "return 0 if min(os.open('/dev/null', 0), 3) == 3 else 9", 0, ""),
    ],
    ids=range(8),
)
def test_streams_that_are_not_there(closed, body, status, said):
    """Python has None in their place, and a file that is opened next would be written to as if it were the output."""
    code = WALL.format(body=f"    import os; {body}")
    command = f'exec {sys.executable} -c "$0" {closed}'
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(["bash", "-c", command, code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.removeprefix("Login: ").strip()) == (status, said)


@pytest.mark.slow(0.3)
@pytest.mark.parametrize("command", ["bays list", "bays validate", "bay_observation.settings"])
def test_a_command_as_it_is(command):
    with Path("/dev/full").open("w") as full:
        process = python("-m", *command.split(), stdout=full)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.splitlines() == ["the output cannot be written: No space left on device"]


@pytest.mark.parametrize("case", INPUTS)
def test_an_input_that_is_not_there_is_wrong_use_and_leaves_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = importlib.import_module(f"{case.split(maxsplit=1)[0]}.__main__")
    with pytest.raises(SystemExit) as ended:
        command.main(INPUTS[case])
    assert ended.value.code == 2
    assert "/nothing/there: cannot be read: No such file or directory" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--epochs", "--batch", "--image-size"])
@pytest.mark.parametrize("number", ["0", "-3", "two", "1.5"])
def test_a_training_of_no_epochs_is_wrong_use(option: str, number: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = importlib.import_module("lab.training.__main__")
    with pytest.raises(SystemExit) as ended:
        command.main(["train", "detector", option, number])
    assert ended.value.code == 2
    assert f"{option}: '{number}': write a whole number above 0" in capsys.readouterr().err
