"""A video's key frame as a JPEG. Decoding holds a core for tens of milliseconds: it runs in a separate thread."""

import asyncio
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from capture_async.errors import CameraError
from capture_async.rtsp.sdp import Codec
from capture_async.types import FailureReason

_QUALITY = 95
_SUFFIXES = {"H264": ".h264", "H265": ".h265"}


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A whole key frame: a JPEG file, or an Annex B byte stream with its parameter sets.

    `received_at` is when its last packet arrived (aware, UTC).
    """

    codec: Codec
    data: bytes
    received_at: datetime


async def to_jpeg(frame: KeyFrame) -> bytes:
    """The frame as a JPEG file; a JPEG stream's is that already, and stays as it came.

    Raises:
        CameraError: not an image: it cannot be decoded.
    """
    if frame.codec == "JPEG":
        return frame.data
    return await asyncio.get_running_loop().run_in_executor(_thread(), _decode, frame.data, _SUFFIXES[frame.codec])


def _decode(data: bytes, suffix: str) -> bytes:
    # FFmpeg would write its opinion of a damaged frame to the process's stderr.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    # OpenCV's decoder reads files; this one holds a frame and no login, and is gone at once.
    with tempfile.NamedTemporaryFile(prefix="key-frame-", suffix=suffix) as file:
        file.write(data)
        file.flush()
        video = cv2.VideoCapture(file.name, cv2.CAP_FFMPEG)
        try:
            read, picture = video.read()
        finally:
            video.release()
    if not read or picture is None:
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"a key frame of {len(data)} bytes that cannot be decoded")
    encoded, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not encoded:
        raise CameraError(FailureReason.NOT_AN_IMAGE, "a key frame that cannot be written as JPEG")
    return jpeg.tobytes()


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="key-frames")
