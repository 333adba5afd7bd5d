"""Airflow operators: one per stage; they defer, validate events and push references."""
