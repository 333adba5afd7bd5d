"""Is this the whole of a JPEG, how large is its picture, when was it taken? Read from the bytes, nothing is decoded."""

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
_START_OF_SCAN = 0xDA
_APP1 = 0xE1
_EXIF = b"Exif\0\0"
_SHOWN = 16
_PADDING = b"\x00\r\n"
# A picture of 20000 x 20000 is a few kilobytes of JPEG and 1.2 GB once it is decoded.
_MAX_PIXELS = 50_000_000
_MIN_SIDE = 16


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
    Whole means: it starts with SOI, a frame header gives a size, it ends with EOI
    (zeros and line ends after it are padding that some firmwares add).

    Raises:
        CameraError: not an image, or truncated.
    """
    if not data.startswith(_SOI):
        begins = bytes(data[:_SHOWN])
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"{len(data)} bytes that begin with {begins!r} are no JPEG")
    header = _read_segments(data)
    if not data.endswith(_EOI) and not data.rstrip(_PADDING).endswith(_EOI):
        raise CameraError(FailureReason.TRUNCATED, f"the JPEG ends early, after {len(data)} bytes")
    if header is None or 0 in header.size:
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"a JPEG of {len(data)} bytes without a frame header")
    return header


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


def _read_segments(data: bytes) -> JpegHeader | None:
    """Walk the marker segments (ITU-T T.81, B.1.1) up to the frame header."""
    position = len(_SOI)
    exif: Exif | None = None
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _STANDALONE:
            position += 2
            continue
        if marker == _START_OF_SCAN:
            return None
        if marker in _SOF:
            if position + 9 > len(data):
                return None
            height = int.from_bytes(data[position + 5 : position + 7])
            width = int.from_bytes(data[position + 7 : position + 9])
            return JpegHeader((width, height), exif or NO_EXIF)
        length = int.from_bytes(data[position + 2 : position + 4])
        if marker == _APP1 and exif is None and data.startswith(_EXIF, position + 4):
            exif = read_exif(data[position + 4 : position + 2 + length])
        position += 2 + length
    return None
