"""JPEG files with another head: what some cameras write into theirs."""

import struct
from datetime import datetime


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    """The same file, whose frame header says another size, in pixels."""
    position = 2
    while jpeg[position] == 0xFF:
        marker = jpeg[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return jpeg[: position + 5] + struct.pack(">HH", height, width) + jpeg[position + 9 :]
        position += 2 + int.from_bytes(jpeg[position + 2 : position + 4])
    raise ValueError("a JPEG without a frame header")


def with_exif_time(jpeg: bytes, local: datetime) -> bytes:
    """The same file, with an Exif segment that holds DateTimeOriginal and nothing else; EXIF writes no time zone."""
    text = f"{local:%Y:%m:%d %H:%M:%S}\0".encode()
    # A directory with the address (26) of the Exif directory, which has one text, whose address is 44.
    tiff = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
    tiff += struct.pack("<HHHIII", 1, 0x9003, 2, len(text), 44, 0) + text
    content = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(content) + 2).to_bytes(2) + content + jpeg[2:]
