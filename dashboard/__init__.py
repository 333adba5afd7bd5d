"""The bays inside Airflow's UI: a plugin, its REST API, and one React application (`web/`, built into `static/`)."""
