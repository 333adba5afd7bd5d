"""The capture service against simulated cameras on real sockets."""

import asyncio
import io
import logging
import traceback
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from bay_observation.errors import ConfigError
from capture_async import CaptureService, Credentials, FailureReason
from capture_async.http_auth import HttpAuthenticator
from capture_async.http_client import CameraHttp, new_session
from capture_async.onvif_provider import OnvifImageProvider

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
NEXT_SLOT = SLOT + timedelta(minutes=10)


def with_config(bay, **config):
    return bay.model_copy(update={"image_provider_config": config})


async def capture_one(make_farm, credentials, fault, *, slots=(SLOT,), **config):
    """(outcome of the last slot, counters) of a camera with that fault."""
    async with make_farm({"C_2": fault}, cameras=1) as farm:
        async with CaptureService(with_config(farm.bay, **config), credentials=credentials) as service:
            for slot in slots:
                await farm.set_time(slot)
                batch = await service.capture(slot)
        (outcome,) = batch.images + batch.failures
        return outcome, farm.counters["C_2"]


async def test_twelve_cameras_give_twelve_frames(make_farm, credentials, frame_source):
    async with make_farm() as farm:
        await farm.set_time(SLOT)
        async with CaptureService(farm.bay, credentials=credentials) as service:
            before = datetime.now(UTC)
            batch = await service.capture(SLOT)
        assert batch.batch_id == "demo_bay_20250702-071000"
        assert batch.failures == ()
        assert [image.camera_name for image in batch.images] == [camera.name for camera in farm.bay.cameras]
        for image in batch.images:
            assert image.jpeg == frame_source(image.camera_name, SLOT)
            assert before <= image.captured_at <= datetime.now(UTC)
            assert [attempt.outcome for attempt in image.attempts] == ["resolved", "frame"]
        assert batch.images[0].decode().shape == (1080, 1920, 3)


async def test_resolved_once_and_one_401_for_several_captures_and_services(make_farm, credentials):
    async with make_farm() as farm:
        for minutes in (0, 10, 20):
            slot = SLOT + timedelta(minutes=minutes)
            await farm.set_time(slot)
            async with CaptureService(farm.bay, credentials=credentials) as service:
                assert len((await service.capture(slot)).images) == 12
        for counters in farm.counters.values():
            assert dict(counters.operations) == {
                "GetSystemDateAndTime": 1,
                "GetCapabilities": 1,
                "GetProfiles": 1,
                "GetSnapshotUri": 1,
            }
            assert counters.unauthorized == 1
            assert counters.failed_logins == 0
            assert counters.snapshots == 3
            assert counters.requests == 4 + 1 + 3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("offline", FailureReason.UNREACHABLE),
        ("refuse", FailureReason.REFUSED_CREDENTIALS),
        ("busy", FailureReason.BUSY),
        ("no_snapshot", FailureReason.NO_SNAPSHOT_SERVICE),
        ("rtsp_only", FailureReason.NO_SNAPSHOT_SERVICE),
        ("no_xml", FailureReason.NO_SNAPSHOT_SERVICE),
        ("html", FailureReason.NOT_AN_IMAGE),
        ("redirect", FailureReason.NOT_AN_IMAGE),
        ("truncated", FailureReason.TRUNCATED),
        ("cut", FailureReason.TRUNCATED),
        ("too_large", FailureReason.TOO_LARGE),
        ("wrong_size", FailureReason.WRONG_SIZE),
    ],
)
async def test_fault_has_its_named_outcome(make_farm, credentials, fault, reason):
    failure, _ = await capture_one(make_farm, credentials, fault)
    assert failure.reason is reason
    assert failure.detail
    assert failure.attempts[-1].outcome == reason


@pytest.mark.parametrize("fault", ["hang", "drip"])
async def test_a_request_that_does_not_end_is_timed_out(make_farm, credentials, fault):
    failure, _ = await capture_one(make_farm, credentials, fault, timeout=0.3)
    assert failure.reason is FailureReason.TIMED_OUT


async def test_stale_frame(make_farm, credentials):
    failure, _ = await capture_one(make_farm, credentials, "stale", slots=(SLOT, NEXT_SLOT))
    assert failure.reason is FailureReason.STALE
    assert SLOT.isoformat() in failure.detail


async def test_the_same_slot_captured_again_is_not_stale(make_farm, credentials):
    image, _ = await capture_one(make_farm, credentials, (), slots=(SLOT, SLOT))
    assert image.jpeg


