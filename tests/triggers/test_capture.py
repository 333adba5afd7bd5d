"""CaptureTrigger: one artifact per bay and slot, quorum, credentials, errors that are told."""

import asyncio
from datetime import UTC, datetime

import pytest
from airflow.triggers.base import TriggerEvent

from bay_observation.errors import CaptureError, ConfigError
from bays import batch_id
from triggers import CaptureTrigger
from triggers.events import CaptureEvent

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
SCRIPTED = {"image_provider": "scripted", "image_provider_config": {}}


async def fire(**arguments):
    trigger = CaptureTrigger(**{"bay_id": "yard", "batch_id": batch_id("yard", SLOT), "timeout": 60.0} | arguments)
    events = [event async for event in trigger.run()]
    assert len(events) == 1
    assert isinstance(events[0], TriggerEvent)
    return events[0].payload


async def test_publishes_one_capture_and_tells_its_reference(make_bay, store, scripted_cameras):
    make_bay(**SCRIPTED)
    scripted_cameras.down = frozenset({"C_2", "D_11"})
    payload = await fire()
    told = CaptureEvent.from_dict(payload, bay_id="yard", batch_id=batch_id("yard", SLOT))
    assert told.status == "captured"
    assert told.counts == {"cameras": 12, "images": 10, "failures": 2}
    assert told.failures == {"C_2": "unreachable", "D_11": "unreachable"}
    batch = store.load(told.reference)
    assert batch.slot == SLOT
    assert len(batch.images) == 10


async def test_running_again_hands_on_what_is_published_without_asking_a_camera(make_bay, store, scripted_cameras):
    make_bay(**SCRIPTED)
    first = await fire()
    asked = scripted_cameras.asked
    assert await fire() == first
    assert scripted_cameras.asked == asked == 12


async def test_a_cleared_task_gets_new_frames_once(make_bay, store, scripted_cameras):
    make_bay(**SCRIPTED)
    scripted_cameras.down = frozenset({"C_2"})
    old = (await fire())["reference"]["sha256"]
    scripted_cameras.down = frozenset()
    new = (await fire(replaces=old))["reference"]["sha256"]
    assert new != old
    asked = scripted_cameras.asked
    # The triggerer that ran it dies; another runs it from the start.
    assert (await fire(replaces=old))["reference"]["sha256"] == new
    assert scripted_cameras.asked == asked


async def test_below_the_quorum_nothing_is_published_and_the_next_try_asks_again(make_bay, store, scripted_cameras):
    bay = make_bay(camera_quorum=11, **SCRIPTED)
    scripted_cameras.down = frozenset({"C_2", "C_4"})
    payload = await fire()
    assert payload["status"] == "below_quorum"
    assert payload["failures"] == {"C_2": "unreachable", "C_4": "unreachable"}
    assert "reference" not in payload
    assert store.batch_ids("capture", bay.bay_id) == []
    scripted_cameras.down = frozenset()
    assert (await fire())["status"] == "captured"


async def test_a_published_capture_below_a_raised_quorum_is_not_handed_on(
    make_bay, store, make_capture, scripted_cameras
):
    bay = make_bay(camera_quorum=11, **SCRIPTED)
    poor = make_capture(bay, SLOT, count=9)
    store.save("capture", bay.bay_id, poor.batch_id, poor)
    assert (await fire())["counts"]["images"] == 12


async def test_a_damaged_capture_is_taken_again(make_bay, store, scripted_cameras, capsys):
    make_bay(**SCRIPTED)
    first = await fire()
    path = store.root / first["reference"]["result_path"]
    path.write_bytes(path.read_bytes()[:1000])
    assert (await fire())["status"] == "captured"
    assert str(path) in capsys.readouterr().out  # where Airflow's own logging of the test process goes
    assert scripted_cameras.asked == 24


async def test_a_missing_connection_is_named_and_not_retried(make_bay, store, monkeypatch):
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    async def missing(name):
        raise AirflowNotFoundException(f"The conn_id `{name}` isn't defined")

    monkeypatch.setattr(BaseHook, "aget_connection", missing)
    make_bay()  # provider onvif
    payload = await fire()
    assert payload["status"] == "failed"
    assert payload["retry"] is False
    assert "onvif_yard" in payload["error"]


async def test_the_login_comes_from_the_connection_and_is_in_no_event(make_bay, store, monkeypatch):
    from types import SimpleNamespace

    from airflow.sdk import BaseHook

    import capture_async.service

    seen = {}

    async def connection(name):
        return SimpleNamespace(login="operator", password="s3cret-of-the-yard")

    class Service:
        def __init__(self, bay, *, credentials):
            seen["credentials"] = credentials

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            return None

        async def capture(self, slot):
            raise CaptureError("the bay's network is down")

    monkeypatch.setattr(BaseHook, "aget_connection", connection)
    monkeypatch.setattr(capture_async.service, "CaptureService", Service)
    make_bay()
    payload = await fire()
    assert (seen["credentials"].username, seen["credentials"].password) == ("operator", "s3cret-of-the-yard")
    assert payload["status"] == "failed"
    assert payload["retry"] is True
    assert payload["error"] == "the bay's network is down"
    assert "s3cret" not in str(payload)


async def test_errors_become_events_and_reach_the_log(make_bay, store, capsys):
    with pytest.raises(ConfigError, match="unheard_of"):
        make_bay(image_provider="file", image_provider_config={"base_path": "/tmp", "unheard_of": 1})
    payload = await fire()
    assert payload["status"] == "failed"
    assert payload["retry"] is False
    assert "unheard_of" in payload["error"]
    assert "unheard_of" in capsys.readouterr().out


async def test_a_hanging_store_ends_at_the_timeout(make_bay, store, scripted_cameras, monkeypatch):
    make_bay(**SCRIPTED)
    release = asyncio.Event()

    async def hang(self, bay):
        await release.wait()

    monkeypatch.setattr(CaptureTrigger, "_ask_cameras", hang)
    payload = await fire(timeout=0.05)
    assert payload["status"] == "failed"
    assert "more than 0.05 s" in payload["error"]
    assert payload["retry"] is True


async def test_cancelling_is_not_swallowed(make_bay, store, scripted_cameras, monkeypatch):
    make_bay(**SCRIPTED)
    started = asyncio.Event()

    async def hang(self, bay):
        started.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(CaptureTrigger, "_ask_cameras", hang)
    task = asyncio.create_task(fire())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.batch_ids("capture", "yard") == []
