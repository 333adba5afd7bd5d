"""RTP packets (RFC 3550), and what takes them until a frame is whole."""

from dataclasses import dataclass
from typing import Protocol

MAX_FRAME_BYTES = 20 * 1024 * 1024
_HEADER = 12


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One packet (RFC 3550)."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    payload: bytes


class FrameAssembler(Protocol):
    """Collects packets until one frame that stands for itself is whole."""

    def push(self, packet: RtpPacket) -> bytes | None:
        """The frame that this packet completes, if it does."""

    def lost(self) -> None:
        """A packet is missing: what was begun is of no use."""


def read_packet(data: bytes) -> RtpPacket | None:
    """An RTP packet; None for what is none."""
    if len(data) < _HEADER or data[0] >> 6 != 2:
        return None
    start = _HEADER + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    padding = data[-1] if data[0] & 0x20 else 0
    if start + padding > len(data):
        return None
    return RtpPacket(
        data[1] & 0x7F,
        bool(data[1] & 0x80),
        int.from_bytes(data[2:4]),
        int.from_bytes(data[4:8]),
        data[start : len(data) - padding],
    )
