"""Folders of pictures: found by name, never outside of the data set; written whole or not at all."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp

from bay_observation.errors import ConfigError, DatasetError
from bays import bay_ids
from inference.datasets.types import LabelledFrame, LabelledObject, identity

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
_LARGEST_TEXT = 2 * 1024**3


def picture_files(sources: Sequence[Path]) -> list[Path]:
    """The pictures that are named, and those of the folders that are.

    Raises:
        DatasetError: one is not there, is no picture by its name, or a folder holds none.
    """
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            inside = Pictures(source).all
            if not inside:
                raise DatasetError(f"{source}: holds no pictures ({', '.join(sorted(SUFFIXES))})")
            found += inside
        elif not source.is_file():
            raise DatasetError(f"{source}: is not there")
        elif source.suffix.lower() not in SUFFIXES:
            raise DatasetError(f"{source}: is no picture ({', '.join(sorted(SUFFIXES))})")
        else:
            found.append(source)
    return list(dict.fromkeys(found))


class Pictures:
    """The pictures under a folder, by their name in the labels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def frame(
        self,
        name: str,
        size: tuple[int, int],
        objects: tuple[LabelledObject, ...],
        *,
        camera_name: str | None = None,
        bay_id: str | None = None,
        captured_at: datetime | None = None,
    ) -> LabelledFrame:
        """A frame of that name; what the labels do not say of its camera and time, the name may.

        Raises:
            DatasetError: its picture is not there.
        """
        bay, camera, moment = identity(name, self._bays)
        return LabelledFrame(
            Path(name).name,
            size,
            objects,
            self.path(name),
            camera_name or camera,
            bay_id or bay,
            captured_at or moment,
        )

    def path(self, name: str) -> Path:
        """The picture that the labels call so, which may leave out its folder.

        Raises:
            DatasetError: there is none, there are several, or the name leaves the data set.
        """
        if name in self._by_path:
            return self._by_path[name]
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise DatasetError(f"{self.folder}: the labels name {name!r}, which lies outside of the data set")
        found = self._by_name.get(Path(name).name, [])
        ending = [path for path in found if path.as_posix().endswith(f"/{name}")] or found
        if len(ending) != 1:
            what = "is not there" if not ending else f"is there {len(ending)} times"
            raise DatasetError(f"{self.folder}: the picture {name}, which the labels name, {what}")
        return ending[0]

    @cached_property
    def all(self) -> list[Path]:
        """Every picture, in order."""
        return sorted(path for path in self.folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())

    @cached_property
    def _by_path(self) -> dict[str, Path]:
        return {path.relative_to(self.folder).as_posix(): path for path in self.all}

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in self.all:
            found.setdefault(path.name, []).append(path)
        return found

    @cached_property
    def _bays(self) -> list[str]:
        try:
            return bay_ids()
        except ConfigError:  # labels can be read where no bay is
            return []


def read_text(path: Path) -> str:
    """A file of labels.

    Raises:
        DatasetError: it cannot be read, or is no text.
    """
    try:
        if path.stat().st_size > _LARGEST_TEXT:
            raise DatasetError(f"{path}: has more than 2 GiB: split the data set")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is no text in UTF-8") from error


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name when all is in it; after an error nothing is left.

    Raises:
        DatasetError: something is there already, or it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder}: is there already: name a new folder, or remove it")
    made = [parent for parent in folder.absolute().parents if not parent.exists()]
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        filling = Path(mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.absolute().parent))
        try:
            yield filling
            filling.chmod(0o755)
            filling.replace(folder.absolute())
        except BaseException:
            shutil.rmtree(filling, ignore_errors=True)
            with suppress(OSError):
                for parent in made:
                    parent.rmdir()
            raise
    except OSError as error:
        raise DatasetError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from error
