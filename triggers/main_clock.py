"""The clock of the main server, by which slots are made; an observer's own may be minutes off."""

import logging
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock

import httpx

from bay_observation import clock
from bays import BayConfig
from bays.capture_window import outside_window

logger = logging.getLogger(__name__)

_KEPT_S = 60.0  # a clock that is set meanwhile is noticed after that
_PATIENCE_S = 3.0
_WORTH_A_WARNING = timedelta(seconds=5)
_HALF_A_SECOND = timedelta(seconds=0.5)  # the header's seconds are whole ones


class MainClock:
    """Measures how far this host's clock is off the main server's.

    The API server's answers carry its time (`Date`, RFC 9110), to the second. Where it does not
    answer, the latest measurement counts, and without one this host's own clock.

    Args:
        url: of anything on the API server; by default Airflow's `[core] execution_api_server_url`.
    """

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._lock = Lock()
        self._offset = timedelta()
        self._measured_at: float | None = None

    def now(self) -> datetime:
        """The main server's time (aware, UTC). Blocks for up to three seconds."""
        return datetime.now(UTC) + self.offset()

    def offset(self) -> timedelta:
        """What to add to a time of this host's clock to have the main server's."""
        with self._lock:
            if self._measured_at is None or time.monotonic() - self._measured_at > _KEPT_S:
                self._measure()
            return self._offset

    def _measure(self) -> None:
        url = self._url or _execution_api()
        before = datetime.now(UTC)
        try:
            answer = httpx.get(url, timeout=_PATIENCE_S, follow_redirects=False, verify=_trusted())
            main = parsedate_to_datetime(answer.headers["Date"])
        except (httpx.HTTPError, OSError, KeyError, ValueError, TypeError) as error:
            kept = "its offset of before counts" if self._measured_at is not None else "this host's own clock counts"
            logger.warning("the main server's clock cannot be read at %s, %s: %s", url, kept, error)
            return
        middle = before + (datetime.now(UTC) - before) / 2
        self._offset = main + _HALF_A_SECOND - middle
        self._measured_at = time.monotonic()
        off = self._offset.total_seconds()
        level = logging.WARNING if abs(self._offset) > _WORTH_A_WARNING else logging.INFO
        logger.log(level, "this host's clock is %.1f s %s main's", abs(off), "behind" if off > 0 else "ahead of")


main_clock = MainClock()
"""Of this process."""


def refusal(bay: BayConfig, slot: datetime) -> str | None:
    """Why no camera of a bay may be asked for a slot now, in words; None where they may. Blocks, see `MainClock`.

    Raises:
        ConfigError: `CLOCK` is wrong.
    """
    return None if clock.every_slot_is_now() else outside_window(bay, slot, main_clock.now())


def _execution_api() -> str:
    from airflow.sdk.configuration import conf

    url = conf.get("core", "execution_api_server_url", fallback="")
    return url or f"{conf.get('api', 'base_url', fallback='http://localhost:8080').rstrip('/')}/execution/"


def _trusted() -> ssl.SSLContext:
    """As Airflow's own client: where a deployment has its own certificate authority, that one."""
    from airflow.sdk.configuration import conf

    return ssl.create_default_context(cafile=conf.get("api", "ssl_ca_file", fallback=None) or None)
