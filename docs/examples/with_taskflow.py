"""Example: the stages' operators beside tasks of one's own (TaskFlow).

`ArtifactSensor` waits for the floor plan that the bay's own DAGs publish, and hands its reference to
a Python function, which reads it.
"""

import os
from datetime import UTC, datetime

from airflow.sdk import DAG, task

from operators import ArtifactSensor

BAY = os.environ.get("EXAMPLE_BAY", "3bay_north")

with DAG(
    "with_taskflow",
    schedule="5 7 * * *",
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"queue": f"proc_{BAY}"},  # where the shared storage is mounted
    tags=["example", BAY],
    doc_md=__doc__,
):

    @task
    def slot_of_the_shift(logical_date=None) -> str:
        """The full hour before this run: the slot at which the shift began."""
        return logical_date.replace(minute=0, second=0, microsecond=0).isoformat()

    @task
    def report(reference: dict) -> list[str]:
        """A line for each block on the floor."""
        from artifacts import ArtifactReference, ArtifactStore

        floor = ArtifactStore().load(ArtifactReference.from_dict(reference))
        lines = [f"{block.class_name} in {block.area}: {block.stage}" for block in floor.blocks]
        print("\n".join(lines) or "an empty floor")
        return lines

    floor = ArtifactSensor(task_id="wait_for_floor", bay_id=BAY, stage="fusion", slot=slot_of_the_shift())
    report(floor.output)
