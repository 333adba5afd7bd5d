"""The probe: what it finds of each camera, what it advises, where the login comes from."""

import asyncio
import json
import logging
from datetime import datetime
from ipaddress import IPv4Network

import cv2
import numpy as np
import pytest

from bay_observation.errors import CaptureError
from capture_async import FailureReason
from capture_async.probe import ADVICE, advice_for, probe
from lab.simulation.odd_camera import OddCamera


async def test_every_camera_is_told_what_it_is(make_farm, credentials):
    async with make_farm(cameras=3) as farm:
        report = await probe(farm.bay.model_copy(update={"camera_quorum": 3}), credentials)
    assert (report.frames, report.holds_quorum) == (3, True)
    assert [camera.name for camera in report.cameras] == [camera.name for camera in farm.bay.cameras]
    camera = report.cameras[0]
    assert camera.address == f"{farm.bay.cameras[0].host}:{farm.bay.cameras[0].port}"
    assert camera.reachable is True
    assert camera.authentication == "digest"
    assert camera.profile == "main stream"
    assert camera.resolution == (1920, 1080)
    assert camera.latency_s > 0
    assert abs(camera.clock_offset_s) < 30
    assert 120 < camera.brightness < 135  # the fixture's frame runs from black to white
    assert (camera.reason, camera.remarks, camera.saved) == (None, (), None)


async def test_each_fault_has_its_reason_and_its_advice(make_farm, credentials):
    faults = {"C_2": "offline", "C_4": "refuse", "C_6": "busy", "C_7": "html", "C_9": "wrong_size", "C_11": "truncated"}
    async with make_farm(faults) as farm:
        report = await probe(farm.bay, credentials)
    found = {camera.name: camera for camera in report.cameras}
    assert {name: found[name].reason for name in faults} == {
        "C_2": FailureReason.UNREACHABLE,
        "C_4": FailureReason.REFUSED_CREDENTIALS,
        "C_6": FailureReason.BUSY,
        "C_7": FailureReason.NOT_AN_IMAGE,
        "C_9": FailureReason.WRONG_SIZE,
        "C_11": FailureReason.TRUNCATED,
    }
    assert [name for name, camera in found.items() if camera.reachable is False] == ["C_2"]
    for name in faults:
        assert found[name].advice == ADVICE[found[name].reason]
        assert found[name].detail
    assert (report.frames, report.holds_quorum) == (6, False)


def test_there_is_advice_for_every_reason():
    assert set(ADVICE) == set(FailureReason)


@pytest.mark.slow(3)
async def test_a_camera_is_asked_once_and_the_others_do_not_wait_for_one_that_hangs(make_farm, credentials):
    async with make_farm({"C_2": "hang", "C_4": "busy"}) as farm:
        bay = farm.bay.model_copy(update={"capture_deadline": 5.0})
        told = []
        report = await probe(bay, credentials, on_update=told.append)
        assert farm.counters["C_4"].snapshots == 0
        assert farm.counters["C_4"].unauthorized == 1  # one snapshot was asked for, and its challenge answered
    assert report.cameras[0].reason is FailureReason.TIMED_OUT
    assert report.frames == 10
    ends = [one.name for one in told if one.done]
    assert len(ends) == 12
    assert ends[-1] == "C_2"


async def test_what_is_under_way_is_told(make_farm, credentials):
    told = []
    async with make_farm(cameras=1) as farm:
        await probe(farm.bay, credentials, on_update=told.append)
    stages = list(dict.fromkeys(one.stage for one in told))
    assert stages == ["connecting", "asking for a frame", "looking at the frame", "done"]


async def test_clock_basic_login_and_darkness_are_remarked_on(credentials, make_farm):
    async with make_farm({"C_2": ["clock_skew", "basic"]}, cameras=1) as farm:
        bay = farm.bay
        dark = bay.model_copy(update={"conditions": bay.conditions.model_copy(update={"min_brightness": 200.0})})
        (camera,) = (await probe(dark, credentials)).cameras
    assert camera.authentication == "basic"
    assert camera.clock_offset_s == pytest.approx(37 * 60, abs=30)
    assert [remark.split()[0:2] for remark in camera.remarks] == [["Its", "clock"], ["Darker", "than"], ["It", "sends"]]


async def test_frames_are_saved_as_the_camera_sent_them(make_farm, credentials, tmp_path):
    async with make_farm({"C_4": "offline"}, cameras=2) as farm:
        report = await probe(farm.bay, credentials, save=tmp_path)
    (path,) = tmp_path.iterdir()
    assert report.cameras[0].saved == str(path)
    assert path.name.startswith("demo_bay_C_2_")
    assert cv2.imread(str(path)).shape == (1080, 1920, 3)
    assert report.cameras[1].saved is None


