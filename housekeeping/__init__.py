"""What is kept no longer is deleted: artifacts, rows of the history, unfinished files, logs, Airflow's own rows."""

from housekeeping.airflow_database import clean_airflow_database
from housekeeping.bay import clean_bay
from housekeeping.celery_results import clean_celery_results
from housekeeping.cleaning import clean_host, clean_store, known_bays
from housekeeping.forecast import Forecast
from housekeeping.report import Report

__all__ = [
    "Forecast",
    "Report",
    "clean_airflow_database",
    "clean_bay",
    "clean_celery_results",
    "clean_host",
    "clean_store",
    "known_bays",
]
