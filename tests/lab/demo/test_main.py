"""What the demo says at its end of how to go on."""

import sys
from pathlib import Path

from lab.demo.__main__ import _questions


def test_the_commands_that_ask_what_it_left_behind_can_be_copied(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    monkeypatch.chdir(tmp_path)
    first, *_ = _questions("7bay", Path("/tmp/a demo/data"), "/tmp/a demo/bays")
    where = "DATA_PATH='/tmp/a demo/data' BAYS_PATH='/tmp/a demo/bays'"
    assert first == f"{where} .venv/bin/bay-observation history show 7bay"
    monkeypatch.setattr(sys, "executable", "/usr/bin/python")
    assert _questions("demo_bay", Path("/d"), None)[0] == "DATA_PATH=/d /usr/bin/bay-observation history show demo_bay"
