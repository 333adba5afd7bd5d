"""The measurement itself: a file that is taken, one that hangs and one that crashes the reader are findings."""

import os
import signal
import time

import pytest

from bay_observation.errors import ArtifactError
from lab.hostile import artifacts
from lab.hostile.artifacts import cases, read_references

pytestmark = pytest.mark.slow(1)


def refused():
    raise ArtifactError("no")


@pytest.mark.parametrize(
    ("read", "outcome", "holds"),
    [
        (refused, "ArtifactError", True),
        (lambda: None, "value", False),
        (lambda: 1 / 0, "ZeroDivisionError: division by zero", False),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "crash", False),
        (lambda: time.sleep(60), "hangs", False),
    ],
)
def test_only_an_artifact_error_holds(monkeypatch, read, outcome, holds):
    monkeypatch.setattr(artifacts, "_GIVEN_UP_S", 0.5)
    reading = artifacts._measured("x", read)
    assert (reading.outcome, reading.holds) == (outcome, holds)


def test_time_and_memory_are_the_reader_s_own():
    def slow_and_large():
        until = time.process_time() + 1.1
        filled = bytearray(b"x") * (150 * 2**20)
        while time.process_time() < until:
            pass
        raise ArtifactError(f"late: {len(filled)}")

    reading = artifacts._measured("x", slow_and_large)
    assert reading.refused
    assert not reading.holds
    assert reading.seconds > 1
    assert reading.mebibytes > 100


def test_a_few_cases_of_a_stage(tmp_path, monkeypatch):
    names = ("FIFO", "loop of links", "socket", "an object", "plain data: nothing")
    few = {name: make for name, make in cases().items() if name in names}
    assert len(few) == len(names)
    monkeypatch.setattr(artifacts, "cases", lambda: few)
    read = list(artifacts.read_all(tmp_path))
    assert len(read) == 4 * (3 * 3 + 2 * 4)
    assert [one for one in read if not one.holds] == []


def test_references():
    read = list(read_references())
    assert len(read) > 100
    assert [one for one in read if not one.holds] == []
