import io
from contextlib import suppress
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bay_observation.errors import CaptureError
from bays import Camera, Intrinsics
from capture_async import CapturedImage, FailureReason
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


def test_bytes_after_the_end_and_between_segments_are_passed_over():
    data = jpeg(96, 40)
    for tail in (b"dhav\x00\x10\x00\x00", bytes(range(256)), b"\0" * 100, b"\xff\xd8\xff", jpeg(32, 16)):
        assert read_jpeg(data + tail).size == (96, 40)
    assert read_jpeg(data[:2] + b"stray" + data[2:]).size == (96, 40)
    position = data.index(b"\xff\xdb")
    assert read_jpeg(data[:position] + b"\x00\x12\xff\x00" + data[position:]).size == (96, 40)


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)])
def test_a_cut_is_found_behind_any_tail_of_old_memory(options):
    whole = jpeg(64, 48, *options)
    for end in range(len(whole) // 2, len(whole) - 2, 7):
        assert reason_of(whole[:end] + b"old memory" * 5) is FailureReason.TRUNCATED


def test_a_thumbnail_s_end_is_no_end():
    thumbnail = jpeg(32, 16)
    whole = jpeg(64, 48)
    segment = b"\xff\xe1" + (len(thumbnail) + 8).to_bytes(2) + b"Exif\0\0" + thumbnail
    with_thumbnail = whole[:2] + segment + whole[2:]
    assert read_jpeg(with_thumbnail).size == (64, 48)
    for end in range(len(segment), len(with_thumbnail) - 2, 5):
        assert reason_of(with_thumbnail[:end]) in (FailureReason.TRUNCATED, FailureReason.NOT_AN_IMAGE)


@pytest.mark.parametrize("data", [b"\xff\xe0\0\2" * 5_000, b"\xff\x01" * 20_000])
def test_a_head_that_does_not_end_is_given_up(data):
    assert reason_of(b"\xff\xd8" + data) is FailureReason.NOT_AN_IMAGE


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_size_and_decoding_are_of_the_sensor_s_rows_whatever_exif_says(orientation):
    """Intrinsics belong to the sensor; a decoder that turns the picture would give another size than the header."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    exif = b"Exif\0\0" + tags.tobytes().removeprefix(b"Exif\0\0")
    data = jpeg(96, 40)
    data = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif + data[2:]
    header = read_jpeg(data)
    assert (header.size, header.exif.orientation) == ((96, 40), orientation)
    picture = CapturedImage("C_4", "yard", datetime(2025, 7, 2, tzinfo=UTC), data).decode()
    assert picture.shape == (40, 96, 3)


@pytest.mark.slow(1)
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 60), st.binary(max_size=12)), max_size=6))
def test_whatever_a_jpeg_holds_it_has_a_header_or_a_named_error(edits):
    data = jpeg(32, 16)
    for begin, length, put in edits:
        data = data[:begin] + put + data[begin + length :]
    with suppress(CameraError):
        read_jpeg(data)


def picture(kind="RGB", **options):
    rows = np.linspace(0, 255, 40 * 96 * 3, dtype=np.uint8).reshape(40, 96, 3)
    file = io.BytesIO()
    Image.fromarray(rows).convert(kind).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        picture("L"),
        picture("CMYK"),
        picture(progressive=True),
        picture("CMYK", progressive=True),
        picture(subsampling=0),
        picture(subsampling="4:1:1"),
        picture(optimize=True),
        picture(icc_profile=b"x" * 200_000),
        picture(comment=b"y" * 60_000),
    ],
    ids=range(9),
)
def test_every_kind_that_a_decoder_reads_is_a_frame(data):
    assert read_jpeg(data).size == (96, 40)
    assert CapturedImage("C", "yard", datetime.now(UTC), data).decode().shape == (40, 96, 3)


def changed(offset, value):
    """The picture with another byte in its frame header, counted from the marker."""
    data = bytearray(picture())
    data[data.index(b"\xff\xc0") + offset] = value
    return bytes(data)


def without(marker):
    data = picture()
    while (at := data.find(bytes((0xFF, marker)))) >= 0:
        data = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4]) :]
    return data


@pytest.mark.parametrize(
    "data",
    [
        *(changed(1, marker) for marker in (0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF)),
        *(changed(4, bits) for bits in (0, 1, 7, 9, 12, 16)),
        *(changed(9, components) for components in (0, 1, 2, 4, 5, 255)),
        changed(3, 8),
        without(0xDB),
        without(0xDA),
        picture()[:2] + picture()[(at := picture().index(b"\xff\xc0")) : at + 19] + picture()[2:],
    ],
    ids=range(24),
)
def test_a_kind_that_no_decoder_reads_is_refused_at_once(data):
    """Not by the models of the whole bay, minutes later."""
    assert reason_of(data) is FailureReason.NOT_AN_IMAGE
    with pytest.raises(CaptureError):
        CapturedImage("C", "yard", datetime.now(UTC), data).decode()
