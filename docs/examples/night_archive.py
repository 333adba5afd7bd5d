"""Example: a bay whose frames come from a provider of one's own, captured without a triggerer.

The provider is that of docs/write_a_provider.md; the bay's file names it: `image_provider: night_archive`.
It reads files, which needs no route to a camera, so the task does not defer.
"""

import os
from datetime import UTC, datetime

from airflow.sdk import DAG

from operators import ObservationOperator

BAY = os.environ.get("EXAMPLE_ARCHIVE_BAY", "3bay_north")

with DAG(
    "night_archive",
    schedule="0 22 * * *",
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["example", BAY],
    doc_md=__doc__,
):
    ObservationOperator(task_id="capture_images", bay_id=BAY, deferrable=False, queue=f"obs_{BAY}")
