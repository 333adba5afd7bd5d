"""`make migration-demo`: one bay from the old system to this one and back, and every figure beside its bar.

    turns       shadow, new, back, new; a killed bridge and a killed Redis in between; the old consumer counts
    comparison  simulated days with one difference planted in each: both sides alike but for small errors, and a
                real tracker's day with its own errors, each of which the truth has to bear out
    import      a month of ten bays, twice
    cost        of the bridge, for each batch, and for the DAGs without it

Exits with 1 where a bar does not hold.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from bay_observation.commands import output_console, program, run_command
from bay_observation.errors import SimulationError
from bays import load_bay
from lab.bars import Bar, bars_table, chosen_parts
from lab.evaluation.tracking_days import SLOT
from lab.evaluation.tracking_yard import Pace
from lab.migration.borne_out import BorneOut
from lab.migration.cost import bridge_cost, modules_without_bridge
from lab.migration.month import import_month
from lab.migration.planted import Day, World, plant, planted_kinds, without, world
from lab.migration.tracked import tracked_world
from lab.migration.turns import run_turns
from legacy.comparison import Difference, compare
from legacy.mapping import Thresholds

_START = datetime(2025, 7, 2, tzinfo=UTC)
_DAY = 144
_SEEDS, _TRACKED_SEEDS = (301, 302), (401, 402)
_PACE = Pace(factor=0.5)  # so that some blocks stand all day: differences are planted in these

Bars = list[Bar]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return 0 when every bar holds."""
    options = make_parser().parse_args(arguments)
    console = output_console()
    parts: dict[str, Callable[[Path], Bars]] = {
        "turns": lambda folder: _turns(folder, console),
        "comparison": lambda _: _comparison(console),
        "import": lambda folder: _month(folder, console),
        "cost": lambda folder: _cost(folder, console),
    }
    chosen = chosen_parts(options.parts, parts)
    bars: Bars = []
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="migration-demo-") as temporary:
        for name in chosen:
            folder = Path(options.folder or temporary) / name
            try:
                bars += parts[name](folder)
            finally:
                os.environ.clear()
                os.environ.update(before)
    console.print(bars_table(bars, "From the old system to this one"))
    return 0 if all(bar.holds for bar in bars) else 1


def _turns(folder: Path, console: Console) -> Bars:
    folder.mkdir(parents=True)
    turns = run_turns(folder, lambda line: console.print(line, highlight=False))
    console.print(f"owners: {'; '.join(turns.changes)}", highlight=False)
    differences = len(turns.comparison.differences)
    return [
        Bar("slots over shadow, new, back, new", turns.slots, ">=", 15),
        Bar("slots that the old consumer missed", turns.missing, "<=", 0),
        Bar("slots that it got twice", turns.doubled, "<=", 0),
        Bar("slots that it got out of order", turns.unordered, "<=", 0),
        Bar("messages without their hash", turns.without_hash, "<=", 0),
        Bar(
            "slots for which both sides asked the cameras (one at each change)",
            turns.asked_twice,
            "<=",
            len(turns.changes),
        ),
        Bar("differences of the shadow that was not different", differences, "<=", 0),
    ]


def _comparison(console: Console) -> Bars:
    bay, slots = load_bay("3bay_north"), [_START + number * SLOT for number in range(_DAY)]
    found = {
        "alike": _found([world(bay, seed, slots) for seed in _SEEDS], console),
        "tracked": _found(
            [tracked_world(bay, seed, slots, Pace(factor=0.5)) for seed in _TRACKED_SEEDS], console, errs=True
        ),
    }
    bars = [Bar("kinds of planted differences", len(planted_kinds()), ">=", 20)]
    for name, one in found.items():
        bars += [
            Bar(f"{name}: named, of {one.planted} planted in {one.days} days", one.named, ">=", one.planted),
            Bar(f"{name}: differences named that are not there", one.false, "<=", 0),
        ]
    errors = found["tracked"].borne_out
    console.print(f"of the tracker's own errors {errors} were named, and the truth bears them out", highlight=False)
    return bars


@dataclass
class _Found:
    """What comparisons of days came to; `borne_out` are differences that nobody planted and that are there."""

    days: int
    planted: int = 0
    named: int = 0
    false: int = 0
    borne_out: int = 0


def _found(days: Sequence[World], console: Console, *, errs: bool = False) -> _Found:
    """Compare days as they are, then with a difference of each kind; `errs`: the new side has errors that last."""
    result = _Found(len(days))
    for day in days:
        is_there = BorneOut(day).holds if errs else lambda _: False
        said = {(one.kind, one.subject): is_there(one) for one in _compared(day.old, day.new, day)}
        known = {difference for difference, there in said.items() if there}
        result.borne_out += len(known)
        result.false += len(said) - len(known)
        apart = without(day, {subject for _, subject in said})
        for kind in planted_kinds():
            result.planted += 1
            try:
                made = plant(kind, apart, result.planted)
            except SimulationError as error:
                console.print(f"{kind}: {error}", style="red")
                continue
            named = {(one.kind, one.subject) for one in _compared(made.old, made.new, day)}
            wrong = named - known - {(kind, made.subject)}
            result.named += (kind, made.subject) in named
            result.false += len(wrong)
            if wrong or (kind, made.subject) not in named:
                words = "; ".join(f"{one} {subject}" for one, subject in sorted(named - known)) or "nothing"
                console.print(f"{kind} {made.subject} is called: {words}", style="red")
    return result


def _compared(old: Day, new: Day, day: World) -> Sequence[Difference]:
    period = day.old[0].slot, day.old[-1].slot + SLOT
    return compare(old, new, day.bay, Thresholds(slots=_DAY // 2), period).differences


def _month(folder: Path, console: Console) -> Bars:
    month = import_month(folder)
    console.print(
        f"{month.batches} batches with {month.blocks} blocks became {month.stays} stays"
        f" in {month.seconds[0]:.0f} s and again in {month.seconds[1]:.0f} s",
        highlight=False,
    )
    return [
        Bar("import of a month of ten bays", max(month.seconds), "<=", 120, "s"),
        Bar("imported twice: the same", int(month.same), ">=", 1),
    ]


def _cost(folder: Path, console: Console) -> Bars:
    begin = time.perf_counter()
    seconds = 1000 * np.array(bridge_cost(folder))
    console.print(f"{len(seconds)} batches published in {time.perf_counter() - begin:.1f} s", highlight=False)
    spread = f"{seconds.min():.1f} to {seconds.max():.1f} ms, median {np.median(seconds):.1f}"
    return [
        Bar("the bridge's cost of a batch, 95 of 100", float(np.percentile(seconds, 95)), "<=", 50, "ms", spread),
        Bar("modules of it that the DAGs load", modules_without_bridge(), "<=", 0),
    ]


def make_parser() -> argparse.ArgumentParser:
    """The arguments."""
    parser = argparse.ArgumentParser(
        prog=program("python -m lab.migration"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", default="turns,comparison,import,cost", help="which of them, with commas")
    parser.add_argument("--folder", type=Path, help="keep what is written here; must not exist")
    return parser


if __name__ == "__main__":
    run_command(main)
