"""One capture per bay and slot: the first stands, and what was abandoned is never seen."""

import asyncio
import os
import threading
from datetime import UTC, datetime

import pytest

from capture_async.publication import publish_capture, published_capture

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)


class HangingDisk:
    """Whose first `fsync` returns when the test says so."""

    def __init__(self, monkeypatch):
        self.reached = threading.Event()
        self.released = threading.Event()
        self._real = os.fsync
        monkeypatch.setattr(os, "fsync", self._hang)

    def _hang(self, descriptor):
        if not self.reached.is_set():
            self.reached.set()
            assert self.released.wait(30)
        self._real(descriptor)


@pytest.fixture
def disk(monkeypatch):
    disk = HangingDisk(monkeypatch)
    yield disk
    disk.released.set()


def files(store):
    return sorted(path.name for path in store.root.rglob("*") if path.is_file() and ".days" not in path.parts)


async def threads_end():
    """Wait for the loop's threads as a triggerer that stops does."""
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_publishes_and_hands_on(make_bay, store, make_capture):
    bay = make_bay()
    batch = make_capture(bay, SLOT)
    reference, held = await publish_capture(store, bay, batch)
    assert held is batch
    assert published_capture(store, bay, batch.batch_id) == (reference, batch)
    assert published_capture(store, bay, batch.batch_id, replaces=reference.sha256) is None
    assert files(store) == ["capture.pkl"]


async def test_abandoned_while_it_writes_nothing_is_published(make_bay, store, make_capture, disk, caplog):
    bay = make_bay()
    batch = make_capture(bay, SLOT)
    task = asyncio.create_task(publish_capture(store, bay, batch))
    assert await asyncio.to_thread(disk.reached.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert any(name.endswith(".part") for name in files(store))  # it hangs in the middle of writing
    disk.released.set()
    await threads_end()
    assert files(store) == []
    assert f"capture {batch.batch_id} is not published: its trigger has ended" in caplog.text


async def test_a_deadline_abandons_too(make_bay, store, make_capture, disk):
    bay = make_bay()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await publish_capture(store, bay, make_capture(bay, SLOT))
    disk.released.set()
    await threads_end()
    assert files(store) == []


async def test_one_that_was_frozen_while_it_wrote_takes_over_the_others(make_bay, store, make_capture, disk):
    bay = make_bay()
    frozen, quick = make_capture(bay, SLOT, grey=10), make_capture(bay, SLOT, grey=200)
    waiting = asyncio.create_task(publish_capture(store, bay, frozen))
    assert await asyncio.to_thread(disk.reached.wait, 30)
    reference, _ = await publish_capture(store, bay, quick)
    inode = (store.root / reference.path).stat().st_ino
    disk.released.set()
    assert await waiting == (reference, quick)
    assert (store.root / reference.path).stat().st_ino == inode
    assert files(store) == ["capture.pkl"]


async def test_one_that_comes_after_another_takes_it_over(make_bay, store, make_capture):
    bay = make_bay()
    first, late = make_capture(bay, SLOT, grey=200), make_capture(bay, SLOT, grey=10)
    reference, _ = await publish_capture(store, bay, first)
    path = store.root / reference.path
    inode = path.stat().st_ino
    assert await publish_capture(store, bay, late) == (reference, first)
    assert path.stat().st_ino == inode
    assert files(store) == ["capture.pkl"]


async def test_of_two_that_replace_a_cleared_one_the_first_stands(make_bay, store, make_capture):
    bay = make_bay()
    old, _ = await publish_capture(store, bay, make_capture(bay, SLOT, grey=1))
    new, _ = await publish_capture(store, bay, make_capture(bay, SLOT, grey=200), replaces=old.sha256)
    again, _ = await publish_capture(store, bay, make_capture(bay, SLOT, grey=10), replaces=old.sha256)
    assert old.sha256 != new.sha256 == again.sha256


async def test_a_poor_capture_does_not_stand_in_the_way(make_bay, store, make_capture):
    bay = make_bay(camera_quorum=11)
    poor = make_capture(bay, SLOT, count=3)
    store.save("capture", bay.bay_id, poor.batch_id, poor)
    whole = make_capture(bay, SLOT)
    _, held = await publish_capture(store, bay, whole)
    assert held is whole
