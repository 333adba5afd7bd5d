"""Services that the lab starts for itself: PostgreSQL, Redis, and an Airflow with its client."""
