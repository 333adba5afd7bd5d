"""Example: two bays in one DAG, each in its own group of tasks and on its own queues.

What fails in one bay does not stop the other; the last task runs when both are over.
"""

import os
from datetime import UTC, datetime

from airflow.sdk import DAG, TaskGroup, TriggerRule, task

from operators import FusionOperator, InferenceOperator, ObservationOperator

BAYS = os.environ.get("EXAMPLE_BAYS", "3bay_north,4bay").split(",")

with DAG(
    "two_bays",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    tags=["example", *BAYS],
    doc_md=__doc__,
):
    floors = []
    for bay in BAYS:
        with TaskGroup(f"bay_{bay}"):
            capture = ObservationOperator(task_id="capture_images", bay_id=bay, queue=f"obs_{bay}")
            seen = InferenceOperator(task_id="run_inference", bay_id=bay, reference=capture.output, queue=f"obs_{bay}")
            floors.append(
                FusionOperator(task_id="process_fusion", bay_id=bay, reference=seen.output, queue=f"proc_{bay}")
            )

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def count_blocks(fused=None) -> dict[str, int]:
        """Blocks by bay, of the bays that came through."""
        return {floor["bay_id"]: floor["block_count"] for floor in fused if floor}

    count_blocks([floor.output for floor in floors])
