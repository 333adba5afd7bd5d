from datetime import UTC, datetime

import pytest

from bay_observation.errors import CaptureError
from capture_async.types import CaptureBatch, CapturedImage

TAKEN = datetime(2025, 7, 2, 7, 10, 5, tzinfo=UTC)


def test_a_frame_s_name_is_the_specification_s():
    assert CapturedImage("C_4", "3bay_north", TAKEN, b"").image_id == "3bay_north_C_4_20250702071005"


def test_a_frame_has_a_time_zone():
    with pytest.raises(CaptureError, match="no time zone"):
        CapturedImage("C_4", "3bay_north", TAKEN.replace(tzinfo=None), b"")


@pytest.mark.parametrize("data", [b"", b"abc", b"\xff\xd8\xff\xd9"])
def test_what_is_no_picture_is_named(data):
    with pytest.raises(CaptureError, match=f"{len(data)} bytes that are no readable picture"):
        CapturedImage("C_4", "3bay_north", TAKEN, data).decode()


def test_a_batch_is_shown_in_one_line():
    image = CapturedImage("C_4", "3bay_north", TAKEN, b"x" * 1_000_000)
    assert repr(image) == "<CapturedImage 3bay_north_C_4_20250702071005, 1000000 bytes>"
    batch = CaptureBatch("3bay_north_20250702-071000", "3bay_north", (image,))
    assert repr(batch) == "<CaptureBatch 3bay_north_20250702-071000, 1 frames, 0 failures>"


def test_a_batch_knows_its_slot():
    batch = CaptureBatch("3bay_north_20250702-071000", "3bay_north", ())
    assert batch.slot == datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
