"""Where the history's database is, for triggers and tasks."""

from typing import TYPE_CHECKING

from bay_observation import settings

if TYPE_CHECKING:
    from airflow.sdk import Connection

CONNECTION_ID = "bay_history"
"""Airflow Connection of the history's PostgreSQL, for set-ups that do not set `HISTORY_DB`."""


async def history_url() -> str | None:
    """Its address in a trigger: of `HISTORY_DB`, else of the Connection `bay_history`; None for SQLite in the store."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    if url := settings.HISTORY_DB.read():
        return url
    try:
        return url_of(await BaseHook.aget_connection(CONNECTION_ID))
    except AirflowNotFoundException:
        return None


def url_of(connection: "Connection") -> str:
    """The address that a Connection names, with its password."""
    from sqlalchemy.engine import URL

    url = URL.create(
        "postgresql",
        username=connection.login,
        password=connection.password,
        host=connection.host,
        port=connection.port,
        database=connection.schema,
    )
    return url.render_as_string(hide_password=False)
