"""Sending slots through the three DAGs of a bay, one after the other, and following each on its way."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bay_observation.errors import BayObservationError
from bays import batch_id, dag_id
from bays.naming import TaskType
from lab.services.embedded_airflow import EmbeddedAirflow

_LIMIT = 420.0  # seconds for one slot: a failed task is tried again after a minute, twice
_POLL = 0.4
_STAGES: tuple[TaskType, ...] = ("observation", "fusion", "tracking")

Say = Callable[[str], None]


class SlotFailedError(BayObservationError):
    """A batch did not reach the end of its way; the message holds the end of the task's log."""


@dataclass(frozen=True)
class Travelled:
    """A batch that was tracked: how long it took from trigger to tracking result, seconds."""

    batch_id: str
    seconds: float
    saw_deferred: bool


def send_slot(airflow: EmbeddedAirflow, bay_id: str, slot: datetime, say: Say) -> Travelled:
    """Run the observation DAG for `slot` and wait until the batch is tracked.

    Args:
        airflow: in which the bay's DAGs are.
        bay_id: the bay.
        slot: logical date (aware).
        say: called when the batch reaches another place.

    Raises:
        SlotFailedError: a task failed for good, the batch was stopped by its conditions, or time is over.
    """
    batch = batch_id(bay_id, slot)
    started = time.monotonic()
    runs = {"observation": airflow.trigger(dag_id("observation", bay_id), slot)}
    said, saw_deferred = "", False
    while time.monotonic() - started < _LIMIT:
        where = ""
        for stage in _STAGES:
            if stage not in runs:
                run = _run_of(airflow, dag_id(stage, bay_id), batch)
                if run is None:
                    break
                runs[stage] = run
            where, deferred = _look(airflow, dag_id(stage, bay_id), runs[stage], batch)
            saw_deferred |= deferred
            if where:
                break
        else:
            return Travelled(batch, time.monotonic() - started, saw_deferred)
        if where and where != said:
            say(where)
            said = where
        time.sleep(_POLL)
    raise SlotFailedError(f"batch {batch} was not tracked within {_LIMIT:g} s; logs: {airflow.home / 'logs'}")


def _run_of(airflow: EmbeddedAirflow, dag: str, batch: str) -> str | None:
    """The run that the stage before has started for this batch."""
    for run in airflow.dag_runs(dag):
        if run["dag_run_id"].startswith(batch):
            return str(run["dag_run_id"])
    return None


def _look(airflow: EmbeddedAirflow, dag: str, run: str, batch: str) -> tuple[str, bool]:
    """The task that a run is at (nothing when it has ended well), and whether it is deferred.

    Raises:
        SlotFailedError: the run has ended otherwise.
    """
    state = airflow.run_state(dag, run)
    tasks = airflow.task_instances(dag, run)
    for task_id, task in tasks.items():
        if task["state"] == "failed":
            tail = "\n".join(airflow.task_log(dag, run, task_id, task["try_number"]).splitlines()[-12:])
            raise SlotFailedError(f"batch {batch}: {task_id} of {dag} failed:\n{tail}")
        if task["state"] == "skipped" and task_id == "run_inference":
            reason = airflow.xcom(dag, run, "check_should_proceed", "reason")
            raise SlotFailedError(f"batch {batch} did not proceed: {reason}")
    if state == "success":
        return "", False
    for task_id, task in tasks.items():
        if task["state"] in ("running", "deferred", "queued", "up_for_retry", "scheduled"):
            shown = {"deferred": " (deferred to the triggerer)", "up_for_retry": " (will be tried again)"}
            return task_id + shown.get(task["state"], ""), task["state"] == "deferred"
    return f"{dag} {state}", False
