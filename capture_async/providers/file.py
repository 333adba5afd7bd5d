"""Backtests: frames that lie in files, the nearest in time for each camera."""

import asyncio
import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from bay_observation.errors import CaptureError
from bays import Camera
from bays.provider_configs import FileConfig
from capture_async.errors import CameraError
from capture_async.frames.jpeg import check_frame
from capture_async.providers.configuration import configured
from capture_async.providers.provider import ImageProvider, Outcome
from capture_async.types import CameraFailure, CapturedImage, FailureReason

logger = logging.getLogger(__name__)

_TIMESTAMP = re.compile(r"(?<!\d)\d{14}(?!\d)")
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_PNG_QUALITY = 95


class FileImageProvider(ImageProvider):
    """The file nearest to the slot in `{base_path}/{camera_name}/`.

    A file's name holds the frame's moment (UTC by default) as fourteen digits, as in
    `3bay_north_C_4_20250702071000.jpg`. A JPEG is handed on byte for byte; a PNG is
    written again as a JPEG of quality 95, since a `CapturedImage` is a JPEG.

    Args:
        base_path: folder with one folder per camera.
        time_tolerance_hours: how far from the slot a frame may lie, both ways.
        time_zone: of the moments in the files' names.
        growing: another program still writes there; what is missing is looked for again.

    Raises:
        ConfigError: a value is out of its range.
    """

    def __init__(
        self,
        base_path: str | Path,
        time_tolerance_hours: float = 1.0,
        *,
        time_zone: str = "UTC",
        growing: bool = False,
    ) -> None:
        config = configured(
            "file",
            FileConfig,
            base_path=base_path,
            time_tolerance_hours=time_tolerance_hours,
            time_zone=time_zone,
            growing=growing,
        )
        self._base_path = config.base_path
        self._zone = ZoneInfo(config.time_zone)
        self._growing = config.growing
        self._tolerance = timedelta(hours=config.time_tolerance_hours)

    async def get_images(self, reference_time: datetime, cameras: Sequence[Camera], bay_id: str) -> list[Outcome]:
        """One outcome per camera; `captured_at` is the moment in the file's name.

        Raises:
            CaptureError: `base_path` is no folder: no camera could have a frame.
        """
        if not await asyncio.to_thread(self._base_path.is_dir):
            raise CaptureError(f"{self._base_path}: no such folder of frames; set image_provider_config.base_path")
        loads = (asyncio.to_thread(self._load, reference_time, camera, bay_id) for camera in cameras)
        return list(await asyncio.gather(*loads))

    def worth_another_try(self, camera: Camera, failure: CameraFailure) -> bool:
        """Where another program still writes; otherwise the files stay what they are."""
        return self._growing

    def _load(self, reference_time: datetime, camera: Camera, bay_id: str) -> Outcome:
        try:
            taken_at, path = self._nearest(reference_time, camera.name)
            data = _read_jpeg(path)
            check_frame(data, camera)
        except CameraError as error:
            return CameraFailure(camera.name, error.reason, error.detail)
        except OSError as error:
            return CameraFailure(camera.name, FailureReason.UNREACHABLE, f"{error.filename}: {error.strerror}")
        return CapturedImage(camera.name, bay_id, taken_at, data)

    def _nearest(self, reference_time: datetime, camera_name: str) -> tuple[datetime, Path]:
        """(moment, file) nearest to the slot; of two equally near the earlier."""
        folder = self._base_path / camera_name
        if not folder.is_dir():
            raise CameraError(FailureReason.UNREACHABLE, f"{folder}: there is no such folder")
        dated = [
            (moment, path)
            for path in sorted(folder.iterdir())
            if path.suffix.lower() in _SUFFIXES and (moment := _moment_of(path.name, self._zone)) is not None
        ]
        near = [found for found in dated if abs(found[0] - reference_time) <= self._tolerance]
        if not near:
            hours = self._tolerance.total_seconds() / 3600
            detail = (
                f"{folder}: none of {len(dated)} dated frames lies within {hours:g} h of {reference_time.isoformat()}"
            )
            raise CameraError(FailureReason.UNREACHABLE, detail)
        return min(near, key=lambda found: (abs(found[0] - reference_time), found[0], found[1].suffix))


def _moment_of(name: str, zone: ZoneInfo) -> datetime | None:
    """The moment in a file's name, in UTC; None where fourteen digits are no date."""
    for digits in _TIMESTAMP.findall(name):
        try:
            return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=zone).astimezone(UTC)
        except ValueError:
            continue
    return None


def _read_jpeg(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix.lower() != ".png":
        return data
    import cv2
    import numpy as np

    picture = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"{path}: {len(data)} bytes that are no readable PNG")
    encoded, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _PNG_QUALITY])
    if not encoded:
        raise CameraError(FailureReason.NOT_AN_IMAGE, f"{path}: the picture could not be written as JPEG")
    return jpeg.tobytes()
