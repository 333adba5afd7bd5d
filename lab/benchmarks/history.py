"""`make bench-history`: a year of ten bays in a real PostgreSQL, and how long its answers take.

Starts a server of its own, fills it (see `lab.benchmarks.year` for how much happens in a yard),
asks every question with random bays, blocks, areas and times through
`tracking.history.History`, prints every figure beside its bar, writes
`lab/benchmarks/results/history.json`, stops the server, and exits with 1 when a bar does not hold.
`--fill FOLDER` fills and keeps, `--folder FOLDER` asks what was kept.
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import shapely
from rich.table import Table

from bay_observation.commands import output_console, run_command
from bay_observation.errors import SimulationError
from bays import BayConfig, batch_id, load_bay
from fusion.types import FusedBlock, FusionResult
from lab.bars import progress
from lab.benchmarks.filled import BAY, FILLING, START, Fill, fill, refuse_used
from lab.benchmarks.year import SLOTS_A_DAY
from lab.services.ending import end_in_good_order
from lab.services.postgresql import PostgreSQL
from tracking import Tracker
from tracking.history import History, TrackedBatch, local_day, nested_areas
from tracking.types import TrackingResult

_RESULTS = Path(__file__).parent / "results"
_LIBRARIES = ("sqlalchemy", "psycopg")
_BAR_MS = 50.0
_SLOT = timedelta(minutes=10)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figure:
    """One question: milliseconds of its answers, and how many rows they had."""

    question: str
    median_ms: float
    p95_ms: float
    worst_ms: float
    cold_median_ms: float
    rows: float
    asked: int
    bar_ms: float | None = _BAR_MS

    @property
    def holds(self) -> bool:
        """Whether the median is within the bar; so is what has none."""
        return self.bar_ms is None or self.median_ms <= self.bar_ms


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill, ask, print, write; 0 when every bar holds, 1 when one does not, 2 where there is nothing to ask."""
    options = _parser().parse_args(arguments)
    try:
        if options.fill is not None:
            _kept(options)
            return 0
        results = _of_kept(options) if options.folder is not None else _of_new(options)
    except SimulationError as error:
        print(error, file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "history.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    console = output_console()
    console.print(_table(results))
    console.print(f"written to {options.out}/history.json")
    return 0 if all(figure["holds"] for figure in results["figures"]) else 1


def _kept(options: argparse.Namespace) -> None:
    refuse_used(options.fill)
    with PostgreSQL(FILLING, options.fill) as server:
        done = _filled(server, options)
    done.keep(options.fill)  # last: a folder without it was not filled to its end
    progress(f"to ask it: make bench-history ARGS='--folder {options.fill}'")


def _of_kept(options: argparse.Namespace) -> dict[str, Any]:
    found = Fill.of(options.folder)
    with PostgreSQL(folder=options.folder) as server:
        return measure(server, found, options)


def _of_new(options: argparse.Namespace) -> dict[str, Any]:
    with PostgreSQL(FILLING) as server:
        done = _filled(server, options)
        server.restart()
        return measure(server, done, options)


def _filled(server: PostgreSQL, options: argparse.Namespace) -> Fill:
    days = max(8, round(365 * options.scale))
    progress(f"{server.version}: {options.bays} bays of {options.blocks} blocks, {days} days")
    done = fill(server, bays=options.bays, blocks=options.blocks, days=days, seed=options.seed, on_progress=progress)
    progress(f"{sum(done.rows.values())} rows in {done.seconds:.0f} s")
    return done


def measure(server: PostgreSQL, done: Fill, options: argparse.Namespace) -> dict[str, Any]:
    """Every question's answers, as one document of JSON types.

    The host has read the server's files before: the bars are those of a server that has the
    memory for what it serves. How fast a disk is shows in no figure.
    """
    bay = load_bay(BAY)
    server.warm()
    load = os.getloadavg()[0]
    progress("asking")
    with History(server.url) as history:
        figures = [_asked(question, options) for question in _questions(history, bay, done, options.seed)]
        figures.append(_written(history, bay, done.blocks))
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
            "postgresql": server.version,
            "libraries": {name: version(name) for name in _LIBRARIES},
            "load_while_asking": load,
        },
        "settings": {
            "bays": done.bays,
            "blocks": done.blocks,
            "days": done.days,
            "seed": done.seed,
            "years": done.years,
            "repeats": options.repeats,
            "questions_seed": options.seed,
            "filled_with": FILLING,
        },
        "rows": done.rows,
        "slots_times_blocks": done.bays * done.blocks * done.days * SLOTS_A_DAY,
        "size_mib": server.size_mib(),
        "filled_in_s": done.seconds,
        "figures": [asdict(figure) | {"holds": figure.holds} for figure in figures],
    }


