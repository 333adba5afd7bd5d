"""A store in a folder of this host, which may be the mount of a file server."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from artifacts.filesystem import FileStatus
from bay_observation.errors import ArtifactError, WrongArtifactError
from bay_observation.files import BeforeCommit, file_lock, read_regular_file, write_atomically


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

    def read(self, path: str, most_bytes: int) -> bytes:
        """All of a file; see `FileSystem`."""
        return read_regular_file(self._locate(path), most_bytes)

    def write(self, path: str, content: bytes, *, before_commit: BeforeCommit | None = None, new: bool = False) -> None:
        """Put a file there: whole or not at all, and durably; see `FileSystem`."""
        write_atomically(self._locate(path), content, before_commit=before_commit, new=new)

    def folders(self, folder: str, file_name: str) -> list[str]:
        """Names of the folders in `folder` that hold a file of that name, in order."""
        return sorted(path.parent.name for path in self._locate(folder).glob(f"*/{file_name}"))

    @contextmanager
    def lock(self, path: str, patience_s: float) -> Iterator[None]:
        """A `flock`, which ends with the process, however that ends; see `artifacts.exclusive`."""
        located = self._locate(path)
        located.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(located, patience_s):
            yield

    def _locate(self, path: str) -> Path:
        root = self._folder.resolve()
        try:
            located = (root / path).resolve()
        except RuntimeError:  # before Python 3.13, for links that lead to one another
            raise WrongArtifactError(f"{root / path}: a loop of symbolic links") from None
        if not located.is_relative_to(root):
            raise ArtifactError(f"{path}: leaves the store {root}")
        return located
