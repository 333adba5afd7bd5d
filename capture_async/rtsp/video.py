"""Key frames of H.264 (RFC 6184) and H.265 (RFC 7798) from RTP packets."""

from dataclasses import dataclass
from typing import Literal

from capture_async.errors import CameraError
from capture_async.rtsp.packets import MAX_FRAME_BYTES, RtpPacket
from capture_async.types import FailureReason

_START_CODE = b"\0\0\0\1"
# A camera's frame has a few slices; each unit costs memory of its own, however small it is.
_MOST_UNITS = 4096


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a codec keeps what. Types of NAL units."""

    header: int
    aggregate: int
    fragment: int
    parameter_sets: frozenset[int]
    key: frozenset[int]
    pictures: frozenset[int]

    def type_of(self, unit: bytes) -> int:
        return unit[0] & 0x1F if self.header == 1 else (unit[0] >> 1) & 0x3F


_H264 = _Layout(1, 24, 28, frozenset({7, 8}), frozenset({5}), frozenset(range(1, 6)))
# Pictures of H.265 are types 0 to 31; those that a decoder may begin with (BLA, IDR, CRA) are 16 to 21.
_H265 = _Layout(2, 48, 49, frozenset({32, 33, 34}), frozenset(range(16, 22)), frozenset(range(32)))


class VideoKeyFrames:
    """Access units of a video, until one is a key frame, with its parameter sets, as an Annex B byte stream."""

    def __init__(self, codec: Literal["H264", "H265"], parameter_sets: tuple[bytes, ...]) -> None:
        self._layout = layout = _H264 if codec == "H264" else _H265
        self._known_sets: dict[int, list[bytes]] = {}
        self._sets: dict[int, list[bytes]] = {}
        for unit in parameter_sets:
            if len(unit) > layout.header:
                self._known_sets.setdefault(layout.type_of(unit), []).append(unit)
        self._units: list[bytes] = []
        self._fragment = bytearray()
        self._timestamp: int | None = None
        self._broken = True  # until a frame begins: the first packets may be the middle of one
        self._size = 0
        self._count = 0

    def lost(self) -> None:
        """A packet is missing: the frame that was begun is not whole."""
        self._fragment.clear()
        self._broken = True

    def push(self, packet: RtpPacket) -> bytes | None:
        """The key frame that this packet completes, if it does.

        Raises:
            CameraError: too large.
        """
        whole = None
        if packet.timestamp != self._timestamp:
            # A camera that sets no marker: its frame ends where the next one begins.
            whole = self._whole()
            self._begin(packet.timestamp)
        for unit in self._units_of(packet.payload):
            self._size += len(unit)
            self._count += 1
            if self._size > MAX_FRAME_BYTES or self._count > _MOST_UNITS:
                detail = f"a frame of its stream is larger than {MAX_FRAME_BYTES} bytes or {_MOST_UNITS} units"
                raise CameraError(FailureReason.TOO_LARGE, detail)
            if self._layout.type_of(unit) in self._layout.parameter_sets:
                self._sets.setdefault(self._layout.type_of(unit), []).append(unit)
            else:
                self._units.append(unit)
        if whole is None and packet.marker:
            whole = self._whole()
            self._begin(None)
        return whole

    def _begin(self, timestamp: int | None) -> None:
        self._timestamp = timestamp
        # What a frame brings replaces what was known; it holds for the frames after it.
        self._known_sets |= self._sets
        self._sets = {}
        self._units.clear()
        self._fragment.clear()
        self._size = 0
        self._count = 0
        self._broken = False

    def _whole(self) -> bytes | None:
        types = {self._layout.type_of(unit) for unit in self._units}
        if self._broken or self._fragment or not types & self._layout.key:
            return None
        sets = self._known_sets | self._sets
        if not sets.keys() >= self._layout.parameter_sets:
            return None  # without SPS and PPS nothing can be decoded; they come before a later key frame
        pictures = [unit for unit in self._units if self._layout.type_of(unit) in self._layout.pictures]
        ordered = [unit for kind in sorted(self._layout.parameter_sets) for unit in sets[kind]]
        return b"".join(_START_CODE + unit for unit in (*ordered, *pictures))

    def _units_of(self, payload: bytes) -> list[bytes]:
        layout = self._layout
        if len(payload) <= layout.header:
            return []
        kind = layout.type_of(payload)
        if kind == layout.aggregate:
            return _split(payload[layout.header :], layout.header)
        if kind == layout.fragment:
            return self._defragment(payload)
        if layout.header == 1 and not 1 <= kind <= 23:
            return []  # interleaved modes, which no camera uses
        return [payload]

    def _defragment(self, payload: bytes) -> list[bytes]:
        size = self._layout.header
        if len(payload) <= size + 1:
            return []
        mark = payload[size]
        if mark & 0x80:
            if size == 1:
                head = bytes([(payload[0] & 0xE0) | (mark & 0x1F)])
            else:
                head = bytes([(payload[0] & 0x81) | ((mark & 0x3F) << 1), payload[1]])
            self._fragment[:] = head
        elif not self._fragment:
            self._broken = True  # its beginning was lost
            return []
        self._fragment += payload[size + 1 :]
        if len(self._fragment) > MAX_FRAME_BYTES:
            raise CameraError(FailureReason.TOO_LARGE, f"a frame of its stream is larger than {MAX_FRAME_BYTES} bytes")
        if not mark & 0x40:
            return []
        unit = bytes(self._fragment)
        self._fragment.clear()
        return [unit]


def _split(data: bytes, smallest: int) -> list[bytes]:
    """Units that stand one after another, each after its length in two bytes."""
    units, at = [], 0
    while len(data) - at > 2:
        begin = at + 2
        at = begin + int.from_bytes(data[at:begin])
        unit = data[begin:at]
        if len(unit) > smallest:
            units.append(unit)
    return units
