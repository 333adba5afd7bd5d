"""ArtifactTrigger: fires when the file is whole, or at its deadline."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from artifacts import ArtifactStore
from triggers import ArtifactTrigger
from triggers.events import ArtifactEvent

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)


@pytest.fixture
def published(make_bay, store, make_capture):
    bay = make_bay()
    batch = make_capture(bay, SLOT)
    return store.save("capture", bay.bay_id, batch.batch_id, batch)


async def fire(reference, deadline):
    events = [
        event
        async for event in ArtifactTrigger(reference=reference.to_dict(), deadline=deadline, poll_interval=0.01).run()
    ]
    assert len(events) == 1
    return ArtifactEvent.from_dict(events[0].payload, expected=reference)


def in_time():
    return datetime.now(UTC) + timedelta(minutes=5)


async def test_fires_at_once_for_a_whole_file(published):
    assert (await fire(published, in_time())).status == "whole"


async def test_waits_until_the_file_is_there_and_whole(published, store, monkeypatch):
    path = store.root / published.path
    whole = path.read_bytes()
    path.unlink()
    looks, looked_often = [], asyncio.Event()
    loop = asyncio.get_running_loop()
    readable_size = ArtifactStore.readable_size

    def counted(self, reference):
        looks.append(readable_size(self, reference))
        if len(looks) == 3:
            loop.call_soon_threadsafe(looked_often.set)
        return looks[-1]

    monkeypatch.setattr(ArtifactStore, "readable_size", counted)
    waiting = asyncio.create_task(fire(published, in_time()))
    await looked_often.wait()
    assert not waiting.done()
    path.write_bytes(whole[:-1])
    path.write_bytes(whole)
    assert (await waiting).status == "whole"
    assert looks[:3] == [None, None, None]
    assert looks[-1] == published.size


@pytest.mark.parametrize("content", [b"something else", b"", b"longer" * 10_000])
async def test_a_wrong_file_is_not_waited_for(published, store, monkeypatch, content):
    monkeypatch.setattr("triggers.artifact._SETTLED", 0.05)
    path = store.root / published.path
    path.write_bytes(content)
    event = await fire(published, in_time())
    assert event.status == "wrong"
    assert str(path) in event.error


async def test_gives_up_at_its_deadline_and_names_the_path(published, store):
    path = store.root / published.path
    path.unlink()
    event = await fire(published, datetime.now(UTC) + timedelta(seconds=0.05))
    assert event.status == "timed_out"
    assert str(path) in event.error


async def test_taken_over_after_its_deadline_it_still_looks_once(published):
    assert (await fire(published, datetime.now(UTC) - timedelta(hours=1))).status == "whole"


async def test_a_mount_that_hangs_does_not_hold_it_beyond_the_deadline(published, monkeypatch):
    import triggers.artifact

    async def hang(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(triggers.artifact, "_ONE_LOOK", 0.02)
    monkeypatch.setattr(triggers.artifact.asyncio, "to_thread", hang)
    assert (await fire(published, datetime.now(UTC) + timedelta(seconds=0.02))).status == "timed_out"
