"""The replicator: in order, once, whoever is killed on the way."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from artifacts import ArtifactStore, Replicator, Spool, report_backlog
from artifacts.replication import Pass
from bay_observation.errors import ArtifactError, SpoolError, StoreUnavailableError
from inference.types import Observation

from .conftest import BAY, batch_name


@pytest.fixture
def store(broken):
    return ArtifactStore(broken)


@pytest.fixture
def replicator(spool, store):
    return Replicator(spool, store)


def test_publishes_in_order_when_the_store_is_back(observer, broken, spool, store, replicator, a_capture, caplog):
    caplog.set_level("INFO")
    captures = [observer.save("capture", BAY, batch_name(hour), a_capture(hour)) for hour in (11, 9, 10)]
    seen = observer.save("observation", BAY, batch_name(9), Observation(batch_name(9), BAY, ()))
    with pytest.raises(StoreUnavailableError):
        replicator.once()
    assert len(spool.pending(BAY)) == 4
    broken.unlink()
    assert replicator.once().published == 4
    assert [store.load(reference).batch_id for reference in captures] == [batch_name(hour) for hour in (11, 9, 10)]
    assert store.load(seen).batch_id == batch_name(9)
    paths = [record.getMessage().split(":")[0] for record in caplog.records if ": published" in record.getMessage()]
    assert [path.removeprefix(f"observation/{BAY}/") for path in paths] == [
        f"{batch_name(9)}/capture.pkl",
        f"{batch_name(9)}/result.pkl",
        f"{batch_name(10)}/capture.pkl",
        f"{batch_name(11)}/capture.pkl",
    ]
    assert spool.pending(BAY) == []
    assert replicator.once().published == 0


def test_what_is_published_already_is_not_published_again(observer, broken, spool, store, replicator, a_capture):
    reference = observer.save("capture", BAY, batch_name(9), a_capture(9))
    broken.unlink()
    store.save("capture", BAY, batch_name(9), a_capture(9))
    inode = (store.root / reference.path).stat().st_ino
    assert replicator.once().published == 1
    assert (store.root / reference.path).stat().st_ino == inode
    assert spool.pending(BAY) == []


def test_the_capture_of_another_observer_stands(observer, broken, spool, store, replicator, a_capture, caplog):
    observer.save("capture", BAY, batch_name(9), a_capture(9))
    broken.unlink()
    other = store.save("capture", BAY, batch_name(9), a_capture(9, b"of the stand-by"))
    assert replicator.once() == Pass(published=0, aside=1, left=0)
    assert store.load(other) == a_capture(9, b"of the stand-by")
    assert spool.backlog(BAY).aside == 1
    assert "another one is published and stands" in caplog.text


@pytest.mark.slow(1)
def test_of_two_observers_that_replicate_together_one_stands(broken, store, tmp_path, a_capture):
    hours, hosts = range(24), []
    for name in ("active", "standby"):
        spool = Spool(tmp_path / name, limit_bytes=1e6, kept=timedelta(hours=1))
        observer = ArtifactStore(broken, spool=spool)
        for hour in hours:
            observer.save("capture", BAY, batch_name(hour), a_capture(hour, name.encode()))
        hosts.append(Replicator(spool, store))
    broken.unlink()
    together, passes = threading.Barrier(2), []

    def replicate(host):
        together.wait()
        passes.append(host.once())

    threads = [threading.Thread(target=replicate, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done.published for done in passes) == sum(done.aside for done in passes) == len(hours)
    assert store.batch_ids("capture", BAY) == [batch_name(hour) for hour in hours]


def test_a_capture_that_was_cleared_is_replaced(observer, broken, spool, store, replicator, a_capture):
    broken.unlink()
    old = store.save("capture", BAY, batch_name(9), a_capture(9, b"old"))
    spool.add(*made(observer, a_capture(9, b"new")), old.sha256, None)
    assert replicator.once().published == 1
    assert store.load(store.find("capture", BAY, batch_name(9))) == a_capture(9, b"new")


def made(observer, capture):
    from artifacts.store import _made

    return _made("capture", BAY, capture.batch_id, capture)


def test_a_damaged_file_in_the_store_is_replaced(observer, broken, store, replicator, a_capture):
    reference = observer.save("capture", BAY, batch_name(9), a_capture(9))
    broken.unlink()
    (store.root / reference.path).parent.mkdir(parents=True)
    (store.root / reference.path).write_bytes(b"half of")
    assert replicator.once().published == 1
    assert store.load(reference) == a_capture(9)


def test_a_damaged_file_in_the_spool_holds_up_nothing(observer, broken, spool, store, replicator, a_capture, caplog):
    for hour in (9, 10):
        observer.save("capture", BAY, batch_name(hour), a_capture(hour))
    broken.unlink()
    spool.pending(BAY)[0].write_bytes(b"{}\n")
    done = replicator.once()
    assert (done.published, done.aside, done.left) == (1, 1, 0)
    assert "damaged" in caplog.text
    assert store.batch_ids("capture", BAY) == [batch_name(10)]


def test_what_cannot_be_published_holds_up_its_bay_alone(
    observer, broken, spool, store, replicator, a_capture, tmp_path
):
    first = observer.save("capture", BAY, batch_name(9), a_capture(9))
    observer.save("capture", BAY, batch_name(10), a_capture(10))
    observer.save("capture", "4bay", batch_name(9, "4bay"), a_capture(9, bay="4bay"))
    broken.unlink()
    (tmp_path / "elsewhere").mkdir()
    path = store.root / first.path
    path.parent.parent.mkdir(parents=True)
    path.parent.symlink_to(tmp_path / "elsewhere")
    done = replicator.once()
    assert (done.published, done.left) == (1, 2)
    assert store.batch_ids("capture", "4bay") == [batch_name(9, "4bay")]
    path.parent.unlink()
    assert replicator.once().published == 2


def test_a_newer_one_that_came_meanwhile_waits_on(observer, broken, spool, store, replicator, a_capture, monkeypatch):
    observer.save("capture", BAY, batch_name(9), a_capture(9, b"old"))
    broken.unlink()
    replicate = ArtifactStore.replicate

    def overtaken(self, *arguments):
        outcome = replicate(self, *arguments)
        monkeypatch.undo()
        observer.save("capture", BAY, batch_name(9), a_capture(9, b"new"))
        return outcome

    monkeypatch.setattr(ArtifactStore, "replicate", overtaken)
    replicator.once()
    assert len(spool.pending(BAY)) == 1
    replicator.once()
    assert store.load(store.find("capture", BAY, batch_name(9))) == a_capture(9, b"new")


def test_a_publication_of_this_host_that_hangs_is_waited_for(
    observer, broken, spool, replicator, a_capture, monkeypatch
):
    import artifacts.spool

    monkeypatch.setattr(artifacts.spool, "_PATIENCE_S", 0.1)
    observer.save("capture", BAY, batch_name(9), a_capture(9))
    broken.unlink()
    with spool.publishing(), pytest.raises(StoreUnavailableError, match="another process of this host"):
        replicator.once()
    assert replicator.once().published == 1


def test_one_process_replicates_and_another_takes_over(spool):
    with spool.only_replicator(0), pytest.raises(ArtifactError, match="held by another process"):  # noqa: SIM117
        with spool.only_replicator(0):
            pass
    with spool.only_replicator(0):
        pass


def test_runs_until_it_is_told_to_stop(observer, broken, spool, store, replicator, a_capture, caplog):
    caplog.set_level("INFO")
    stop = threading.Event()
    thread = threading.Thread(target=lambda: replicator.run(stop, idle_s=0.01, longest_wait_s=0.05))
    observer.save("capture", BAY, batch_name(9), a_capture(9))
    thread.start()
    wait_for(lambda: "1 artifacts wait; next try" in caplog.text)
    broken.unlink()
    wait_for(lambda: not spool.pending(BAY))
    observer.save("capture", BAY, batch_name(10), a_capture(10))
    wait_for(lambda: store.batch_ids("capture", BAY) == [batch_name(9), batch_name(10)])
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert "the store is back" in caplog.text


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_backlog_is_measured(observer, replicator, a_capture):
    class Sink:
        def __init__(self):
            self.sent = {}

        def gauge(self, stat, value, *, tags):
            self.sent[stat, tags["bay"]] = value

    observer.save("capture", BAY, batch_name(9), a_capture(9))
    sink = Sink()
    report_backlog(sink, replicator.backlogs(), datetime.now(UTC) + timedelta(minutes=3))
    assert sink.sent["bay_spool.pending", BAY] == 1
    assert sink.sent["bay_spool.bytes", BAY] > 100
    assert 180 <= sink.sent["bay_spool.oldest_age", BAY] < 240


def test_a_spool_that_cannot_be_read_says_so(observer, broken, replicator, a_capture, monkeypatch):
    observer.save("capture", BAY, batch_name(9), a_capture(9))
    broken.unlink()

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Spool, "entry", fail)
    with pytest.raises(SpoolError, match="the spool cannot be used: Input/output error"):
        replicator.once()


# -- killed ------------------------------------------------------------------------------------------

KILLED = Path(__file__).with_name("killed_at_every_step.py")


@pytest.mark.slow(10)
@pytest.mark.parametrize("what", ["replicate", "replace", "spool"])
def test_killed_at_any_step_it_loses_nothing_and_publishes_nothing_twice(what, tmp_path):
    told = subprocess.run(
        [sys.executable, KILLED, what, tmp_path], capture_output=True, text=True, check=False, env=os.environ
    )
    assert told.returncode == 0, told.stderr
    result = json.loads(told.stdout)
    assert result["killed"] >= 15
    assert result["finished"] == 1
