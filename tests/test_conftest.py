"""The order of the tests on two workers, and the time that they may take."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow(1)

SLOW = "import pytest\n@pytest.mark.slow({})\ndef test_{}(): pass\n"
TESTS = {
    "test_quick.py": "def test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n",
    "test_middling.py": SLOW.format(2, "d"),
    "test_longest.py": SLOW.format(1, "e") + SLOW.format(2, "f"),
}


@pytest.fixture
def run(tmp_path):
    """run(*arguments): pytest's exit status and output, for three files and this project's conftest.py."""
    for name, text in TESTS.items():
        (tmp_path / name).write_text(text)

    def run(*arguments, **variables):
        command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "-p", "conftest", str(tmp_path), *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "CI"} | variables
        environment |= {"PYTHONPATH": str(Path(__file__).parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
        return done.returncode, done.stdout

    return run


def test_the_longest_file_is_run_first(run):
    status, printed = run("--collect-only", "-q")
    assert status == 0
    assert [line.split("::")[1] for line in printed.splitlines() if "::" in line] == [
        f"test_{name}" for name in "efdabc"
    ]


def test_a_file_is_run_by_one_worker(run):
    status, printed = run("-v", "-p", "xdist", "-n", "2", "--at-most", "300")
    assert status == 0
    ran = [line.split() for line in printed.splitlines() if "PASSED" in line]
    workers = {(words[0], words[-1].partition("::")[0]) for words in ran}
    assert len(ran) == 6
    assert len(workers) == 3, printed


def test_a_run_that_takes_too_long_fails(run):
    status, printed = run("--at-most", "0.01")
    assert status == 1
    assert " s of at most 0 s" in printed


def test_on_a_ci_machine_the_time_is_printed_and_fails_nothing(run):
    status, printed = run("--at-most", "0.01", CI="true")
    assert status == 0
    assert " s of at most 0 s" in printed
