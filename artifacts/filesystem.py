"""What a store needs of the place where its files lie."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bay_observation.files import BeforeCommit

MARKER = ".bay-observation-store"
"""A file at the root of a store that says: this is it, and not the empty folder beneath its mount."""


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

    def read(self, path: str, most_bytes: int) -> bytes:
        """All of a file.

        Raises:
            ArtifactError: it is no regular file, or has more than `most_bytes`.
        """

    def write(self, path: str, content: bytes, *, before_commit: BeforeCommit | None = None, new: bool = False) -> None:
        """Put a file there: whole or not at all, and durably.

        Args:
            path: of the file; its folders are made.
            content: all of it.
            before_commit: called when nothing is visible yet; what it raises keeps it so.
            new: never replace a file, not even one that appeared a moment ago.

        Raises:
            FileExistsError: `new`, and a file is there.
        """

    def remove(self, path: str) -> None:
        """Remove a file, if it is there, and its folder once that is empty."""

    def folders(self, folder: str, file_name: str, since: str = "", until: str = "") -> list[str]:
        """Names of the folders in `folder` that hold a file of that name, in order.

        Args:
            folder: whose folders.
            file_name: of the file.
            since: no name that comes before this one; empty for no bound.
            until: none that comes after this one, nor this one.
        """

    def newest(self, folder: str, file_name: str) -> str | None:
        """The last of `folders`; None where there is none."""

    def oldest(self, folder: str, file_name: str) -> str | None:
        """The first of `folders`; None where there is none."""

    def unlisted(self, folder: str) -> list[str]:
        """Names of folders that `folders` with bounds does not find, as in a store that another program copied."""

    def enlist(self, folder: str, names: Sequence[str], *, all_are: bool = False) -> None:
        """Let `folders` find these names; `all_are`: it finds every one now."""

    def remove_leftovers(self, folder: str, since: str, older_than_s: float) -> int:
        """Remove what killed writers left in the folders from `since` on; bytes freed."""

    def lock(self, path: str, patience_s: float) -> AbstractContextManager[None]:
        """Be the only process, on any host, that holds this lock.

        Raises:
            ConfigError: this kind of place has no locks.
            ArtifactError: another process held it for `patience_s`.
        """
