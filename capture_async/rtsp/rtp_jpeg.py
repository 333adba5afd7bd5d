"""JPEG over RTP (RFC 2435): the packets carry the scan, the headers are rebuilt from a few bytes."""

from capture_async.errors import CameraError
from capture_async.rtsp.packets import MAX_FRAME_BYTES, RtpPacket
from capture_async.types import FailureReason

# Tables of ITU-T T.81, Annex K, in zig-zag order (RFC 2435, Appendix A).
_LUMA = bytes.fromhex(
    "100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933383740485c4e404457453738506d51575f626768673e4d"
    "71797064785c656763"
)
_CHROMA = bytes.fromhex("1112121815182f1a1a2f63423842") + bytes([99] * 50)
_LUMA_DC = (bytes((0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)), bytes(range(12)))
_CHROMA_DC = (bytes((0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0)), bytes(range(12)))
_LUMA_AC = (
    bytes((0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D)),
    bytes.fromhex(
        "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738"
        "393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5"
        "a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
    ),
)
_CHROMA_AC = (
    bytes((0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77)),
    bytes.fromhex(
        "0001020311040521310612415107617113223281081442"
        "91a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748494a535455565758595a63646566"
        "6768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8"
        "c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
    ),
)


class JpegFrames:
    """Packets until one JPEG is whole. Every frame stands for itself."""

    def __init__(self) -> None:
        self._scan = bytearray()
        self._head = b""
        self._tables = b""
        self._broken = True

    def lost(self) -> None:
        """A packet is missing."""
        self._broken = True

    def push(self, packet: RtpPacket) -> bytes | None:
        """The JPEG file that this packet completes, if it does."""
        payload = packet.payload
        if len(payload) < 8:
            return None
        offset = int.from_bytes(payload[1:4])
        kind, quality, width, height = payload[4], payload[5], payload[6] * 8, payload[7] * 8
        position = 8
        interval = 0
        if 64 <= kind <= 127:
            interval = int.from_bytes(payload[position : position + 2])
            position += 4
        if offset == 0:
            if quality >= 128:
                length = int.from_bytes(payload[position + 2 : position + 4])
                # None stand here where they are those of the frame before.
                self._tables = payload[position + 4 : position + 4 + length] or self._tables
                tables = self._tables
                position += 4 + length
            else:
                tables = _scaled(quality)
            self._head = _file_head(kind & 0x3F, width, height, tables, interval)
            self._scan.clear()
            self._broken = not self._head
        if offset != len(self._scan):
            self._broken = True
        if not self._broken:
            self._scan += payload[position:]
            if len(self._scan) > MAX_FRAME_BYTES:
                detail = f"a frame of its stream is larger than {MAX_FRAME_BYTES} bytes"
                raise CameraError(FailureReason.TOO_LARGE, detail)
        if not packet.marker:
            return None
        frame = None if self._broken else self._head + bytes(self._scan)
        self._broken = True
        if frame is None or frame.endswith(b"\xff\xd9"):
            return frame
        return frame + b"\xff\xd9"


def _scaled(quality: int) -> bytes:
    """The two quantisation tables of a quality from 1 to 99 (RFC 2435, 4.2)."""
    factor = max(1, min(quality, 99))
    scale = 5000 // factor if factor < 50 else 200 - factor * 2
    return bytes(max(1, min((value * scale + 50) // 100, 255)) for value in _LUMA + _CHROMA)


def _file_head(kind: int, width: int, height: int, tables: bytes, interval: int) -> bytes:
    """All of the file before its scan; nothing for a kind of JPEG that RFC 2435 does not define."""
    if kind not in (0, 1) or not width or not height or len(tables) not in (64, 128):
        return b""
    luma, chroma = tables[:64], tables[64:] or tables[:64]
    head = b"\xff\xd8" + _segment(0xDB, b"\0" + luma) + _segment(0xDB, b"\1" + chroma)
    if interval:
        head += _segment(0xDD, interval.to_bytes(2))
    sampling = 0x21 if kind == 0 else 0x22  # 4:2:2 or 4:2:0
    size = height.to_bytes(2) + width.to_bytes(2)
    head += _segment(0xC0, b"\x08" + size + bytes((3, 1, sampling, 0, 2, 0x11, 1, 3, 0x11, 1)))
    for number, (counts, values) in ((0x00, _LUMA_DC), (0x10, _LUMA_AC), (0x01, _CHROMA_DC), (0x11, _CHROMA_AC)):
        head += _segment(0xC4, bytes([number]) + counts + values)
    return head + _segment(0xDA, bytes((3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0)))


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2) + content
