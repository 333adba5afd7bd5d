"""Runs whose captures are deferred, in an Airflow without scheduler and workers; for `make bench-triggerer`.

Runs in a process of its own, since Airflow reads its configuration when it is imported. It stores the
observation DAGs of the bays and a run of each for every slot. For each line on stdin it defers the capture of
one slot in all bays, as Airflow's API server does when a task asks for it, waits until a triggerer has
resumed them all, and prints what became of them as a line of JSON.
"""

import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bay_observation.errors import SimulationError
from bays import batch_id, dag_id, load_bay, observer_queue
from lab.benchmarks.yard import FIRST_SLOT
from lab.hostile.bays_in_airflow import store_dags

# Parsed in place of the product's own file, which makes the DAGs of fusion and tracking as well.
DAG_FILE = """
from airflow.sdk import DAG
from bays import bay_ids, load_bay
from dags.bay_dag_factory import observation_dag

globals().update({f"observation_{bay_id}": observation_dag(load_bay(bay_id)) for bay_id in bay_ids()})
"""
_SLOT = timedelta(minutes=10)
_TASK = "capture_images"
_LOOK_S = 0.2


def slot(number: int) -> datetime:
    """The slot of a wave."""
    return FIRST_SLOT + number * _SLOT


def _main(dag_file: Path, bay_ids: Sequence[str], waves: int, limit_s: float) -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]
    if errors := store_dags(dag_file):
        raise SimulationError(f"{dag_file}: {errors[0]}")
    for bay_id in bay_ids:
        _make_runs(bay_id, waves)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        number = int(line)
        _defer(bay_ids, number)
        print(json.dumps({"captures": _resumed(number, len(bay_ids), limit_s)}), flush=True)


def _make_runs(bay_id: str, waves: int) -> None:
    """The runs of a bay; their tasks wait for a scheduler that never comes."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    with create_session() as session:
        stored = SerializedDagModel.get(dag_id("observation", bay_id), session=session)
        if stored is None:
            raise SimulationError(f"bay {bay_id}: its observation DAG is not stored")
        for number in range(waves):
            stored.dag.create_dagrun(
                run_id=_run_id(number),
                logical_date=slot(number),
                data_interval=(slot(number), slot(number)),
                run_after=slot(number),
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.TEST,
                state=DagRunState.RUNNING,
                session=session,
            )


def _defer(bay_ids: Sequence[str], number: int) -> None:
    """What Airflow's execution API does for a task that defers to `CaptureTrigger`."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    from triggers import CaptureTrigger

    with create_session() as session:
        rows = session.scalars(
            select(TaskInstance).where(TaskInstance.run_id == _run_id(number), TaskInstance.task_id == _TASK)
        )
        tasks = {task.dag_id: task for task in rows}
        for bay_id in bay_ids:
            deadline = load_bay(bay_id).capture_deadline
            trigger = CaptureTrigger(bay_id=bay_id, batch_id=batch_id(bay_id, slot(number)), timeout=2 * deadline)
            classpath, arguments = trigger.serialize()
            row = Trigger(classpath=classpath, kwargs=arguments, queue=observer_queue(bay_id))
            session.add(row)
            session.flush()
            task = tasks[dag_id("observation", bay_id)]
            task.state, task.trigger_id = TaskInstanceState.DEFERRED, row.id
            task.next_method, task.next_kwargs = "execute_complete", {}
            task.start_date, task.try_number = datetime.now(UTC), 1


def _resumed(number: int, count: int, limit_s: float) -> list[dict[str, Any]]:
    """Seconds from the deferral to the resumption of each capture, how it ended, and its frames.

    Raises:
        SimulationError: not all were resumed in time.
    """
    until = time.monotonic() + limit_s
    while (waiting := _deferred(number)) and time.monotonic() < until:
        time.sleep(_LOOK_S)
    if waiting:
        raise SimulationError(f"{waiting} of {count} captures were not resumed within {limit_s:g} s")
    return _ends(number)


def _deferred(number: int) -> int:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import func, select

    with create_session() as session:
        waiting = select(func.count()).where(
            TaskInstance.run_id == _run_id(number), TaskInstance.state == TaskInstanceState.DEFERRED
        )
        return int(session.scalar(waiting) or 0)


def _ends(number: int) -> list[dict[str, Any]]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk.serde import deserialize
    from airflow.utils.session import create_session
    from sqlalchemy import select

    ends = []
    with create_session() as session:
        rows = session.execute(
            select(TaskInstance.start_date, TaskInstance.scheduled_dttm, TaskInstance.next_kwargs).where(
                TaskInstance.run_id == _run_id(number), TaskInstance.task_id == _TASK
            )
        )
        for began, resumed, stored in rows:
            arguments: Any = deserialize(stored) or {}
            event = arguments.get("event") or {}
            ends.append(
                {
                    "seconds": (resumed - began).total_seconds(),
                    "status": event.get("status", "no event"),
                    "frames": event.get("counts", {}).get("images", 0),
                    "error": event.get("error", ""),
                }
            )
    return ends


def _run_id(number: int) -> str:
    return f"wave_{number}"


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2].split(","), int(sys.argv[3]), float(sys.argv[4]))
