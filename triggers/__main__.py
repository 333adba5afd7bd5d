"""`python -m triggers status`: which triggerers live, per queue what they hold, and what no process holds.

Asks Airflow's database, so it runs where Airflow is configured: on the main server, or on a host with a triggerer.
See docs/triggerers.md.
"""

import argparse
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.box import SIMPLE_HEAD
from rich.table import Table

from bay_observation.commands import DONE, FAILED, failed, output_console, program, run_command
from bay_observation.errors import BayObservationError
from triggers.status import QueueStatus, Triggerer, TriggererStatus, triggerer_status

# Of tables that are written where no terminal says how wide it is.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 when every queue that defers is served; 1 where one is not, or a deferred task waits too long;
        2 for wrong use; 3 where Airflow's database does not answer.
    """
    options = make_parser().parse_args(arguments)
    patience = None if options.patience is None else timedelta(seconds=options.patience)
    try:
        status = triggerer_status(patience=patience)
    except BayObservationError as error:
        return failed(error)
    if options.json:
        print(json.dumps(status.to_dict(), indent=2))
    else:
        _show(status)
    return FAILED if status.problems else DONE


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(prog=program("python -m triggers"), description="The triggerers and their queues.")
    commands = parser.add_subparsers(dest="command", required=True)
    status = commands.add_parser(
        "status",
        help="per queue which triggerers live, what they hold, what no process holds",
        description=__doc__.splitlines()[0],
    )
    status.add_argument("--json", action="store_true", help="one JSON document in place of the table")
    status.add_argument(
        "--patience",
        type=_seconds,
        metavar="SECONDS",
        help="how long a deferred task may wait for a triggerer (Airflow's triggerer_health_check_threshold)",
    )
    return parser


def _seconds(text: str) -> float:
    """For argparse.

    Raises:
        ArgumentTypeError: no number of seconds from 0 upwards.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < timedelta.max.total_seconds():
        raise argparse.ArgumentTypeError(f"{text!r}: write a number of seconds, as 30")
    return seconds


def _show(status: TriggererStatus) -> None:
    console = output_console()
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("queue", "triggerers that live"):
        table.add_column(column, overflow="fold")
    for column in ("hold", "unclaimed", "oldest"):
        table.add_column(column, justify="right")
    for queue in status.queues:
        table.add_row(*_row(queue, status.at))
    console.print(table)
    for triggerer in status.triggerers:
        if not triggerer.alive:
            console.print(f"{triggerer.host}: silent for {_age(triggerer.heartbeat, status.at)}", style="yellow")
        elif triggerer.listed is None:
            console.print(f"{triggerer.host}: does not say which queues it lists", style="yellow")
    for problem in status.problems:
        console.print(problem, style="bold red", markup=False)


def _row(queue: QueueStatus, at: datetime) -> tuple[str, ...]:
    triggerers = ", ".join(_name(triggerer, at) for triggerer in queue.triggerers)
    oldest = _age(queue.unclaimed[0].since, at) if queue.unclaimed else ""
    nobody = "[bold red]none[/]" if queue.problems and not queue.triggerers else "none"
    return (
        queue.queue or "(no queue)",
        triggerers or nobody,
        str(len(queue.held)),
        str(len(queue.unclaimed)),
        oldest,
    )


def _name(triggerer: Triggerer, at: datetime) -> str:
    return f"{triggerer.host} (heartbeat {_age(triggerer.heartbeat, at)} ago)"


def _age(moment: datetime, at: datetime) -> str:
    seconds = max(0.0, (at - moment).total_seconds())
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    run_command(main)
