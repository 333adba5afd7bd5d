"""Files of this host: the one atomic write, and the one lock."""

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp

from bay_observation.errors import ArtifactError, FileTooLargeError, WrongArtifactError

BeforeCommit = Callable[[], None]

# No writer takes so long, on the slowest mount.
_ABANDONED_S = 3600.0
_POLL_S = 0.2
_SMALL = 2**20
_FOLDER_TRIES = 5


def write_atomically(
    path: Path,
    content: bytes,
    *,
    before_commit: BeforeCommit | None = None,
    new: bool = False,
    mode: int = 0o640,
) -> None:
    """Write a file: it appears under its name whole, and stays there after a power cut.

    Args:
        path: of the file; its folders are made.
        content: all of it.
        before_commit: called when everything is written and nothing is visible yet; what it raises
            keeps the file from appearing.
        new: never replace a file.
        mode: permissions of the file.

    Raises:
        OSError: it cannot be written; what stood there before still stands.
        FileExistsError: `new`, and a file is there.
    """
    descriptor, temporary = _temporary(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if before_commit is not None:
            before_commit()
        if new:
            os.link(temporary, path)  # unlike a rename it fails where a file is, on NFS too
            Path(temporary).unlink()
        else:
            Path(temporary).replace(path)
    except BaseException:
        # A disk that failed to write may fail to remove as well; the first error is the one to report.
        with suppress(OSError):
            Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_regular_file(path: Path, most_bytes: int) -> bytes:
    """All of a file, after its kind and size proved right. Nothing is waited for but the disk.

    Args:
        path: of the file. A symbolic link is followed.
        most_bytes: that it may have.

    Raises:
        FileTooLargeError: it has more than `most_bytes`.
        WrongArtifactError: it is no regular file (a pipe, a device, a folder), or most of it is a hole.
        OSError: it cannot be read.
    """
    # A pipe without a writer would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):  # of a folder Python makes no file object
        os.close(descriptor)
        raise WrongArtifactError(f"{path}: no regular file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > most_bytes:
            raise FileTooLargeError(f"{path}: {status.st_size} bytes, at most {most_bytes} are allowed", status.st_size)
        # Small files may have no blocks of their own. `st_blocks` counts 512 bytes each.
        if status.st_size > _SMALL and status.st_blocks * 512 < status.st_size // 2:
            raise WrongArtifactError(f"{path}: most of its {status.st_size} bytes were never written")
        return file.read(most_bytes + 1)


def sync_folder(folder: Path) -> None:
    """Make a folder's names durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_abandoned(path: Path, older_than_s: float = _ABANDONED_S) -> None:
    """Remove temporary files that a killed writer of this file left behind.

    Args:
        path: of the file.
        older_than_s: 0 where the caller holds a lock that every writer of the file takes.
    """
    for leftover in path.parent.glob(f".{path.name}.*.part"):
        with suppress(FileNotFoundError):  # another writer of the same file was quicker
            if time.time() - leftover.stat().st_mtime >= older_than_s:
                leftover.unlink()


def remove_old_parts(folder: Path, older_than_s: float) -> int:
    """Remove the temporary files that killed writers left in a folder; bytes freed.

    Args:
        folder: where; one that is gone has none.
        older_than_s: no writer takes so long.
    """
    freed = 0
    for leftover in folder.glob(".*.part"):
        with suppress(FileNotFoundError):
            status = leftover.stat()
            if time.time() - status.st_mtime >= older_than_s:
                leftover.unlink()
                freed += status.st_size
    return freed


@contextmanager
def file_lock(path: Path, patience_s: float, *, shared: bool = False) -> Iterator[None]:
    """Hold the `flock` of a file, which is made if need be. The kernel releases it when its holder dies.

    Args:
        path: of the file; its folder is there.
        patience_s: how long to wait for another holder.
        shared: other shared holders may hold it at the same time.

    Raises:
        OSError: the file cannot be opened.
        ArtifactError: another process held it for `patience_s`.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        deadline = time.monotonic() + patience_s
        while not _locked(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                raise ArtifactError(f"{path}: held by another process for {patience_s:g} s: end it if it is stuck")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)  # and the lock with it


def _temporary(path: Path) -> tuple[int, str]:
    """A temporary file beside `path`: descriptor and name."""
    for left in range(_FOLDER_TRIES, 0, -1):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path)
        try:
            return mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        except FileNotFoundError:
            if left == 1:
                raise  # until then: the folder was empty, and removed in this moment
    raise AssertionError


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
