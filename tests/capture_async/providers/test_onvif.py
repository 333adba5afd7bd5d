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
from capture_async.http.authentication import HttpAuthenticator
from capture_async.http.client import CameraHttp
from capture_async.http.transports import Transports
from capture_async.providers.onvif import OnvifImageProvider, forget_cameras

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


@pytest.mark.slow(1)
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
        ("xml_bomb", FailureReason.NO_SNAPSHOT_SERVICE),
        ("huge_length", FailureReason.TOO_LARGE),
        ("endless", FailureReason.TOO_LARGE),
        ("tiny", FailureReason.WRONG_SIZE),
        ("giant", FailureReason.TOO_LARGE),
        ("busy_401", FailureReason.BUSY),
        ("old_exif", FailureReason.STALE),
        (["old_exif", "clock_skew"], FailureReason.STALE),
    ],
)
async def test_fault_has_its_named_outcome(make_farm, credentials, fault, reason):
    failure, _ = await capture_one(make_farm, credentials, fault)
    assert failure.reason is reason
    assert failure.detail
    assert failure.attempts[-1].outcome == reason


@pytest.mark.slow(7)
@pytest.mark.parametrize("fault", ["hang", "drip", "slow_header"])
async def test_a_request_that_does_not_end_is_timed_out(make_farm, credentials, fault):
    failure, _ = await capture_one(make_farm, credentials, fault, timeout=0.3)
    assert failure.reason is FailureReason.TIMED_OUT


async def test_stale_frame(make_farm, credentials):
    failure, _ = await capture_one(make_farm, credentials, "stale", slots=(SLOT, NEXT_SLOT), frame_interval=0)
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
        ("several_challenges", 1),
        ("exif", 1),
        (["exif", "clock_skew"], 1),
    ],
)
async def test_peculiarity_that_costs_no_frame(make_farm, credentials, fault, unauthorized):
    """Two captures each; the 401s are the challenges, no login is refused."""
    image, counters = await capture_one(make_farm, credentials, fault, slots=(SLOT, NEXT_SLOT))
    assert image.jpeg
    assert counters.snapshots == 2
    assert counters.unauthorized == unauthorized
    assert counters.failed_logins == 0


async def test_a_wrong_password_costs_one_failed_login_in_all_and_no_lock(make_farm, credentials):
    """The camera locks after three failed logins: it must not, however often the slots come."""
    wrong = Credentials("yard", "wrong")
    async with make_farm({"C_2": "lockout"}, cameras=1) as farm:
        counters = farm.counters["C_2"]
        async with CaptureService(farm.bay, credentials=wrong) as service:
            (first,) = (await service.capture(SLOT)).failures
            asked = counters.requests
            for minutes in range(10, 60, 10):
                (failure,) = (await service.capture(SLOT + timedelta(minutes=minutes))).failures
                assert failure.reason is first.reason is FailureReason.REFUSED_CREDENTIALS
                assert "not sent again" in failure.detail
            assert (counters.failed_logins, counters.requests) == (1, asked)
        async with CaptureService(farm.bay, credentials=credentials) as service:
            assert (await service.capture(SLOT)).images  # the right one is taken at once, and is not locked out


@pytest.mark.parametrize("fault", ["refuse", "soap_digest"])
async def test_a_refused_login_is_not_tried_again_within_a_capture(make_farm, credentials, fault):
    async with make_farm({"C_2": fault}, cameras=1) as farm:
        async with CaptureService(farm.bay, credentials=Credentials("yard", "wrong")) as service:
            (failure,) = (await service.capture(SLOT)).failures
        assert failure.reason is FailureReason.REFUSED_CREDENTIALS
        assert farm.counters["C_2"].failed_logins == 1


@pytest.mark.parametrize(("faults", "told"), [(["clock_skew", "guarded_clock"], True), (["refuse"], False)])
async def test_a_refusal_names_the_clock_where_the_camera_does_not_tell_it(make_farm, credentials, faults, told):
    async with (
        make_farm({"C_2": faults}, cameras=1) as farm,
        CaptureService(farm.bay, credentials=credentials) as service,
    ):
        (failure,) = (await service.capture(SLOT)).failures
    assert failure.reason is FailureReason.REFUSED_CREDENTIALS
    assert ("or its clock is" in failure.detail) is told


