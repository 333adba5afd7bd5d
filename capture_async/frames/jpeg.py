"""Is this the whole of a JPEG, how large is its picture, when was it taken? Read from the bytes, nothing is decoded."""

import re
from dataclasses import dataclass
from datetime import datetime

from bays import Camera
from capture_async.errors import CameraError
from capture_async.frames.exif import NO_EXIF, Exif, read_exif
from capture_async.types import FailureReason

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
# Start of frame, in every coding; C4, C8 and CC are tables and an extension.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Those of them that decoders read: baseline, extended, progressive, and the last two with arithmetic coding.
_READ_SOF = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_BITS, _COMPONENTS = 8, (1, 3, 4)
_START_OF_SCAN, _END_OF_IMAGE, _QUANTISATION = 0xDA, 0xD9, 0xDB
_APP1 = 0xE1
_EXIF = b"Exif\0\0"
_SHOWN = 16
# A marker; 00 after FF is data, FF before FF fills. Within a scan, restart markers are data as well.
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MARKER_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
# A camera's frame has some tens; each costs a step on the event loop.
_MAX_SEGMENTS = 4096
# A picture of 20000 x 20000 is a few kilobytes of JPEG and 1.2 GB once it is decoded.
_MAX_PIXELS = 50_000_000
_MIN_SIDE = 16
_STEP = 1024 * 1024


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What the head of a JPEG says.

    Attributes:
        size: (width, height) in pixels, as the sensor's rows and columns are stored.
        exif: what its EXIF segment says.
    """

    size: tuple[int, int]
    exif: Exif = NO_EXIF

    @property
    def taken_at(self) -> datetime | None:
        """EXIF's DateTimeOriginal; without time zone unless EXIF gives one; None without EXIF."""
        return self.exif.taken_at


def read_jpeg(data: bytes) -> JpegHeader:
    """The header of a whole JPEG.

    The content type says nothing: a firmware's login page comes as image/jpeg.
    Whole means: it starts with SOI, a frame header gives a size, and an EOI follows the
    scans. What some firmwares send after it, or between segments, is passed over, as
    decoders do.

    Raises:
        CameraError: not an image, or truncated.
    """
    if not data.startswith(_SOI):
        begins = bytes(data[:_SHOWN])
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"{len(data)} bytes that begin with {begins!r} are no JPEG")
    segments = _Segments(data)
    segments.read()
    # Most end with their EOI: then the scans need not be searched for it.
    if not segments.has_end and not (segments.in_scan and data.endswith(_EOI)):
        raise CameraError(FailureReason.TRUNCATED, f"the JPEG ends early, after {len(data)} bytes")
    if segments.size is None or 0 in segments.size:
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"a JPEG of {len(data)} bytes without a frame header")
    if segments.unreadable:
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"a JPEG that no decoder reads: {segments.unreadable}")
    return JpegHeader(segments.size, segments.exif or NO_EXIF)


def check_frame(data: bytes, camera: Camera) -> JpegHeader:
    """A whole JPEG, of the size that the camera's intrinsics are for; without them, of one that can be a frame.

    Raises:
        CameraError: not an image, truncated, too large, or of the wrong size.
    """
    header = read_jpeg(data)
    width, height = header.size
    if width * height > _MAX_PIXELS:
        detail = f"the frame is {width} x {height}, more than {_MAX_PIXELS // 1_000_000} megapixels"
        raise CameraError(FailureReason.TOO_LARGE, detail)
    expected = camera.intrinsics
    if expected is not None and (width, height) != (expected.width, expected.height):
        raise CameraError(
            FailureReason.WRONG_SIZE,
            f"the frame is {width} x {height}, the camera's intrinsics are for {expected.width} x {expected.height}",
        )
    if min(width, height) < _MIN_SIDE:
        raise CameraError(FailureReason.WRONG_SIZE, f"the frame is {width} x {height} pixels")
    return header


class _Segments:
    """A walk along the marker segments (ITU-T T.81, B.1.1)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size: tuple[int, int] | None = None
        self.exif: Exif | None = None
        self.has_end = False
        self.in_scan = False
        """Whether a scan has begun, with the data's end not searched for: it ends as a JPEG does."""
        self._has_tables = self._has_scan = False
        self._odd_header = ""

    @property
    def unreadable(self) -> str:
        """Why decoders refuse it, where its head says so."""
        if self._odd_header or (self._has_tables and self._has_scan):
            return self._odd_header
        return "it has no scan" if self._has_tables else "it has no quantisation table"

    def read(self) -> None:
        position, marker_of = len(_SOI), _MARKER
        for _ in range(_MAX_SEGMENTS):
            found = self._next(marker_of, position)
            if found is None:
                return
            position = found
            marker = self._data[position - 1]
            if marker == _END_OF_IMAGE:
                self.has_end = True
                return
            if marker in _STANDALONE:
                continue
            length = int.from_bytes(self._data[position : position + 2])
            self._take_in(marker, position + 2, length)
            position += length
            if marker == _START_OF_SCAN:
                marker_of = _MARKER_AFTER_SCAN
                self.in_scan = True
                if self._data.endswith(_EOI):
                    return
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"a JPEG of more than {_MAX_SEGMENTS} segments")

    def _next(self, marker_of: re.Pattern[bytes], position: int) -> int | None:
        """Where the next marker ends. In steps, so that a thread that searches megabytes lets others run."""
        while position < len(self._data):
            found = marker_of.search(self._data, position, position + _STEP + 1)
            if found is not None:
                return found.end()
            position += _STEP
        return None

    def _take_in(self, marker: int, begin: int, length: int) -> None:
        self._has_tables |= marker == _QUANTISATION
        self._has_scan |= marker == _START_OF_SCAN
        if marker in _SOF and self.size is not None and not self._has_scan:
            self._odd_header = "it has two frame headers"
        elif marker in _SOF and self.size is None and begin + 6 <= len(self._data):
            bits, components = self._data[begin], self._data[begin + 5]
            if (
                marker not in _READ_SOF
                or bits != _BITS
                or components not in _COMPONENTS
                or length != 8 + 3 * components
            ):
                self._odd_header = f"frame header {marker:02X}, {bits} bits, {components} components"
            height = int.from_bytes(self._data[begin + 1 : begin + 3])
            width = int.from_bytes(self._data[begin + 3 : begin + 5])
            self.size = (width, height)
        elif marker == _APP1 and self.exif is None and self._data.startswith(_EXIF, begin):
            self.exif = read_exif(self._data[begin : begin + length - 2])
