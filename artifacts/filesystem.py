"""What a store needs of the place where its files lie, and the two kinds of place that have it.

`DATA_PATH` names the place: a folder, as a rule the mount of a file server, or `s3://bucket/prefix`.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkstemp
from typing import Protocol

from artifacts.lock import flock
from bay_observation.errors import ArtifactError, ConfigError

DEFAULT_ROOT = "/opt/airflow/data"

MARKER = ".bay-observation-store"
"""A file at the root of a store that says: this is it, and not the empty folder beneath its mount."""

# No writer takes so long, on the slowest mount.
_ABANDONED_S = 3600.0

LastWord = Callable[[], None]


@dataclass(frozen=True, slots=True)
class FileStatus:
    """Size in bytes, and when the file was published (aware, UTC, by the file server's clock)."""

    size: int
    modified_at: datetime


class FileSystem(Protocol):
    """A place for whole files. Paths are relative to its root; what fails raises `OSError`.

    Nothing here opens, imports or asks anything before a method is called.
    """

    root: str

    def where(self, path: str) -> str:
        """The file's full name, for people."""

    def status(self, path: str) -> FileStatus | None:
        """Size and time of a file, None where there is none."""

    def read(self, path: str) -> bytes:
        """All of a file."""

    def write(self, path: str, content: bytes, *, last_word: LastWord | None = None, new: bool = False) -> None:
        """Put a file there: whole or not at all, and durably.

        Args:
            path: of the file; its folders are made.
            content: all of it.
            last_word: called when nothing is visible yet; what it raises keeps it so.
            new: never replace a file, whoever put it there a moment ago.

        Raises:
            FileExistsError: `new`, and a file is there.
        """

    def folders(self, folder: str, file_name: str) -> list[str]:
        """Names of the folders in `folder` that hold a file of that name, in order."""

    def lock(self, path: str, patience_s: float) -> AbstractContextManager[None]:
        """Be the only process, on any host, that holds this lock.

        Raises:
            ConfigError: this kind of place has no locks.
            ArtifactError: another process held it for `patience_s`.
        """


def data_root() -> str:
    """Root of the shared storage: `DATA_PATH`, a folder or `s3://bucket/prefix`, or the container's folder."""
    return os.environ.get("DATA_PATH") or DEFAULT_ROOT


def data_path() -> Path:
    """The same where it must be a folder, since what lies there is no artifact (camera health, SQLite).

    Raises:
        ConfigError: `DATA_PATH` is no folder.
    """
    root = data_root()
    if "://" in root:
        raise ConfigError(
            f"DATA_PATH={root} is no folder: artifacts can lie there, a database or a lock cannot;"
            " set HISTORY_DB to a PostgreSQL for the history and the lock of tracking"
        )
    return Path(root)


def file_system(root: str) -> FileSystem:
    """The place that a root names.

    Raises:
        ConfigError: it is an address of a kind that is not known, or holds a login.
    """
    scheme, separator, _ = root.partition("://")
    if not separator:
        return LocalFileSystem(root)
    if scheme == "s3":
        from artifacts.object_storage import ObjectStorage

        return ObjectStorage(root)
    raise ConfigError(f"DATA_PATH: {scheme}:// is no kind of store: give a folder, or s3://bucket/prefix")


class LocalFileSystem:
    """A folder of this host, which may be the mount of a file server.

    Args:
        root: the folder; a relative one starts at the working directory.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = str(root)
        self._folder = Path(root)

    def where(self, path: str) -> str:
        """The file's full name, for people."""
        return str(self._folder / path)

    def status(self, path: str) -> FileStatus | None:
        """Size and time of a file, None where there is none."""
        try:
            found = self._locate(path).stat()
        except FileNotFoundError:
            return None
        return FileStatus(found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def read(self, path: str) -> bytes:
        """All of a file."""
        return self._locate(path).read_bytes()

    def write(self, path: str, content: bytes, *, last_word: LastWord | None = None, new: bool = False) -> None:
        """Put a file there: whole or not at all, and durably; see `FileSystem`."""
        write_whole(self._locate(path), content, last_word=last_word, new=new)

    def folders(self, folder: str, file_name: str) -> list[str]:
        """Names of the folders in `folder` that hold a file of that name, in order."""
        return sorted(path.parent.name for path in self._locate(folder).glob(f"*/{file_name}"))

    @contextmanager
    def lock(self, path: str, patience_s: float) -> Iterator[None]:
        """A `flock`, which ends with the process, however that ends; see `artifacts.exclusive`."""
        located = self._locate(path)
        located.parent.mkdir(parents=True, exist_ok=True)
        with flock(located, patience_s):
            yield

    def _locate(self, path: str) -> Path:
        root = self._folder.resolve()
        located = (root / path).resolve()
        if not located.is_relative_to(root):
            raise ArtifactError(f"{path}: leaves the store {root}")
        return located


def write_whole(path: Path, content: bytes, *, last_word: LastWord | None = None, new: bool = False) -> None:
    """Write a file of this host: it appears under its name whole, and stays there after a power cut.

    Args:
        path: of the file; its folders are made.
        content: all of it.
        last_word: called when nothing is visible yet; what it raises keeps it so.
        new: never replace a file.

    Raises:
        OSError: it cannot be written; nothing is left then.
        FileExistsError: `new`, and a file is there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    descriptor, temporary = mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o640)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if last_word is not None:
            last_word()
        if new:
            os.link(temporary, path)  # unlike a rename it fails where a file is, on NFS too
            Path(temporary).unlink()
        else:
            Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):  # a disk that failed to write may fail to remove; `sweep` does it later
            Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a folder's names durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(path: Path) -> None:
    """Remove what a writer of this file left behind that was killed while it wrote."""
    for leftover in path.parent.glob(f".{path.name}.*.part"):
        with suppress(FileNotFoundError):  # another writer of the same file was quicker
            if time.time() - leftover.stat().st_mtime > _ABANDONED_S:
                leftover.unlink()
