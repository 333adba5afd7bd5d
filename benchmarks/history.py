"""`make bench-history`: a year of ten bays in a real PostgreSQL, and how long its answers take.

Starts a server of its own, fills it by COPY (see `benchmarks.year` for how much happens in a
yard), asks every question with random bays, blocks, areas and times through
`tracking.history.History`, prints every figure beside its bar, writes
`benchmarks/results/history.json`, stops the server, and exits with 1 when a bar does not hold.
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

import psycopg
import shapely
from rich.console import Console
from rich.table import Table

from bay_observation.errors import SimulationError
from bays import BayConfig, batch_id, load_bay
from benchmarks.postgresql import PostgreSQL
from benchmarks.year import SLOTS_A_DAY, Rows, Year, lines_of
from fusion.types import FusedBlock, FusionResult
from tracking import Tracker
from tracking.history import History, TrackedBatch, local_day, nested_areas
from tracking.types import TrackingResult

_RESULTS = Path(__file__).parent / "results"
_LIBRARIES = ("sqlalchemy", "psycopg")
_BAY = "3bay_north"
_BAR_MS = 50.0
_COLUMNS = 130
_SLOT = timedelta(minutes=10)
_DAY = timedelta(days=1)
# Of the filling alone; what the planner and the questions use is PostgreSQL's default.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "8GB",
    "maintenance_work_mem": "512MB",
    "autovacuum": "off",  # what is filled is vacuumed and analysed at the end
}
_START = datetime(2025, 1, 1, tzinfo=UTC)


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
    """Fill, ask, tell, write; 0 when every bar holds, 1 when one does not, 2 where no PostgreSQL starts."""
    options = _parser().parse_args(arguments)
    try:
        results = measure(options)
    except SimulationError as error:
        print(error, file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "history.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    console = Console(width=None if sys.stdout.isatty() else _COLUMNS)
    console.print(_table(results))
    console.print(f"written to {options.out}/history.json")
    return 0 if all(figure["holds"] for figure in results["figures"]) else 1


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything, as one document of JSON types.

    Raises:
        SimulationError: PostgreSQL does not start.
    """
    bay = load_bay(_BAY)
    days = max(8, round(365 * options.scale))
    with PostgreSQL(_SETTINGS) as server:
        began = time.monotonic()
        _tell(f"{server.version}: {options.bays} bays of {options.blocks} blocks, {days} days")
        with History(server.url) as history:
            history.database.migrate()
        years = _fill(server.url, bay, options, days)
        filled = time.monotonic() - began
        rows = _row_counts(server.url)
        _tell(f"{sum(rows.values())} rows in {filled:.0f} s; asking")
        server.restart()
        load = os.getloadavg()[0]
        with History(server.url) as history:
            figures = [_asked(question, options) for question in _questions(history, bay, years, days, options.seed)]
            figures.append(_written(history, bay, options))
        size = server.size_mib()
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
            "bays": options.bays,
            "blocks": options.blocks,
            "days": days,
            "repeats": options.repeats,
            "seed": options.seed,
            "postgresql": _SETTINGS,
        },
        "rows": rows,
        "slots_times_blocks": options.bays * options.blocks * days * SLOTS_A_DAY,
        "size_mib": size,
        "filled_in_s": filled,
        "figures": [asdict(figure) | {"holds": figure.holds} for figure in figures],
    }


# -- filling ----------------------------------------------------------------------------------------


def _fill(url: str, bay: BayConfig, options: argparse.Namespace, days: int) -> list[Year]:
    years = []
    with psycopg.connect(url, autocommit=True) as connection:
        indexes = _without_indexes(connection)
        for number in range(options.bays):
            year = Year(
                bay,
                f"bay{number:02d}",
                seed=options.seed + number,
                blocks=options.blocks,
                start=_START,
                days=days,
            )
            _copy(connection, year.make())
            year.rows = Rows()
            years.append(year)
            _tell(f"{year.bay_id} filled")
        for statement in indexes:
            connection.execute(statement.encode())
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
    return years


def _without_indexes(connection: psycopg.Connection[Any]) -> list[str]:
    """Drop what is no key, and hand back how to make it again: COPY into indexes takes many times as long."""
    asked = "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'ix_history_%'"
    found = connection.execute(asked).fetchall()
    for name, _ in found:
        connection.execute(psycopg.sql.SQL("DROP INDEX {}").format(psycopg.sql.Identifier(name)))
    return [definition for _, definition in found]


def _copy(connection: psycopg.Connection[Any], rows: Rows) -> None:
    for table in rows.tables:
        statement = psycopg.sql.SQL("COPY {} FROM STDIN").format(psycopg.sql.Identifier(table))
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for chunk in lines_of(rows, table):
                copy.write(chunk)


def _row_counts(url: str) -> dict[str, int]:
    tables = ("tracks", "positions", "events", "batches", "camera_failures")
    with psycopg.connect(url) as connection:
        counts = {}
        for table in tables:
            statement = psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier(f"history_{table}"))
            row = connection.execute(statement).fetchone()
            counts[table] = int(row[0]) if row else 0
    return counts


# -- asking -----------------------------------------------------------------------------------------

Question = tuple[str, float | None, Callable[[], int]]


