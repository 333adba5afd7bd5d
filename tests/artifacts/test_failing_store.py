"""A real mount that fails: FUSE in place of a file server, a full disk, a read-only mount."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from artifacts import ArtifactStore, Replicator, StoreFault, guard_for
from bay_observation.errors import SpoolError, StoreUnavailableError
from lab.simulation.failing_store import FAULTS, FailingStore, why_not

from .conftest import BAY, batch_name

pytestmark = [
    pytest.mark.slow(1),
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "a FUSE mount can be made"),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FailingStore]:
    with FailingStore(tmp_path / "server") as server:
        yield server


@pytest.fixture
def store(server):
    return ArtifactStore(server.mount, timeout_s=0.5)


def test_a_healthy_mount_is_a_store_like_any_other(server, store, a_capture):
    reference = store.save("capture", BAY, batch_name(9), a_capture(9, bytes(300_000)))
    assert store.load(reference) == a_capture(9, bytes(300_000))
    assert store.find("capture", BAY, batch_name(9)) == reference
    assert store.batch_ids("capture", BAY) == [batch_name(9)]
    assert server.named() == [reference.path]


def published_in(folder):
    """Names of all files, but for the lists of batches by day."""
    return [path.name for path in folder.rglob("*") if path.is_file() and ".days" not in path.parts]


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_each_fault_has_its_name(server, store, a_capture, fault):
    server.set_fault(fault)
    with pytest.raises(StoreUnavailableError, match=rf"{server.mount}.*cannot be published: .*:") as failed:
        store.save("capture", BAY, batch_name(9), a_capture(9))
    assert failed.value.fault == StoreFault(fault)
    server.set_fault("healthy")
    store.save("capture", BAY, batch_name(9), a_capture(9))
    assert published_in(server.backing) == ["capture.pkl"]


@pytest.mark.parametrize("fault", ["stale", "input/output", "disconnected", "permission"])
def test_reading_has_named_errors_too(server, store, a_capture, fault):
    reference = store.save("capture", BAY, batch_name(9), a_capture(9))
    server.set_fault(fault)
    for use in (lambda: store.load(reference), lambda: store.find("capture", BAY, batch_name(9)), store.check):
        with pytest.raises(StoreUnavailableError) as failed:
            use()
        assert failed.value.fault == StoreFault(fault)
    assert not store.is_whole(reference)


@pytest.mark.parametrize("call", ["getattr", "create", "write", "fsync", "rename"])
def test_it_hangs_at_any_call_and_nobody_waits(server, spool, a_capture, call):
    observer = ArtifactStore(server.mount, spool=spool, timeout_s=0.5)
    first = observer.save("capture", BAY, batch_name(8), a_capture(8))
    server.set_fault(f"hang {call}")
    reference = observer.save("capture", BAY, batch_name(9), a_capture(9))
    hanging = calls_under_way(server)
    assert hanging >= 1
    later = observer.save("capture", BAY, batch_name(10), a_capture(10))
    assert observer.load(reference) == a_capture(9)
    assert not observer.is_whole(replace(first, sha256="0" * 64))
    assert calls_under_way(server) == hanging  # none was made while one hangs
    with (
        pytest.raises(StoreUnavailableError, match="another process of this host")
        if call != "getattr"
        else (pytest.raises(StoreUnavailableError))
    ):
        Replicator(spool, ArtifactStore(server.mount, timeout_s=0.5)).once()
    server.set_fault("healthy")
    replicator = Replicator(spool, ArtifactStore(server.mount, timeout_s=5))
    until(lambda: replicated(replicator))
    # Each once, in order; also where the call that hung was the last one, and came through.
    assert server.named() == [first.path, reference.path, later.path]
    assert [observer.load(each) for each in (first, reference, later)] == [a_capture(hour) for hour in (8, 9, 10)]
    assert not list(server.backing.rglob("*.part"))


def calls_under_way(server):
    return guard_for(str(server.mount)).under_way


def replicated(replicator):
    try:
        replicator.once()
    except StoreUnavailableError:
        return False
    return True


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_slow_store_is_not_a_failing_one(server, a_capture, spool):
    server.set_fault("slow 0.05")
    observer = ArtifactStore(server.mount, spool=spool, timeout_s=20)
    observer.save("capture", BAY, batch_name(9), a_capture(9))
    assert not spool.has_backlog(BAY)


def test_a_server_that_is_gone_is_disconnected(tmp_path, a_capture):
    with FailingStore(tmp_path / "server") as server:
        assert server._process is not None
        server._process.kill()
        server._process.wait()
        with pytest.raises(StoreUnavailableError) as failed:
            ArtifactStore(server.mount).save("capture", BAY, batch_name(9), a_capture(9))
        assert failed.value.fault == StoreFault.DISCONNECTED
        assert "is it up" in str(failed.value)


def test_the_replicator_as_a_service(server, spool, a_capture, monkeypatch):
    """Started, killed and started again, with a second one beside it, while the store comes and goes."""
    observer = ArtifactStore(server.mount, spool=spool, timeout_s=0.5)
    monkeypatch.setenv("DATA_PATH", str(server.mount))
    monkeypatch.setenv("SPOOL_PATH", str(spool.folder))
    server.set_fault("full")
    references = [observer.save("capture", BAY, batch_name(hour), a_capture(hour)) for hour in (7, 8, 9)]
    command = [sys.executable, "-m", "artifacts", "replicate"]
    log = spool.folder.with_name("replicator.log")
    with log.open("wb") as output:
        first, second = (subprocess.Popen(command, stderr=output) for _ in range(2))
        try:
            until(lambda: b"the file system is full" in log.read_bytes())
            first.kill()
            first.wait()
            server.set_fault("healthy")
            until(lambda: not spool.has_backlog(BAY))
            references.append(observer.save("capture", BAY, batch_name(10), a_capture(10)))
            second.terminate()
            assert second.wait(20) == 0
        finally:
            for process in (first, second):
                process.kill()
                process.wait()
    assert server.named() == [reference.path for reference in references]


# -- the operating system's own file systems ---------------------------------------------------------


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A folder to mount something at; what is mounted there goes with the test."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    yield folder
    subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


def mount(*arguments: object) -> None:
    told = subprocess.run(["mount", *map(str, arguments)], check=False, capture_output=True, text=True)
    if told.returncode:
        pytest.skip(f"nothing can be mounted here: {told.stderr.strip()}")


def test_a_disk_that_is_truly_full(mounted, spool, a_capture):
    mount("-t", "tmpfs", "-o", "size=1m", "none", mounted)
    store = ArtifactStore(mounted)
    kept = store.save("capture", BAY, batch_name(8), a_capture(8, bytes(600_000)))
    with pytest.raises(StoreUnavailableError, match="the file system is full") as failed:
        store.save("capture", BAY, batch_name(9), a_capture(9, os.urandom(600_000)))
    assert failed.value.fault == StoreFault.FULL
    assert published_in(mounted) == ["capture.pkl"]
    observer = ArtifactStore(mounted, spool=spool)
    reference = observer.save("capture", BAY, batch_name(9), a_capture(9, bytes(600_000)))
    (mounted / kept.path).unlink()
    assert Replicator(spool, store).once().published == 1
    assert store.load(reference) == a_capture(9, bytes(600_000))


def test_a_spool_that_is_truly_full(mounted, broken, a_capture):
    from datetime import timedelta

    from artifacts import Spool

    mount("-t", "tmpfs", "-o", "size=1m", "none", mounted)
    mounted.chmod(0o750)
    observer = ArtifactStore(broken, spool=Spool(mounted, limit_bytes=1e9, kept=timedelta(hours=1)))
    with pytest.raises(SpoolError, match=r"cannot be spooled, while the shared store fails: No space left"):
        observer.save("capture", BAY, batch_name(9), a_capture(9, os.urandom(2_000_000)))
    assert not [path for path in mounted.rglob("*") if path.name.endswith(".part")]


def test_a_mount_that_is_read_only(mounted, tmp_path, a_capture):
    (tmp_path / "exported").mkdir()
    reference = ArtifactStore(tmp_path / "exported").save("capture", BAY, batch_name(8), a_capture(8))
    mount("--bind", tmp_path / "exported", mounted)
    mount("-o", "remount,ro,bind", mounted)
    store = ArtifactStore(mounted)
    with pytest.raises(StoreUnavailableError, match="read-only: mount it for writing") as failed:
        store.save("capture", BAY, batch_name(9), a_capture(9))
    assert failed.value.fault == StoreFault.READ_ONLY
    assert store.load(reference) == a_capture(8)
