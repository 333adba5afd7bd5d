"""Key frames of H.264, H.265 from RTP packets, whole or not at all."""

import time

import pytest

from capture_async import FailureReason
from capture_async.errors import CameraError
from capture_async.rtsp.frame_reader import FrameReader
from capture_async.rtsp.sdp import VideoTrack


def rtp(sequence, payload, *, marker=False, payload_type=96, timestamp=1):
    head = bytes([0x80, payload_type | (0x80 if marker else 0)]) + sequence.to_bytes(2) + timestamp.to_bytes(4)
    return head + bytes(4) + payload


SPS, PPS, KEY, OTHER = b"\x67sps", b"\x68pps", b"\x65" + b"key", b"\x41" + b"other"
H264 = VideoTrack("H264", 96, "*")


def frames(track, *packets):
    reader = FrameReader(track)
    return [found for packet in packets if (found := reader.push(packet)) is not None]


def annex_b(*units):
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def test_key_frame_of_single_aggregated_and_fragmented_units():
    aggregate = b"\x78" + b"".join(len(unit).to_bytes(2) + unit for unit in (SPS, PPS))
    packets = (
        rtp(1, OTHER, marker=True, timestamp=1),
        rtp(2, aggregate, timestamp=2),
        rtp(3, b"\x7c\x85ke", timestamp=2),
        rtp(4, b"\x7c\x45y", timestamp=2, marker=True),
    )
    assert frames(H264, *packets) == [annex_b(SPS, PPS, KEY)]


def test_parameter_sets_may_come_from_the_description():
    track = VideoTrack("H264", 96, "*", (SPS, PPS))
    assert frames(track, rtp(1, KEY, marker=True)) == [annex_b(SPS, PPS, KEY)]
    assert frames(H264, rtp(1, KEY, marker=True)) == []


def test_a_frame_with_a_hole_is_not_whole():
    track = VideoTrack("H264", 96, "*", (SPS, PPS))
    holed = (rtp(1, b"\x7c\x85k"), rtp(3, b"\x7c\x45y", marker=True))
    assert frames(track, *holed) == []
    assert frames(track, *holed, rtp(4, KEY, marker=True, timestamp=2)) == [annex_b(SPS, PPS, KEY)]
    assert frames(track, rtp(1, b"\x7c\x45y", marker=True)) == []  # began in its middle


def test_a_frame_without_a_marker_ends_where_the_next_begins():
    track = VideoTrack("H264", 96, "*", (SPS, PPS))
    assert frames(track, rtp(65535, KEY), rtp(0, OTHER, timestamp=2)) == [annex_b(SPS, PPS, KEY)]


def test_a_frame_that_never_ends_is_too_large():
    reader = FrameReader(VideoTrack("H264", 96, "*", (SPS, PPS)))
    piece = b"\x7c\x05" + bytes(65_000)
    reader.push(rtp(0, b"\x7c\x85k"))
    with pytest.raises(CameraError) as caught:  # noqa: PT012
        for number in range(1, 1000):
            reader.push(rtp(number, piece))
    assert caught.value.reason is FailureReason.TOO_LARGE


def test_a_frame_of_many_small_units_is_too_large():
    """Each unit is an object of its own: twenty megabytes of them would be half a gigabyte."""
    aggregate = b"\x78" + b"\x00\x02\x65x" * 1000
    with pytest.raises(CameraError) as caught:
        frames(VideoTrack("H264", 96, "*", (SPS, PPS)), *(rtp(sequence, aggregate) for sequence in range(10)))
    assert caught.value.reason is FailureReason.TOO_LARGE


@pytest.mark.slow(0.2)
@pytest.mark.parametrize("units", [b"\0\0" * 32_000, b"\0\1\x65" * 21_000])
def test_a_packet_of_empty_units_takes_no_time(units):
    began = time.process_time()
    for sequence in range(20):
        FrameReader(H264).push(rtp(sequence, b"\x78" + units))
    assert time.process_time() - began < 1.0
