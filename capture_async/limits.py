"""How many cameras a loop asks at the same moment, so that reading their answers holds up nothing else on it.

Answers of a thousand cameras that are ready in one turn of the loop are read in that
turn: half a second in which the triggerer runs no other bay's trigger. So cameras begin
a few a turn, and so many are under way at most. One that takes long does not keep
others waiting: it gives its place back and goes on.
"""

import asyncio
from collections import deque
from types import TracebackType
from weakref import WeakKeyDictionary

_PLACES = 128
_A_TURN = 8
_TURN_S = 0.002
_HELD_S = 0.5


class Place:
    """`async with Place():` around asking one camera; a bay of a few cameras waits for nothing."""

    def __init__(self) -> None:
        self._pace: _Pace | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        pace = _paces.get(loop)
        if pace is None:
            pace = _paces[loop] = _Pace(loop)
        await pace.admit()
        self._pace = pace
        self._timer = loop.call_later(_HELD_S, self._give_back)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._give_back()

    def _give_back(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pace is not None:
            pace, self._pace = self._pace, None
            pace.give_back()


class _Pace:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._free = _PLACES
        self._begun = 0
        self._turn: asyncio.TimerHandle | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def admit(self) -> None:
        if not self._waiting and self._take():
            return
        admitted = self._loop.create_future()
        self._waiting.append(admitted)
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        self._free += 1
        if self._waiting and self._turn is None:
            self._turn = self._loop.call_later(_TURN_S, self._next_turn)

    def _take(self) -> bool:
        if not self._free or self._begun >= _A_TURN:
            return False
        self._free -= 1
        self._begun += 1
        if self._turn is None:
            self._turn = self._loop.call_later(_TURN_S, self._next_turn)
        return True

    def _next_turn(self) -> None:
        self._turn = None
        self._begun = 0
        while self._waiting:
            if self._waiting[0].cancelled():
                self._waiting.popleft()
            elif self._take():
                self._waiting.popleft().set_result(None)
            else:
                break


_paces: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pace] = WeakKeyDictionary()
