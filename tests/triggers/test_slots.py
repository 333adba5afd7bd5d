"""PublishedTrigger and TrackedTrigger: something of a slot is there, will never come, or is late."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from bay_observation.errors import ArtifactError
from tracking.history import BatchOutcome, History
from triggers import PublishedTrigger, TrackedTrigger
from triggers.events import SlotEvent
from triggers.history_address import history_url

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
BATCH = "yard_20250702-071000"


@pytest.fixture(autouse=True)
def no_connection(monkeypatch):
    async def missing(name):
        raise AirflowNotFoundException(name)

    monkeypatch.delenv("HISTORY_DB", raising=False)
    monkeypatch.setattr(BaseHook, "aget_connection", missing)


@pytest.fixture
def captured(make_bay, store, make_capture):
    batch = make_capture(make_bay(), SLOT)
    return lambda: store.save("capture", "yard", BATCH, batch)


async def fire(kind, *, seconds=60.0, **arguments):
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    trigger = kind(bay_id="yard", batch_id=BATCH, deadline=deadline, poll_interval=0.01, **arguments)
    (event,) = [event async for event in trigger.run()]
    return SlotEvent.from_dict(event.payload, batch_id=BATCH)


def record(store, outcome, reason=""):
    with History.at(store.root) as history:
        history.record("yard", SLOT, outcome, reason)


async def test_a_published_artifact_has_its_reference(captured):
    reference = captured()
    event = await fire(PublishedTrigger, stage="capture")
    assert (event.status, event.found) == ("there", reference.to_dict())


async def test_waits_until_the_artifact_is_published(captured):
    waiting = asyncio.create_task(fire(PublishedTrigger, stage="capture"))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    reference = captured()
    assert (await waiting).found == reference.to_dict()


async def test_gives_up_at_its_deadline(captured):
    event = await fire(PublishedTrigger, stage="fusion", seconds=-1)
    assert event.status == "timed_out"
    assert "it is not there" in event.error


async def test_a_damaged_artifact_is_not_waited_for(captured, store):
    (store.root / captured().path).write_bytes(b"nonsense")
    event = await fire(PublishedTrigger, stage="capture")
    assert event.status == "failed"
    assert "capture.pkl" in event.error


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (BatchOutcome.SKIPPED, "never"),
        (BatchOutcome.WITHDRAWN, "never"),
        (BatchOutcome.FUSED, "timed_out"),
        (BatchOutcome.CAPTURE_FAILED, "timed_out"),  # a person may clear it
    ],
)
async def test_a_slot_that_was_not_tracked(captured, store, outcome, status):
    record(store, outcome, "too dark")
    event = await fire(TrackedTrigger, seconds=-1)
    assert event.status == status
    if status == "never":
        assert event.error == f"{BATCH} is not tracked: {outcome}: too dark"


async def test_a_slot_in_which_the_bay_is_closed_is_not_waited_for(make_bay, store):
    make_bay(skip_times=["16:00-17:00"])
    event = await fire(TrackedTrigger)
    assert event.status == "never"
    assert "skip window" in event.error


async def test_a_history_that_is_away_is_waited_for(captured, store, monkeypatch):
    monkeypatch.setenv("HISTORY_DB", "postgresql://yard:secret@127.0.0.1:1/bays")
    event = await fire(TrackedTrigger, seconds=-1)
    assert event.status == "timed_out"
    assert "secret" not in event.error
    assert "127.0.0.1" in event.error


async def test_the_histories_address_comes_from_the_connection(monkeypatch):
    async def found(name):
        return Connection(conn_id=name, conn_type="postgres", host="db", login="bay", password="p w", schema="h")

    assert await history_url() is None
    monkeypatch.setattr(BaseHook, "aget_connection", found)
    assert await history_url() == "postgresql://bay:p w@db/h"


@pytest.mark.parametrize("payload", [{"status": "there", "batch_id": "other"}, {"status": "odd"}, "there"])
def test_an_event_of_another_form_is_refused(payload):
    with pytest.raises(ArtifactError):
        SlotEvent.from_dict(payload, batch_id=BATCH)


def test_no_address_and_no_password_in_what_is_stored():
    trigger = TrackedTrigger(bay_id="yard", batch_id=BATCH, deadline=SLOT)
    assert set(trigger.serialize()[1]) == {"bay_id", "batch_id", "deadline", "poll_interval"}
