"""CaptureTrigger: one artifact per bay and slot, quorum, credentials, errors that are told."""

import asyncio
import subprocess
import sys
import threading
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml
from airflow.sdk import BaseHook
from airflow.triggers.base import BaseTrigger, TriggerEvent

from bay_observation.errors import CaptureError, ConfigError
from bays import batch_id
from lab.simulation.cameras import CameraFarm
from triggers import CaptureTrigger
from triggers.events import CaptureEvent

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
DEMO_BAY = Path(__file__).parents[2] / "bays" / "demo_bay.yaml"
SCRIPTED = {"image_provider": "scripted", "image_provider_config": {}}


async def fire(**arguments):
    trigger = CaptureTrigger(**{"bay_id": "yard", "batch_id": batch_id("yard", SLOT), "timeout": 60.0} | arguments)
    events = [event async for event in trigger.run()]
    assert len(events) == 1
    assert isinstance(events[0], TriggerEvent)
    return events[0].payload


@pytest.mark.slow(5)
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


@pytest.mark.slow(5)
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


@pytest.mark.slow(5)
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


async def test_a_damaged_capture_is_taken_again(make_bay, store, scripted_cameras, caplog):
    make_bay(**SCRIPTED)
    first = await fire()
    path = store.root / first["reference"]["result_path"]
    path.write_bytes(path.read_bytes()[:1000])
    assert (await fire())["status"] == "captured"
    assert str(path) in caplog.text
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


async def test_ended_while_it_publishes_it_leaves_nothing(make_bay, store, scripted_cameras, monkeypatch):
    """A task marked failed, a triggerer stopped, while the shared storage hangs."""
    import bay_observation.files

    make_bay(**SCRIPTED)
    written, released = threading.Event(), threading.Event()

    def hang(_descriptor):
        written.set()
        assert released.wait(30)

    monkeypatch.setattr(bay_observation.files.os, "fsync", hang)
    task = asyncio.create_task(fire())
    assert await asyncio.to_thread(written.wait, 30)
    task.cancel("mark failed")
    with pytest.raises(asyncio.CancelledError):
        await task
    released.set()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


@pytest.mark.slow(2)
def test_what_asks_cameras_is_imported_off_the_triggerers_loop():
    """It takes a second, in which no other bay's camera would be heard."""
    script = """
import asyncio, sys, threading
where = {}
def note(event, arguments):
    if event == "import" and arguments[0] in ("capture_async.onvif.replies", "triggers.capture"):
        where.setdefault(arguments[0], threading.current_thread() is threading.main_thread())
sys.addaudithook(note)
from bays import load_bay
from triggers import CaptureTrigger
trigger = CaptureTrigger(bay_id="demo_bay", batch_id="demo_bay_20250702-071000", timeout=5.0)
async def ask():
    try:
        await trigger._ask_cameras(load_bay("demo_bay"))
    except Exception as error:  # no Airflow answers for the Connection here
        print("ended by", type(error).__name__, file=sys.stderr)
asyncio.run(ask())
print(where)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "{'triggers.capture': True, 'capture_async.onvif.replies': False}", (
        done.stderr
    )


def test_airflow_finds_nothing_to_do_on_kill():
    # It is also called where Airflow only moves a trigger to another triggerer.
    assert CaptureTrigger.on_kill is BaseTrigger.on_kill
    assert CaptureTrigger.cleanup is BaseTrigger.cleanup


@pytest.mark.slow(1)
async def test_bays_in_one_triggerer_do_not_wait_for_one_another(make_bay, store, scripted_cameras):
    """No camera answers before the cameras of all bays are asked: one after another, none would."""
    bays = [make_bay(name, capture_deadline=20, **SCRIPTED) for name in ("yard", "dock", "hall")]
    scripted_cameras.together = asyncio.Barrier(sum(len(bay.cameras) for bay in bays))
    payloads = await asyncio.gather(*(fire(bay_id=bay.bay_id, batch_id=batch_id(bay.bay_id, SLOT)) for bay in bays))
    assert [payload["counts"]["images"] for payload in payloads] == [12, 12, 12]
    assert scripted_cameras.asked == 36


class Yard:
    """Four cameras on real sockets that take half a minute for a frame."""

    def __init__(self, make_bay):
        content = yaml.safe_load(DEMO_BAY.read_text(encoding="utf-8"))["cameras"][:4]
        self._write = partial(make_bay, camera_quorum=4, cameras=content)
        login = {"username": "yard", "password": "yard"}
        self.farm = CameraFarm(self._write(), lambda *_: b"", **login, port=0, latency_s=30, soap_latency_s=0)
        self._content = content

    def write(self, **changes):
        """The bay's file, with the ports on which the cameras listen."""
        for entry in self._content:
            entry["port"] = self.farm.cameras[entry["name"]].port
        self._write(**changes)

    def connections(self):
        """What of this process is connected to a camera."""
        addresses = {(camera.host, camera.port) for camera in self.farm.cameras.values()}
        return [c for c in psutil.Process().net_connections("tcp") if c.raddr and tuple(c.raddr) in addresses]

    async def asked(self):
        """Return once every camera has been asked for its frame."""
        await asyncio.gather(*(camera.frame_asked.wait() for camera in self.farm.cameras.values()))


@pytest.fixture
async def yard(make_bay, store, monkeypatch):
    async def connection(name):
        return SimpleNamespace(login="yard", password="yard")

    monkeypatch.setattr(BaseHook, "aget_connection", connection)
    yard = Yard(make_bay)
    for camera in yard.farm.cameras.values():
        note_frames(camera)
    async with yard.farm:
        yield yard


def note_frames(camera):
    """Tell of a request for a frame that came with the right login."""
    camera.frame_asked = asyncio.Event()
    refuse = camera._refuse_login

    def noted(request):
        refusal = refuse(request)
        if refusal is None and request.method == "GET":
            camera.frame_asked.set()
        return refusal

    camera._refuse_login = noted


@pytest.mark.slow(1)
async def test_ended_from_outside_it_lets_go_of_every_socket(yard, store):
    yard.write()
    task = asyncio.create_task(fire())
    await yard.asked()
    assert len(yard.connections()) >= 4
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert yard.connections() == []
    assert store.batch_ids("capture", "yard") == []


@pytest.mark.slow(2)
async def test_at_the_deadline_it_lets_go_of_every_socket_and_tells(yard, store):
    yard.write(capture_deadline=2)
    payload = await fire()
    assert payload["status"] == "below_quorum"
    assert set(payload["failures"].values()) == {"timed out"}
    assert yard.connections() == []
    assert store.batch_ids("capture", "yard") == []
