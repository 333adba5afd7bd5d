"""`make check-slots`: a slot holds what was seen then, and nothing is lost; every figure beside its bar.

    sequences  random losses, late batches, retention and rebuilds, beside a plain model
    airflow    what users of Airflow do to past, future and late slots, through a real Airflow
    year       a year of one bay's files: listed, found, cleaned
    disk       ten bays under the default retention, day by day, with a picture

Exits with 1 where a bar does not hold.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bay_observation.commands import output_console, run_command
from bays import load_bay
from lab.bars import chosen_parts
from lab.benchmarks import disk_year
from lab.benchmarks.slot_sequences import run_sequences
from lab.benchmarks.slot_year import measure_year
from lab.benchmarks.slots_in_airflow import BAY, run_cases
from lab.services.ending import end_in_good_order

_SEQUENCES = 500
_DAMAGED_S = 10.0
_QUESTION_MS = 10.0
_HOUSEKEEPING_S = 60.0
_DISK = 500e9

Row = tuple[str, str, str, bool]
"""What was measured, the figure, the bar, and whether it holds."""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return 0 when every bar holds."""
    options = _parser().parse_args(arguments)
    console = output_console()
    parts: dict[str, Callable[[], Iterable[Row]]] = {
        "sequences": lambda: _of_sequences(options.sequences, options.seed, console),
        "airflow": lambda: _of_airflow(options.folder, console),
        "year": lambda: _of_year(console),
        "disk": lambda: _of_disk(options.picture, console),
    }
    chosen = chosen_parts(options.parts, parts)
    table, holds = Table("", "measured", "bar", ""), True
    for name in chosen:
        # Sequences, year and disk are of days in the past; Airflow's cases need the clock.
        os.environ["CLOCK"] = "real" if name == "airflow" else "slot"
        for what, figure, bar, good in parts[name]():
            table.add_row(what, figure, bar, "" if good else "does not hold")
            holds = holds and good
    console.print(table)
    return 0 if holds else 1


def _of_sequences(count: int, seed: int, console: Console) -> list[Row]:
    def progress(number: int) -> None:
        if number % 50 == 0:
            console.print(f"{number} of {count} sequences")

    outcome = run_sequences(load_bay(BAY), count, seed, progress)
    for line in outcome.details[:20]:
        console.print(line, style="red")
    within = f"{outcome.sequences} random sequences, {outcome.operations} operations: "
    return [
        (f"{within}slots lost that the model keeps", str(outcome.lost), "0", outcome.lost == 0),
        ("slots that the model does not have", str(outcome.invented), "0", outcome.invented == 0),
        ("operations that changed a line without a new frame", str(outcome.changed), "0", outcome.changed == 0),
        ("without a loss: other than an ordered run", str(outcome.unordered), "0", outcome.unordered == 0),
        ("late batches left out, with their reason", str(outcome.refused), "", True),
    ]


def _of_airflow(folder: str | None, console: Console) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="check-slots-") as temporary:
        figures = run_cases(Path(folder or temporary), console.print)
    rows: list[Row] = []
    for case in figures.cases:
        found = f"{case.state}, {case.foreign_frames} foreign, {case.changed_lines} changed"
        rows.append((f"Airflow: {case.name}", found, f"{case.expected}, 0, 0", case.holds))
    damaged = f"{figures.damaged_s:.1f} s, {figures.damaged_tries} try"
    in_time = figures.damaged_s <= _DAMAGED_S and figures.damaged_tries == 1
    rows.append(("damaged artifact: until its run fails", damaged, f"{_DAMAGED_S:g} s, 1 try", in_time))
    rows.append(("the next batch behind it", figures.next_batch, "success", figures.next_batch == "success"))
    cleaned = f"{sum(state == 'success' for state in figures.housekeeping.values())} of {len(figures.housekeeping)}"
    well = cleaned == "3 of 3"
    rows.append(("housekeeping_dag: tasks that succeeded", cleaned, "3 of 3", well))
    return rows


def _of_year(console: Console) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="slot-year-") as folder:
        figures = measure_year(load_bay(BAY), Path(folder), lambda what: console.print(f"{what} ..."))
    rows: list[Row] = [
        (
            f"{name}, at a year of 52 560 batches",
            f"{year:.2f} ms (at a day {day:.2f})",
            f"{_QUESTION_MS:g} ms",
            year <= _QUESTION_MS,
        )
        for name, (day, year) in figures.questions.items()
    ]
    rows.append(("all 52 560 at once", f"{figures.whole_year_ms:.0f} ms", "", True))
    rows.append(("what the history holds of two days, at a year", f"{figures.tracked_ms:.2f} ms", "", True))
    daily = f"{figures.daily_run_s:.1f} s, {figures.freed} deleted"
    rows.append(("housekeeping's daily run", daily, f"{_HOUSEKEEPING_S:g} s", figures.daily_run_s <= _HOUSEKEEPING_S))
    return rows


def _of_disk(picture: str | None, console: Console) -> list[Row]:
    def progress(day: int) -> None:
        if day % 100 == 0:
            console.print(f"day {day} of {disk_year.DAYS}")

    with tempfile.TemporaryDirectory(prefix="disk-year-") as folder:
        held = disk_year.simulate(load_bay(BAY), Path(folder), progress=progress)
    if picture is not None:
        disk_year.draw(held, Path(picture), _DISK)
        console.print(f"{picture}: what the disk holds, day by day")
    most = max(sum(day.values()) for day in held)
    what = f"{disk_year.BAYS} bays around the clock, {len(held)} days, default retention: most on the disk"
    return [(what, f"{most / 1e9:.0f} GB", f"{_DISK / 1e9:.0f} GB", most <= _DISK)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab.benchmarks.check_slots",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", default="sequences,airflow,year,disk", help="which, separated by commas")
    parser.add_argument("--sequences", type=int, default=_SEQUENCES, help=f"how many ({_SEQUENCES})")
    parser.add_argument("--seed", type=int, default=0, help="of the first sequence")
    parser.add_argument("--folder", help="an empty folder for Airflow and its logs, kept afterwards")
    parser.add_argument("--picture", help="a file for the picture of the disk, as disk.svg")
    return parser


if __name__ == "__main__":
    end_in_good_order()
    run_command(main)
