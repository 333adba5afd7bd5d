"""Ten bays over a year and more, under the default retention: what the disk holds, day by day.

Housekeeping itself runs each simulated day, over files of the sizes that real batches have. A file
stands for the 144 of its day, and is sparse: its size is read, its bytes are never written. Ten
bays that are alike do the same ten times, so one of them is lived through. The bays run around
the clock and no batch is stopped, which is the most that they can write.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from artifacts import ArtifactStore, Stage
from artifacts.reference import artifact_path
from bay_observation.errors import SimulationError
from bays import BayConfig, batch_id
from housekeeping import clean_bay
from housekeeping.forecast import KINDS
from tracking.history import History

BAYS = 10
DAYS = 420  # the longest default is 400
# More than `make demo` makes: 3.4 MB, 63 kB (with crowded frames 226 kB), 29 kB, 14 kB. docs/housekeeping.md
SIZES: dict[Stage, int] = {"capture": 6_000_000, "observation": 240_000, "fusion": 32_000, "tracking": 60_000}
SLOTS_A_DAY = 144
_START = datetime(2025, 1, 1, 12, tzinfo=UTC)

Day = dict[Stage, int]
"""Bytes that lie on the disk in the evening, by stage."""


def simulate(
    bay: BayConfig, folder: Path, days: int = DAYS, progress: Callable[[int], None] = lambda _: None
) -> list[Day]:
    """Live through the days of one bay, and count it ten times.

    Args:
        bay: whose retention counts.
        folder: empty.
        days: how many.
        progress: called with the number of each day.
    """
    store = ArtifactStore(folder / "data")
    held: list[Day] = []
    with History(f"sqlite:///{folder / 'history.db'}") as history:
        history.database.migrate()
        for day in range(days):
            now = _START + timedelta(days=day)
            for stage, size in SIZES.items():
                _publish(store, stage, bay.bay_id, now, size * SLOTS_A_DAY)
            report = clean_bay(store, history, bay, now + timedelta(hours=2), dry_run=False)
            if report.faults:
                raise SimulationError("; ".join(report.faults))
            held.append({stage: BAYS * size for stage, size in _held(store).items()})
            progress(day)
    return held


def draw(held: list[Day], path: Path, limit: float) -> None:
    """The days as a picture: what each stage takes, one on the other, and the limit."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.5))
    stages = list(SIZES)
    axes.stackplot(
        range(1, len(held) + 1),
        [[day[stage] / 1e9 for day in held] for stage in stages],
        labels=[KINDS[stage].replace("_", " ") for stage in stages],
    )
    axes.axhline(limit / 1e9, color="black", linestyle="--", label=f"{limit / 1e9:.0f} GB")
    axes.set(xlabel="day", ylabel="GB on the disk", title=f"{BAYS} bays around the clock, default retention")
    axes.legend(loc="center right")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def _publish(store: ArtifactStore, stage: Stage, bay_id: str, slot: datetime, size: int) -> None:
    path = store.root / artifact_path(stage, bay_id, batch_id(bay_id, slot))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    os.utime(path, (slot.timestamp(), slot.timestamp()))


def _held(store: ArtifactStore) -> Day:
    found: Day = dict.fromkeys(SIZES, 0)
    for stage, (folder, file_name) in {stage: _place(stage) for stage in SIZES}.items():
        for bay in os.scandir(store.root / folder):
            for batch in os.scandir(bay.path):
                try:
                    found[stage] += (Path(batch.path) / file_name).stat().st_size
                except (FileNotFoundError, NotADirectoryError):
                    continue  # a list of days, a lock, or the other stage's file alone
    return found


def _place(stage: Stage) -> tuple[str, str]:
    path = artifact_path(stage, "any", "any")
    return path.parts[0], path.name
