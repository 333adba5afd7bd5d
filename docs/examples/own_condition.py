"""Example: a condition of one's own between capture and inference.

The models run where certain cameras gave a frame; otherwise the rest of the run is skipped, and the log says why.
"""

import os
from datetime import UTC, datetime

from airflow.sdk import DAG, task

from operators import InferenceOperator, ObservationOperator

BAY = os.environ.get("EXAMPLE_BAY", "3bay_north")
WANTED = os.environ.get("EXAMPLE_CAMERAS", "C_2 C_4").split()

with DAG(
    "own_condition",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    default_args={"bay_id": BAY, "queue": f"obs_{BAY}"},
    tags=["example", BAY],
    doc_md=__doc__,
):

    @task.short_circuit
    def wanted_cameras_gave_a_frame(capture: dict) -> bool:
        """False skips what follows. `failures` names the cameras without a frame, each with the reason."""
        missing = {name: capture["failures"][name] for name in WANTED if name in capture["failures"]}
        print(f"without a frame: {missing}" if missing else f"frames of {capture['captured_count']} cameras")
        return not missing

    capture = ObservationOperator(task_id="capture_images")
    run_inference = InferenceOperator(task_id="run_inference", reference=capture.output)
    wanted_cameras_gave_a_frame(capture.output) >> run_inference
