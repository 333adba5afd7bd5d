"""`make check-slots`: a slot holds what was seen then, and nothing is lost; every figure beside its bar.

Random sequences of losses beside a plain model, and what users of Airflow do to past, future
and late slots, through a real Airflow. Exits with 1 where a bar does not hold.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bays import load_bay
from lab.benchmarks.slot_sequences import run_sequences
from lab.benchmarks.slots_in_airflow import BAY, run_cases

_SEQUENCES = 500
_DAMAGED_S = 10.0

Row = tuple[str, str, str, bool]
"""What was measured, the figure, the bar, and whether it holds."""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return 0 when every bar holds."""
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140)
    rows: list[Row] = []
    if options.sequences:
        os.environ["CLOCK"] = "slot"  # its slots are of one day in the past
        rows += _of_sequences(options.sequences, options.seed, console)
    if not options.without_airflow:
        os.environ["CLOCK"] = "real"
        with tempfile.TemporaryDirectory(prefix="check-slots-") as folder:
            rows += _of_airflow(Path(options.folder or folder), console)
    table = Table("", "measured", "bar", "")
    for what, figure, bar, holds in rows:
        table.add_row(what, figure, bar, "" if holds else "does not hold")
    console.print(table)
    return 0 if all(holds for *_, holds in rows) else 1


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


def _of_airflow(folder: Path, console: Console) -> list[Row]:
    figures = run_cases(folder, lambda name: console.print(f"{name} ..."))
    rows: list[Row] = []
    for case in figures.cases:
        found = f"{case.state}, {case.foreign_frames} foreign, {case.changed_lines} changed"
        rows.append((f"Airflow: {case.name}", found, f"{case.expected}, 0, 0", case.holds))
    damaged = f"{figures.damaged_s:.1f} s, {figures.damaged_tries} try"
    in_time = figures.damaged_s <= _DAMAGED_S and figures.damaged_tries == 1
    rows.append(
        (
            "damaged artifact: until its run fails",
            damaged,
            f"{_DAMAGED_S:g} s, 1 try",
            in_time,
        )
    )
    rows.append(("the next batch behind it", figures.next_batch, "success", figures.next_batch == "success"))
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.benchmarks.check_slots", description=__doc__)
    parser.add_argument("--sequences", type=int, default=_SEQUENCES, help=f"how many ({_SEQUENCES}); 0 for none")
    parser.add_argument("--seed", type=int, default=0, help="of the first sequence")
    parser.add_argument("--without-airflow", action="store_true", help="the sequences alone")
    parser.add_argument("--folder", help="an empty folder for Airflow and its logs, kept afterwards")
    return parser


if __name__ == "__main__":
    sys.exit(main())
