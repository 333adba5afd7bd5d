"""The history of this Airflow: where its database is, and notes of how far each batch came."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts import ArtifactStore, data_path, data_root, guard_for, store_timeout
from bay_observation import settings
from bay_observation.errors import BayObservationError
from bays import slot_of

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tracking.history import BatchOutcome, History

CONNECTION_ID = "bay_history"
"""Airflow Connection of the history's PostgreSQL, for set-ups that do not set `HISTORY_DB`."""

_log = logging.getLogger(__name__)


@contextmanager
def open_history() -> "Iterator[History]":
    """The history: of `HISTORY_DB`, else of the Connection `bay_history`, else SQLite under `DATA_PATH`.

    Raises:
        ConfigError: the address is none.
        HistoryUnavailableError: its driver is not installed.
    """
    from tracking.history import History

    with History(_url()) as history:
        yield history


def note(
    bay_id: str,
    batch_id: str,
    outcome: "BatchOutcome",
    reason: str = "",
    *,
    cameras: Collection[str] | None = None,
    failures: Mapping[str, str] | None = None,
) -> None:
    """Note in the history how far a batch came; a history that cannot be written stops no batch.

    Without the note `python -m tracking gaps` says less of this slot, and nothing wrong.
    """

    def record(url: str) -> None:
        from tracking.history import History

        with History(url) as history:
            history.record(bay_id, slot_of(batch_id), outcome, reason, cameras=cameras, failures=failures)

    try:
        _unless_it_hangs(_url(), record)
    except BayObservationError as error:
        _log.warning("batch %s: %s is not in the history: %s", batch_id, outcome, error)


@contextmanager
def noted(bay_id: str, batch_id: str, done: "BatchOutcome | None", failed: "BatchOutcome") -> Iterator[None]:
    """Note how a stage ends. None for `done` where the stage itself writes that it is."""
    try:
        yield
    except Exception as error:
        note(bay_id, batch_id, failed, str(error) or type(error).__name__)
        raise
    if done is not None:
        note(bay_id, batch_id, done)


def _unless_it_hangs(url: str, record: Callable[[str], None]) -> None:
    """Write to a history; one in the data root must not be waited for while the shared storage hangs.

    Raises:
        StoreUnavailableError: it hangs, or is absent.
    """
    root = data_root()
    if "://" in root or not url.startswith(f"sqlite:///{Path(root)}/"):
        record(url)
        return
    ArtifactStore(root).check()
    guard_for(root).call(lambda: record(url), store_timeout())


def _url() -> str:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    from tracking.history import database_url

    if url := settings.HISTORY_DB.read():
        return url
    try:
        return _url_of(BaseHook.get_connection(CONNECTION_ID))
    except AirflowNotFoundException:
        _log.debug("no Connection %s: the history is SQLite under the data root", CONNECTION_ID)
    return database_url(data_path())


def _url_of(connection: "Connection") -> str:
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
