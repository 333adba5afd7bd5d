"""A capture's metrics, sent to the sink that the caller hands in.

Airflow's own stats module (`airflow.sdk.observability.stats`) is such a sink; this package
does not import it, its caller hands it in:

    with LoopLag() as lag:
        batch = await service.capture(slot)
    report_capture(stats, batch, duration_s=seconds, loop_lag_s=lag.largest_s)

| metric | kind | tags | meaning |
|---|---|---|---|
| `bay_capture.duration` | timer | `bay` | one capture, from its first request to its last outcome |
| `bay_capture.loop_lag` | timer | `bay` | longest time that the event loop was blocked meanwhile |
| `bay_capture.frames` | counter | `bay` | cameras that gave a frame |
| `bay_capture.failures` | counter | `bay`, `reason` | cameras that gave none, by reason (`timed_out`) |
| `bay_capture.cameras_working` | gauge | `bay` | frames of the newest capture over its cameras, 0 to 1 |
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self
from weakref import WeakKeyDictionary

from capture_async.types import CaptureBatch


class MetricsSink(Protocol):
    """As much of Airflow's stats interface as a capture uses. Calls must not block."""

    def timing(self, stat: str, dt: timedelta, *, tags: dict[str, str]) -> None:
        """Record a duration."""

    def gauge(self, stat: str, value: float, *, tags: dict[str, str]) -> None:
        """Set a value."""

    def incr(self, stat: str, count: int, *, tags: dict[str, str]) -> None:
        """Add to a counter."""


def report_capture(sink: MetricsSink, batch: CaptureBatch, *, duration_s: float, loop_lag_s: float) -> None:
    """Send one capture's metrics, all tagged with the bay.

    Args:
        sink: where to.
        batch: the capture, whether it holds the quorum or not.
        duration_s: seconds that it took.
        loop_lag_s: see `LoopLag.largest_s`.
    """
    tags = {"bay": batch.bay_id}
    sink.timing("bay_capture.duration", timedelta(seconds=duration_s), tags=tags)
    sink.timing("bay_capture.loop_lag", timedelta(seconds=loop_lag_s), tags=tags)
    sink.incr("bay_capture.frames", len(batch.images), tags=tags)
    for reason, count in sorted(_failures_by_reason(batch).items()):
        sink.incr("bay_capture.failures", count, tags=tags | {"reason": reason})
    cameras = len(batch.images) + len(batch.failures)
    sink.gauge("bay_capture.cameras_working", len(batch.images) / cameras if cameras else 0.0, tags=tags)


class LoopLag:
    """The longest time that the running event loop was blocked while the context was open.

    A timer on the loop asks to be called every `interval_s`; what it is late by is time in
    which the loop did something else. Contexts that are open at the same time share the timer: a hundred
    timers would be most of what such a loop does.

    Args:
        interval_s: seconds between calls; blocks are seen up to this much too short.
    """

    def __init__(self, interval_s: float = 0.01) -> None:
        self.largest_s = 0.0
        self._interval_s = interval_s

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        clocks = _clocks.setdefault(loop, {})
        self._clock = clocks.setdefault(self._interval_s, _Clock(self._interval_s))
        self._since = loop.time()
        self._clock.add(self, loop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._clock.remove(self)  # notes a block that lasts until now, before the timer's turn

    def note(self, due: float, now: float) -> None:
        """The timer that was due then comes now (times of the loop)."""
        self.largest_s = max(self.largest_s, now - max(due, self._since))


class _Clock:
    """The timer of a loop, which rings while a context is open. It keeps no reference to the loop."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._open: set[LoopLag] = set()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, lag: LoopLag, loop: asyncio.AbstractEventLoop) -> None:
        self._open.add(lag)
        if self._timer is None:
            self._arm(loop)

    def remove(self, lag: LoopLag) -> None:
        lag.note(self._due, asyncio.get_running_loop().time())
        self._open.discard(lag)
        if not self._open and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + self._interval_s
        self._timer = loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for lag in self._open:
            lag.note(self._due, now)
        self._arm(loop)


_clocks: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[float, _Clock]] = WeakKeyDictionary()


def _failures_by_reason(batch: CaptureBatch) -> Mapping[str, int]:
    """Reasons as tag values: statsd's tags bear no blanks."""
    return Counter(failure.reason.value.replace(" ", "_") for failure in batch.failures)
