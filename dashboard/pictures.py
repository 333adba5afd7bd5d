"""Small pictures of frames, made once and kept on the API server's own disk.

A capture is 4 MB: it is read when the first picture of its slot is asked for, and then all its frames are
made small together. The folder is a cache: it may be deleted at any time. Pictures go once they are older than
the bay's `retention.thumbnails`, and the oldest slots go first once it is full.
"""

import io
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts import ArtifactReference, ArtifactStore
from bay_observation.errors import ArtifactError
from bay_observation.settings import DASHBOARD_CACHE
from bays import load_bay

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.JpegImagePlugin import JpegImageFile

WIDTH = 480
CROP_WIDTH = 320
_QUALITY = 80
_LARGEST_FRAME = 64_000_000  # pixels; more is no camera's
_SLOTS_KEPT = 5000  # some 300 kB each
_SPARE = 100
_DONE = "done"
_NO_PICTURE = (OSError, ValueError, SyntaxError)


class Pictures:
    """The small pictures of one host.

    Args:
        folder: where they lie; made when the first one is.
        kept: slots that are kept; the oldest go first.
    """

    def __init__(self, folder: Path, kept: int = _SLOTS_KEPT) -> None:
        self.folder, self._kept = folder, kept
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    @classmethod
    def of_host(cls) -> "Pictures":
        """In `DASHBOARD_CACHE`, by default a folder of this user's in the host's temporary one."""
        default = Path(tempfile.gettempdir()) / f"bay-dashboard-{os.getuid()}"
        return _pictures(DASHBOARD_CACHE.read() or default)

    def thumbnail(self, store: ArtifactStore, bay_id: str, batch_id: str, camera: str) -> bytes | None:
        """A camera's frame as a JPEG file 480 pixels wide; None where there is none.

        Raises:
            ArtifactError: the capture is damaged, or the store fails.
        """
        folder = self.folder / bay_id / batch_id
        with self._alone(batch_id):
            if not (folder / _DONE).exists():
                reference = store.find("capture", bay_id, batch_id)
                if reference is None:
                    return None
                self._make(folder, store.load(reference))
        picture = folder / f"{camera}.jpg"
        return picture.read_bytes() if picture.exists() else None

    def _make(self, folder: Path, capture: Any) -> None:
        self._make_room()
        self._forget_old(folder.parent.name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for image in capture.images:
            if (small := _small(image.jpeg)) is not None:
                (folder / f"{image.camera_name}.jpg").write_bytes(small)
        (folder / _DONE).touch()

    def _make_room(self) -> None:
        slots = sorted(
            (path for path in self.folder.glob("*/*") if path.is_dir()), key=lambda path: path.stat().st_mtime
        )
        if len(slots) >= self._kept:
            for slot in slots[: len(slots) - self._kept + _SPARE]:
                shutil.rmtree(slot, ignore_errors=True)

    def _forget_old(self, bay_id: str) -> None:
        begin = load_bay(bay_id).retention.begin("thumbnails", datetime.now(UTC))
        if begin is None:
            return
        for slot in (self.folder / bay_id).glob("*"):
            if slot.stat().st_mtime < begin.timestamp():
                shutil.rmtree(slot, ignore_errors=True)

    @contextmanager
    def _alone(self, batch_id: str) -> Iterator[None]:
        with self._guard:
            if len(self._locks) > self._kept:
                self._locks.clear()
            lock = self._locks.setdefault(batch_id, threading.Lock())
        with lock:
            yield


def full_frame(store: ArtifactStore, bay_id: str, batch_id: str, camera: str) -> bytes | None:
    """A camera's frame as it was sent; None where there is none.

    Raises:
        ArtifactError: the capture is damaged, or the store fails.
    """
    return _frames(store.location, bay_id, batch_id).get(camera)


def cropped(jpeg: bytes, box: tuple[int, int, int, int]) -> bytes | None:
    """A part (left, top, right, bottom, pixels) of a frame as a JPEG file; None where there is no such part."""
    try:
        with _opened(jpeg) as picture:
            left, top, right, bottom = box
            box = (left, top, min(right, picture.width), min(bottom, picture.height))
            if picture.width * picture.height > _LARGEST_FRAME or box[0] >= box[2] or box[1] >= box[3]:
                return None
            part = picture.convert("RGB").crop(box)
    except _NO_PICTURE:
        return None
    part.thumbnail((CROP_WIDTH, CROP_WIDTH))
    return _as_jpeg(part)


@lru_cache(maxsize=4)
def _frames(_location: str, bay_id: str, batch_id: str) -> dict[str, bytes]:
    store = ArtifactStore()
    reference: ArtifactReference | None = store.find("capture", bay_id, batch_id)
    return {} if reference is None else {image.camera_name: image.jpeg for image in store.load(reference).images}


def _small(jpeg: bytes) -> bytes | None:
    """The frame at `WIDTH`, decoded at a fraction of its size; None for what is no picture."""
    try:
        with _opened(jpeg) as picture:
            if picture.width * picture.height > _LARGEST_FRAME:
                return None
            height = max(1, round(picture.height * WIDTH / picture.width))
            picture.draft("RGB", (WIDTH, height))
            small = picture.convert("RGB").resize((WIDTH, height))
    except _NO_PICTURE:
        return None
    return _as_jpeg(small)


def _opened(jpeg: bytes) -> "JpegImageFile":
    # Not `Image.open`: where ultralytics is imported too, its own version of that looks for further plugins.
    from PIL.JpegImagePlugin import JpegImageFile

    return JpegImageFile(io.BytesIO(jpeg))


def _as_jpeg(picture: "Image") -> bytes:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()


@cache
def _pictures(folder: Path) -> Pictures:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise ArtifactError(f"{folder}: belongs to another user: set DASHBOARD_CACHE to a folder of this one")
    return Pictures(folder)
