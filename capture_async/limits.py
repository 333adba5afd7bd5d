"""How fast a loop begins to ask cameras, and how many at once: bounded by the loop and by the host's open files.

Answers that are ready in one turn of the loop are read in that turn. A thousand at once take
half a second in which the triggerer runs no other bay's trigger, so cameras begin a few a
turn and, after a first burst, no faster than their frames can be read; one a turn where turns come late,
because the host is slow or busy. A camera that takes long delays no other, as long as the process may open more files.
"""

import asyncio
import logging
import os
import resource
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from weakref import WeakKeyDictionary

logger = logging.getLogger(__name__)

_FILES = "/proc/self/fd"
# What the rest of a process opens while cameras are asked: artifacts, logs, a database's connection.
_SPARE_FILES = 24
_SMALLEST_LIMIT = 4


@dataclass(frozen=True, slots=True)
class Pace:
    """Attributes of the admission of one loop.

    Attributes:
        per_turn: cameras that begin in one turn of the loop.
        turn_s: seconds between two turns.
        burst: cameras that begin as fast as turns allow.
        per_second: cameras that begin in a second after that.
        late_s: seconds by which a turn may come late; in one that is later, one camera begins.
    """

    per_turn: int = 8
    turn_s: float = 0.002
    burst: int = 256
    per_second: float = 1200.0
    late_s: float = 0.02


class Admission:
    """`async with Admission():` around asking one camera."""

    def __init__(self) -> None:
        self._queue: AdmissionQueue | None = None

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        queue = _queues.get(loop)
        if queue is None:
            queue = _queues[loop] = AdmissionQueue()
        await queue.admit()
        self._queue = queue

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._queue is not None:
            queue, self._queue = self._queue, None
            queue.leave()


def is_crowded() -> bool:
    """Whether more cameras wait than the process may open files for: then no connection is kept after its answer."""
    queue = _queues.get(asyncio.get_running_loop())
    return queue is not None and queue.crowded


class AdmissionQueue:
    """The cameras of the running loop that are asked or wait. It keeps no reference to the loop.

    Args:
        pace: how fast they begin.
        most: cameras at once; None asks the operating system, each time that none is under way.
    """

    def __init__(self, pace: Pace | None = None, most: int | None = None) -> None:
        self._pace = pace or Pace()
        self._fixed = most
        self._most = most or 0
        self._under_way = 0
        self._begun = 0
        self._tokens = float(self._pace.burst)
        self._filled_at = time.monotonic()
        self._turn: asyncio.TimerHandle | None = None
        self._in_this_turn = self._pace.per_turn
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._warned = False

    @property
    def crowded(self) -> bool:
        """Whether more cameras want to be asked than files can be opened."""
        return self._under_way + len(self._waiting) > self._most

    async def admit(self) -> None:
        """Wait for a camera's turn."""
        if not self._under_way and self._fixed is None:
            self._most = most_at_once()
        if not self._waiting and self._take():
            return
        admitted = asyncio.get_running_loop().create_future()
        self._waiting.append(admitted)
        self._warn_when_crowded()
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """A camera is done."""
        self._under_way -= 1
        if self._waiting:
            self._arm()

    def _take(self) -> bool:
        if self._under_way >= self._most or self._begun >= self._in_this_turn or not self._take_token():
            return False
        self._under_way += 1
        self._begun += 1
        self._arm()
        return True

    def _take_token(self) -> bool:
        now = time.monotonic()
        self._tokens = min(float(self._pace.burst), self._tokens + (now - self._filled_at) * self._pace.per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _arm(self) -> None:
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_later(self._pace.turn_s, self._next_turn)

    def _next_turn(self) -> None:
        due = 0.0 if self._turn is None else self._turn.when()
        is_late = asyncio.get_running_loop().time() - due > self._pace.late_s
        self._in_this_turn = 1 if is_late else self._pace.per_turn
        self._turn = None
        self._begun = 0
        while self._waiting:
            if self._waiting[0].cancelled():
                self._waiting.popleft()
            elif self._take():
                self._waiting.popleft().set_result(None)
            else:
                break
        if self._waiting and self._under_way < self._most:
            self._arm()

    def _warn_when_crowded(self) -> None:
        if self.crowded and not self._warned:
            self._warned = True
            logger.warning(
                "more cameras at once than this process may open files for: %d are asked at a time, the others "
                "wait; raise its limit (LimitNOFILE, ulimit -n)",
                self._most,
            )


def most_at_once() -> int:
    """Cameras that can be asked at once with the files that this process may still open."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return 1_000_000
    try:
        used = len(os.listdir(_FILES))  # noqa: PTH208  names are not needed
    except OSError:
        used = _SPARE_FILES
    return max(_SMALLEST_LIMIT, allowed - used - _SPARE_FILES)


_queues: WeakKeyDictionary[asyncio.AbstractEventLoop, AdmissionQueue] = WeakKeyDictionary()
