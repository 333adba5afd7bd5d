"""A yard on a simulated clock, for the alerts: bays, cameras and processes that work, and that can be broken.

The history, the bays' files and the exporter are the product's own. Airflow's database, the storage and the disk are
simulated: what the exporter asks of them is answered from the state below.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import yaml
from shapely import MultiPolygon

from bay_observation.errors import AirflowUnavailableError, StoreUnavailableError
from bay_observation.metrics import EXPORTED
from bays import BayConfig, batch_id, load_bay, observer_queue, processor_queue, sound_bays
from dashboard import export
from fusion.types import FusionResult
from housekeeping.forecast import Forecast
from tracking import EventKind, Tracker, TrackerState, TrackEvent, TrackingResult
from tracking.history import BatchOutcome, History, TrackedBatch
from triggers.listed_queues import ListedQueues
from triggers.status import DeferredTask, Triggerer, TriggererStatus, status_of

START = datetime(2025, 7, 2, 0, 0, tzinfo=UTC)
SLOT = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)
DEMO_BAY = Path(__file__).parents[2] / "bays" / "demo_bay.yaml"

_SUCCESS_S = 80
"""A batch is tracked so many seconds after its slot; the next sample shows it."""

_PATIENCE_S = 120.0
"""What is asked has this time, on a machine that does something else as well."""

_HISTORY_AWAY = "postgresql://nobody@127.0.0.1:1/none"


@dataclass
class BayState:
    """What is broken in one bay.

    Attributes:
        config: of the bay.
        down: cameras that give no frame.
        paused: no run is started.
        failing: the stage's outcome in each slot; None while it works.
        late_s: how late its frames are taken.
        doubted: its next floor plan cannot be right.
        drift: how far frames are from what is usual, by camera.
        newest: the state of its tracker.
    """

    config: BayConfig
    down: set[str] = field(default_factory=set)
    paused: bool = False
    failing: BatchOutcome | None = None
    late_s: float = 20.0
    doubted: bool = False
    drift: dict[str, float] = field(default_factory=dict)
    newest: TrackerState | None = None


@dataclass
class QueueState:
    """A queue: whether its triggerer and its worker live, whether its triggerer takes nothing more, and what waits."""

    triggerer: bool = True
    full: bool = False
    worker: bool = True
    deferred_since: datetime | None = None
    queued_since: datetime | None = None


class AlertYard:
    """The yard.

    Args:
        folder: takes the bays' files and the history; empty.
        bay_ids: of its bays.
    """

    def __init__(self, folder: Path, bay_ids: tuple[str, ...] = ("north", "south")) -> None:
        self.folder, self.now = folder, START
        self.bays_folder = folder / "bays"
        self.bays_folder.mkdir(parents=True)
        self.history = History.at(folder)
        self.history.database.migrate()
        self.bays: dict[str, BayState] = {}
        self.queues: dict[str, QueueState] = {}
        self.processes = {"scheduler": True, "dag_processor": True}
        self._beats = dict.fromkeys(self.processes, START)
        self.store_away = self.airflow_away = self.history_away = self.exporter_away = False
        self.store_latency_s, self.days_left = 0.05, 120
        self._bay_ids = bay_ids
        self._loaded: tuple[object, dict[str, BayConfig], dict[str, Exception]] = (None, {}, {})

    def close(self) -> None:
        """Close the history and remove the folder."""
        self.history.close()
        shutil.rmtree(self.folder)

    @contextmanager
    def standing(self) -> Iterator["AlertYard"]:
        """Within, the exporter and the bays' loader ask this yard."""
        away = History(_HISTORY_AWAY)
        clock = SimpleNamespace(value=0.0)

        def check() -> None:
            clock.value += self.store_latency_s
            if self.store_away:
                raise StoreUnavailableError("the store is away", "absent")

        with ExitStack() as stack:
            stack.enter_context(patch.dict("os.environ", BAYS_PATH=str(self.bays_folder), CLOCK="slot"))
            for name, replacement in {
                "sound_bays": self._sound_bays,
                "history": lambda: away if self.history_away else self.history,
                "triggerer_status": self._triggerers,
                "queued_tasks": self._queued,
                "heartbeats": self._heartbeats,
                "ArtifactStore": lambda: SimpleNamespace(check=check),
                "forecast": self._forecast,
                "DriftWatch": lambda bay_id: SimpleNamespace(ratios=lambda _store: self._ratios(bay_id)),
                "time": SimpleNamespace(monotonic=lambda: clock.value),
            }.items():
                stack.enter_context(patch.object(export, name, replacement))
            for bay_id in self._bay_ids:
                self.add_bay(bay_id)
            yield self
            away.close()

    def add_bay(self, bay_id: str, **changes: object) -> None:
        """Write the file of a bay like the demo's, enabled."""
        content = yaml.safe_load(DEMO_BAY.read_text(encoding="utf-8")) | {"enabled": True} | changes
        (self.bays_folder / f"{bay_id}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        self.bays[bay_id] = BayState(load_bay(bay_id))
        for queue in (observer_queue(bay_id), processor_queue(bay_id)):
            self.queues[queue] = QueueState()

    def enable(self, bay_id: str, enabled: bool) -> None:
        """Put a bay into service, or take it out."""
        file = self.bays_folder / f"{bay_id}.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8")) | {"enabled": enabled}
        file.write_text(yaml.safe_dump(content), encoding="utf-8")

    def minute(self) -> dict[str, float]:
        """One minute of the yard, then what the exporter says: values by series; empty while it is away."""
        self.now += MINUTE
        self._load_bays()
        for process, alive in self.processes.items():
            if alive:
                self._beats[process] = self.now - timedelta(seconds=5)
        since_slot = self.now.timestamp() % SLOT.total_seconds()
        if since_slot == MINUTE.total_seconds():
            self._start_slot()
        if _SUCCESS_S <= since_slot < _SUCCESS_S + MINUTE.total_seconds():
            self._end_slot(self.now - timedelta(seconds=since_slot))
        if self.exporter_away:
            return {'up{job="bays"}': 0.0}
        collector = export.BayCollector(every=0.0, now=lambda: self.now, patience_s=_PATIENCE_S)
        values = {_series(name, labels): value for name, labels, value in collector.values()}
        return values | {'up{job="bays"}': 1.0}

    def _load_bays(self) -> None:
        """Read the files when one of them changes: to read them takes longer than the rest of a minute."""
        state = [(file.name, file.stat().st_mtime_ns) for file in sorted(self.bays_folder.iterdir())]
        if state != self._loaded[0]:
            faults: dict[str, Exception] = {}
            self._loaded = (state, sound_bays(faults.__setitem__), faults)

    def _sound_bays(self, faulty: Callable[[str, Exception], None]) -> dict[str, BayConfig]:
        self._load_bays()
        for bay_id, error in self._loaded[2].items():
            faulty(bay_id, error)
        return self._loaded[1]

    # -- a slot ------------------------------------------------------------------------------------

    def _start_slot(self) -> None:
        """Tasks that no process takes begin to wait."""
        for bay_id, state in self.bays.items():
            if not self._runs(bay_id, state):
                continue
            for queue in (observer_queue(bay_id), processor_queue(bay_id)):
                waits = self.queues[queue]
                if (waits.full or not waits.triggerer) and waits.deferred_since is None:
                    waits.deferred_since = self.now - MINUTE
                if not waits.worker and waits.queued_since is None:
                    waits.queued_since = self.now - MINUTE

    def _end_slot(self, slot: datetime) -> None:
        for bay_id, state in self.bays.items():
            queues = [self.queues[queue] for queue in (observer_queue(bay_id), processor_queue(bay_id))]
            served = all(queue.triggerer and not queue.full and queue.worker for queue in queues)
            if self._runs(bay_id, state) and served and not self.history_away:
                self._batch(bay_id, state, slot)

    def _runs(self, bay_id: str, state: BayState) -> bool:
        sound = bay_id in self._loaded[1]
        started = self.processes["scheduler"] and not self.airflow_away and not state.paused
        return sound and started and state.config.closed(self.now) is None

    def _batch(self, bay_id: str, state: BayState, slot: datetime) -> None:
        names = tuple(camera.name for camera in state.config.cameras if camera.name not in state.down)
        told = {"cameras": names, "failures": dict.fromkeys(sorted(state.down), "timed out")}
        outcome = state.failing
        if len(names) < state.config.camera_quorum:
            outcome = BatchOutcome.CAPTURE_FAILED
        if outcome is not None or self.store_away:
            reason = "" if outcome is None else "it fails"
            self.history.record(bay_id, slot, outcome or BatchOutcome.INFERRED, reason, lateness_s=state.late_s, **told)  # type: ignore[arg-type]
            return
        self.history.record(bay_id, slot, BatchOutcome.FUSED, lateness_s=state.late_s, **told)  # type: ignore[arg-type]
        fused = FusionResult(
            batch_id(bay_id, slot), bay_id, (), MultiPolygon(), cameras=names, missing_cameras=tuple(state.down)
        )
        result = Tracker(state.config, state.newest).update(fused)
        if state.doubted:
            result = _doubted(result, slot)
            state.doubted = False
        state.newest = result.state
        with self.history.writer(bay_id) as writer:
            writer.append([TrackedBatch(result, "a" * 64, names, tuple(state.down))], "")

    # -- what the exporter asks --------------------------------------------------------------------

    def _ask_airflow(self) -> None:
        if self.airflow_away:
            raise AirflowUnavailableError("Airflow's database does not answer here")

    def _triggerers(self) -> TriggererStatus:
        self._ask_airflow()
        living = [
            Triggerer(number, queue, START, self.now, True, ListedQueues((queue,)))
            for number, (queue, state) in enumerate(self.queues.items())
            if state.triggerer
        ]
        waiting = [
            DeferredTask(queue, "dag", "run", "task", state.deferred_since, None)
            for queue, state in self.queues.items()
            if state.deferred_since is not None
        ]
        expected = [queue for bay_id in self._loaded[1] for queue in (observer_queue(bay_id), processor_queue(bay_id))]
        return status_of(self.now, expected, living, waiting, timedelta(seconds=30))

    def _queued(self) -> dict[str, tuple[int, datetime]]:
        self._ask_airflow()
        return {name: (1, state.queued_since) for name, state in self.queues.items() if state.queued_since}

    def _heartbeats(self) -> dict[str, datetime]:
        self._ask_airflow()
        return dict(self._beats)

    def _forecast(self, *_: object) -> Forecast:
        if self.store_away:
            raise StoreUnavailableError("the store is away", "absent")
        return Forecast(10**12, 10**11, 1e9, None, self.days_left)

    def _ratios(self, bay_id: str) -> dict[str, float]:
        if self.store_away:
            raise StoreUnavailableError("the store is away", "absent")
        return dict(self.bays[bay_id].drift)


def _doubted(result: TrackingResult, slot: datetime) -> TrackingResult:
    event = TrackEvent(EventKind.FLOOR_DOUBTED, "", slot, result.batch_id, reason="half of it vanished")
    return replace(result, events=(event,))


def _series(name: str, labels: tuple[str, ...]) -> str:
    tags = next(one.tags for one in EXPORTED if one.name == name)
    text = ",".join(f'{tag}="{value}"' for tag, value in zip(tags, labels, strict=True))
    return f"{name}{{{text}}}" if text else name


Break = Callable[[AlertYard], None]