# -- asking -----------------------------------------------------------------------------------------

Question = tuple[str, float | None, Callable[[], int]]


def _questions(history: History, bay: BayConfig, done: Fill, seed: int) -> list[Question]:
    """Each question: in words, its bar, and a function that asks it once of a random bay and returns the rows."""
    draw = random.Random(seed)
    days = done.days
    now = START + (days * SLOTS_A_DAY - 1) * _SLOT
    areas = [name for name, area in bay.layout.areas.items() if area.tracked]
    bay_ids = sorted(done.tracks)

    def one() -> str:
        return draw.choice(bay_ids)

    def schedule() -> BayConfig:
        return bay.model_copy(update={"bay_id": one()})

    def moment() -> datetime:
        return START + draw.randrange(SLOTS_A_DAY, days * SLOTS_A_DAY) * _SLOT

    def day() -> tuple[datetime, datetime]:
        return local_day(bay, (START + draw.randrange(1, days - 1) * _DAY).date())

    def period(length: int) -> tuple[datetime, datetime]:
        start = START + draw.randrange(0, max(1, days - length)) * _DAY
        return start, start + length * _DAY

    def any_track(bay_id: str) -> str:
        return f"{bay_id}-{draw.randrange(1, done.tracks[bay_id]):06d}"

    def standing_track(bay_id: str) -> str:
        # One of the youngest blocks, which most likely stands: the last ones to appear.
        return f"{bay_id}-{done.tracks[bay_id] - draw.randrange(20):06d}"

    # Most blocks were not yet or no longer there at a time: of these it is known.
    known = [stay for bay_id in bay_ids for stay in history.standing(bay_id, at=moment())]

    def where_now() -> int:
        bay_id = one()
        return int(history.where(bay_id, standing_track(bay_id)) is not None)

    def where_then() -> int:
        stay = draw.choice(known)
        return int(history.where(stay.track_id.partition("-")[0], stay.track_id, at=stay.since) is not None)

    def all_stays() -> int:
        bay_id = one()
        return len(history.stays(bay_id, any_track(bay_id)))

    def in_area(at: datetime | None) -> int:
        return len(history.standing(one(), nested_areas(bay, draw.choice(areas)), at=at))

    month, week = min(30, days), min(7, days)
    return [
        ("where is block T, and since when", _BAR_MS, where_now),
        ("where was block T at a time", _BAR_MS, where_then),
        ("all stays of block T", _BAR_MS, all_stays),
        ("what stands in area A now", _BAR_MS, lambda: in_area(None)),
        ("what stood in area A at a time", _BAR_MS, lambda: in_area(moment())),
        ("what stands in the bay now", _BAR_MS, lambda: len(history.standing(one()))),
        ("what stood in the bay at a time", _BAR_MS, lambda: len(history.standing(one(), at=moment()))),
        ("what moved on a day", _BAR_MS, lambda: len(history.events(one(), *day(), kinds=["moved"]))),
        ("all events of a day", _BAR_MS, lambda: len(history.events(one(), *day()))),
        ("dwell per area and stage, a day", _BAR_MS, lambda: len(history.dwell(one(), *day()))),
        (f"dwell per area and stage, {week} days", _BAR_MS, lambda: len(history.dwell(one(), *period(week)))),
        (f"dwell per area and stage, {month} days", _BAR_MS, lambda: len(history.dwell(one(), *period(month)))),
        (f"dwell per area and stage, {days} days", None, lambda: len(history.dwell(one(), START, now))),
        ("slots missing on a day, and why", _BAR_MS, lambda: len(history.gaps(schedule(), *day()))),
        (
            f"slots missing in {month} days, and why",
            _BAR_MS,
            lambda: len(history.gaps(schedule(), *period(month))),
        ),
        ("cameras down and up on a day", _BAR_MS, lambda: len(history.camera_changes(one(), *day()))),
    ]