async def test_after_the_pause_the_login_is_tried_again(make_farm, credentials):
    async with make_farm(cameras=1) as farm:
        bay = with_config(farm.bay, login_pause=0.0)
        async with CaptureService(bay, credentials=Credentials("yard", "wrong")) as service:
            for done in (1, 2):
                assert (await service.capture(SLOT)).failures
                assert farm.counters["C_2"].failed_logins == done


async def test_a_password_changed_at_the_camera_costs_two_failed_logins_and_heals(make_farm, credentials):
    """One with the nonce that is kept, which may have been too old, one with a new one; then there is a pause."""
    async with make_farm(cameras=1) as farm, CaptureService(farm.bay, credentials=credentials) as service:
        assert (await service.capture(SLOT)).images
        await farm.set_faults({"C_2": "refuse"})
        for _ in range(3):
            (failure,) = (await service.capture(NEXT_SLOT)).failures
            assert failure.reason is FailureReason.REFUSED_CREDENTIALS
            assert farm.counters["C_2"].failed_logins == 2
        await farm.set_faults({"C_2": []})
        await farm.set_time(NEXT_SLOT)
        forget_cameras()  # as the end of the pause does
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


@pytest.mark.slow(4)
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
    monkeypatch.setattr("lab.simulation.cameras._BEHIND_NAT", "127.60.9.9:8080")
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
    async with make_farm(cameras=1) as farm, Transports() as transports:
        camera = farm.bay.cameras[0]
        http = CameraHttp(transports, camera, lambda _: HttpAuthenticator(credentials), 5)
        assert (await http.request("GET", "//127.60.9.9:9/x")).status == 404
        assert farm.counters["C_2"].requests == 1


@pytest.mark.slow(1)
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


@pytest.mark.slow(6)
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
        await provider.get_images(SLOT, [object(), object()], "demo_bay")  # a fault of the caller
    text = io.StringIO()
    traceback.print_exception(caught.value, file=text)
    assert "_outcome" in text.getvalue()
    assert credentials.password not in text.getvalue() + repr(caught.value)
    await provider.close()


@pytest.mark.slow(1)
async def test_the_rate_cap_lets_every_camera_through(make_farm, credentials):
    async with make_farm(cameras=3) as farm:
        bay = with_config(farm.bay, max_per_second=2)
        async with CaptureService(bay, credentials=credentials) as service:
            assert len((await service.capture(SLOT)).images) == 3


@pytest.mark.parametrize("config", [{"timeout": 0}, {"timeout": "ten"}, {"timeout": True}, {"max_per_second": 0.5}])
def test_wrong_values_are_named(config):
    with pytest.raises(ConfigError, match=next(iter(config))):
        OnvifImageProvider(None, **config)


async def test_a_nonce_that_is_good_once_and_not_called_stale_costs_one_failed_login_for_ever(make_farm, credentials):
    async with make_farm({"C_2": "silent_nonce"}, cameras=1) as farm:
        async with CaptureService(farm.bay, credentials=credentials) as service:
            for minutes in range(0, 50, 10):
                await farm.set_time(SLOT + timedelta(minutes=minutes))
                assert (await service.capture(SLOT + timedelta(minutes=minutes))).images
        assert farm.counters["C_2"].failed_logins == 1


async def test_a_401_that_means_busy_is_no_refused_login(make_farm, credentials):
    async with make_farm({"C_2": "busy_401"}, cameras=1) as farm:
        async with CaptureService(farm.bay, credentials=credentials) as service:
            (failure,) = (await service.capture(SLOT)).failures
            assert failure.reason is FailureReason.BUSY
            requests = farm.counters["C_2"].requests
            await farm.set_faults({"C_2": []})
            (image,) = (await service.capture(SLOT)).images  # there was no pause
        assert len(failure.attempts) == 2  # resolved, busy: a 401 is not tried again
        assert image.attempts[0].outcome == "frame"  # nor was it resolved again
        assert farm.counters["C_2"].failed_logins == 0
        assert requests == 4 + 2


