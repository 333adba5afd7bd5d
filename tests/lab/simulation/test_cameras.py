import asyncio
import base64
import hashlib
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from functools import cache

import aiohttp
import cv2
import numpy as np
import pytest

from bay_observation.errors import SimulationError
from bays import load_bay
from lab.simulation import soap
from lab.simulation.cameras import CameraFarm
from lab.simulation.clock import SimulatedClock
from lab.simulation.control import ControlServer
from lab.simulation.faults import FAULTS, Fault, fault

MOMENT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
MAIN = "/snapshot/boot%201?profile=main&channel=1"


@cache
def _picture():
    encoded, jpeg = cv2.imencode(".jpg", np.full((1080, 1920, 3), 120, dtype=np.uint8))
    assert encoded
    return jpeg.tobytes()


def draw(camera_name, moment):
    comment = f"{camera_name} {moment.isoformat()}".encode()
    return _picture()[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + _picture()[2:]


@pytest.fixture
def bay():
    bay = load_bay("demo_bay")
    return bay.model_copy(update={"cameras": bay.cameras[:2]})


@pytest.fixture
def make_farm(bay):
    def make(faults=None, *, frame_source=draw, **options):
        options = {"latency_s": 0.0, "soap_latency_s": 0.0, "port": 0, "clock": SimulatedClock(MOMENT)} | options
        return CameraFarm(bay, frame_source, username="yard", password="secret", faults=faults, **options)

    return make


def base(farm, name="C_2"):
    camera = farm.bay.camera(name)
    return f"http://{camera.host}:{camera.port}"


def digest_session():
    """aiohttp's own digest client: not the one that this project wrote."""
    return aiohttp.ClientSession(middlewares=(aiohttp.DigestAuthMiddleware("yard", "secret"),))


def envelope(operation, *, security=""):
    return (
        f'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header>{security}</s:Header>'
        f'<s:Body><{operation} xmlns="http://www.onvif.org/ver10/media/wsdl"/></s:Body></s:Envelope>'
    )


async def post(farm, text):
    address = base(farm) + "/onvif/device_service"
    async with aiohttp.ClientSession() as session, session.post(address, data=text) as response:
        return response.status, await response.text()


def test_every_fault_has_a_sentence():
    assert set(FAULTS) == set(Fault)
    assert all(sentence.endswith(".") for sentence in FAULTS.values())


def test_unknown_faults_and_cameras_are_named_with_those_there_are(make_farm):
    with pytest.raises(SimulationError, match=r"'broken'.*offline, hang"):
        fault("broken")
    with pytest.raises(SimulationError, match="no camera X_1; its cameras: C_2, C_4"):
        make_farm({"X_1": "offline"})


async def test_a_digest_client_of_another_make_gets_the_frame(make_farm):
    async with make_farm() as farm, digest_session() as session:
        for _ in range(2):
            async with session.get(aiohttp.client.URL(base(farm) + MAIN, encoded=True)) as response:
                assert response.status == 200
                assert await response.read() == draw("C_2", MOMENT)
        assert farm.counters["C_2"].unauthorized == 1
        assert farm.counters["C_2"].snapshots == 2
        assert farm.counters["C_4"].requests == 0


async def test_no_frame_without_the_login(make_farm):
    async with make_farm() as farm, aiohttp.ClientSession() as session:
        for authorization in (None, "Basic eWFyZDpzZWNyZXQ=", 'Digest username="yard"', "Digest", "rubbish"):
            headers = {"Authorization": authorization} if authorization else {}
            async with session.get(base(farm) + MAIN, headers=headers) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"].startswith("Digest ")
        assert farm.counters["C_2"].failed_logins == 4


@pytest.mark.slow(1)
async def test_onvif_zeep_finds_the_snapshot_address(make_farm):
    """The library's own camera class, in a process of its own, since it changes the process that it is in."""
    code = """
import sys
from onvif import ONVIFCamera
host, port = sys.argv[1].split(":")
camera = ONVIFCamera(host, int(port), "yard", "secret")
media = camera.create_media_service()
sizes = {p.token: p.VideoEncoderConfiguration.Resolution.Width for p in media.GetProfiles()}
assert sizes == {"sub": 640, "main": 1920, "third": 1280}, sizes
print(media.GetSnapshotUri({"ProfileToken": "main"}).Uri)
print(camera.devicemgmt.GetDeviceInformation().SerialNumber)
print(camera.devicemgmt.GetServices({"IncludeCapability": False})[1].XAddr)
print(media.GetStreamUri({"StreamSetup": {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}},
                          "ProfileToken": "main"}).Uri)
"""
    async with make_farm() as farm:
        address = base(farm).removeprefix("http://")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, address, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        snapshot, serial, service, stream = out.decode().split("\n")[:4]
        assert snapshot == base(farm) + MAIN
        assert serial == "C_2"
        assert service == base(farm) + "/onvif/media_service"
        assert stream.startswith("rtsp://")
        assert farm.counters["C_2"].operations["CreatePullPointSubscription"] == 1
        assert farm.counters["C_2"].failed_logins == 0


async def test_the_clock_is_told_to_anyone_and_nothing_else_is(make_farm):
    async with make_farm() as farm:
        status, text = await post(farm, envelope("GetSystemDateAndTime"))
        assert status == 200
        assert f"<tt:Year>{datetime.now(UTC).year}</tt:Year>" in text
        status, text = await post(farm, envelope("GetProfiles"))
        assert (status, "NotAuthorized" in text) == (400, True)


@pytest.mark.parametrize("text", ["", "no xml", "<a/>"])
async def test_what_is_no_soap_request(make_farm, text):
    async with make_farm() as farm:
        status, reply = await post(farm, text)
        assert (status, "WellFormed" in reply) == (400, True)


def test_plain_tokens():
    plain = soap.Token("yard", "secret", False, b"", "")
    now, tolerance = datetime.now(UTC), timedelta(seconds=30)
    assert soap.token_is_valid(plain, "yard", "secret", now, tolerance)
    assert not soap.token_is_valid(plain, "yard", "other", now, tolerance)
    assert not soap.token_is_valid(plain, "other", "secret", now, tolerance)
    assert not soap.token_is_valid(None, "yard", "secret", now, tolerance)


async def test_a_token_is_good_once_and_for_a_short_time(make_farm):
    def security(created, nonce):
        digest = base64.b64encode(hashlib.sha1(nonce + created.encode() + b"secret").digest()).decode()
        oasis = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
        return (
            f'<Security xmlns="{oasis}wssecurity-secext-1.0.xsd"><UsernameToken><Username>yard</Username>'
            f'<Password Type="{oasis}username-token-profile-1.0#PasswordDigest">{digest}</Password>'
            f"<Nonce>{base64.b64encode(nonce).decode()}</Nonce>"
            f'<Created xmlns="{oasis}wssecurity-utility-1.0.xsd">{created}</Created></UsernameToken></Security>'
        )

    def at(moment):
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    now = datetime.now(UTC)
    async with make_farm() as farm:
        first = envelope("GetProfiles", security=security(at(now), b"1"))
        assert (await post(farm, first))[0] == 200
        assert (await post(farm, first))[0] == 400
        late = envelope("GetProfiles", security=security(at(now - timedelta(minutes=5)), b"2"))
        assert (await post(farm, late))[0] == 400
        await farm.set_faults({"C_2": "clock_skew"})
        ahead = envelope("GetProfiles", security=security(at(now + timedelta(minutes=37)), b"3"))
        assert (await post(farm, ahead))[0] == 200


async def test_smaller_profiles_give_smaller_frames(make_farm):
    async with make_farm() as farm, digest_session() as session:
        for profile, shape in (("sub", (360, 640, 3)), ("third", (720, 1280, 3)), ("main", (1080, 1920, 3))):
            address = base(farm) + MAIN.replace("main", profile)
            async with session.get(aiohttp.client.URL(address, encoded=True)) as response:
                data = np.frombuffer(await response.read(), dtype=np.uint8)
            assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == shape


async def test_frames_are_drawn_once_and_off_the_loop(make_farm):
    drawn = []

    def count(name, moment):
        drawn.append((name, moment, threading.current_thread() is threading.main_thread()))
        return draw(name, moment)

    async with make_farm(frame_source=count) as farm, digest_session() as session:

        async def snapshot():
            async with session.get(aiohttp.client.URL(base(farm) + MAIN, encoded=True)) as response:
                return await response.read()

        assert len(set(await asyncio.gather(*(snapshot() for _ in range(5))))) == 1
        assert drawn == [("C_2", MOMENT, False)]
        later = MOMENT + timedelta(minutes=10)
        await farm.set_time(later, prepare=True)
        assert sorted(drawn[1:]) == [("C_2", later, False), ("C_4", later, False)]
        assert await snapshot() == draw("C_2", later)
        assert len(drawn) == 3


async def test_a_frame_that_cannot_be_drawn_is_an_error_and_is_tried_again(make_farm, caplog):
    calls = []

    def once(name, moment):
        calls.append(name)
        if len(calls) == 1:
            raise ValueError("no paint")
        return draw(name, moment)

    async with make_farm(frame_source=once) as farm, digest_session() as session:
        for status in (500, 200):
            async with session.get(aiohttp.client.URL(base(farm) + MAIN, encoded=True)) as response:
                assert response.status == status
    assert "no paint" in caplog.text


async def test_offline_and_back_at_the_same_address(make_farm):
    async with make_farm({"C_2": "offline"}) as farm:
        camera = farm.bay.camera("C_2")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(str(camera.host), camera.port)
        await farm.set_faults({"C_2": []})
        assert farm.bay.camera("C_2").port == camera.port
        _, writer = await asyncio.open_connection(str(camera.host), camera.port)
        writer.close()


async def test_closing_lets_go_of_requests_that_hang(make_farm):
    async with make_farm({"C_2": "hang", "C_4": "drip"}) as farm, digest_session() as session:
        requests = [
            asyncio.create_task(session.get(aiohttp.client.URL(base(farm, name) + MAIN, encoded=True)))
            for name in ("C_2", "C_4")
        ]
        while not all(counters.requests for counters in farm.counters.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await farm.close()
        for result in await asyncio.gather(*requests, return_exceptions=True):
            if isinstance(result, aiohttp.ClientResponse):
                result.close()


async def test_an_address_in_use_and_one_of_another_machine(bay, make_farm):
    with socket.socket() as taken:
        taken.bind((str(bay.cameras[0].host), 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SimulationError, match=rf"camera C_2: 127\.60\.0\.183:{port} is in use"):
            async with make_farm(port=port):
                pass
    elsewhere = load_bay("3bay_north")
    with pytest.raises(SimulationError, match="not an address of this machine"):
        async with CameraFarm(elsewhere, draw, username="yard", password="secret", port=0):
            pass


def test_clock():
    clock = SimulatedClock(MOMENT.astimezone())
    assert clock.now() == MOMENT
    with pytest.raises(SimulationError, match="time zone"):
        clock.set(datetime(2025, 7, 2))
    assert SimulatedClock(MOMENT, running=True).now() >= MOMENT


async def test_control_moves_time_and_faults(make_farm):
    async with make_farm() as farm, ControlServer(farm) as control, aiohttp.ClientSession() as session:

        async def put(path, content):
            async with session.put(control.address + path, json=content) as response:
                return response.status, await response.json()

        status, state = await put("/time", {"time": "2025-07-02T18:00:00+09:00"})
        assert (status, state["time"]) == (200, "2025-07-02T09:00:00+00:00")
        assert farm.clock.now() == datetime(2025, 7, 2, 9, tzinfo=UTC)
        assert not state["running"]
        status, state = await put("/time", {"time": "2025-07-02T18:00:00+09:00", "running": True, "prepare": False})
        assert (status, state["running"]) == (200, True)
        status, state = await put("/faults", {"C_4": ["offline", "basic"]})
        assert (status, state["cameras"]["C_4"]["faults"]) == (200, ["basic", "offline"])
        async with session.get(control.address + "/state") as response:
            assert (await response.json())["cameras"]["C_2"]["counters"]["requests"] == 0
        for path, content in (
            ("/time", {"time": "noon"}),
            ("/time", {"time": "2025-07-02T18:00:00"}),
            ("/time", {}),
            ("/time", {"time": "2025-07-02T18:00:00+09:00", "running": "yes"}),
            ("/time", []),
            ("/faults", {"C_4": ["broken"]}),
            ("/faults", {"C_4": 3}),
            ("/faults", {"C_4": [{}]}),
            ("/faults", {"X_9": []}),
        ):
            status, reply = await put(path, content)
            assert status == 400, content
            assert reply["error"]
        assert sorted(farm.cameras["C_4"].faults) == ["basic", "offline"]


def test_control_is_on_loopback_only(make_farm):
    for host in ("0.0.0.0", "10.0.0.1", "localhost.example"):
        with pytest.raises(SimulationError, match="loopback"):
            ControlServer(make_farm(), host)
