"""`python -m lab.capacity`: what a yard of many bays needs, and values for Airflow's chart. See docs/capacity.md."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from rich.table import Table

from bay_observation.commands import DONE, FAILED, failed, output_console, program, run_command
from bay_observation.errors import BayObservationError, ConfigError
from bays import enabled_bays
from lab.bars import Bar, bars_table, progress
from lab.capacity.chart import faults_of, values
from lab.capacity.measured import RESULTS, BatchCost, batch_cost
from lab.capacity.model import Model
from lab.capacity.plan import ASKED_S, TRACKED_S, Plan, plan

_OFF_BAR = 20.0
_BAYS = (10, 50, 200)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 when it is done; 1 where a bar does not hold or the chart takes the values not; 2 for wrong use.
    """
    options = make_parser().parse_args(arguments)
    try:
        model = Model.fitted(batch_cost(options.results or RESULTS))
        return int(options.run(model, options))
    except BayObservationError as error:
        return failed(error)


def make_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog=program("python -m lab.capacity"), description="What a yard of many bays needs, by a model of a slot."
    )
    measured = argparse.ArgumentParser(add_help=False)
    measured.add_argument(
        "--results", type=Path, help="what `make bench-pipeline` wrote (default: lab/benchmarks/results/pipeline.json)"
    )
    commands = parser.add_subparsers(dest="command", required=True, help="what to do")
    plans = commands.add_parser(
        "plan",
        parents=[measured],
        help="the model beside the cluster, and a plan for yards of several sizes",
        description="The model beside the cluster, and a plan. Exits with 1 where the model is off by too much.",
    )
    plans.add_argument("--bays", type=_counts, default=_BAYS, help="numbers of bays, with commas (10,50,200)")
    plans.set_defaults(run=_plans)
    chart = commands.add_parser(
        "values",
        parents=[measured],
        help="values for Airflow's Helm chart, of this yard's enabled bays",
        description="Values for Airflow's Helm chart, as YAML. Exits with 1 where the chart's schema is against them.",
    )
    chart.add_argument("--tag", required=True, help="of the image in the registry of the cluster")
    chart.add_argument("--schema", type=Path, help="the chart's values.schema.json: they are checked by it")
    chart.set_defaults(run=_values)
    return parser


def bars_of(model: Model) -> list[Bar]:
    """How far the model is from the cluster for two and three bays at once; one bay is what it is fitted to."""
    bars = []
    for bays, measured in sorted(model.cost.totals_s.items()):
        foreseen = model.of_the_cluster(bays)
        off = 100 * abs(foreseen - measured) / measured
        said = f"{foreseen:.1f} s, measured {measured:.1f} s"
        if bays > 1:
            bars.append(Bar(f"{bays} bays at once: model beside cluster", off, "<=", _OFF_BAR, "%", said))
    return bars


def _plans(model: Model, options: argparse.Namespace) -> int:
    console = output_console()
    console.print(_cost_table(model.cost, model.rounds_s))
    bars = bars_of(model)
    console.print(bars_table(bars, "Slot due until all are tracked, on the machine of the measurement"))
    plans = []
    for bays in options.bays:
        progress(f"{bays} bays")
        plans.append(plan(model, bays))
    console.print(_plans_table(plans))
    return DONE if all(bar.holds for bar in bars) else FAILED


def _values(model: Model, options: argparse.Namespace) -> int:
    bays = sorted(enabled_bays())
    if not bays:
        raise ConfigError("no bay is enabled: `enabled: true` in a bay's file makes it run")
    content = values(plan(model, len(bays)), bays, options.tag)
    faults = [] if options.schema is None else faults_of(content, options.schema)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(yaml.safe_dump(content, sort_keys=False), end="")
    return FAILED if faults else DONE


def _cost_table(cost: BatchCost, rounds_s: float) -> Table:
    table = Table("one batch", "", title="Measured", title_justify="left")
    rows = {
        "starts of a task's process": f"{cost.starts}",
        "CPU of a start: scheduler": f"{cost.scheduler_s:.3f} s",
        "CPU of a start: API server": f"{cost.api_s:.3f} s",
        "CPU of a start: PostgreSQL and Redis": f"{cost.database_s:.3f} s",
        "CPU of a start: the task's process": f"{cost.worker_s:.3f} s",
        "rounds that a start waits for (fitted to one bay)": f"{rounds_s:.3f} s",
        "transactions of PostgreSQL": f"{cost.transactions:.0f}",
        "and in a second while nothing happens": f"{cost.idle_transactions_s:.0f}",
        "cores that an idle main server takes": f"{cost.idle_cores:.2f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _plans_table(plans: Sequence[Plan]) -> Table:
    title = f"All bays at the same moment: cameras asked within {ASKED_S:g} s, all tracked within {TRACKED_S:g} s"
    table = Table("", *(f"{one.yard.bays} bays" for one in plans), title=title, title_justify="left")
    rows = {
        "schedulers": [f"{one.yard.schedulers}" for one in plans],
        "API servers (processes)": [f"{one.yard.api_servers}" for one in plans],
        "cores of the main server": [f"{one.yard.main_cores}" for one in plans],
        "cores of all processors": [f"{one.yard.processor_cores}" for one in plans],
        "triggerers of processors' queues": [f"{one.main_triggerers}" for one in plans],
        "triggerers of observers' queues": [f"{one.yard.bays}" for one in plans],
        "last camera asked after": [f"{one.asked_s:.0f} s" for one in plans],
        "last bay tracked after": [f"{one.tracked_s:.0f} s" for one in plans],
        "main server busy": [f"{100 * one.main_busy:.0f} %" for one in plans],
        "processors busy": [f"{100 * one.processors_busy:.0f} %" for one in plans],
        "PostgreSQL: transactions a second, for batches": [f"{one.transactions_s:.0f}" for one in plans],
        "PostgreSQL: WAL a day": [f"{one.wal_gb_day:.1f} GB" for one in plans],
        "PostgreSQL: connections without a pooler, at most": [f"{one.connections}" for one in plans],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _counts(text: str) -> tuple[int, ...]:
    """For argparse.

    Raises:
        ArgumentTypeError: no whole numbers from 1 to 1000, with commas between them.
    """
    parts = text.split(",")
    if not all(part.isdecimal() and 1 <= int(part) <= 1000 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r}: write whole numbers from 1 to 1000, with commas between them")
    return tuple(map(int, parts))


if __name__ == "__main__":
    run_command(main)
