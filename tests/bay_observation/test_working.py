import io
import sys

import pytest

from bay_observation.cli import ENTRIES
from bay_observation.working import working


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    return shown


def test_a_terminal_sees_what_goes_on_until_there_is_something_to_read(monkeypatch):
    terminal = on_a_terminal(monkeypatch)
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    with working("models score"):
        print("the answer")
        seen = terminal.getvalue()
        print("and more", file=sys.stderr)
    assert "models score" in seen
    assert written.getvalue() == "the answer\n"
    assert terminal.getvalue() == seen + "and more\n"
    assert (sys.stdout, sys.stderr) == (written, terminal)


def test_the_streams_are_as_before_after_an_error(monkeypatch):
    terminal = on_a_terminal(monkeypatch)
    with pytest.raises(ZeroDivisionError), working("models score"):
        raise ZeroDivisionError
    assert sys.stderr is terminal


def test_what_is_no_terminal_sees_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with working("models score"):
        pass
    assert sys.stderr.getvalue() == ""


def test_commands_that_compute_show_it():
    slow = {" ".join(entry.path) for entry in ENTRIES if entry.computes}
    assert {"models score", "camera refine-poses", "bay place-cameras", "history rebuild"} <= slow
    assert not any(path.endswith(("serve", "new", "calibrate")) for path in slow)
