"""Pickles of the old system, read without building any of its objects.

A pickle can do no more than call what it names. Whatever it names is refused by that name, but for
`datetime.datetime` and its kin (Python's documentation of `pickle`, "Restricting globals"). What
could ask for memory out of proportion to the file is found before it is read (`pickletools`).
"""

import datetime as dt
import io
import pickle
import pickletools
from pathlib import Path
from typing import Any, Final

from bay_observation.errors import ConfigError
from bay_observation.files import read_regular_file

MOST_BYTES: Final = 64 * 2**20

_MOST_VALUES: Final = 2_000_000
_DEEPEST: Final = 40
_ALLOWED: Final = {
    ("datetime", name): getattr(dt, name) for name in ("datetime", "date", "time", "timedelta", "timezone")
}
_REMEDY: Final = (
    "a pickle that builds objects is not read, since it could run code. On the old host, write it as JSON with the"
    " old system's own Python (docs/migration.md has the script) and read that"
)


class _Reader(pickle.Unpickler):
    """What is called while a pickle is read is looked up here and nowhere else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _ALLOWED[module, name]


def read_pickle(path: Path) -> Any:
    """The plain data of a pickle: None, numbers, texts, bytes, datetimes, lists, tuples and dicts.

    Raises:
        ConfigError: it builds objects (with their names, and the remedy), is damaged, or is too large.
        OSError: it cannot be read.
    """
    content = read_regular_file(path, MOST_BYTES)
    try:
        _look_through(content)
        value = _Reader(io.BytesIO(content)).load()
        _refuse_what_unfolds(value)
    except (pickle.UnpicklingError, ValueError, TypeError, AttributeError, IndexError, KeyError, EOFError) as error:
        raise ConfigError(f"{path}: {_reason(error)}: {_REMEDY}") from error
    except (RecursionError, MemoryError, OverflowError) as error:
        raise ConfigError(f"{path}: {type(error).__name__}: {_REMEDY}") from error
    return value


def _look_through(content: bytes) -> None:
    """Refuse what is no pickle, is too long, or numbers values that it cannot have."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(content), 1):
        if count > 3 * _MOST_VALUES:
            raise ValueError(f"more than {_MOST_VALUES} values")
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and isinstance(argument, int) and argument > count:
            raise ValueError("it numbers a value that it does not have")


def _refuse_what_unfolds(value: Any) -> None:
    """Refuse a value that holds itself, or repeats a part so often that a walk over it would not end."""
    left = _MOST_VALUES
    stack = [(value, 0)]
    while stack:
        part, depth = stack.pop()
        left -= 1
        if left < 0 or depth > _DEEPEST:
            raise ValueError(f"more than {_MOST_VALUES} values, or deeper than {_DEEPEST}")
        if isinstance(part, dict):
            stack += [(inner, depth + 1) for inner in part.values()]
        elif isinstance(part, list | tuple):
            stack += [(inner, depth + 1) for inner in part]


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
