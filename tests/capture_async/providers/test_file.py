import asyncio
from datetime import UTC, datetime, timedelta, timezone

import cv2
import numpy as np
import pytest

from bay_observation.errors import CaptureError, ConfigError
from bays import load_bay
from capture_async import CaptureService, FailureReason
from capture_async.providers.file import FileImageProvider

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)


@pytest.fixture
def bay(tmp_path):
    bay = load_bay("demo_bay")
    update = {
        "cameras": bay.cameras[:1],
        "image_provider": "file",
        "image_provider_config": {"base_path": str(tmp_path), "time_tolerance_hours": 0.5},
    }
    (tmp_path / "C_2").mkdir()
    return bay.model_copy(update=update)


async def capture(bay, slot=SLOT):
    batch = await CaptureService(bay).capture(slot)
    (outcome,) = batch.images + batch.failures
    return outcome


async def test_the_nearest_file_is_taken_as_it_is(bay, tmp_path, frame_source):
    times = [SLOT + timedelta(minutes=minutes) for minutes in (-20, -6, 5, 29)]
    for time in times:
        (tmp_path / "C_2" / f"x_{time:%Y%m%d%H%M%S}.jpg").write_bytes(frame_source("C_2", time))
    (tmp_path / "C_2" / "20250702071000.txt").write_text("no picture")
    (tmp_path / "C_2" / "99999999999999.jpg").write_text("no date")
    (tmp_path / "C_2" / "latest.jpg").write_text("no date either")
    image = await capture(bay)
    assert image.captured_at == times[2]
    assert image.jpeg == frame_source("C_2", times[2])


async def test_names_are_utc_whatever_the_slot_s_zone(bay, tmp_path, frame_source):
    (tmp_path / "C_2" / "20250702071000.jpg").write_bytes(frame_source("C_2", SLOT))
    image = await capture(bay, SLOT.astimezone(timezone(timedelta(hours=9))))
    assert image.captured_at == SLOT


@pytest.mark.parametrize(("minutes", "found"), [(30, True), (31, False)])
async def test_tolerance_is_inclusive(bay, tmp_path, frame_source, minutes, found):
    time = SLOT - timedelta(minutes=minutes)
    (tmp_path / "C_2" / f"{time:%Y%m%d%H%M%S}.jpg").write_bytes(frame_source("C_2", time))
    outcome = await capture(bay)
    if found:
        assert outcome.captured_at == time
    else:
        assert outcome.reason is FailureReason.UNREACHABLE
        assert "none of 1 dated frames lies within 0.5 h" in outcome.detail


async def test_png_becomes_a_jpeg(bay, tmp_path):
    picture = np.zeros((1080, 1920, 3), dtype=np.uint8)
    picture[:, 960:] = (40, 90, 200)
    cv2.imwrite(str(tmp_path / "C_2" / "20250702071000.png"), picture)
    image = await capture(bay)
    assert image.jpeg.startswith(b"\xff\xd8")
    assert np.abs(image.decode().astype(int) - picture).mean() < 1


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("20250702071000.jpg", b"<html>", FailureReason.NOT_AN_IMAGE),
        ("20250702071000.png", b"", FailureReason.NOT_AN_IMAGE),
        ("20250702071000.png", b"\x89PNG\r\n\x1a\nrubbish", FailureReason.NOT_AN_IMAGE),
        ("20250702071000.jpg", b"\xff\xd8\xff\xe0\x00\x10", FailureReason.TRUNCATED),
    ],
)
async def test_files_that_are_no_frame(bay, tmp_path, name, content, reason):
    (tmp_path / "C_2" / name).write_bytes(content)
    assert (await capture(bay)).reason is reason


async def test_a_frame_of_another_size(bay, tmp_path):
    cv2.imwrite(str(tmp_path / "C_2" / "20250702071000.jpg"), np.zeros((36, 64, 3), dtype=np.uint8))
    assert (await capture(bay)).reason is FailureReason.WRONG_SIZE


async def test_a_camera_without_a_folder(bay, tmp_path):
    (tmp_path / "C_2").rmdir()
    failure = await capture(bay)
    assert failure.reason is FailureReason.UNREACHABLE
    assert "C_2" in failure.detail


async def test_no_folder_at_all_is_the_bay_s_fault(bay):
    bay = bay.model_copy(update={"image_provider_config": {"base_path": "/nowhere/at/all"}})
    with pytest.raises(CaptureError, match=r"/nowhere/at/all.*base_path"):
        await capture(bay)


@pytest.mark.parametrize(
    "config",
    [{"base_path": ""}, {"base_path": 3}, {"time_tolerance_hours": -1}, {"time_tolerance_hours": "one"}],
)
def test_wrong_values_are_named(config):
    with pytest.raises(ConfigError, match=next(iter(config))):
        FileImageProvider(**({"base_path": "/x"} | config))


async def test_names_may_be_another_zone_s(bay, tmp_path, frame_source):
    (tmp_path / "C_2" / "20250702161000.jpg").write_bytes(frame_source("C_2", SLOT))
    config = bay.image_provider_config | {"time_zone": "Asia/Seoul"}
    image = await capture(bay.model_copy(update={"image_provider_config": config}))
    assert image.captured_at == SLOT


@pytest.mark.parametrize("growing", [False, True])
async def test_a_frame_that_is_still_written_is_looked_for_again(bay, tmp_path, frame_source, growing):
    path, frame = tmp_path / "C_2" / f"{SLOT:%Y%m%d%H%M%S}.jpg", frame_source("C_2", SLOT)
    path.write_bytes(frame[: len(frame) // 2])
    config = bay.image_provider_config | {"growing": growing}
    changed = {"image_provider_config": config, "capture_deadline": 20.0, "capture_attempts": 10}
    reading = asyncio.create_task(capture(bay.model_copy(update=changed)))
    await asyncio.sleep(0.3)
    path.write_bytes(frame)
    outcome = await reading
    assert getattr(outcome, "jpeg", None) == (frame if growing else None)
