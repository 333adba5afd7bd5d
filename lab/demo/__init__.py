"""The demo: an embedded Airflow, six slots of the simulated day, a table beside the truth."""
