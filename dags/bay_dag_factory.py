"""Three Airflow DAGs for every enabled bay: observation, fusion, tracking.

    observation_{bay_id}_dag   on the bay's observer (queue obs_{bay_id})
        capture_images >> check_should_proceed >> run_inference >> trigger_fusion
    fusion_{bay_id}_dag        on the bay's processor (queue proc_{bay_id})
        process_fusion >> trigger_tracking
    tracking_{bay_id}_dag      on the bay's processor
        process_tracking

A bay whose YAML file is wrong has no DAGs here and harms no other bay; Airflow shows
its error as the import error of `bay_config_check.py`, the file beside this one. (Airflow
takes every DAG of a file that raises out of service, so this file must not.)

A worker parses this file for every task and asks for one DAG; then only that DAG's bay
is read, and an error in its YAML fails the task with its message.

Environment: `BAYS_PATH` and `BAYS_ENABLED` as in `bays`; `BAYS_SCHEDULE=off` leaves the
observation DAGs without their cron, for set-ups in which every run is started by hand (the
demo, tests); `BAYS_SCHEDULE="until 2025-07-02T14:50:00+00:00"` keeps the cron and starts no run
after that time, for a backtest: Airflow makes backfills only of DAGs that have a schedule.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.python import ShortCircuitOperator
from airflow.sdk import DAG, Param, get_parsing_context

from bay_observation import settings
from bays import BayConfig, TaskType, bay_ids, dag_id, load_bay, observer_queue, processor_queue
from operators import FusionOperator, InferenceOperator, ObservationOperator, TrackingOperator, TriggerStageOperator
from operators.conditions import check_execution_conditions
from operators.retrying import StorePatience
from operators.slot_schedule import SlotSchedule

_log = logging.getLogger(__name__)

# No run that is well takes so long (a task that no worker takes fails after an hour), and it holds up its bay.
_LONGEST_RUN = timedelta(hours=2)
START_DATE = datetime(2025, 1, 1, tzinfo=UTC)
DEFAULT_ARGS: dict[str, Any] = {
    "owner": "samho-ops",
    "depends_on_past": False,
    "retries": 2,
    # A task that hangs must not hold its bay's DAG for ever.
    "execution_timeout": timedelta(minutes=30),
}


def observation_dag(bay: BayConfig) -> DAG:
    """Cameras and models; everything runs on the bay's observer."""
    queue = observer_queue(bay.bay_id)
    with DAG(
        dag_id("observation", bay.bay_id),
        description=f"{bay.description} - CCTV Observation",
        **_observation_schedule(bay),
        tags=["observation", bay.bay_id, "cctv", "observer"],
        doc_md=f"Every slot: all cameras of **{bay.description}** are captured, the models look at the frames.",
        dagrun_timeout=_LONGEST_RUN,
        **_common(bay),
    ) as dag:
        capture_images = ObservationOperator(task_id="capture_images", bay_id=bay.bay_id, queue=queue)
        check_should_proceed = ShortCircuitOperator(
            task_id="check_should_proceed",
            python_callable=check_execution_conditions,
            op_kwargs={"bay_id": bay.bay_id, "reference": capture_images.output},
            queue=queue,
        )
        run_inference = InferenceOperator(
            task_id="run_inference",
            bay_id=bay.bay_id,
            reference=capture_images.output,
            queue=queue,
            execution_timeout=_waiting_and_working(bay),
        )
        trigger_fusion = TriggerStageOperator(
            task_id="trigger_fusion",
            trigger_dag_id=dag_id("fusion", bay.bay_id),
            reference=run_inference.output,
            queue=queue,
        )
        capture_images >> check_should_proceed >> run_inference >> trigger_fusion
    return dag


def fusion_dag(bay: BayConfig) -> DAG:
    """What all cameras saw becomes one floor plan, on the bay's processor."""
    queue = processor_queue(bay.bay_id)
    with DAG(
        dag_id("fusion", bay.bay_id),
        description=f"{bay.description} - Multi-Camera Fusion",
        schedule=bay.schedule.fusion,
        tags=["fusion", bay.bay_id, "processor"],
        doc_md=f"One run per Observation of **{bay.description}**, by `observation`, `batch_id` or `slot` in `conf`.",
        params=_batch_param(bay),
        dagrun_timeout=timedelta(seconds=bay.storage.wait) + _LONGEST_RUN,
        **_common(bay),
    ) as dag:
        process_fusion = FusionOperator(
            task_id="process_fusion",
            bay_id=bay.bay_id,
            queue=queue,
            execution_timeout=_waiting_and_working(bay),
            **_patience(bay).task_arguments(),
        )
        trigger_tracking = TriggerStageOperator(
            task_id="trigger_tracking",
            trigger_dag_id=dag_id("tracking", bay.bay_id),
            reference=process_fusion.output,
            queue=queue,
        )
        process_fusion >> trigger_tracking
    return dag


