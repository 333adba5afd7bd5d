"""A sign of life while a command works and says nothing yet."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO


@contextmanager
def working(what: str) -> Iterator[None]:
    """Within, a terminal shows `what` and the seconds that it takes, until the first output; others see nothing."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    shown = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    shown.add_task(what, total=None)
    streams = sys.stdout, sys.stderr

    def end() -> None:
        sys.stdout, sys.stderr = streams
        shown.stop()

    # Named, so that they live on: `print` holds no reference of the stream that it writes to.
    ending = [_Ending(stream, end) for stream in streams]
    sys.stdout, sys.stderr = ending
    shown.start()
    try:
        yield
    finally:
        end()


class _Ending:
    """A stream whose first text ends the display before it is written."""

    def __init__(self, stream: TextIO, end: Callable[[], None]) -> None:
        self._stream, self._end = stream, end

    def write(self, text: str) -> int:
        self._end()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
