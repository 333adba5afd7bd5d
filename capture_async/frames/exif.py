"""What the EXIF data that some cameras write says of a frame: when it was taken, and which way up it is."""

import logging
from dataclasses import dataclass
from datetime import datetime

_ORIENTATION = 0x0112
_EXIF_DIRECTORY = 0x8769
_DATE_TIME_ORIGINAL = 0x9003
_OFFSET_TIME_ORIGINAL = 0x9011
_UPRIGHT = 1
_ORIENTATIONS = range(1, 9)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Exif:
    """The readable part of a frame's EXIF data.

    Attributes:
        taken_at: DateTimeOriginal; with a time zone where OffsetTimeOriginal gives one, else the
            camera's local time without; None where the tag is missing or not readable.
        orientation: EXIF's, 1 to 8; 1 is upright, and stands for a missing or impossible value.
    """

    taken_at: datetime | None = None
    orientation: int = _UPRIGHT


NO_EXIF = Exif()


def read_exif(segment: bytes) -> Exif:
    """Read the content of an APP1 segment, from its `Exif` signature on.

    A frame is not refused because of faulty metadata: what is not readable is left out.
    """
    from PIL import Image

    tags = Image.Exif()
    try:
        tags.load(segment)
        orientation = tags.get(_ORIENTATION)
        original = tags.get_ifd(_EXIF_DIRECTORY)
        taken_at = _moment(original.get(_DATE_TIME_ORIGINAL), original.get(_OFFSET_TIME_ORIGINAL))
    except Exception as error:  # noqa: BLE001  Pillow meets damaged EXIF with a dozen kinds of exceptions
        logger.debug("EXIF of %d bytes is not readable: %r", len(segment), error)
        return NO_EXIF
    if not isinstance(orientation, int) or orientation not in _ORIENTATIONS:
        return Exif(taken_at)
    return Exif(taken_at, orientation)


def _moment(text: object, offset: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007  EXIF's has no zone
    except ValueError:
        return None
    try:
        return datetime.fromisoformat(f"{moment.isoformat()}{str(offset or '').strip()}")
    except ValueError:
        return moment
