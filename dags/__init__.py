"""DAG files: Airflow reads this folder."""
