"""`make check-alerts`: who is notified of what; every figure beside its bar.

    faults   each fault of a simulated yard: is its alert sent within a slot and a half, and no other one?
    healthy  a week of that yard with what is usual: is anything sent?
    once     alerts and events through repetitions, late batches, refusals, restarts and deaths: is each sent once?
    data     a cluster of one bay (root, iproute2): does each documented metric, each panel and each rule have data?

In the first three the history, the exporter, the rules (promtool), Alertmanager's inhibition and the service that
sends are the real ones; Airflow's database, the storage, the disk and the receivers' side of the channels are
simulated, and so is the clock. Exits with 1 where a bar does not hold.
"""

import argparse
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bay_observation.commands import DONE, FAILED, output_console, program, run_command
from lab.bars import Bar, bars_table, chosen_parts, progress
from lab.benchmarks.alert_faults import FAULTS
from lab.benchmarks.alert_once import repeated
from lab.benchmarks.alert_rules import alertmanager, required_programs
from lab.benchmarks.alert_runs import healthy_week, run_fault
from lab.benchmarks.metrics_in_cluster import metrics_in_cluster
from lab.services.ending import end_in_good_order

_IN_TIME_MIN = 15
_SEED = 20261


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return 0 when every bar holds."""
    options = make_parser().parse_args(arguments)
    chosen = chosen_parts(options.parts, PARTS)
    required_programs()
    logging.disable(logging.CRITICAL)  # what breaks on purpose is no news
    console = output_console()
    with tempfile.TemporaryDirectory(prefix="bay-observation-alerts-") as folder:
        bars = [bar for name in chosen for bar in PARTS[name](console, Path(folder), options)]
    console.print(bars_table(bars))
    return DONE if all(bar.holds for bar in bars) else FAILED


def make_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog=program("python -m lab.benchmarks.check_alerts"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", default=",".join(PARTS), help="which, with commas between them; all of them without")
    parser.add_argument("--seed", type=int, default=_SEED, help="of what happens by chance")
    parser.add_argument("--days", type=int, default=7, help="of the healthy yard (7)")
    parser.add_argument("--rounds", type=int, default=100, help="of repetitions and deaths (100)")
    return parser


def _of_faults(console: Console, folder: Path, options: argparse.Namespace) -> list[Bar]:
    table = Table("fault", "alert", "after", "further alerts", "", title="Faults", title_justify="left")
    good, slowest = 0, 0
    with alertmanager(_made(folder / "alertmanager")) as manager:
        for number, fault in enumerate(FAULTS):
            progress(f"fault {number + 1} of {len(FAULTS)}: {fault.name}")
            run = run_fault(fault, manager, folder / f"fault{number}", options.seed + number)
            right = run.minutes is not None and run.minutes <= _IN_TIME_MIN and not run.further
            good += right
            slowest = max(slowest, run.minutes or 0)
            progress(f"{fault.alert}: {run}")
            after = "never" if run.minutes is None else f"{run.minutes} min"
            table.add_row(fault.name, fault.alert, after, ", ".join(run.further), "" if right else "wrong")
    console.print(table)
    return [
        Bar(f"faults of {len(FAULTS)} with the right alert alone, in time", good, ">=", len(FAULTS)),
        Bar("kinds of alerts that were tried", len({fault.alert for fault in FAULTS}), ">=", 20),
        Bar("the slowest", slowest, "<=", _IN_TIME_MIN, "min"),
    ]


def _of_a_healthy_week(console: Console, folder: Path, options: argparse.Namespace) -> list[Bar]:
    progress(f"{options.days} healthy days")
    fired, batches = healthy_week(folder / "healthy", options.seed, options.days)
    for labels in sorted(fired):
        console.print(f"fires without a fault: {dict(labels)}", markup=False)
    console.print(f"healthy: {batches} batches tracked in {options.days} days")
    return [
        Bar("alerts in a healthy week", len(fired), "<=", 0),
        Bar("batches tracked meanwhile", batches, ">=", 1),
    ]


def _of_repetitions(console: Console, folder: Path, options: argparse.Namespace) -> list[Bar]:
    progress(f"{options.rounds} rounds of repetitions and deaths")
    found = repeated(_made(folder / "once"), options.seed, options.rounds)
    done = ", ".join(f"{count} × {what}" for what, count in sorted(found.done.items()))
    console.print(f"once: {found.expected} things in {options.rounds} rounds: {done}")
    console.print(
        f"once: {found.uncertain} deaths between a receiver's answer and its record; the receiver knew"
        f" {found.known_again} of {found.sent_again} repetitions by their identity"
    )
    return [
        Bar("things that happened", found.expected, ">=", options.rounds),
        Bar("of them without a message", found.missing, "<=", 0),
        Bar("of them with a second message, or under another identity", found.doubled, "<=", 0),
        Bar("repetitions that no death between answer and record explains", found.unexplained, "<=", 0),
    ]


def _of_data(console: Console, folder: Path, _: argparse.Namespace) -> list[Bar]:
    progress("a cluster of one bay")
    found = metrics_in_cluster(folder / "cluster")
    bars = []
    for kind, count in found.asked.items():
        for name in found.without[kind]:
            console.print(f"{kind}: no data: {name}", markup=False)
        bars.append(Bar(f"{kind}, of {count}, with data", count - len(found.without[kind]), ">=", count))
    return bars


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


PARTS: dict[str, Callable[[Console, Path, argparse.Namespace], list[Bar]]] = {
    "faults": _of_faults,
    "healthy": _of_a_healthy_week,
    "once": _of_repetitions,
    "data": _of_data,
}


if __name__ == "__main__":
    end_in_good_order()
    run_command(main)
