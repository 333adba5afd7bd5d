"""The schedule of an observation DAG: a run whose slot lies in the future is refused when it is asked for.

Airflow itself takes such a run, starts no task of it before that date, and counts it as running: it would
hold up its bay, whose runs go one after the other.
"""

from datetime import UTC, datetime, timedelta

from airflow.plugins_manager import AirflowPlugin
from airflow.timetables.base import DataInterval
from airflow.timetables.trigger import CronTriggerTimetable
from pendulum import DateTime

from bay_observation.clock import every_slot_is_now

# Clocks of a person and of the main server differ; a mistyped date differs by more.
_CLOCKS_DIFFER = timedelta(minutes=15)


class SlotSchedule(CronTriggerTimetable):
    """A cron expression; runs by hand are for slots up to now. With `CLOCK=slot` for any slot."""

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """The slot of a run that a person or another program asks for.

        Raises:
            ValueError: it lies in the future. Airflow's API answers 400 with this message.
        """
        if run_after > datetime.now(UTC) + _CLOCKS_DIFFER and not every_slot_is_now():
            raise ValueError(
                f"the slot {run_after:%Y-%m-%d %H:%M} UTC lies in the future: cameras show what is there now;"
                " leave the logical date empty, or give the time of a slot up to now"
            )
        return super().infer_manual_data_interval(run_after=run_after)


class SlotSchedulePlugin(AirflowPlugin):
    """Makes the schedule known to every process of Airflow."""

    name = "bay_slot_schedule"
    timetables = [SlotSchedule]  # noqa: RUF012 - as Airflow wants it