@pytest.mark.slow(1)
@pytest.mark.parametrize(
    ("fault", "first", "options"),
    [("busy_once", "busy", {}), ("slow_first", "timed out", {"latency_s": 0.1})],
)
async def test_what_another_try_mends(make_farm, credentials, fault, first, options):
    async with (
        make_farm({"C_2": fault}, cameras=1, **options) as farm,
        CaptureService(with_config(farm.bay, timeout=0.6), credentials=credentials) as service,
    ):
        (image,) = (await service.capture(SLOT)).images
    assert [attempt.outcome for attempt in image.attempts] == ["resolved", first, "frame"]
    assert all(attempt.seconds >= 0 for attempt in image.attempts)


@pytest.mark.slow(5)
async def test_as_many_attempts_as_the_bay_allows(make_farm, credentials):
    async with make_farm({"C_2": "busy"}, cameras=1) as farm:
        bay = farm.bay.model_copy(update={"capture_attempts": 2})
        async with CaptureService(bay, credentials=credentials) as service:
            (failure,) = (await service.capture(SLOT)).failures
    assert [attempt.outcome for attempt in failure.attempts] == ["resolved", "busy", "busy"]


@pytest.mark.slow(1)
async def test_what_was_tried_before_the_deadline_is_in_the_outcome(make_farm, credentials):
    async with make_farm({"C_2": "html"}, cameras=1) as farm:
        bay = farm.bay.model_copy(update={"capture_deadline": 2.0})
        async with CaptureService(bay, credentials=credentials) as service:
            capture = asyncio.create_task(service.capture(SLOT))
            while not farm.counters["C_2"].operations["GetSnapshotUri"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            await farm.set_faults({"C_2": "hang"})
            (failure,) = (await capture).failures
    assert failure.reason is FailureReason.NOT_AN_IMAGE
    assert "no outcome within the bay's 2 s" in failure.detail
    outcomes = [attempt.outcome for attempt in failure.attempts]
    assert (outcomes[:2], outcomes[-1]) == (["resolved", "not an image"], "timed out")


async def test_repeated_invalid_bodies_have_the_camera_resolved_again(make_farm, credentials):
    async with make_farm(cameras=1) as farm, CaptureService(farm.bay, credentials=credentials) as service:
        assert (await service.capture(SLOT)).images
        await farm.set_faults({"C_2": "wrong_size"})  # one that no further try would mend
        for asked, minutes in ((1, 10), (1, 20), (2, 30)):
            assert (await service.capture(SLOT + timedelta(minutes=minutes))).failures
            assert farm.counters["C_2"].operations["GetSnapshotUri"] == asked


async def test_what_was_resolved_grows_too_old(make_farm, credentials):
    async with make_farm(cameras=1) as farm:
        bay = with_config(farm.bay, resolve_every=0.01)
        async with CaptureService(bay, credentials=credentials) as service:
            for asked, slot in ((1, SLOT), (2, NEXT_SLOT)):
                await farm.set_time(slot)
                await asyncio.sleep(0.02)
                assert (await service.capture(slot)).images
                assert farm.counters["C_2"].operations["GetSnapshotUri"] == asked
            # Services that fail are no reason to give up an address that works.
            await farm.set_faults({"C_2": "no_xml"})
            await farm.set_time(SLOT)
            await asyncio.sleep(0.02)
            (image,) = (await service.capture(SLOT)).images
    assert [attempt.outcome for attempt in image.attempts] == ["not resolved again: no snapshot service", "frame"]


async def test_a_clock_that_was_set_since_makes_no_frame_old(make_farm, credentials):
    async with (
        make_farm({"C_2": ["exif", "clock_skew"]}, cameras=1) as farm,
        CaptureService(farm.bay, credentials=credentials) as service,
    ):
        assert (await service.capture(SLOT)).images
        await farm.set_faults({"C_2": "exif"})  # its clock goes back by 37 minutes
        await farm.set_time(NEXT_SLOT)
        (image,) = (await service.capture(NEXT_SLOT)).images
    assert [attempt.outcome for attempt in image.attempts][1:] == ["resolved", "frame"]


async def test_two_bays_share_the_connections_that_a_camera_allows(make_farm, credentials):
    async with make_farm({"C_2": "one_connection"}, cameras=1, latency_s=0.1) as farm:
        other = farm.bay.model_copy(update={"bay_id": "other_bay"})
        async with AsyncExitStack() as stack:
            services = [
                await stack.enter_async_context(CaptureService(bay, credentials=credentials))
                for bay in (farm.bay, other, farm.bay)
            ]
            batches = await asyncio.gather(*(service.capture(SLOT) for service in services))
        assert [len(batch.images) for batch in batches] == [1, 1, 1]
        assert farm.counters["C_2"].at_once == 1
        assert farm.counters["C_2"].operations["GetSnapshotUri"] == 1  # and what one of them resolved


@pytest.mark.slow(1)
async def test_a_camera_that_allows_two_is_asked_twice_at_once(make_farm, credentials):
    async with make_farm(cameras=1, latency_s=0.2) as farm:
        camera = farm.bay.cameras[0].model_copy(update={"connections": 2})
        bay = farm.bay.model_copy(update={"cameras": (camera,)})
        async with CaptureService(bay, credentials=credentials) as service:
            assert (await service.capture(SLOT)).images
            batches = await asyncio.gather(*(service.capture(SLOT) for _ in range(4)))
        assert [len(batch.images) for batch in batches] == [1] * 4
        assert farm.counters["C_2"].at_once == 2


async def test_a_foreign_host_is_told_once(make_farm, credentials, caplog):
    async with (
        make_farm({"C_2": "wrong_host"}, cameras=1) as farm,
        CaptureService(farm.bay, credentials=credentials) as service,
    ):
        for slot in (SLOT, NEXT_SLOT):
            await farm.set_time(slot)
            assert (await service.capture(slot)).images
            farm.cameras["C_2"].reboot()  # is resolved again
    told = [record.getMessage() for record in caplog.records if "no other host" in record.getMessage()]
    assert [text.split(" names ")[1].split(";")[0] for text in told] == [
        "192.168.0.64 in its Media service",
        "192.168.0.64 in its snapshot address",
    ]


async def test_no_subscription_is_opened(make_farm, credentials):
    """onvif-zeep's own camera class opens one each time, and some cameras hang of it."""
    async with make_farm(cameras=2) as farm, CaptureService(farm.bay, credentials=credentials) as service:
        assert len((await service.capture(SLOT)).images) == 2
        for counters in farm.counters.values():
            assert not [name for name in counters.operations if "Subscription" in name]


async def test_ten_announced_gigabytes_are_not_read(make_farm, credentials):
    async with make_farm({"C_2": "huge_length"}, cameras=1) as farm:
        bay = farm.bay.model_copy(update={"capture_deadline": 20.0})
        async with CaptureService(bay, credentials=credentials) as service:
            (failure,) = (await service.capture(SLOT)).failures
    assert "announced as 10737418240 bytes" in failure.detail


@pytest.mark.slow(2)
async def test_two_hundred_captures_leave_what_ten_left(make_farm, credentials):
    """Sockets, threads and what is remembered of cameras."""
    from capture_async.providers import camera_state

    def held():
        process = psutil.Process()
        states = len(camera_state._states), sum(map(len, camera_state._places.values()))
        return process.num_fds(), process.num_threads(), states, len(asyncio.all_tasks())

    faults = {"C_4": "offline", "C_6": "busy_401", "C_7": "html"}
    async with make_farm(faults, cameras=5) as farm:
        bay = farm.bay.model_copy(update={"capture_attempts": 1})
        async with CaptureService(bay, credentials=credentials) as service:
            for number in range(1, 201):
                slot = SLOT + timedelta(minutes=10 * number)
                await farm.set_time(slot)
                assert len((await service.capture(slot)).images) == 2
                if number == 10:
                    after_ten = held()
            assert held() == after_ten
