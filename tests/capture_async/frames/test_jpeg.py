from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from bays import Camera, Intrinsics
from capture_async import FailureReason
from capture_async.errors import CameraError
from capture_async.frames.jpeg import check_frame, read_jpeg


def jpeg(width, height, *options):
    encoded, data = cv2.imencode(".jpg", np.full((height, width, 3), 90, dtype=np.uint8), options)
    assert encoded
    return data.tobytes()


def reason_of(data):
    with pytest.raises(CameraError) as caught:
        read_jpeg(data)
    return caught.value.reason


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)])
def test_size_is_the_header_s(options):
    assert read_jpeg(jpeg(96, 40, *options)).size == (96, 40)


def test_segments_and_fill_bytes_before_the_header_are_passed_over(frame_source):
    data = frame_source("C_4", datetime(2025, 7, 2, tzinfo=UTC))
    assert read_jpeg(data).size == (1920, 1080)
    assert read_jpeg(data[:2] + b"\xff\xff\xff" + data[2:]).size == (1920, 1080)


def test_padding_after_the_end_is_no_fault():
    assert read_jpeg(jpeg(32, 16) + b"\r\n\x00\x00").size == (32, 16)


@pytest.mark.parametrize("data", [b"", b"<html>", b"\x89PNG\r\n\x1a\n", b"\xff"])
def test_not_an_image(data):
    assert reason_of(data) is FailureReason.NOT_AN_IMAGE


def test_truncated_at_any_byte():
    whole = jpeg(64, 48)
    for end in range(2, len(whole) - 1):
        assert reason_of(whole[:end]) is FailureReason.TRUNCATED


def test_no_frame_header_is_no_image():
    assert reason_of(b"\xff\xd8\xff\xd9") is FailureReason.NOT_AN_IMAGE
    assert reason_of(b"\xff\xd8\xff\xc0\x00\x0b\x08" + bytes(8) + b"\xff\xd9") is FailureReason.NOT_AN_IMAGE


def test_size_against_the_intrinsics():
    camera = Camera(name="C_4", host="127.60.1.4", intrinsics=Intrinsics(width=96, height=40, focal_px=100))
    check_frame(jpeg(96, 40), camera)
    with pytest.raises(CameraError, match=r"40 x 96.* 96 x 40") as caught:
        check_frame(jpeg(40, 96), camera)
    assert caught.value.reason is FailureReason.WRONG_SIZE
    check_frame(jpeg(40, 96), camera.model_copy(update={"intrinsics": None}))
