"""What a demo or a benchmark starts ends with it, also where it is stopped from outside."""

import ctypes
import os
import signal
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def end_in_good_order() -> None:
    """Let a signal to end, and the death of the `make` above, raise `KeyboardInterrupt`: contexts are left.

    Call it in the main thread, before anything is started. A signal that is ignored (`nohup`) stays so.
    """
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    # A make that is killed has no time to end what it started.
    if "MAKELEVEL" in os.environ:
        make = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != make:  # it died before it could be watched
            raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    # Once: make hands the signal on, then dies, and the second one must not cut the leaving short.
    for other in _ENDING:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt
