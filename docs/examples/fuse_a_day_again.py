"""Example: the floor plans of a day made again from what the models saw, one mapped task for each slot.

For after a calibration: poses changed, frames did not. The new floor plans take the place of the old ones; to track
them, clear `process_tracking` of the first slot's run, which tracks the later ones again as well.
"""

import os
from datetime import UTC, datetime

from airflow.sdk import DAG, Param, task

from operators import FusionOperator

BAY = os.environ.get("EXAMPLE_BAY", "3bay_north")

with DAG(
    "fuse_a_day_again",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    default_args={"queue": f"proc_{BAY}"},
    params={"day": Param(None, type=["null", "string"], format="date", title="Day (UTC), today by default")},
    tags=["example", BAY],
    doc_md=__doc__,
):

    @task
    def observations_of_the_day(params=None) -> list[dict]:
        """References to what is published of the day."""
        from datetime import timedelta

        from artifacts import ArtifactStore
        from bays import batch_id

        day = datetime.fromisoformat(params["day"]) if params["day"] else datetime.now(UTC)
        midnight = day.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
        store = ArtifactStore()
        batches = store.batch_ids(
            "observation", BAY, batch_id(BAY, midnight), batch_id(BAY, midnight + timedelta(days=1))
        )
        return [store.find("observation", BAY, batch).to_dict() for batch in batches]

    @task
    def count(floors=None) -> dict[str, int]:
        """Floor plans, and blocks on all of them."""
        return {"slots": len(floors), "blocks": sum(floor["block_count"] for floor in floors)}

    # Four slots at a time: the bay's own batch must not wait behind a whole day.
    floors = FusionOperator.partial(task_id="process_fusion", bay_id=BAY, max_active_tis_per_dagrun=4).expand(
        reference=observations_of_the_day()
    )
    count(floors.output)
