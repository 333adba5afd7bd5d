"""Airflow triggers: what runs in a bay's triggerer while the task holds no worker."""
