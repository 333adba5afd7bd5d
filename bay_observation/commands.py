"""The wall around every command, and what all of them hold to: one convention of exit statuses, one way to be named.

| status | meaning |
|---|---|
| 0 | done; what was checked is in order |
| 1 | it failed, or what was checked is not in order |
| 2 | wrong use: an argument, a bay's file, a variable of the environment |
| 3 | no answer now: too little is known to say, something still waits, or a database cannot be used |
| 130 | Ctrl-C |
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bay_observation.errors import (
    AirflowUnavailableError,
    BayObservationError,
    ConfigError,
    HistoryUnavailableError,
    MissingArtifactError,
    NotObservedError,
    QuestionError,
    UncertainCalibrationError,
)

if TYPE_CHECKING:
    from rich.console import Console

DONE, FAILED, WRONG_USE, CANNOT_TELL, INTERRUPTED = 0, 1, 2, 3, 130

_UNTOLD = (
    AirflowUnavailableError,
    HistoryUnavailableError,
    MissingArtifactError,
    NotObservedError,
    UncertainCalibrationError,
)
_called: ContextVar[str | None] = ContextVar("_called", default=None)


def run_command(main: Callable[[], int]) -> NoReturn:
    """End the process with `main`'s status.

    Ctrl-C is 130, as of a shell's own commands. A reader that has seen enough (`| head`) needs no
    message; a full disk and an end of the input where an answer is needed have one line.
    """
    _open_missing_streams()
    try:
        status = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except EOFError:
        status = _said(WRONG_USE, "the input ended before an answer; nothing was done")
    except BayObservationError as error:
        status = _said(status_of(error), str(error))
    except BrokenPipeError:
        status = FAILED
    except OSError as error:
        where = f"{error.filename}:" if error.filename else "the output cannot be written:"
        status = _said(FAILED, f"{where} {error.strerror or error}")
    _drop_output()
    sys.exit(status)


def status_of(error: BayObservationError) -> int:
    """The exit status of a command that ends with this error."""
    if isinstance(error, (ConfigError, QuestionError)):
        return WRONG_USE
    return CANNOT_TELL if isinstance(error, _UNTOLD) else FAILED


def failed(error: BayObservationError) -> int:
    """Say an error, and give the status of the command that ends with it."""
    print(error, file=sys.stderr)
    return status_of(error)


def existing_path(text: str) -> Path:
    """An argument's type: a file or folder that is read. One that is not there is wrong use, told at once."""
    path = Path(text)
    try:
        path.stat()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise argparse.ArgumentTypeError(f"{text}: cannot be read: {reason}") from error
    return path


def positive_number(text: str) -> int:
    """An argument's type: how many there shall be."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: write a whole number above 0")
    return int(text)


def output_console(columns: int = 160, *, stderr: bool = False) -> "Console":
    """Where a command prints its tables: as wide as the terminal, or so many columns where the output is none."""
    from rich.console import Console  # most commands say no more than a line

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else columns)


def counted(count: int, word: str) -> str:
    """So many of something: 1 event, 2 events."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def program(module: str) -> str:
    """How a command's usage names it: `module`, as `python -m bays`, or what the person typed in its place."""
    return _called.get() or module


@contextmanager
def called_as(name: str) -> Iterator[None]:
    """Within, `program` gives this name."""
    token = _called.set(name)
    try:
        yield
    finally:
        _called.reset(token)


def _said(status: int, text: str) -> int:
    with suppress(OSError, ValueError):
        print(" ".join(text.splitlines()), file=sys.stderr, flush=True)
    return status


def _open_missing_streams() -> None:
    """A command may be started without some of its streams (`>&-`): Python then has None in their place.

    The next file or socket that is opened would take the stream's number. Input is at its end at once; writing
    to an output that is not there fails, as to one that is full.
    """
    for name, mode, flags in (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY)):
        if getattr(sys, name) is None:  # its number is the lowest that is free
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8", closefd=False))


def _drop_output() -> None:
    """Keep Python from writing what is left in a buffer once more at its end, and failing again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
