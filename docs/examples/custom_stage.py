"""Example: a stage of one's own between fusion and tracking.

The fused floor is read, changed and published again in its place; tracking takes the new reference. Here
blocks that fusion is not sure of are left out.
"""

import os
from datetime import UTC, datetime

from airflow.sdk import DAG, Param, task

from operators import FusionOperator, TrackingOperator

BAY = os.environ.get("EXAMPLE_BAY", "3bay_north")

with DAG(
    "custom_stage",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    default_args={"bay_id": BAY, "queue": f"proc_{BAY}"},
    params={
        "slot": Param(None, type=["null", "string"], format="date-time", title="Slot"),
        "least_confidence": Param(0.5, type="number", minimum=0, maximum=1, title="Least confidence"),
    },
    tags=["example", BAY],
    doc_md=__doc__,
):

    @task
    def leave_out(reference: dict, params=None) -> dict:
        """Publish the floor again without the blocks below the least confidence; the new reference."""
        from dataclasses import replace

        from artifacts import ArtifactReference, ArtifactStore

        store = ArtifactStore()
        floor = store.load(ArtifactReference.from_dict(reference))
        sure = tuple(block for block in floor.blocks if block.confidence >= params["least_confidence"])
        print(f"{len(floor.blocks) - len(sure)} of {len(floor.blocks)} blocks are left out")
        return store.save("fusion", floor.bay_id, floor.batch_id, replace(floor, blocks=sure)).to_dict()

    # Without a reference of its own it takes the run's conf: the slot that was chosen in the form.
    fused = FusionOperator(task_id="process_fusion")
    TrackingOperator(task_id="process_tracking", reference=leave_out(fused.output))