def tracking_dag(bay: BayConfig) -> DAG:
    """The floor plans of the slots become tracks and events, on the bay's processor."""
    with DAG(
        dag_id("tracking", bay.bay_id),
        description=f"{bay.description} - Tracking",
        schedule=bay.schedule.tracking,
        tags=["tracking", bay.bay_id, "processor"],
        doc_md=f"One run per floor plan of **{bay.description}**, by `fusion`, `batch_id` or `slot` in `conf`.",
        params=_batch_param(bay),
        dagrun_timeout=timedelta(seconds=bay.storage.wait) + _LONGEST_RUN,
        **_common(bay),
    ) as dag:
        TrackingOperator(
            task_id="process_tracking",
            bay_id=bay.bay_id,
            queue=processor_queue(bay.bay_id),
            execution_timeout=_waiting_and_working(bay),
            **_patience(bay).task_arguments(),
        )
    return dag


FACTORIES: dict[TaskType, Callable[[BayConfig], DAG]] = {
    "observation": observation_dag,
    "fusion": fusion_dag,
    "tracking": tracking_dag,
}


def build_dags() -> dict[str, DAG]:
    """The DAGs to register, by id: all of the enabled bays, or the one that a worker asks for.

    Raises:
        ConfigError: a DAG is asked for by id and its bay's file is wrong; `BAYS_SCHEDULE` is.
    """
    settings.BAYS_SCHEDULE.read()  # a wrong value is not one bay's fault
    asked = get_parsing_context().dag_id
    dags: dict[str, DAG] = {}
    for bay_id in bay_ids():
        wanted = [task_type for task_type in FACTORIES if asked in (None, dag_id(task_type, bay_id))]
        if not wanted:
            continue
        try:
            bay = load_bay(bay_id)
            # A task that was sent out runs, even if its bay was disabled meanwhile.
            if bay.enabled or asked is not None:
                dags |= {dag_id(task_type, bay_id): FACTORIES[task_type](bay) for task_type in wanted}
        except Exception as error:
            if asked is not None:
                raise
            _log.error("bay %a has no DAGs: %s", bay_id, error)  # a file's name may hold anything
    return dags


def _common(bay: BayConfig) -> dict[str, Any]:
    return {
        "default_args": DEFAULT_ARGS | {"retry_delay": timedelta(seconds=bay.retry_delay)},
        "start_date": START_DATE,
        "catchup": False,
        "max_active_runs": 1,
    }


def _batch_param(bay: BayConfig) -> dict[str, Param]:
    """The fields of the trigger form in which a person names the batch to run again, by its time or by its id."""
    example = f"{bay.bay_id}_20250702-161000"
    return {
        "slot": Param(
            None,
            type=["null", "string"],
            format="date-time",
            title="Slot",
            description="The slot whose published artifact is processed again",
        ),
        "batch_id": Param(
            None,
            type=["null", "string"],
            title="Batch",
            description=f"In place of the slot: the batch's id, as {example} (slot in UTC)",
        ),
    }


def _waiting_and_working(bay: BayConfig) -> timedelta:
    """How long a try of a stage may take: it waits for its input first, for as long as the bay allows."""
    working: timedelta = DEFAULT_ARGS["execution_timeout"]
    return timedelta(seconds=bay.storage.wait) + working


def _patience(bay: BayConfig) -> StorePatience:
    return StorePatience(timedelta(seconds=bay.storage.wait), other_retries=DEFAULT_ARGS["retries"])


def _observation_schedule(bay: BayConfig) -> dict[str, Any]:
    switch = settings.BAYS_SCHEDULE.read()
    if switch is False:
        return {"schedule": None}
    end = {} if switch is True else {"end_date": switch}
    cron = bay.schedule.observation
    return {"schedule": None if cron is None else SlotSchedule(cron, timezone="UTC"), **end}


globals().update(build_dags())
