import asyncio
import errno
from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest

from bay_observation.errors import CaptureError, ConfigError
from bays import load_bay
from capture_async import CameraFailure, CapturedImage, CaptureService, FailureReason, ImageProvider

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)


class Provider(ImageProvider):
    """Calls `answer(camera)` for each camera."""

    def __init__(self, answer):
        self.answer = answer
        self.closed = False
        self.asked = []

    async def get_images(self, reference_time, cameras, bay_id):
        self.asked += [camera.name for camera in cameras]
        return [await self.answer(camera) for camera in cameras]

    async def close(self):
        self.closed = True


async def frame(camera):
    return CapturedImage(camera.name, "demo_bay", SLOT, b"jpeg")


@pytest.fixture
def bay():
    return load_bay("demo_bay")


@pytest.mark.slow(5)
async def test_outcomes_stand_in_the_bay_s_order(bay):
    async def answer(camera):
        await asyncio.sleep(0.02 if camera.name.startswith("C") else 0)
        if camera.name == "C_4":
            return CameraFailure(camera.name, FailureReason.BUSY, "try later")
        return await frame(camera)

    batch = await CaptureService(bay, provider=Provider(answer)).capture(SLOT)
    names = [camera.name for camera in bay.cameras]
    assert [image.camera_name for image in batch.images] == [name for name in names if name != "C_4"]
    assert [failure.camera_name for failure in batch.failures] == ["C_4"]
    assert batch.slot == SLOT


async def test_a_provider_that_will_not_be_cancelled_does_not_hold_the_deadline(bay):
    release = asyncio.Event()

    async def answer(camera):
        while camera.name == "C_4" and not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return await frame(camera)

    bay = bay.model_copy(update={"capture_deadline": 0.1})
    batch = await CaptureService(bay, provider=Provider(answer), cancel_wait_s=0.05).capture(SLOT)
    assert [(failure.camera_name, failure.reason) for failure in batch.failures] == [("C_4", FailureReason.TIMED_OUT)]
    assert len(batch.images) == 11
    release.set()
    await asyncio.sleep(0)


async def test_a_camera_outside_the_subnet_is_refused_before_anything_is_asked(bay):
    stray = bay.cameras[3].model_copy(update={"host": IPv4Address("10.150.160.184")})
    bay = bay.model_copy(update={"cameras": (*bay.cameras[:3], stray)})
    provider = Provider(frame)
    with pytest.raises(CaptureError, match=r"C_7 at 10\.150\.160\.184 lies outside .* 127\.60\.0\.0/24"):
        await CaptureService(bay, provider=provider).capture(SLOT)
    assert provider.asked == []


async def test_a_bay_without_cameras(bay):
    with pytest.raises(CaptureError, match="no cameras"):
        await CaptureService(bay.model_copy(update={"cameras": ()}), provider=Provider(frame)).capture(SLOT)


async def test_a_slot_without_a_zone(bay):
    with pytest.raises(ConfigError, match="time zone"):
        await CaptureService(bay, provider=Provider(frame)).capture(datetime(2025, 7, 2))


@pytest.mark.slow(2)
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ZeroDivisionError("oops"), FailureReason.FAULTY_REPLY),
        (RecursionError(), FailureReason.FAULTY_REPLY),
        (OSError(errno.EMFILE, "Too many open files"), FailureReason.OBSERVER_FAULT),
        (MemoryError(), FailureReason.OBSERVER_FAULT),
    ],
)
async def test_whatever_one_camera_raises_is_that_camera_s_failure(bay, caplog, error, reason):
    async def answer(camera):
        if camera.name == "D_6":
            raise error
        return await frame(camera)

    batch = await CaptureService(bay, provider=Provider(answer)).capture(SLOT)
    ((name, found),) = [(failure.camera_name, failure.reason) for failure in batch.failures]
    assert (name, found, len(batch.images)) == ("D_6", reason, 11)
    assert type(error).__name__ in caplog.text  # with its traceback
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("capture ")] == []


async def test_a_configuration_that_is_wrong_is_no_camera_s(bay):
    async def answer(camera):
        raise ConfigError("image_provider_config.tls.ca_file: missing")

    with pytest.raises(ConfigError, match="ca_file"):
        await CaptureService(bay, provider=Provider(answer)).capture(SLOT)


@pytest.mark.slow(1)
async def test_tries_are_spread_over_the_deadline_and_a_camera_s_own_wish_is_kept(bay):
    at = []

    class Busy(Provider):
        def retry_after_s(self, camera):
            return 0.3 if len(at) == 1 else None

    async def answer(camera):
        at.append(asyncio.get_running_loop().time())
        return CameraFailure(camera.name, FailureReason.BUSY, "try later")

    bay = bay.model_copy(update={"cameras": bay.cameras[:1], "capture_deadline": 2.0, "capture_attempts": 3})
    batch = await CaptureService(bay, provider=Busy(answer)).capture(SLOT)
    assert batch.failures[0].reason is FailureReason.BUSY
    first, second = at[1] - at[0], at[2] - at[1]
    assert 0.3 <= first < 1
    assert 0.3 <= second < 1


async def test_a_provider_that_owes_an_outcome(bay):
    class Silent(ImageProvider):
        async def get_images(self, reference_time, cameras, bay_id):
            return []

    with pytest.raises(CaptureError, match=r"camera C_2: Silent owes one outcome .* gave 0: none"):
        await CaptureService(bay, provider=Silent()).capture(SLOT)


async def test_a_provider_that_was_handed_in_stays_open(bay):
    provider = Provider(frame)
    async with CaptureService(bay, provider=provider):
        pass
    assert not provider.closed
