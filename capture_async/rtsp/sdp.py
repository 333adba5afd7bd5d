"""What an RTSP server says of a stream (RFC 4566), as far as one video frame needs it."""

import base64
import binascii
from dataclasses import dataclass
from typing import Literal

from capture_async.errors import CameraError
from capture_async.types import FailureReason

Codec = Literal["H264", "H265", "JPEG"]
_STATIC_JPEG = "26"


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """The first video of a session that can be read.

    Attributes:
        codec: as RTP names it.
        payload_type: of its RTP packets.
        control: as the server wrote it: relative, absolute, or `*`.
        parameter_sets: SPS, PPS (and VPS) that are given outside the stream.
    """

    codec: Codec
    payload_type: int
    control: str
    parameter_sets: tuple[bytes, ...] = ()


def video_track(description: str) -> VideoTrack:
    """The first video track with a known codec.

    Raises:
        CameraError: not an image: there is none.
    """
    offered: list[str] = []
    for section in _sections(description):
        media = section[0].split()
        if media[0] != "video" or len(media) < 4:
            continue
        attributes = dict(line.partition(":")[::2] for line in reversed(section[1:]))
        for payload_type in media[3:]:
            name = _codec_name(section, payload_type)
            offered.append(name)
            if name in ("H264", "H265", "JPEG") and payload_type.isdecimal():
                sets = _parameter_sets(section, payload_type)
                codec: Codec = "H264" if name == "H264" else "H265" if name == "H265" else "JPEG"
                return VideoTrack(codec, int(payload_type), attributes.get("control", "*").strip(), sets)
    found = ", ".join(offered)[:80] or "no video"
    raise CameraError(FailureReason.NOT_AN_IMAGE, f"its stream is {found}; H264, H265 and JPEG are read", final=True)


def _sections(description: str) -> list[list[str]]:
    """Of each medium: what follows `m=`, then what follows each `a=`."""
    sections: list[list[str]] = []
    for line in description.splitlines():
        if line.startswith("m=") and line[2:].split():
            sections.append([line[2:]])
        elif line.startswith("a=") and sections:
            sections[-1].append(line[2:])
    return sections


def _codec_name(section: list[str], payload_type: str) -> str:
    for line in section[1:]:
        if line.startswith(f"rtpmap:{payload_type} "):
            return line.partition(" ")[2].partition("/")[0].strip().upper()
    return "JPEG" if payload_type == _STATIC_JPEG else payload_type


def _parameter_sets(section: list[str], payload_type: str) -> tuple[bytes, ...]:
    """Those of RFC 6184 (sprop-parameter-sets) and RFC 7798 (sprop-vps, -sps, -pps).

    Unreadable ones are left out: a camera that garbles them here usually sends them in the stream as well.
    """
    sets = []
    for line in section[1:]:
        if not line.startswith(f"fmtp:{payload_type} "):
            continue
        for parameter in line.partition(" ")[2].split(";"):
            key, _, value = parameter.strip().partition("=")
            if key in ("sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps"):
                for text in value.split(","):
                    try:
                        sets.append(base64.b64decode(text, validate=True))
                    except binascii.Error:
                        continue
    return tuple(unit for unit in sets if unit)