@pytest.mark.parametrize(
    ("fault", "unauthorized"),
    [
        ("slow", 1),
        ("wrong_host", 1),
        ("login_in_address", 1),
        ("basic", 1),
        ("basic_first", 1),
        ("one_time_nonce", 2),
        ("clock_skew", 1),
        ("guarded_clock", 1),
        ("no_capabilities", 1),
        ("soap_digest", 1),
    ],
)
async def test_peculiarity_that_costs_no_frame(make_farm, credentials, fault, unauthorized):
    """Two captures each; the 401s are the challenges, no login is refused."""
    image, counters = await capture_one(make_farm, credentials, fault, slots=(SLOT, NEXT_SLOT))
    assert image.jpeg
    assert counters.snapshots == 2
    assert counters.unauthorized == unauthorized
    assert counters.failed_logins == 0


async def test_a_wrong_password_costs_one_failed_login_per_capture(make_farm, credentials):
    wrong = Credentials("yard", "wrong")
    async with make_farm(cameras=1) as farm, CaptureService(farm.bay, credentials=wrong) as service:
        for done in (1, 2):
            (failure,) = (await service.capture(SLOT)).failures
            assert failure.reason is FailureReason.REFUSED_CREDENTIALS
            assert farm.counters["C_2"].failed_logins == done


async def test_a_password_changed_at_the_camera_costs_few_failed_logins_and_heals(make_farm, credentials):
    """One with the nonce that is kept, which may have been too old, one with a new one; one a capture after that."""
    async with make_farm(cameras=1) as farm, CaptureService(farm.bay, credentials=credentials) as service:
        assert (await service.capture(SLOT)).images
        await farm.set_faults({"C_2": "refuse"})
        for failed in (2, 3):
            (failure,) = (await service.capture(NEXT_SLOT)).failures
            assert failure.reason is FailureReason.REFUSED_CREDENTIALS
            assert farm.counters["C_2"].failed_logins == failed
        await farm.set_faults({"C_2": []})
        await farm.set_time(NEXT_SLOT)
        assert (await service.capture(NEXT_SLOT)).images


async def test_new_credentials_are_taken_at_once(make_farm, credentials):
    async with make_farm(cameras=1) as farm:
        async with CaptureService(farm.bay, credentials=Credentials("yard", "wrong")) as service:
            assert (await service.capture(SLOT)).failures
        async with CaptureService(farm.bay, credentials=credentials) as service:
            assert (await service.capture(SLOT)).images


async def test_no_login_configured(make_farm):
    async with make_farm(cameras=1) as farm, CaptureService(farm.bay) as service:
        (failure,) = (await service.capture(SLOT)).failures
        assert failure.reason is FailureReason.REFUSED_CREDENTIALS
        assert farm.counters["C_2"].failed_logins == 0


async def test_a_restarted_camera_is_resolved_again_within_the_capture(make_farm, credentials):
    async with make_farm(cameras=1) as farm, CaptureService(farm.bay, credentials=credentials) as service:
        assert (await service.capture(SLOT)).images
        farm.cameras["C_2"].reboot()
        await farm.set_time(NEXT_SLOT)
        (image,) = (await service.capture(NEXT_SLOT)).images
        assert [attempt.outcome for attempt in image.attempts] == ["answered 404", "resolved", "frame"]
        assert farm.counters["C_2"].operations["GetSnapshotUri"] == 2


async def test_a_camera_that_comes_back_is_resolved_again(make_farm, credentials):
    async with make_farm(cameras=1) as farm, CaptureService(farm.bay, credentials=credentials) as service:
        assert (await service.capture(SLOT)).images
        await farm.set_faults({"C_2": "offline"})
        (failure,) = (await service.capture(SLOT)).failures
        assert failure.reason is FailureReason.UNREACHABLE
        await farm.set_faults({"C_2": []})
        assert (await service.capture(SLOT)).images
        assert farm.counters["C_2"].operations["GetSnapshotUri"] == 2


async def test_the_host_that_a_camera_names_is_never_asked(make_farm, credentials, monkeypatch):
    """The address behind NAT lies outside the bay's network: path and query of it are used, and no more."""
    monkeypatch.setattr("simulation.cameras._BEHIND_NAT", "127.60.9.9:8080")
    asked = []

    async def count(reader, writer):
        asked.append(writer)
        writer.close()

    try:
        server = await asyncio.start_server(count, "127.60.9.9", 8080)
    except OSError:
        pytest.skip("port 8080 of 127.60.9.9 is in use")
    async with server:
        image, _ = await capture_one(make_farm, credentials, ["wrong_host", "no_capabilities"])
        assert image.jpeg
        failure, _ = await capture_one(make_farm, credentials, "redirect")
        assert failure.reason is FailureReason.NOT_AN_IMAGE
    assert asked == []


