"""When a frame was taken, by the EXIF data that some cameras write into it."""

import struct
from collections.abc import Iterator
from datetime import datetime

_EXIF_DIRECTORY = 0x8769
_DATE_TIME_ORIGINAL = 0x9003
_OFFSET_TIME_ORIGINAL = 0x9011
_ASCII, _LONG = 2, 4
_ENTRY = 12
_MAX_ENTRIES = 256


def exif_moment(tiff: bytes) -> datetime | None:
    """DateTimeOriginal of the TIFF structure in an Exif segment.

    Returns:
        With a time zone where OffsetTimeOriginal gives one, else the camera's local
        time without; None where there is no such tag or it is not readable: a frame
        is not refused because of a faulty remark in it.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        directory = dict(_entries(tiff, order, first)).get(_EXIF_DIRECTORY)
        if directory is None:
            return None
        (offset,) = struct.unpack(f"{order}I", directory)
        tags = dict(_entries(tiff, order, offset))
        text = _text(tags.get(_DATE_TIME_ORIGINAL, b""))
        moment = datetime.strptime(text, "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007  EXIF's own is without zone
    except (struct.error, ValueError):
        return None
    try:
        return datetime.fromisoformat(f"{moment.isoformat()}{_text(tags.get(_OFFSET_TIME_ORIGINAL, b''))}")
    except ValueError:
        return moment


def _entries(tiff: bytes, order: str, offset: int) -> Iterator[tuple[int, bytes]]:
    """(tag, bytes of its value) of a directory's texts and long numbers."""
    (count,) = struct.unpack_from(f"{order}H", tiff, offset)
    for number in range(min(count, _MAX_ENTRIES)):
        tag, kind, size = struct.unpack_from(f"{order}HHI", tiff, offset + 2 + number * _ENTRY)
        position = offset + 2 + number * _ENTRY + 8
        if kind == _LONG and size == 1:
            yield tag, tiff[position : position + 4]
        elif kind == _ASCII:
            if size > 4:
                (position,) = struct.unpack_from(f"{order}I", tiff, position)
            yield tag, tiff[position : position + size]


def _text(value: bytes) -> str:
    return value.split(b"\0")[0].decode("ascii", "replace").strip()
