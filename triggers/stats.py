"""Airflow's stats, ready to be used inside of a triggerer."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capture_async.metrics import MetricsSink


@cache
def airflow_stats() -> "MetricsSink":
    """Airflow's stats module for code outside of its core, sending to where `[metrics]` says.

    A worker sets it up before it runs a task. A triggerer sets up the core's copy of the
    module and not this one, which would then drop what it is given: it is set up here, once
    for the process.
    """
    from airflow.sdk.configuration import conf
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics import stats_utils

    stats.initialize(
        factory=stats_utils.get_stats_factory(),
        export_legacy_names=conf.getboolean("metrics", "legacy_names_on"),
    )
    return stats
