"""Example of another team's DAG: runs when something happened in a bay, and prints what moved and what left.

Copy it into your DAG folder. `docs/events.md` says what an event carries. Of this project it needs
only the asset's URI, `tracking://{bay_id}`.
"""

import os
from datetime import UTC, datetime

from airflow.sdk import DAG, Asset, task

BAY_ID = os.environ.get("REPORT_BAY", "3bay_north")
EVENTS = Asset(f"tracking://{BAY_ID}")

with DAG(
    "report_moves",
    description=f"Prints what moved in {BAY_ID}",
    schedule=EVENTS,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["example", BAY_ID],
):

    @task
    def report(triggering_asset_events=None) -> list[str]:
        """Print a line for each block that was there, appeared, moved or left; the lines are the XCom too."""
        lines = []
        # Airflow may start one run for several events that came at the same time.
        for event in triggering_asset_events[EVENTS]:
            for happened in event.extra["events"]:
                if happened["kind"] in ("initial", "appeared", "moved", "exited"):
                    places = f"{happened.get('from_area', '-')} -> {happened.get('to_area', '-')}"
                    lines.append(f"{happened['time']} {happened['track_id']} {happened['kind']}: {places}")
            lines += [
                f"withdrawn: {wrong['time']} {wrong.get('track_id')} {wrong['kind']}"
                for wrong in event.extra["withdrawn"]
            ]
        print("\n".join(lines) or "nothing moved")
        return lines

    report()
