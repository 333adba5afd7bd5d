"""A store in a folder of this host, which may be the mount of a file server."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from artifacts.day_lists import DayLists
from artifacts.filesystem import FileStatus
from bay_observation.errors import ArtifactError, WrongArtifactError
from bay_observation.files import BeforeCommit, file_lock, read_regular_file, remove_old_parts, write_atomically

# No writer takes so long, on the slowest mount.
_ABANDONED_S = 3600.0
# stage/bay/batch/file
_DEPTH = 3


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
        located = self._locate(path)

        def about_to_appear() -> None:
            if before_commit is not None:
                before_commit()
            if path.count("/") == _DEPTH:
                # First the name: of one without a file nothing is found, a file without a name is not seen.
                DayLists(located.parent.parent).add(located.parent.name)

        write_atomically(located, content, before_commit=about_to_appear, new=new)

    def remove(self, path: str) -> None:
        """Remove a file, if it is there, and its folder once that is empty."""
        located = self._locate(path)
        located.unlink(missing_ok=True)
        if path.count("/") == _DEPTH:
            remove_old_parts(located.parent, _ABANDONED_S)
            try:
                located.parent.rmdir()
            except OSError:
                return  # the file of another stage is there, or a writer's
            DayLists(located.parent.parent).remove(located.parent.name)

    def folders(self, folder: str, file_name: str, since: str = "", until: str = "") -> list[str]:
        """Names of the folders in `folder` that hold a file of that name, in order; see `FileSystem`."""
        located = self._locate(folder)
        lists = DayLists(located)
        if not (since or until) or not lists.are_complete():
            names: Iterator[str] = (path.parent.name for path in located.glob(f"*/{file_name}"))
            return sorted(name for name in names if since <= name and (not until or name < until))
        return [name for name in lists.names(since, until) if (located / name / file_name).is_file()]

    def newest(self, folder: str, file_name: str) -> str | None:
        """The last of `folders`; None where there is none."""
        return self._first(folder, file_name, backwards=True)

    def oldest(self, folder: str, file_name: str) -> str | None:
        """The first of `folders`; None where there is none."""
        return self._first(folder, file_name, backwards=False)

    def unlisted(self, folder: str) -> list[str]:
        """Names of folders that `folders` with bounds does not find."""
        return DayLists(self._locate(folder)).missing()

    def enlist(self, folder: str, names: Sequence[str], *, all_are: bool = False) -> None:
        """Let `folders` find these names; `all_are`: it finds every one now."""
        lists = DayLists(self._locate(folder))
        for name in names:
            lists.add(name)
        if all_are:
            lists.complete()

    def remove_leftovers(self, folder: str, since: str, older_than_s: float) -> int:
        """Remove what killed writers left in the folders from `since` on; bytes freed."""
        located = self._locate(folder)
        return sum(remove_old_parts(located / name, older_than_s) for name in DayLists(located).names(since))

    @contextmanager
    def lock(self, path: str, patience_s: float) -> Iterator[None]:
        """A `flock`, which ends with the process, however that ends; see `artifacts.exclusive`."""
        located = self._locate(path)
        located.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(located, patience_s):
            yield

    def _first(self, folder: str, file_name: str, *, backwards: bool) -> str | None:
        located = self._locate(folder)
        lists = DayLists(located)
        if not lists.are_complete():
            names = self.folders(folder, file_name)
            return names[-1 if backwards else 0] if names else None
        return next((name for name in lists.walk(backwards=backwards) if (located / name / file_name).is_file()), None)

    def _locate(self, path: str) -> Path:
        root = self._folder.resolve()
        try:
            located = (root / path).resolve()
        except RuntimeError:  # before Python 3.13, for links that lead to one another
            raise WrongArtifactError(f"{root / path}: a loop of symbolic links") from None
        if not located.is_relative_to(root):
            raise ArtifactError(f"{path}: leaves the store {root}")
        return located
