"""EXIF segments, whole and damaged."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from capture_async.frames.exif import NO_EXIF, Exif, read_exif


def segment(orientation=None, taken=None, offset=None):
    tags = Image.Exif()
    if orientation is not None:
        tags[0x0112] = orientation
    directory = tags.get_ifd(0x8769)
    if taken is not None:
        directory[0x9003] = taken
    if offset is not None:
        directory[0x9011] = offset
    return b"Exif\0\0" + tags.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({}, NO_EXIF),
        ({"orientation": 6}, Exif(orientation=6)),
        ({"orientation": 3, "taken": "2025:07:02 16:10:00"}, Exif(datetime(2025, 7, 2, 16, 10), 3)),
        ({"taken": "2025:07:02 16:10:00", "offset": "+09:00"}, Exif(datetime(2025, 7, 2, 7, 10, tzinfo=UTC))),
        ({"taken": "2025:07:02 16:10:00", "offset": "Seoul"}, Exif(datetime(2025, 7, 2, 16, 10))),
        ({"taken": "0000:00:00 00:00:00"}, NO_EXIF),
        ({"orientation": 0}, NO_EXIF),
        ({"orientation": 99}, NO_EXIF),
    ],
)
def test_what_is_said_of_a_frame(written, read):
    assert read_exif(segment(**written)) == read


def test_a_time_zone_is_kept():
    taken_at = read_exif(segment(taken="2025:07:02 16:10:00", offset="+09:00")).taken_at
    assert taken_at.tzinfo == timezone(timedelta(hours=9))


@pytest.mark.slow(1)
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 20), st.binary(max_size=8)), max_size=5))
def test_damaged_exif_costs_no_frame(edits):
    data = segment(6, "2025:07:02 16:10:00", "+09:00")
    for begin, length, put in edits:
        data = data[:begin] + put + data[begin + length :]
    assert isinstance(read_exif(data), Exif)