async def test_a_folder_that_is_gone_is_named(make_farm, credentials, tmp_path):
    async with make_farm(cameras=2) as farm:
        with pytest.raises(CaptureError, match="cannot be written"):
            await probe(farm.bay, credentials, save=tmp_path / "gone")


async def test_no_socket_is_opened_to_a_camera_outside_of_the_subnet(make_farm, credentials):
    async with make_farm(cameras=2) as farm:
        network = farm.bay.network.model_copy(update={"camera_subnet": IPv4Network("127.99.0.0/24")})
        with pytest.raises(CaptureError, match="outside the bay's"):
            await probe(farm.bay.model_copy(update={"network": network}), credentials)
        assert all(counter.requests == 0 for counter in farm.counters.values())


async def test_whole_by_its_markers_and_yet_no_picture(make_farm, credentials, monkeypatch):
    async with make_farm(cameras=1) as farm:
        import capture_async.probe

        def unreadable(image):
            raise CaptureError("no readable picture")

        monkeypatch.setattr(capture_async.probe, "_measure", unreadable)
        (camera,) = (await probe(farm.bay, credentials)).cameras
    assert (camera.reason, camera.has_frame) == (FailureReason.NOT_AN_IMAGE, False)


async def test_a_backtests_files_have_no_address_to_connect_to(make_farm, tmp_path):
    farm = make_farm(cameras=1)
    folder = tmp_path / "C_2"
    folder.mkdir()
    picture = cv2.imencode(".jpg", np.full((1080, 1920, 3), 90, np.uint8))[1].tobytes()
    (folder / f"{datetime.now().astimezone():%Y%m%d%H%M%S}.jpg").write_bytes(picture)
    bay = farm.bay.model_copy(
        update={"image_provider": "file", "image_provider_config": {"base_path": str(tmp_path)}, "camera_quorum": 1}
    )
    (camera,) = (await probe(bay, None)).cameras
    assert (camera.reachable, camera.authentication) == (None, None)
    assert camera.done


async def test_as_json(make_farm, credentials):
    async with make_farm({"C_4": "offline"}, cameras=2) as farm:
        told = json.loads((await probe(farm.bay, credentials)).to_json())
    assert (told["bay_id"], told["quorum"], told["frames"], told["holds_quorum"]) == ("demo_bay", 8, 1, False)
    assert [camera["reason"] for camera in told["cameras"]] == [None, "unreachable"]
    assert told["cameras"][0]["resolution"] == [1920, 1080]


async def test_nothing_of_the_login_is_in_the_report_or_the_log(make_farm, credentials, caplog):
    caplog.set_level(logging.DEBUG)
    async with make_farm({"C_4": "refuse", "C_6": "login_in_address"}, cameras=3) as farm:
        text = (await probe(farm.bay, credentials)).to_json()
    assert credentials.password not in text
    assert credentials.password not in caplog.text


async def test_a_probe_that_is_cancelled_leaves_no_task(make_farm, credentials):
    async with make_farm({"C_2": "hang"}) as farm:
        task = asyncio.create_task(probe(farm.bay, credentials))
        while farm.counters["C_2"].requests == 0:  # noqa: ASYNC110  a counter tells nobody
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        own = {task for task in asyncio.all_tasks() if "capture" in task.get_name()}
        assert own == set()


@pytest.mark.parametrize(
    ("reason", "provider", "reachable", "said"),
    [
        (FailureReason.UNREACHABLE, "onvif", False, "PoE"),
        (FailureReason.UNREACHABLE, "onvif", None, "PoE"),
        (FailureReason.UNREACHABLE, "onvif", True, "`scheme`"),
        (FailureReason.NO_SNAPSHOT_SERVICE, "onvif", True, "give it `rtsp`"),
        (FailureReason.NO_SNAPSHOT_SERVICE, "rtsp", True, "`rtsp.path`"),
    ],
)
def test_advice_knows_the_provider_and_whether_the_camera_answers(reason, provider, reachable, said):
    advice = advice_for(reason, provider, reachable=reachable)
    assert said in advice
    assert ("PoE" in advice) is (said == "PoE")


async def test_one_camera_s_odd_reply_ends_no_probe(make_farm, credentials):
    async with make_farm(cameras=2) as farm, OddCamera(b"", {"*": b"HTTP/1.1 204 No\r\n\r\n"}) as odd:
        cameras = (*farm.bay.cameras, odd.camera())
        report = await probe(farm.bay.model_copy(update={"cameras": cameras}), credentials)
    assert [camera.has_frame for camera in report.cameras] == [True, True, False]
