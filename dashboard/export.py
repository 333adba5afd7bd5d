"""The exporter for Prometheus: what Airflow's database, the history and the storage say of every bay.

Values are asked at most every `every` seconds, however often they are scraped: four questions to
Airflow's database for all bays, five to the history for each bay. Each part has a wall around it: one that
fails is absent from the answer, `bay_export_failed` names it, and the others are there. A scrape does not wait
for one that hangs.
"""

import hmac
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from artifacts import ArtifactStore
from bay_observation.errors import BayObservationError, HistoryError, HistoryUnavailableError, NotObservedError
from bay_observation.metrics import EXPORTED
from bays import BayConfig, sound_bays
from dashboard.airflow_processes import heartbeats
from dashboard.api.history import history
from dashboard.export_parts import Ask, Group, Value, ask_all
from housekeeping.forecast import forecast
from inference.stored_drift import DriftWatch
from tracking.history import Batch, BatchOutcome, GapOutcome, MarkKind
from tracking.history.messages import backlog
from triggers.status import queued_tasks, triggerer_status

_log = logging.getLogger(__name__)

_DAY = timedelta(days=1)
_LATELY = timedelta(hours=1)
_FAILURES = (
    BatchOutcome.CAPTURE_FAILED,
    BatchOutcome.INFERENCE_FAILED,
    BatchOutcome.FUSION_FAILED,
    BatchOutcome.TRACKING_FAILED,
)
_NEVER_FULL = 3650.0
_FORECAST_KEPT_S = 3600.0
_PATIENCE_S = 5.0
"""A scrape waits so long for what is asked: half of what Prometheus gives it."""


