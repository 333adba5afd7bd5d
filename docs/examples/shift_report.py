"""Example: a report at the end of a shift, from the tracking history.

What stands on the floor now, what happened in eight hours, and which slots are missing; a line each, in a CSV file.
"""

import os
from datetime import UTC, datetime

from airflow.sdk import DAG, task

BAY = os.environ.get("EXAMPLE_BAY", "3bay_north")
FOLDER = os.environ.get("EXAMPLE_REPORTS", "/opt/airflow/reports")

with DAG(
    "shift_report",
    schedule="0 14 * * *",  # 23:00 in the yard
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"queue": f"proc_{BAY}"},  # where the history is within reach
    tags=["example", BAY],
    doc_md=__doc__,
):

    @task
    def write(logical_date=None) -> dict[str, int]:
        """Write the file; how many lines of each kind."""
        import csv
        from collections import Counter
        from datetime import timedelta
        from pathlib import Path

        from bays import load_bay
        from operators.history import open_history

        start, end = logical_date - timedelta(hours=8), logical_date
        with open_history() as history:
            lines = [("stands", stay.track_id, stay.area, stay.standing_since) for stay in history.standing(BAY)]
            lines += [
                (event.kind, event.track_id, event.to_area, event.time) for event in history.events(BAY, start, end)
            ]
            lines += [("missing", "", "", gap.slot) for gap in history.gaps(load_bay(BAY), start, end)]
        path = Path(FOLDER) / f"{BAY}_{end:%Y%m%d-%H%M}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("what", "block", "area", "time"))
            writer.writerows(lines)
        return dict(Counter(str(line[0]) for line in lines))

    write()
