"""A trial: an Airflow, a store, a history and a bay file of their own, in one folder.

    {folder}/frames/     the stored frames, as files
    {folder}/bays/       the bay's file with the trial's changes
    {folder}/data/       artifacts, and the history
    {folder}/airflow/    Airflow's home

Nothing of the live set-up is written to: the live store is read, and the trial's services
get `DATA_PATH`, `HISTORY_DB` and `BAYS_PATH` of the trial, no Airflow Connection, and a bay
without notifications.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from artifacts import ArtifactStore
from bay_observation.errors import BacktestError, ConfigError, NotObservedError
from bays import BayConfig, bays_path, dag_id, load_bay, slot_of
from bays.naming import TaskType
from lab.backtest.comparison import Results
from lab.backtest.frames import export_frames, stored_slots
from lab.services.embedded_airflow import EmbeddedAirflow
from tracking.history import scheduled_slots

PROJECT = Path(__file__).resolve().parents[2]
_SLOT_LIMIT = 600.0  # seconds: a failed task is tried again after a minute, twice
_SETTLED = 300.0
_STAGES: tuple[TaskType, ...] = ("observation", "fusion", "tracking")
_MARKER = ".backtest"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Ran:
    """What became of a trial's runs: slots run, slots off the bay's schedule, failed runs by DAG."""

    slots: tuple[datetime, ...]
    off_schedule: tuple[datetime, ...]
    failed: dict[str, tuple[str, ...]]


class Trial:
    """A stored period of one bay, to be run again.

    Args:
        folder: of the trial; emptied by `prepare`.
        bay_id: the bay.
        live: the store that holds the period's captures.
        start: begin of the period (aware).
        end: its end (aware), not included.
    """

    def __init__(self, folder: Path, bay_id: str, live: ArtifactStore, start: datetime, end: datetime) -> None:
        self.folder = folder.resolve()
        self.bay_id, self.live, self.start, self.end = bay_id, live, start, end
        self.store = ArtifactStore(self.folder / "data")

    def prepare(self, changes: Mapping[str, Any], *, fresh: bool = False) -> BayConfig:
        """Write the trial's bay file, its frames, and the tracker's state before its first slot.

        Args:
            changes: keys of the bay's file with other values; mappings are merged, the rest replaced.
            fresh: begin with an empty floor in place of the live state.

        Returns:
            The trial's bay.

        Raises:
            BacktestError: nothing of the period is stored, or the folder is not a trial's.
            ConfigError: the changed file is wrong.
            ArtifactError: what is stored cannot be read.
        """
        slots = stored_slots(self.live, self.bay_id, self.start, self.end)
        if not slots:
            raise NotObservedError(
                f"bay {self.bay_id}: no capture between {self.start:%Y-%m-%d %H:%M} and {self.end:%Y-%m-%d %H:%M} UTC"
                f" is stored under {self.live.root}"
            )
        live = self.live.root.resolve()
        if live.is_relative_to(self.folder) or self.folder.is_relative_to(live):
            raise BacktestError(
                f"{self.folder}: this folder and the live artifacts in {live} must not contain each other"
            )
        self._clear()
        bay = self._write_bay(changes)
        export_frames(self.live, self.bay_id, slots, self.folder / "frames")
        if not fresh:
            self._take_over(slots[0])
        return bay

    def run(self, bay: BayConfig, say: Say, port: int | None = None) -> Ran:
        """Run the period through the trial's own Airflow, by Airflow's backfill, slot after slot.

        A backfill runs every slot of the schedule. Where captures are missing in between it is
        split, so that a slot without frames is a gap as it was, and not a run that fails.

        Raises:
            BacktestError: no stored slot is on the bay's schedule.
            EmbeddedAirflowError: Airflow does not start, or does not come to an end.
        """
        stored = stored_slots(self.live, self.bay_id, self.start, self.end)
        planned = list(scheduled_slots(bay, self.start, self.end))
        slots = sorted(set(stored) & set(planned))
        if not slots:
            raise BacktestError(
                f"bay {self.bay_id}: none of the stored slots is on its schedule {bay.schedule.observation}"
            )
        off_schedule = tuple(sorted(set(stored) - set(planned)))
        airflow = EmbeddedAirflow(
            self.folder / "airflow", dags_folder=PROJECT / "dags", env=self._environment(slots[-1]), port=port
        )
        with airflow:
            airflow.wait_for_dags(self._dag_ids())
            for part in _without_gaps(slots, planned):
                say(f"backfill of {len(part)} slots from {part[0]:%Y-%m-%d %H:%M} to {part[-1]:%H:%M} UTC")
                airflow.backfill(dag_id("observation", self.bay_id), part[0], part[-1])
                self._wait_for_end(airflow, len(part))
            failed = {name: tuple(airflow.failed_runs(name)) for name in self._dag_ids()}
        return Ran(tuple(slots), off_schedule, {name: runs for name, runs in failed.items() if runs})

    def results(self, store: ArtifactStore | None = None) -> Results:
        """The period's tracking results by slot: the trial's, or those of another store.

        Raises:
            ArtifactError: one cannot be read.
        """
        store = store or self.store
        found = {}
        for batch in store.batch_ids("tracking", self.bay_id):
            if self.start <= slot_of(batch) < self.end:
                reference = store.find("tracking", self.bay_id, batch)
                if reference is not None:
                    found[slot_of(batch)] = store.load(reference)
        return found

    # -- inside --------------------------------------------------------------------------------

    def _clear(self) -> None:
        """Empty the folder, if it is new or a trial's."""
        marker = self.folder / _MARKER
        if self.folder.exists() and any(self.folder.iterdir()) and not marker.exists():
            raise BacktestError(f"{self.folder}: holds files that are not a trial's; choose another folder")
        try:
            if self.folder.exists():
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True)
            marker.touch()
        except OSError as error:
            raise BacktestError(f"{self.folder}: cannot be emptied: {error.strerror or error}") from error

    def _write_bay(self, changes: Mapping[str, Any]) -> BayConfig:
        source = bays_path() / f"{self.bay_id}.yaml"
        load_bay(self.bay_id)  # its own errors first
        content = merged(yaml.safe_load(source.read_text(encoding="utf-8")), changes)
        content |= {
            "enabled": True,
            "notifications": [],
            "image_provider": "file",
            # Only the frame of the slot itself: a camera that failed has none, and is given no neighbour's.
            "image_provider_config": {"base_path": str(self.folder / "frames"), "time_tolerance_hours": 0.0},
        }
        target = self.folder / "bays" / source.name
        target.parent.mkdir()
        target.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        with _with_environment({"BAYS_PATH": str(target.parent)}):
            return load_bay(self.bay_id)

    def _take_over(self, first: datetime) -> None:
        """Start from the state that the live tracker had before the first slot."""
        earlier = [batch for batch in self.live.batch_ids("tracking", self.bay_id) if slot_of(batch) < first]
        if earlier and (reference := self.live.find("tracking", self.bay_id, earlier[-1])) is not None:
            self.store.save("tracking", self.bay_id, earlier[-1], self.live.load(reference))

    def _environment(self, last: datetime) -> dict[str, str]:
        return {
            "DATA_PATH": str(self.store.root),
            "HISTORY_DB": f"sqlite:///{self.store.root / 'history.db'}",
            "BAYS_PATH": str(self.folder / "bays"),
            "BAYS_ENABLED": self.bay_id,
            "BAYS_SCHEDULE": f"until {last.isoformat()}",
            "CLOCK": "slot",
        }

    def _dag_ids(self) -> Iterator[str]:
        return (dag_id(stage, self.bay_id) for stage in _STAGES)

    def _wait_for_end(self, airflow: EmbeddedAirflow, slots: int) -> None:
        # Each stage starts the next one's run before its own ends: once none is left in one, the next is complete.
        for name in self._dag_ids():
            airflow.wait_until(
                lambda name=name: not airflow.count_runs(name, "queued", "running"),  # type: ignore[misc]
                slots * _SLOT_LIMIT + _SETTLED,
                f"{name} has not come to its end",
            )


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A bay's file with changes: mappings key by key, everything else replaced."""
    result = dict(base)
    for key, value in changes.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def read_changes(path: Path | None) -> dict[str, Any]:
    """The changes that a YAML file asks for; none without a file.

    Raises:
        ConfigError: the file cannot be read, or is no mapping.
    """
    if path is None:
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: write the keys of the bay's file that differ, such as tracking: {{exit_slots: 3}}")
    return content


def _without_gaps(slots: Sequence[datetime], planned: Sequence[datetime]) -> list[list[datetime]]:
    """Slots in parts that follow one another on the schedule."""
    follows = dict(pairwise(planned))
    parts = [[slots[0]]]
    for before, slot in pairwise(slots):
        if follows.get(before) == slot:
            parts[-1].append(slot)
        else:
            parts.append([slot])
    return parts


@contextmanager
def _with_environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
