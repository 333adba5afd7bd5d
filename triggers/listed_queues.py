"""A triggerer writes into its row of Airflow's table `job` which queues it lists.

Airflow 3.3.2 keeps that nowhere: a triggerer of `obs_a` that waits for work looks like one of any
other queue. The column `executor_class` is free in a triggerer's row (Airflow itself fills it in
no row), goes with the row, and is in the answer of `GET /api/v2/jobs` as well.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

_PREFIX = "queues="
_ROOM = 500  # characters that the column holds
_MORE = "..."  # a queue's name in place of those for which there was no room


@dataclass(frozen=True, slots=True)
class ListedQueues:
    """What a triggerer's row says.

    Attributes:
        queues: that it lists; empty for a triggerer without `--queues`, which runs what has no queue.
        complete: False where it lists more than the row has room for.
    """

    queues: tuple[str, ...]
    complete: bool = True


@hookimpl
def on_starting(component: Any) -> None:
    """Airflow's listener: a job is being made in this process."""
    queues = queues_of_command(sys.argv)
    if queues is not None:
        component.executor_class = written(queues)


def queues_of_command(arguments: Sequence[str]) -> tuple[str, ...] | None:
    """Queues of an `airflow triggerer` command line; None of any other command.

    Args:
        arguments: as of `sys.argv`, the program's name first.
    """
    if list(arguments[1:2]) != ["triggerer"]:
        return None
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--queues", default="")
    known, _ = parser.parse_known_args(arguments[2:])
    return tuple(sorted({queue.strip() for queue in known.queues.split(",")} - {""}))


def written(queues: Sequence[str]) -> str:
    """The column's text for these queues, cut off at a name where they are many."""
    text = _PREFIX + ",".join(queues)
    if len(text) <= _ROOM:
        return text
    whole, _, _ = text[: _ROOM - len(_MORE)].rpartition(",")
    return f"{whole},{_MORE}"


def read(column: str | None) -> ListedQueues | None:
    """What `written` wrote; None where the triggerer did not say (it ran without this project's plugin)."""
    if column is None or not column.startswith(_PREFIX):
        return None
    names = tuple(name for name in column.removeprefix(_PREFIX).split(",") if name)
    return ListedQueues(tuple(name for name in names if name != _MORE), complete=_MORE not in names)


class ListedQueuesPlugin(AirflowPlugin):
    """Makes the listener known to the triggerer."""

    name = "bay_listed_queues"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - as Airflow wants it
