"""A triggerer with shorter rounds than Airflow's own, where `TRIGGERER_ROUND` asks for them.

Airflow 3.3.2 looks for new triggers once a second, hands them to the process that runs them at that
process's next round, once a second too, and takes events back in the same rounds: two seconds of each
capture in which nothing happens. No setting of Airflow's changes it. `triggers.quick_triggerer` does,
for the version of Airflow that it was written for; with another one Airflow's own rounds stay.
"""

import logging
import sys
from importlib.metadata import version
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

from bay_observation import settings
from triggers.listed_queues import queues_of_command

WRITTEN_FOR = "3.3.2"

_log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: Any) -> None:
    """Airflow's listener: a job is being made in this process.

    Raises:
        ConfigError: `TRIGGERER_ROUND` is wrong.
    """
    if queues_of_command(sys.argv) is None or (round_s := settings.TRIGGERER_ROUND.read()) is None:
        return
    found = version("apache-airflow")
    if found != WRITTEN_FOR:
        _log.warning(
            "TRIGGERER_ROUND is for Airflow %s, this is %s: the triggerer keeps Airflow's own rounds of a second",
            WRITTEN_FOR,
            found,
        )
        return
    from triggers.quick_triggerer import take_place

    take_place(round_s)


class ShortRoundsPlugin(AirflowPlugin):
    """Makes the listener known to the triggerer."""

    name = "bay_short_rounds"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - as Airflow wants it
