"""How long the store's disk lasts. Worked out in the background, once an hour: it looks at a week of every bay."""

import logging
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

from artifacts import ArtifactStore
from artifacts.hang_guard import guard_for, store_timeout
from bay_observation.errors import BayObservationError
from bays import sound_bays
from dashboard.api.models import Check
from dashboard.facts import check, fact
from housekeeping.forecast import Forecast, forecast

_LOW, _FULL = 0.10, 0.02
_SOON_DAYS = 14
_KEPT_S = 3600.0

_log = logging.getLogger(__name__)


def disk_check() -> Check:
    """What is free now, and when it is full as far as that is known yet."""
    try:
        root = ArtifactStore().root
        # Of a store that hangs, the question for its free space hangs too.
        usage = guard_for(str(root)).call(lambda: shutil.disk_usage(root), store_timeout())
    except (BayObservationError, OSError) as error:
        return check("disk", "unknown", fact("said", words=error))
    free = usage.free / usage.total
    facts = [fact("free", gib=round(usage.free / 2**30), share=f"{free:.0%}")]
    known = _forecasts.latest()
    days = None if known is None else known.days_left
    if known is not None:
        facts.append(fact("lasts") if days is None else fact("full_in", days=days))
    soon = days is not None and days <= _SOON_DAYS
    return check("disk", "failed" if free < _FULL else "warning" if free < _LOW or soon else "ok", *facts)


class _Forecasts:
    """The latest forecast. A question for it starts the next one where it is old, and waits for none."""

    def __init__(self) -> None:
        self._worker: ThreadPoolExecutor | None = None
        self._running: Future[Forecast] | None = None
        self._found: Forecast | None = None
        self._asked_at: float | None = None

    def latest(self) -> Forecast | None:
        """None before the first one is done."""
        if self._running is not None and self._running.done():
            error = self._running.exception()
            if error is None:
                self._found = self._running.result()
            else:
                _log.warning("how long the disk lasts is not known: %s", error)
            self._running = None
        old = self._asked_at is None or time.monotonic() - self._asked_at > _KEPT_S
        if old and self._running is None:
            self._asked_at = time.monotonic()
            self._worker = self._worker or ThreadPoolExecutor(1, thread_name_prefix="bay-forecast")
            self._running = self._worker.submit(_forecast)
        return self._found


def _forecast() -> Forecast:
    def faulty(bay_id: str, error: Exception) -> None:
        _log.warning("bay %a is not in the forecast: %s", bay_id, error)

    return forecast(ArtifactStore(), list(sound_bays(faulty).values()), datetime.now(UTC))


_forecasts = _Forecasts()
