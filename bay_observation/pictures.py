"""The one way to open a picture with Pillow."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


@contextmanager
def opened_picture(source: bytes | Path) -> "Iterator[Image]":
    """A picture, whose content is read within the block.

    Raises:
        OSError: the file cannot be read, or is no picture; also where that shows within the block.
    """
    from PIL import Image, UnidentifiedImageError

    no_picture = (ValueError, SyntaxError, Image.DecompressionBombError)
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
            yield image
    except ImportError as error:
        # Where ultralytics is imported too, its own `Image.open` looks for a plugin for what Pillow does not know.
        raise UnidentifiedImageError("cannot identify image file") from error
    except no_picture as error:
        raise UnidentifiedImageError(str(error)) from error
