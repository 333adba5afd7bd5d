"""Parts of the export in threads: one that hangs is named, and holds up neither others nor a scrape."""

import threading
import time

import pytest

from bay_observation.errors import StoreUnavailableError
from dashboard.export_parts import Group, ask_all

AT_ONCE = 0.0
PATIENCE_S = 20.0


@pytest.fixture
def hanging():
    """A part that hangs until the test sets the event."""
    ends = threading.Event()

    def ask():
        ends.wait(PATIENCE_S)
        return [("late", (), 1.0)]

    ask.ends = ends
    yield ask
    ends.set()


def asked(group, parts):
    group.ask(parts)
    group.wait(PATIENCE_S)
    return group.answers()


def test_each_part_has_its_answer():
    def away():
        raise StoreUnavailableError("the store is away", "absent")

    def broken():
        raise ZeroDivisionError

    answers = asked(Group("of", AT_ONCE), {"one": lambda: [("a", (), 1.0)], "two": away, "three": broken})
    assert [(name, list(one.values), one.failed) for name, one in answers.items()] == [
        ("one", [("a", (), 1.0)], False),
        ("two", [], True),
        ("three", [], True),
    ]


def test_who_asks_waits_no_longer_than_its_patience_for_all_groups(hanging):
    groups = {"slow": Group("slow"), "slow too": Group("slow too"), "quick": Group("quick")}
    began = time.monotonic()
    ask_all(groups, {"slow": {"x": hanging}, "slow too": {"y": hanging}, "quick": {"z": lambda: [("z", (), 1.0)]}}, 0.3)
    assert time.monotonic() - began < PATIENCE_S / 2
    assert groups["slow"].answers() == {}  # it may still answer in time
    assert not groups["quick"].answers()["z"].failed


def test_while_one_part_hangs_its_whole_group_has_failed(hanging):
    group = Group("of", AT_ONCE)
    asked(group, {"one": lambda: [("a", (), 1.0)], "two": lambda: [("b", (), 1.0)]})
    group.ask({"one": lambda: [("a", (), 2.0)], "two": hanging})
    group.wait(0.1)
    assert {name: one.failed for name, one in group.answers().items()} == {"one": True, "two": True}
    hanging.ends.set()
    group.wait(PATIENCE_S)
    assert {name: one.failed for name, one in group.answers().items()} == {"one": False, "two": False}


def test_what_hangs_is_not_asked_once_more(hanging):
    group, calls = Group("of"), []

    def counted():
        calls.append(1)
        return hanging()

    for _ in range(3):
        group.ask({"one": counted})
    hanging.ends.set()
    group.wait(PATIENCE_S)
    assert len(calls) == 1


def test_a_part_that_is_asked_no_more_has_no_answer():
    group = Group("of")
    asked(group, {"bay north": list, "bay south": list})
    assert list(asked(group, {"bay south": list})) == ["bay south"]
