"""`housekeeping_dag`: once a day, what is kept no longer goes. See docs/housekeeping.md.

    clean_store              on the main server (queue `default`): artifacts, the history, the forecast
    clean_airflow            the same: Airflow's own tables and logs
    clean_observer_{bay_id}  on each enabled bay's observer: its logs and its spool

The tasks do not depend on each other: one that fails leaves the others' work done. Each may run
again at any time. Started by hand with `dry_run`, they delete nothing and say what would be deleted.

`BAYS_SCHEDULE=off` leaves this DAG without its schedule too: it is for days that are not of this time.
"""

import logging
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Param, get_parsing_context

from bay_observation import settings
from bays import observer_queue, sound_bays
from operators.housekeeping import clean_airflow, clean_host, clean_store

_log = logging.getLogger(__name__)

DAG_ID = "housekeeping_dag"
# Night in the yard (18:40 UTC is 03:40 in Seoul).
SCHEDULE = "40 18 * * *"


def housekeeping_dag() -> DAG:
    """The DAG, with a task for each bay that runs."""
    with DAG(
        DAG_ID,
        description="Deletes what is kept no longer",
        schedule=SCHEDULE if settings.BAYS_SCHEDULE.read() else None,
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=6),
        default_args={
            "owner": "samho-ops",
            "retries": 2,
            "retry_delay": timedelta(minutes=5),
            "execution_timeout": timedelta(hours=1),
        },
        render_template_as_native_obj=True,
        tags=["housekeeping"],
        params={"dry_run": Param(False, type="boolean", title="Dry run", description="Delete nothing")},
        doc_md=__doc__,
    ) as dag:
        for name, function, queue in [
            ("clean_store", clean_store, "default"),
            ("clean_airflow", clean_airflow, "default"),
            *((f"clean_observer_{bay_id}", clean_host, observer_queue(bay_id)) for bay_id in _running()),
        ]:
            dry_run = {"dry_run": "{{ params.dry_run }}"}
            PythonOperator(task_id=name, python_callable=function, op_kwargs=dry_run, queue=queue)
    return dag


def _running() -> list[str]:
    """Bays that run. One whose file is wrong has no task here, and its error in `bay_config_check.py`."""

    def faulty(bay_id: str, error: Exception) -> None:
        _log.error("bay %a has no task of housekeeping: %s", bay_id, error)

    return list(sound_bays(faulty))


# A worker that asks for another DAG is not kept waiting.
if get_parsing_context().dag_id in (None, DAG_ID):
    dag = housekeeping_dag()
