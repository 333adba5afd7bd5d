"""Which bays have a file, by the names of the files: nothing is read, and no package of the project imported."""

import difflib
from collections.abc import Callable, Collection
from importlib.util import find_spec
from pathlib import Path

from bay_observation import settings
from bay_observation.errors import ConfigError

# Share of equal letters from which one name may be meant by another.
_SIMILAR = 0.75


def bays_folder() -> Path:
    """Folder of the bays' files: `BAYS_PATH`, or the one that is installed."""
    chosen = settings.BAYS_PATH.read()
    if chosen is not None:
        return chosen
    found = find_spec("bays")
    return Path(found.origin).parent if found is not None and found.origin is not None else Path()


def bay_names() -> list[str]:
    """Ids of the bays that have a file, in order; none where the folder is not there."""
    return sorted(path.stem for path in bays_folder().glob("*.yaml"))


def unknown_bays(names: Collection[str], known: Collection[str], where: object) -> ConfigError:
    """The error for bays that there are not: it names them, those that may be meant, and those that there are.

    Args:
        names: what was asked for.
        known: what there is.
        where: the folder or file that would hold them.
    """
    unknown, meant, there = _compared(names, known, str.casefold)
    return ConfigError(f"{where}: there is no bay {unknown}{meant}; there are: {there}")


def unknown_cameras(bay_id: str, names: Collection[str], known: Collection[str]) -> ConfigError:
    """The error for cameras that a bay has not: it names them, those that may be meant, and those that it has.

    Args:
        bay_id: the bay.
        names: what was asked for.
        known: the bay's cameras.
    """
    unknown, meant, there = _compared(names, known, str.upper)
    return ConfigError(f"bay {bay_id} has no camera {unknown}{meant}; it has: {there}")


def _compared(names: Collection[str], known: Collection[str], as_named: Callable[[str], str]) -> tuple[str, str, str]:
    """In words: the names that are not known, those that may be meant, and all that are known."""
    unknown = [name for name in names if name not in known]
    near = {close for name in unknown for close in difflib.get_close_matches(as_named(name), known, 3, _SIMILAR)}
    meant = f" (did you mean {' or '.join(sorted(near))}?)" if near else ""
    return ", ".join(unknown), meant, ", ".join(known) or "none"