def _asked(question: Question, options: argparse.Namespace) -> Figure:
    """The first tenth of the answers, after the server's start, counts apart as cold."""
    words, bar, ask = question
    cold = max(1, options.repeats // 10)
    took, rows = [], []
    for _ in range(cold + options.repeats):
        began = time.perf_counter()
        rows.append(ask())
        took.append(1000 * (time.perf_counter() - began))
    warm = sorted(took[cold:])
    return Figure(
        words,
        statistics.median(warm),
        warm[int(0.95 * (len(warm) - 1))],
        warm[-1],
        statistics.median(took[:cold]),
        statistics.mean(rows),
        len(warm),
        bar,
    )


def _written(history: History, bay: BayConfig, blocks: int) -> Figure:
    """One more slot of a bay full of blocks: what the history adds to a tracking task."""
    written = bay.model_copy(update={"bay_id": "written"})
    first = Tracker(written).update(_full_floor(written.bay_id, blocks))
    before, took = None, []
    with history.writer(written.bay_id) as writer:
        for number in range(13):
            result = _seen_again(first, number)
            began = time.perf_counter()
            writer.replace(before, [TrackedBatch(result, f"{number:064x}", tuple(one.name for one in bay.cameras))])
            took.append(1000 * (time.perf_counter() - began))
            before = result
        writer.clear()
    warm = sorted(took[1:])
    p95 = warm[int(0.95 * (len(warm) - 1))]
    return Figure("a slot written", statistics.median(warm), p95, warm[-1], took[0], blocks, len(warm), None)


def _full_floor(bay_id: str, blocks: int) -> FusionResult:
    """As many blocks as asked, side by side."""
    places = [(6.0 * (number % 25), 2.0 * (number // 25)) for number in range(blocks)]
    standing = tuple(
        FusedBlock("block", shapely.box(x, y, x + 5, y + 1.5), 4.0, "A25", "welding", 0.9, ("C_2",)) for x, y in places
    )
    return FusionResult(batch_id(bay_id, START), bay_id, standing, shapely.MultiPolygon())


def _seen_again(first: TrackingResult, slots: int) -> TrackingResult:
    """The same blocks on the same floor, some slots later."""
    slot = START + slots * _SLOT
    tracks = tuple(replace(track, last_seen=slot, hits=track.hits + slots) for track in first.state.tracks)
    state = replace(first.state, slot=slot, tracks=tracks)
    return replace(first, batch_id=batch_id(first.bay_id, slot), tracks=tracks, events=(), state=state)


# -- printing ---------------------------------------------------------------------------------------


def _table(results: dict[str, Any]) -> Table:
    settings, rows = results["settings"], results["rows"]
    title = (
        f"{settings['bays']} bays of {settings['blocks']} blocks, {settings['days']} days:"
        f" {rows['positions']:,} positions, {rows['events']:,} events, {rows['batches']:,} batches;"
        f" {results['size_mib'] / 1024:.1f} GiB, {results['machine']['postgresql']}"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("question")
    for column in ("median", "p95", "worst", "cold", "rows", "bar"):
        table.add_column(column, justify="right")
    table.add_column("")
    for figure in results["figures"]:
        bar = figure["bar_ms"]
        verdict = "" if bar is None else "[green]holds[/green]" if figure["holds"] else "[bold red]fails[/bold red]"
        table.add_row(
            figure["question"],
            *(f"{figure[name]:.1f} ms" for name in ("median_ms", "p95_ms", "worst_ms", "cold_median_ms")),
            f"{figure['rows']:.0f}",
            "" if bar is None else f"≤ {bar:g} ms",
            verdict,
        )
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.benchmarks.history", description=__doc__.splitlines()[0])
    parser.add_argument("--bays", type=int, default=10, help="how many (10)")
    parser.add_argument("--blocks", type=int, default=500, help="that stand in each (500)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of a year, for a quick run (1)")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--fill", type=Path, metavar="FOLDER", help="only fill, and keep the server there")
    kept.add_argument("--folder", type=Path, help="only ask what --fill kept there (its sizes count, not these)")
    parser.add_argument("--repeats", type=int, default=100, help="times that each question is asked (100)")
    parser.add_argument("--seed", type=int, default=2000, help="of the year and of the questions (2000)")
    parser.add_argument("--out", type=Path, default=_RESULTS, help=f"folder for the results ({_RESULTS})")
    return parser


if __name__ == "__main__":
    end_in_good_order()
    run_command(main)
