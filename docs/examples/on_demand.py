"""Example: one bay captured and tracked on demand, all four stages in one DAG.

Press *Trigger*; the slot is the run's logical date, or the moment of the press.
"""

import os
from datetime import UTC, datetime

from airflow.sdk import DAG

from operators import FusionOperator, InferenceOperator, ObservationOperator, TrackingOperator

BAY = os.environ.get("EXAMPLE_BAY", "3bay_north")

with DAG(
    "on_demand",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    default_args={"bay_id": BAY, "retries": 1},
    tags=["example", BAY],
    doc_md=__doc__,
):
    observer, processor = f"obs_{BAY}", f"proc_{BAY}"
    capture = ObservationOperator(task_id="capture_images", queue=observer)
    seen = InferenceOperator(task_id="run_inference", reference=capture.output, queue=observer)
    floor = FusionOperator(task_id="process_fusion", reference=seen.output, queue=processor)
    TrackingOperator(task_id="process_tracking", reference=floor.output, queue=processor)
