"""Names of a bay's batches by day, so that a day's are found without a look at those of the year.

    {stage}/{bay}/.days/20250702/{batch_id}     an empty file for each batch that has a folder
    {stage}/{bay}/.days/complete                every batch has one

The folders of the batches are what counts: a name without a folder is left out by whoever looks for the
folder's file, and the lists can be made again from the folders at any time (`missing`, `add`). One file for
each name, since writers of several hosts add to a list at the same moment and share no lock.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_FOLDER = ".days"
_COMPLETE = "complete"
_DAY = re.compile(r".*_(\d{8})-\d{6}")
# Names of another form; they come last among the days.
_OTHER = "other"
# A name may be written this long before its folder is there.
_BEFORE_FOLDER_S = 3600.0


class DayLists:
    """The lists of one folder of batches.

    Args:
        folder: that holds the batches' folders; need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self._batches = folder
        self._folder = folder / _FOLDER

    def are_complete(self) -> bool:
        """Whether every batch is listed. A store of an earlier version, or a copied one, has no lists."""
        return (self._folder / _COMPLETE).exists()

    def add(self, name: str) -> None:
        """List a name; its folder may be there already."""
        path = self._path(name)
        if path.exists():
            return
        if not self._folder.is_dir():
            is_new = all(other == name for other in self._batch_names())
            self._folder.mkdir(parents=True, exist_ok=True)
            if is_new:
                self.complete()
        path.parent.mkdir(exist_ok=True)
        path.touch()

    def remove(self, name: str) -> None:
        """Take a name off its list."""
        path = self._path(name)
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()

    def complete(self) -> None:
        """Note that every batch is listed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / _COMPLETE).touch()

    def names(self, since: str = "", until: str = "") -> list[str]:
        """Listed names from `since` on and before `until`, in order; an empty bound is none."""
        first, last = _day_of(since, ""), _day_of(until, _OTHER)
        found = [name for day in self._days() if first <= day <= last for name in self._names_of(day)]
        return sorted(name for name in found if since <= name and (not until or name < until))

    def walk(self, *, backwards: bool) -> Iterator[str]:
        """Listed names in order, or the last one first; no more days are read than are asked for."""
        for day in sorted(self._days(), reverse=backwards):
            yield from sorted(self._names_of(day), reverse=backwards)

    def missing(self) -> list[str]:
        """Folders that are not listed. Names that have had no folder for long are taken off."""
        listed, there = set(self.names()), set(self._batch_names())
        for name in listed - there:
            with suppress(FileNotFoundError):
                if time.time() - self._path(name).stat().st_mtime > _BEFORE_FOLDER_S:
                    self.remove(name)
        return sorted(there - listed)

    def _path(self, name: str) -> Path:
        return self._folder / _day_of(name, _OTHER) / name

    def _days(self) -> list[str]:
        return [name for name in _entries(self._folder) if name != _COMPLETE]

    def _names_of(self, day: str) -> list[str]:
        return _entries(self._folder / day)

    def _batch_names(self) -> Iterator[str]:
        return (name for name in _entries(self._batches) if not name.startswith("."))


def _day_of(name: str, otherwise: str) -> str:
    match = _DAY.fullmatch(name)
    return otherwise if match is None else match[1]


def _entries(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - a list of 52 560 paths would take longer to make than to read
    except FileNotFoundError:
        return []
