"""JPEG over RTP: headers are rebuilt, and what is not whole is no frame."""

import cv2
import numpy as np
import pytest

from capture_async.frames.jpeg import read_jpeg
from capture_async.rtsp.packets import RtpPacket
from capture_async.rtsp.rtp_jpeg import JpegFrames


def packet(payload, *, marker=True):
    return RtpPacket(26, marker, 1, 1, payload)


def head(offset=0, kind=1, quality=50, width=4, height=2):
    return bytes([0]) + offset.to_bytes(3) + bytes([kind, quality, width, height])


def test_a_frame_of_one_packet_is_a_file():
    frame = JpegFrames().push(packet(head() + b"scan"))
    assert read_jpeg(frame).size == (32, 16)
    assert frame.endswith(b"scan\xff\xd9")


def test_a_frame_of_several_packets_in_order():
    frames = JpegFrames()
    assert frames.push(packet(head() + b"first", marker=False)) is None
    assert b"firstsecond" in frames.push(packet(head(5) + b"second"))


@pytest.mark.parametrize("offset", [0, 4, 9])
def test_a_hole_is_no_frame(offset):
    frames = JpegFrames()
    frames.push(packet(head() + b"first", marker=False))
    frames.lost()
    assert frames.push(packet(head(5) + b"second")) is None
    assert frames.push(packet(head() + b"first", marker=False)) is None
    found = frames.push(packet(head(offset) + b"second"))
    assert (found is None) is (offset != 0)


def test_tables_in_the_packet_and_those_of_the_frame_before():
    tables = bytes(range(1, 129))
    frames = JpegFrames()
    with_tables = head(quality=255) + b"\0\0" + len(tables).to_bytes(2) + tables + b"scan"
    first = frames.push(packet(with_tables))
    assert tables[:64] in first
    assert frames.push(packet(head(quality=255) + b"\0\0\0\0scan")) == first
    assert JpegFrames().push(packet(head(quality=255) + b"\0\0\0\0scan")) is None


def test_a_real_scan_decodes_with_the_rebuilt_head():
    picture = np.full((16, 32, 3), 90, np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, 50, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    encoded = cv2.imencode(".jpg", picture, options)[1].tobytes()
    scan_at = encoded.index(b"\xff\xda") + 2
    scan = encoded[scan_at + int.from_bytes(encoded[scan_at : scan_at + 2]) : -2]
    frame = JpegFrames().push(packet(head() + scan))
    decoded = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (16, 32, 3)
    assert abs(int(decoded.mean()) - 90) < 3
