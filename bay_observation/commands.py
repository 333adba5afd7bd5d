"""The wall around every command: what a terminal, a pipe or a disk does to it ends in one line and a status."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from bay_observation.errors import BayObservationError

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130


def run_command(main: Callable[[], int]) -> NoReturn:
    """End the process with `main`'s status.

    Ctrl-C is 130, as of a shell's own commands. A reader that has seen enough (`| head`) needs no
    message; a full disk and an end of the input where an answer is needed have one line.
    """
    try:
        status = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except EOFError:
        status = _said(WRONG_USE, "the input ended before an answer; nothing was done")
    except BayObservationError as error:
        status = _said(FAILED, str(error))
    except BrokenPipeError:
        status = FAILED
    except OSError as error:
        where = f"{error.filename}:" if error.filename else "the output cannot be written:"
        status = _said(FAILED, f"{where} {error.strerror or error}")
    _drop_output()
    sys.exit(status)


def _said(status: int, text: str) -> int:
    with suppress(OSError, ValueError):
        print(" ".join(text.splitlines()), file=sys.stderr, flush=True)
    return status


def _drop_output() -> None:
    """Keep Python from writing what is left in a buffer once more at its end, and failing again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