async def test_a_path_that_looks_like_a_host_goes_to_the_camera(make_farm, credentials):
    async with make_farm(cameras=1) as farm, new_session() as session:
        camera = farm.bay.cameras[0]
        http = CameraHttp(session, str(camera.host), camera.port, HttpAuthenticator(credentials), 5)
        assert (await http.request("GET", "//127.60.9.9:9/x")).status == 404
        assert farm.counters["C_2"].requests == 1


async def test_the_deadline_returns_what_arrived(make_farm, credentials):
    async with make_farm() as farm:
        bay = with_config(farm.bay, timeout=100)
        async with CaptureService(bay, credentials=credentials) as service:
            await service.capture(SLOT)  # all addresses are known from here on
        await farm.set_faults({"C_4": "hang", "D_11": "drip"})
        await farm.set_time(NEXT_SLOT)
        async with CaptureService(bay.model_copy(update={"capture_deadline": 2.0}), credentials=credentials) as service:
            batch = await service.capture(NEXT_SLOT)
    assert len(batch.images) == 10
    assert {failure.camera_name: failure.reason for failure in batch.failures} == {
        "C_4": FailureReason.TIMED_OUT,
        "D_11": FailureReason.TIMED_OUT,
    }
    assert all("2 s" in failure.detail for failure in batch.failures)


async def test_no_socket_outlives_the_service_nor_a_cancelled_capture(make_farm, credentials):
    def connections():
        found = psutil.Process().net_connections("tcp4")
        return [one for one in found if one.raddr and one.raddr.ip.startswith("127.60.0.")]

    async with make_farm({"C_4": "hang"}) as farm:
        bay = with_config(farm.bay, timeout=100)
        async with CaptureService(bay, credentials=credentials) as service:
            capture = asyncio.create_task(service.capture(SLOT))
            while not any(counters.snapshots for counters in farm.counters.values()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert connections()
            capture.cancel()
            with pytest.raises(asyncio.CancelledError):
                await capture
            assert [task for task in asyncio.all_tasks() if task.get_name().startswith("capture ")] == []
        await asyncio.sleep(0.05)  # the loop closes transports in its next turns
        assert connections() == []
        await service.close()


async def test_the_password_is_in_no_log_message_or_repr(make_farm, credentials, caplog):
    caplog.set_level(logging.DEBUG)
    faults = {
        "C_2": "refuse",
        "C_4": "basic",
        "C_6": "login_in_address",
        "C_7": ["login_in_address", "html"],
        "C_9": ["login_in_address", "redirect"],
        "C_11": ["login_in_address", "drip"],
        "D_2": "soap_digest",
        "D_4": ["login_in_address", "cut"],
        "D_6": ["login_in_address", "rtsp_only"],
    }
    async with make_farm(faults) as farm, AsyncExitStack() as stack:
        bay = with_config(farm.bay, timeout=1)
        service = await stack.enter_async_context(CaptureService(bay, credentials=credentials))
        batch = await service.capture(SLOT)
        said = [repr(service), repr(vars(service)), repr(credentials), str(credentials), repr(batch.failures)]
    formatter = logging.Formatter()
    said += [formatter.format(record) for record in caplog.records]
    said += [repr(record.args) for record in caplog.records]
    assert len(batch.failures) == 6
    for text in said:
        for secret in (credentials.password, "pa%22ss", "rd&1"):
            assert secret not in text


async def test_the_password_is_in_no_exception(credentials):
    provider = OnvifImageProvider(credentials)
    with pytest.raises(ExceptionGroup) as caught:
        await provider.get_images(SLOT, [object()], "demo_bay")  # a fault of the caller
    text = io.StringIO()
    traceback.print_exception(caught.value, file=text)
    assert "get_image" in text.getvalue()
    assert credentials.password not in text.getvalue() + repr(caught.value)
    await provider.close()


async def test_the_rate_cap_lets_every_camera_through(make_farm, credentials):
    async with make_farm(cameras=3) as farm:
        bay = with_config(farm.bay, max_per_second=2)
        async with CaptureService(bay, credentials=credentials) as service:
            assert len((await service.capture(SLOT)).images) == 3


@pytest.mark.parametrize("config", [{"timeout": 0}, {"timeout": "ten"}, {"timeout": True}, {"max_per_second": 0.5}])
def test_wrong_values_are_named(config):
    with pytest.raises(ConfigError, match=next(iter(config))):
        OnvifImageProvider(None, **config)
