"""A year of one bay as small files: how long the store takes to list, to find, and to be cleaned.

52 560 batches with an artifact of every stage, each a hard link to one file of that stage: what is
measured is the number of files, and not their size. The same questions are asked of a day.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from artifacts import ArtifactReference, ArtifactStore, Stage
from bays import BayConfig, Retention, batch_id
from capture_async.types import CaptureBatch, CapturedImage
from housekeeping import clean_store
from inference.types import CameraObservation, Observation
from lab.benchmarks.slot_sequences import fused_floor
from tracking import Tracker
from tracking.history import BatchOutcome, History
from tracking.history.schema import batches

_SLOT = timedelta(minutes=10)
_A_DAY, _A_YEAR = 144, 52_560
_END = datetime(2026, 7, 2, tzinfo=UTC)
_ROUNDS = 21
_KEPT = 364  # days: all but the last of the year
_STAGES: tuple[Stage, ...] = ("capture", "observation", "fusion", "tracking")


@dataclass(frozen=True)
class YearFigures:
    """Milliseconds of each question at a day and at a year; seconds of housekeeping's daily run.

    Attributes:
        questions: by name: (at a day, at a year).
        whole_year_ms: listing all 52 560 batches at once.
        tracked_ms: what the history holds of two days, which the tracking of each batch asks.
        daily_run_s: of housekeeping, for a bay that has a whole year.
        freed: artifacts that it deleted.
    """

    questions: dict[str, tuple[float, float]]
    whole_year_ms: float
    tracked_ms: float
    daily_run_s: float
    freed: int


def measure_year(bay: BayConfig, folder: Path, progress: Callable[[str], None] = lambda _: None) -> YearFigures:
    """Make a day and a year, ask, and clean.

    Args:
        bay: gives cameras and areas.
        folder: empty; takes 370 000 names.
        progress: called with what begins.
    """
    asked: dict[str, dict[str, float]] = {}
    for name, slots in (("day", _A_DAY), ("year", _A_YEAR)):
        progress(f"a {name} of one bay")
        store = _filled(bay, folder / name, slots)
        asked[name] = _questions(store, bay)
    whole_ms = _median_ms(lambda: store.batch_ids("fusion", bay.bay_id), rounds=3)
    progress("housekeeping")
    retention = Retention(frames=_KEPT, observations=_KEPT, floor_plans=_KEPT, tracks=_KEPT)
    bay = bay.model_copy(update={"retention": retention})
    with History(f"sqlite:///{folder / 'history.db'}") as history:
        _fill_history(history, bay)
        with history.writer(bay.bay_id) as writer:
            tracked_ms = _median_ms(lambda: writer.digests(_END - timedelta(days=2), _END))
        clean_store(store, history, [bay], _END, dry_run=False)  # of the day before
        daily_s, report = _timed(lambda: clean_store(store, history, [bay], _END + timedelta(days=1), dry_run=False))
    progress("measured; the files are removed")
    return YearFigures(
        {name: (ms, asked["year"][name]) for name, ms in asked["day"].items()},
        whole_ms,
        tracked_ms,
        daily_s,
        sum(each.count for each in report.freed),
    )


def _questions(store: ArtifactStore, bay: BayConfig) -> dict[str, float]:
    """Of the last day: as asked for each batch, by the dashboard, and by a person."""
    since, until = batch_id(bay.bay_id, _END - timedelta(days=1)), batch_id(bay.bay_id, _END)
    newest = batch_id(bay.bay_id, _END - _SLOT)
    found = {
        "list a day": lambda: store.batch_ids("fusion", bay.bay_id, since, until),
        "latest": lambda: store.newest("fusion", bay.bay_id),
        "find": lambda: store.find("fusion", bay.bay_id, newest),
    }
    if (
        len(store.batch_ids("fusion", bay.bay_id, since, until)) != _A_DAY
        or store.newest("fusion", bay.bay_id) != newest
    ):
        raise AssertionError("the store does not find the day that was put there")
    return {name: _median_ms(ask) for name, ask in found.items()}


def _filled(bay: BayConfig, root: Path, slots: int) -> ArtifactStore:
    """A store with so many slots before `_END`."""
    store = ArtifactStore(root)
    originals = {stage: store.root / _example(store, bay, stage).path for stage in _STAGES}
    begin = (_END - slots * _SLOT).timestamp()
    for path in originals.values():
        os.utime(path, (begin, begin))
    for number in range(1, slots + 1):
        name = batch_id(bay.bay_id, _END - number * _SLOT)
        for stage in ("observation", "fusion", "tracking"):
            (store.root / stage / bay.bay_id / name).mkdir()
        for path in originals.values():
            os.link(path, path.parent.parent / name / path.name)
    for path in originals.values():
        path.unlink()
    for stage in _STAGES:
        store.index(stage, bay.bay_id)
    return store


def _example(store: ArtifactStore, bay: BayConfig, stage: Stage) -> ArtifactReference:
    slot = datetime(2020, 1, 1, tzinfo=UTC)
    name = batch_id(bay.bay_id, slot)
    value: Any
    if stage == "capture":
        images = tuple(CapturedImage(camera.name, bay.bay_id, slot, b"\xff\xd8\xff\xd9") for camera in bay.cameras)
        value = CaptureBatch(name, bay.bay_id, images, ())
    elif stage == "observation":
        cameras = tuple(CameraObservation(camera.name, slot, (1920, 1080), ()) for camera in bay.cameras)
        value = Observation(name, bay.bay_id, cameras)
    else:
        value = replace(fused_floor(bay, 0), batch_id=name)
        if stage == "tracking":
            value = Tracker(bay).update(value)
    return store.save(stage, bay.bay_id, name, value)


def _fill_history(history: History, bay: BayConfig) -> None:
    history.database.migrate()
    rows = [
        {
            "bay_id": bay.bay_id,
            "slot": _END - number * _SLOT,
            "outcome": BatchOutcome.TRACKED.value,
            "reason": "",
            "sha256": f"{number:064x}",
            "reported": True,
        }
        for number in range(1, _A_YEAR + 1)
    ]
    with history.database.writing() as connection, connection.begin():
        connection.execute(batches.insert(), rows)


def _median_ms(ask: Callable[[], object], rounds: int = _ROUNDS) -> float:
    return 1000 * statistics.median(_timed(ask)[0] for _ in range(rounds))


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result
