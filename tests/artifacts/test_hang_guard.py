"""Calls that hang: nobody waits for them, none is made while one hangs, and none has a late effect."""

import os
import threading
import time
from datetime import UTC, datetime

import pytest

from artifacts import ArtifactStore, StoreFault, store_timeout
from artifacts.filesystem import MARKER, FileStatus
from artifacts.hang_guard import HangGuard, WatchedFileSystem, guard_for
from bay_observation.errors import ConfigError, StoreUnavailableError

from .conftest import BAY, batch_name


class Hanging:
    """A call that returns when the test says so."""

    def __init__(self):
        self.reached, self.released = threading.Event(), threading.Event()
        self.calls = 0

    def __call__(self):
        self.calls += 1
        self.reached.set()
        assert self.released.wait(30)
        return "done"


@pytest.fixture
def hanging():
    hanging = Hanging()
    yield hanging
    hanging.released.set()


def returned(guard):
    deadline = time.monotonic() + 10
    while guard._overdue:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_hands_on_what_a_call_returns_or_raises():
    assert HangGuard("/data").call(lambda: 7, 1) == 7
    with pytest.raises(ZeroDivisionError):
        HangGuard("/data").call(lambda: 1 // 0, 1)


def test_while_a_call_hangs_no_other_is_made(hanging):
    guard = HangGuard("/data")
    with pytest.raises(StoreUnavailableError, match=r"/data: .*hangs.*no answer in 0\.05 s") as first:
        guard.call(hanging, 0.05)
    assert first.value.fault == StoreFault.HANGING
    other = Hanging()
    with pytest.raises(StoreUnavailableError, match="has not returned yet"):
        guard.call(other, 60)
    assert other.calls == 0
    hanging.released.set()
    returned(guard)
    assert guard.call(lambda: "back", 1) == "back"


def test_no_more_threads_hang_than_there_are_places():
    guard, hanging = HangGuard("/data"), Hanging()
    refusals = []

    def call():
        try:
            guard.call(hanging, 0.3)
        except StoreUnavailableError as error:
            refusals.append(error)

    callers = [threading.Thread(target=call) for _ in range(40)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(refusals) == 40
    assert hanging.calls == 16
    hanging.released.set()
    returned(guard)


def test_a_call_within_a_call_is_part_of_it(hanging):
    guard = HangGuard("/data")
    assert guard.call(lambda: guard.call(threading.get_ident, 1) == threading.get_ident(), 1)


def test_a_forked_process_has_no_part_in_what_hangs(hanging):
    with pytest.raises(StoreUnavailableError):
        guard_for("/data").call(hanging, 0.01)
    child = os.fork()
    if child == 0:
        os._exit(0 if guard_for("/data").call(lambda: 5, 10) == 5 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class OneFile:
    """A file system that hangs before its last step."""

    root = "/data"

    def __init__(self, hanging):
        self.hanging, self.content = hanging, None

    def where(self, path):
        return f"/data/{path}"

    def status(self, path):
        return None if self.content is None else FileStatus(len(self.content), datetime.now(UTC))

    def write(self, path, content, *, before_commit=None, new=False):
        self.hanging()
        before_commit()
        self.content = content


def test_what_hung_does_not_appear_later(hanging):
    files = OneFile(hanging)
    with pytest.raises(StoreUnavailableError):
        WatchedFileSystem(files, 0.05, marked=False).write("a", b"late")
    hanging.released.set()
    returned(guard_for("/data"))
    assert files.content is None


def test_an_absent_mount_is_told_from_an_empty_store(tmp_path, monkeypatch, a_capture):
    monkeypatch.setenv("STORE_MARKER", "required")
    store = ArtifactStore(tmp_path)
    for use in (
        lambda: store.save("capture", BAY, batch_name(9), a_capture(9)),
        lambda: store.find("tracking", BAY, batch_name(9)),
        lambda: store.batch_ids("tracking", BAY),
        store.check,
    ):
        with pytest.raises(StoreUnavailableError, match=rf"{tmp_path}/{MARKER}: .*mount it") as absent:
            use()
        assert absent.value.fault == StoreFault.ABSENT
    assert list(tmp_path.iterdir()) == []  # nothing was written beneath the mount
    (tmp_path / MARKER).touch()
    assert store.load(store.save("capture", BAY, batch_name(9), a_capture(9))) == a_capture(9)


@pytest.mark.parametrize(
    ("name", "value"),
    [("STORE_TIMEOUT", "0"), ("STORE_TIMEOUT", "soon"), ("STORE_MARKER", "yes"), ("STORE_TIMEOUT", "inf")],
)
def test_wrong_settings_are_refused(tmp_path, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"{name}={value}"):
        ArtifactStore(tmp_path)


def test_the_limit_is_the_environments(monkeypatch):
    assert store_timeout() == 20
    monkeypatch.setenv("STORE_TIMEOUT", "2.5")
    assert store_timeout() == 2.5