class BayCollector(Collector):
    """Gives Prometheus' library the values.

    Args:
        every: seconds for which they are kept.
        now: the time (aware); for tests.
        patience_s: seconds that a caller waits for what is asked; a part that takes longer is in a later answer.
    """

    def __init__(
        self,
        every: float = 30.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._every, self._now, self._patience_s = every, now, patience_s
        self._lock = threading.Lock()
        self._of_bays: list[Value] = []
        self._groups = {name: Group(name) for name in ("airflow", "history", "store", "disk")}
        self._asked_at: float | None = None
        self._forecast: list[Value] = []
        self._forecast_at: float | None = None
        self._drift: dict[str, DriftWatch] = {}
        _import_airflow()

    def collect(self) -> Iterable[Metric]:
        """The metrics of `bay_observation.metrics.EXPORTED` that have a value."""
        families = {
            one.name: GaugeMetricFamily(one.name, one.meaning.replace("`", ""), labels=one.tags) for one in EXPORTED
        }
        for name, labels, value in self.values():
            families[name].add_metric(labels, value)
        return [family for family in families.values() if family.samples]

    def values(self) -> list[Value]:
        """The values, as they are kept or as they are now."""
        with self._lock:
            if self._asked_at is None or time.monotonic() - self._asked_at >= self._every:
                self._ask()
                self._asked_at = time.monotonic()
            found = list(self._of_bays)
        for group in self._groups.values():
            for part, answer in group.answers().items():
                found += answer.values
                found.append(("bay_export_failed", (part,), float(answer.failed)))
                found.append(("bay_export_seconds", (part,), answer.seconds))
        return found

    def _ask(self) -> None:
        now = self._now()
        bays, faulty = _bays()
        self._of_bays = [("bay_config_faulty", (bay_id,), 1.0) for bay_id in faulty]
        self._of_bays += [("bay_config_faulty", (bay.bay_id,), 0.0) for bay in bays]
        parts: dict[str, dict[str, Ask]] = {
            "airflow": {
                "triggerers": of_triggerers,
                "tasks": lambda: of_tasks(now),
                "airflow": lambda: of_airflow(now),
            },
            "history": {"messages": lambda: of_messages(now)},
            "store": {"store": of_store},
            "disk": {"disk": lambda: self._of_disk(now, bays)},
        }
        for bay in bays:
            parts["history"][f"history {bay.bay_id}"] = partial(of_bay, bay, now)
            parts["disk"][f"drift {bay.bay_id}"] = partial(self._of_drift, bay)
        ask_all(self._groups, parts, self._patience_s)

    def _of_disk(self, now: datetime, bays: Sequence[BayConfig]) -> list[Value]:
        if self._forecast_at is None or time.monotonic() - self._forecast_at >= _FORECAST_KEPT_S:
            self._forecast = list(of_disk(now, bays))
            self._forecast_at = time.monotonic()
        return self._forecast

    def _of_drift(self, bay: BayConfig) -> Iterator[Value]:
        """How far each camera's frames are from what is usual; nothing where too little was observed."""
        watch = self._drift.setdefault(bay.bay_id, DriftWatch(bay.bay_id))
        with suppress(NotObservedError):
            for camera, ratio in watch.ratios(ArtifactStore()).items():
                yield "bay_camera_drift", (bay.bay_id, camera), ratio


def _import_airflow() -> None:
    """What the groups' threads use of Airflow, imported by one thread.

    Its modules import each other at first use, in circles: two threads that do so at once wait for each other for ever.
    """
    from airflow.configuration import ensure_secrets_loaded
    from airflow.jobs import job  # noqa: F401
    from airflow.models import import_all_models

    import_all_models()  # type: ignore[no-untyped-call]
    ensure_secrets_loaded()


def of_triggerers() -> Iterator[Value]:
    """Per queue who lives, what they hold, what no process holds."""
    status = triggerer_status()
    for queue in status.queues:
        label = (queue.queue or "",)
        oldest = (status.at - queue.unclaimed[0].since).total_seconds() if queue.unclaimed else 0.0
        yield "bay_triggerers_alive", label, float(len(queue.triggerers))
        yield "bay_queue_expected", label, float(queue.expected)
        yield "bay_deferred_held", label, float(len(queue.held))
        yield "bay_deferred_unclaimed", label, float(len(queue.unclaimed))
        yield "bay_deferred_unclaimed_oldest_seconds", label, max(0.0, oldest)


def of_tasks(now: datetime) -> Iterator[Value]:
    """Tasks that wait for a worker."""
    for queue, (count, since) in queued_tasks().items():
        yield "bay_tasks_queued", (queue,), float(count)
        yield "bay_tasks_queued_oldest_seconds", (queue,), max(0.0, (now - since).total_seconds())


def of_bay(bay: BayConfig, now: datetime) -> Iterator[Value]:
    """What the history knows of a bay's last day."""
    label = (bay.bay_id,)
    yield "bay_open", label, float(bay.closed(now) is None)
    try:
        newest = history().newest_slot(bay.bay_id)
    except HistoryUnavailableError:
        raise
    except HistoryError:
        return  # nothing was ever tracked
    yield "bay_tracked_age_seconds", label, (now - newest).total_seconds()
    missing = Counter(gap.outcome for gap in history().gaps(bay, now - _DAY, now) if gap.outcome != GapOutcome.CLOSED)
    for outcome, count in missing.items():
        yield "bay_slots_missing", (*label, outcome.replace(" ", "_")), float(count)
    batches = history().batches(bay.bay_id, now - _DAY, now)
    yield from _of_cameras(bay, batches)
    yield from _of_failures(bay, batches)
    events = history().events_of_slots(bay.bay_id, now - _DAY, now)
    for kind, count in Counter(event.kind for event in events).items():
        yield "bay_events", (*label, kind), float(count)
    doubts = sum(event.kind == "floor_doubted" and event.slot > now - _LATELY for event in events)
    yield "bay_floor_doubts_lately", label, float(doubts)
    late = sum(mark.kind == MarkKind.LATE for mark in history().marks(bay.bay_id, now - _LATELY, now))
    yield "bay_frames_late_lately", label, float(late)


def of_airflow(now: datetime) -> Iterator[Value]:
    """Signs of life of Airflow's own processes.

    Raises:
        AirflowUnavailableError: its database does not answer.
    """
    for process, beat in heartbeats().items():
        yield "bay_airflow_heartbeat_age_seconds", (process,), max(0.0, (now - beat).total_seconds())


def of_messages(now: datetime) -> Iterator[Value]:
    """What waits to be sent to people."""
    found = backlog(history(), now)
    yield "bay_messages_waiting", (), float(found.waiting)
    yield "bay_messages_waiting_seconds", (), (now - found.oldest).total_seconds() if found.oldest else 0.0


def of_store() -> Iterator[Value]:
    """Whether the shared storage answers, and how fast."""
    began = time.monotonic()
    try:
        ArtifactStore().check()
    except BayObservationError as error:
        _log.warning("%s", error)
        yield "bay_store_answers", (), 0.0
        return
    yield "bay_store_answers", (), 1.0
    yield "bay_store_latency_seconds", (), time.monotonic() - began


def of_disk(now: datetime, bays: Sequence[BayConfig]) -> Iterator[Value]:
    """How long the storage's disk lasts."""
    found = forecast(ArtifactStore(), list(bays), now)
    if found.disk:
        yield "bay_disk_free_bytes", (), float(found.free)
        yield "bay_disk_days_left", (), _NEVER_FULL if found.days_left is None else float(found.days_left)


def guarded_app(collector: Collector, token: str) -> WSGIApplication:
    """The metrics as a WSGI application that answers `Authorization: Bearer TOKEN` alone.

    Args:
        collector: of the values.
        token: that a scraper must have.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    metrics = make_wsgi_app(registry)
    wanted = f"Bearer {token}".encode()

    def app(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        given = environment.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, wanted):
            start("401 Unauthorized", [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain")])
            return [b"a token is wanted\n"]
        if environment.get("PATH_INFO") != "/metrics":
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/metrics\n"]
        answer: Iterable[bytes] = metrics(environment, start)
        return answer

    return app


def _of_cameras(bay: BayConfig, batches: Iterable[Batch]) -> Iterator[Value]:
    captured = [batch for batch in batches if batch.cameras or batch.failures]
    if not captured:
        return
    yield "bay_quorum_margin", (bay.bay_id,), float(len(captured[-1].cameras) - bay.camera_quorum)
    for camera in bay.cameras:
        row = 0
        for batch in reversed(captured):
            if camera.name not in batch.failures:
                break
            row += 1
        yield "bay_camera_failures_in_row", (bay.bay_id, camera.name), float(row)


def _of_failures(bay: BayConfig, batches: Sequence[Batch]) -> Iterator[Value]:
    for outcome in _FAILURES:
        row = 0
        for batch in reversed(batches):
            if batch.outcome != outcome:
                break
            row += 1
        yield "bay_failures_in_row", (bay.bay_id, outcome.replace(" ", "_")), float(row)


def _bays() -> tuple[list[BayConfig], list[str]]:
    """Those that run, and ids of those whose file cannot be read."""
    faulty: list[str] = []

    def keep(bay_id: str, error: Exception) -> None:
        faulty.append(bay_id)
        _log.warning("bay %a is not exported: %s", bay_id, error)

    return list(sound_bays(keep).values()), faulty
