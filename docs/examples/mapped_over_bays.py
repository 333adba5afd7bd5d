"""Example: one task for each bay that runs, made when the DAG runs (dynamic task mapping).

Waits until every bay has tracked the run's slot, then adds up. A bay that is closed, or skipped the slot, is left out.
"""

from datetime import UTC, datetime

from airflow.sdk import DAG, TriggerRule, task

from operators import SlotTrackedSensor

with DAG(
    "mapped_over_bays",
    schedule="*/10 * * * *",
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=3,
    tags=["example"],
    doc_md=__doc__,
):

    @task
    def bays_that_run() -> list[str]:
        """Ids of the enabled bays, as their files are now."""
        from bays import enabled_bays

        return sorted(enabled_bays())

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def add_up(slots=None) -> dict[str, int]:
        """Tracks of the yard, and how many bays they come from."""
        tracked = [slot for slot in slots if slot]
        return {"bays": len(tracked), "tracks": sum(slot["track_count"] for slot in tracked)}

    tracked = SlotTrackedSensor.partial(task_id="wait_for_bay", soft_fail=True, timeout=1800).expand(
        bay_id=bays_that_run()
    )
    add_up(tracked.output)