def _questions(history: History, bay: BayConfig, years: Sequence[Year], days: int, seed: int) -> list[Question]:
    """Each question: in words, its bar, and a function that asks it once of a random bay and returns the rows."""
    draw = random.Random(seed)
    now = years[0].time(days * SLOTS_A_DAY - 1)
    areas = [name for name, area in bay.layout.areas.items() if area.tracked]
    named = {year.bay_id: bay.model_copy(update={"bay_id": year.bay_id}) for year in years}

    def year() -> Year:
        return draw.choice(years)

    def moment() -> datetime:
        return _START + draw.randrange(SLOTS_A_DAY, days * SLOTS_A_DAY) * _SLOT

    def day() -> tuple[datetime, datetime]:
        return local_day(bay, (_START + draw.randrange(1, days - 1) * _DAY).date())

    def period(length: int) -> tuple[datetime, datetime]:
        start = _START + draw.randrange(0, max(1, days - length)) * _DAY
        return start, start + length * _DAY

    def standing_track(year: Year) -> str:
        # One of the youngest blocks that certainly stands: the last one to appear.
        return f"{year.bay_id}-{year.tracks - draw.randrange(20):06d}"

    def where_now() -> int:
        one = year()
        return int(history.where(one.bay_id, standing_track(one)) is not None)

    def where_then() -> int:
        one = year()
        track = f"{one.bay_id}-{draw.randrange(1, one.tracks):06d}"
        return int(history.where(one.bay_id, track, at=moment()) is not None)

    def all_stays() -> int:
        one = year()
        return len(history.stays(one.bay_id, f"{one.bay_id}-{draw.randrange(1, one.tracks):06d}"))

    def in_area(at: datetime | None) -> int:
        return len(history.standing(year().bay_id, nested_areas(bay, draw.choice(areas)), at=at))

    month, week = min(30, days), min(7, days)
    return [
        ("where is block T, and since when", _BAR_MS, where_now),
        ("where was block T at a time", _BAR_MS, where_then),
        ("all stays of block T", _BAR_MS, all_stays),
        ("what stands in area A now", _BAR_MS, lambda: in_area(None)),
        ("what stood in area A at a time", _BAR_MS, lambda: in_area(moment())),
        ("what stands in the bay now", _BAR_MS, lambda: len(history.standing(year().bay_id))),
        ("what stood in the bay at a time", _BAR_MS, lambda: len(history.standing(year().bay_id, at=moment()))),
        ("what moved on a day", _BAR_MS, lambda: len(history.events(year().bay_id, *day(), kinds=["moved"]))),
        ("all events of a day", _BAR_MS, lambda: len(history.events(year().bay_id, *day()))),
        ("dwell per area and stage, a day", _BAR_MS, lambda: len(history.dwell(year().bay_id, *day()))),
        (f"dwell per area and stage, {week} days", _BAR_MS, lambda: len(history.dwell(year().bay_id, *period(week)))),
        (f"dwell per area and stage, {month} days", _BAR_MS, lambda: len(history.dwell(year().bay_id, *period(month)))),
        (f"dwell per area and stage, {days} days", None, lambda: len(history.dwell(year().bay_id, _START, now))),
        ("slots missing on a day, and why", _BAR_MS, lambda: len(history.gaps(named[year().bay_id], *day()))),
        (
            f"slots missing in {month} days, and why",
            _BAR_MS,
            lambda: len(history.gaps(named[year().bay_id], *period(month))),
        ),
        ("cameras down and up on a day", _BAR_MS, lambda: len(history.camera_changes(year().bay_id, *day()))),
    ]


def _asked(question: Question, options: argparse.Namespace) -> Figure:
    """The first tenth of the answers, after the server's start, is told apart as cold."""
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


def _written(history: History, bay: BayConfig, options: argparse.Namespace) -> Figure:
    """One more slot of a bay full of blocks: what the history adds to a tracking task."""
    written = bay.model_copy(update={"bay_id": "written"})
    first = Tracker(written).update(_full_floor(written.bay_id, options.blocks))
    before, took = None, []
    with history.writer(written.bay_id) as writer:
        for number in range(13):
            result = _seen_again(first, number)
            began = time.perf_counter()
            writer.replace(before, [TrackedBatch(result, f"{number:064x}", tuple(one.name for one in bay.cameras))])
            took.append(1000 * (time.perf_counter() - began))
            before = result
    warm = sorted(took[1:])
    p95 = warm[int(0.95 * (len(warm) - 1))]
    return Figure("a slot written", statistics.median(warm), p95, warm[-1], took[0], options.blocks, len(warm), None)


def _full_floor(bay_id: str, blocks: int) -> FusionResult:
    """As many blocks as asked, side by side."""
    places = [(6.0 * (number % 25), 2.0 * (number // 25)) for number in range(blocks)]
    standing = tuple(
        FusedBlock("block", shapely.box(x, y, x + 5, y + 1.5), 4.0, "A25", "welding", 0.9, ("C_2",)) for x, y in places
    )
    return FusionResult(batch_id(bay_id, _START), bay_id, standing, shapely.MultiPolygon())


def _seen_again(first: TrackingResult, slots: int) -> TrackingResult:
    """The same blocks on the same floor, some slots later."""
    slot = _START + slots * _SLOT
    tracks = tuple(replace(track, last_seen=slot, hits=track.hits + slots) for track in first.state.tracks)
    state = replace(first.state, slot=slot, tracks=tracks)
    return replace(first, batch_id=batch_id(first.bay_id, slot), tracks=tracks, events=(), state=state)


# -- telling ----------------------------------------------------------------------------------------


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


def _tell(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__.splitlines()[0])
    parser.add_argument("--bays", type=int, default=10, help="how many (10)")
    parser.add_argument("--blocks", type=int, default=500, help="that stand in each (500)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of a year, for a quick run (1)")
    parser.add_argument("--repeats", type=int, default=100, help="times that each question is asked (100)")
    parser.add_argument("--seed", type=int, default=2000, help="of the year and of the questions (2000)")
    parser.add_argument("--out", type=Path, default=_RESULTS, help=f"folder for the results ({_RESULTS})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
