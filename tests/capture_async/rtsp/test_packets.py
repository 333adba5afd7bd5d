import pytest

from capture_async.rtsp.packets import read_packet


@pytest.mark.parametrize("data", [b"", b"\x80", bytes(12), b"\x9f" + bytes(20), b"\xa0" + bytes(11) + b"\xff"])
def test_what_is_no_packet(data):
    packet = read_packet(data)
    assert packet is None or packet.payload == b""
