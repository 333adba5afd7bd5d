"""The history of this API server, opened once: a reader of the bays' database."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, lru_cache

from airflow.models.connection import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from sqlalchemy.engine import URL

from artifacts import data_path
from bay_observation.errors import NotObservedError
from bay_observation.settings import HISTORY_DB
from tracking.history import History, database_url
from tracking.history.reviews import Review, ReviewsState, reviews_of, reviews_state

CONNECTION_ID = "bay_history"
"""Airflow Connection of the history's PostgreSQL, for set-ups that do not set `HISTORY_DB`."""


@cache
def history() -> History:
    """The history of `HISTORY_DB`, else of the Connection `bay_history`, else SQLite under `DATA_PATH`.

    Raises:
        ConfigError: the address is none.
        HistoryUnavailableError: its driver is not installed.
    """
    return History(_url())


@contextmanager
def one_state() -> Iterator[None]:
    """All that a route asks the history within is of one transaction; also its decorator.

    Raises:
        HistoryUnavailableError: the database cannot be used.
    """
    with ExitStack() as stack:
        with suppress(NotObservedError):  # nothing was written yet: each question says so itself
            stack.enter_context(history().together())
        yield


def said_of(bay_id: str) -> tuple[Review, ...]:
    """What people said of a bay's events and blocks, in the order in which they did; see `reviews_of`."""
    state = reviews_state(history(), bay_id)
    return _said_of(history(), bay_id, state) if state.count else ()


@lru_cache(maxsize=64)
def _said_of(known: History, bay_id: str, _state: ReviewsState) -> tuple[Review, ...]:
    return tuple(reviews_of(known, bay_id))


def _url() -> str:
    if url := HISTORY_DB.read():
        return url
    try:
        connection = Connection.get_connection_from_secrets(CONNECTION_ID)
    except AirflowNotFoundException:
        return database_url(data_path())
    return URL.create(
        "postgresql",
        username=connection.login,
        password=connection.password,
        host=connection.host,
        port=connection.port,
        database=connection.schema,
    ).render_as_string(hide_password=False)
