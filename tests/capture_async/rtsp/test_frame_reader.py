"""RTP packets of any content: a frame, none yet, or a named error; never another exception."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture_async.errors import CameraError
from capture_async.frames.jpeg import read_jpeg
from capture_async.rtsp.frame_reader import FrameReader
from capture_async.rtsp.sdp import VideoTrack, video_track

CODECS = ["H264", "H265", "JPEG"]


def rtp(sequence, payload, *, marker=False, payload_type=96, timestamp=1):
    head = bytes([0x80, payload_type | (0x80 if marker else 0)]) + sequence.to_bytes(2) + timestamp.to_bytes(4)
    return head + bytes(4) + payload


@pytest.mark.slow(1)
@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(CODECS),
    st.lists(st.tuples(st.binary(max_size=60), st.booleans(), st.integers(0, 3)), max_size=12),
    st.lists(st.binary(max_size=12), max_size=3),
)
def test_packets(codec, packets, parameter_sets):
    reader = FrameReader(VideoTrack(codec, 96, "*", tuple(parameter_sets)))
    for number, (payload, marker, timestamp) in enumerate(packets):
        frame = reader.push(rtp(number, payload, marker=marker, timestamp=timestamp))
        assert frame is None or isinstance(frame, bytes)


@pytest.mark.slow(0.6)
@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_what_is_no_packet(data):
    reader = FrameReader(VideoTrack("H264", 96, "*"))
    assert [found for piece in data if (found := reader.push(piece)) is not None] == []


@pytest.mark.slow(1)
@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            (
                *("v=0", "m=video 0 RTP/AVP 96", "m=video 0 RTP/AVP ٢٦", "m=video", "m=", "a=", "a=control:*", "\0"),
                *("a=rtpmap:96", "a=rtpmap:96 H264/90000", "a=fmtp:96 sprop-parameter-sets=====,Z0,"),
                "a=control:rtsp://[",
            )
        )
        | st.text(max_size=30),
        max_size=12,
    )
)
def test_descriptions(lines):
    with suppress(CameraError):
        assert video_track("\r\n".join(lines)).codec in CODECS


def jpeg_packets(width=4, height=2, quality=50, scan=b"scan", kind=1):
    head = bytes(4) + bytes([kind, quality, width, height])
    return [rtp(1, head + scan, marker=True, payload_type=26)]


def test_a_jpeg_of_one_packet_is_a_file():
    reader = FrameReader(VideoTrack("JPEG", 26, "*"))
    (frame,) = [reader.push(packet) for packet in jpeg_packets()]
    assert read_jpeg(frame).size == (32, 16)


@pytest.mark.parametrize("changed", [{"width": 0}, {"kind": 7}, {"quality": 200}])
def test_a_jpeg_that_says_nothing_usable_is_no_frame(changed):
    reader = FrameReader(VideoTrack("JPEG", 26, "*"))
    assert [reader.push(packet) for packet in jpeg_packets(**changed)] == [None]
