"""Is this the whole of a JPEG, and how large is its picture? Read from the bytes, nothing is decoded."""

from bays import Camera
from capture_async.problems import CameraError
from capture_async.types import FailureReason

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
# Start of frame, in every coding; C4, C8 and CC are tables and an extension.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_SHOWN = 16


def jpeg_size(data: bytes) -> tuple[int, int]:
    """(width, height) in pixels of a whole JPEG.

    The content type says nothing: a firmware's login page comes as image/jpeg.
    Whole means: it starts with SOI, a frame header gives a size, it ends with EOI
    (zeros and line ends after it are padding that some firmwares add).

    Raises:
        CameraError: not an image, or truncated.
    """
    if not data.startswith(_SOI):
        begins = bytes(data[:_SHOWN])
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"{len(data)} bytes that begin with {begins!r} are no JPEG")
    size = _frame_header_size(data)
    if not data.rstrip(b"\x00\r\n").endswith(_EOI):
        raise CameraError(FailureReason.TRUNCATED, f"the JPEG ends early, after {len(data)} bytes")
    if size is None or 0 in size:
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"a JPEG of {len(data)} bytes without a frame header")
    return size


def check_frame(data: bytes, camera: Camera) -> None:
    """A whole JPEG, of the size that the camera's intrinsics are for.

    Raises:
        CameraError: not an image, truncated, or of the wrong size.
    """
    width, height = jpeg_size(data)
    expected = camera.intrinsics
    if expected is not None and (width, height) != (expected.width, expected.height):
        raise CameraError(
            FailureReason.WRONG_SIZE,
            f"the frame is {width} x {height}, the camera's intrinsics are for {expected.width} x {expected.height}",
        )


def _frame_header_size(data: bytes) -> tuple[int, int] | None:
    """Walk the marker segments (ITU-T T.81, B.1.1) up to the frame header."""
    position = len(_SOI)
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
            return width, height
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return None
