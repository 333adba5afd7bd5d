"""The history of this Airflow: where its database is, and the record of how far each batch came."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts import ArtifactStore, data_path, data_root, guard_for, store_timeout
from bay_observation import settings
from bay_observation.errors import BayObservationError
from bays import slot_of
from triggers.history_address import CONNECTION_ID, url_of

if TYPE_CHECKING:
    from tracking.history import BatchOutcome, History

_log = logging.getLogger(__name__)


@contextmanager
def open_history() -> "Iterator[History]":
    """The history: of `HISTORY_DB`, else of the Connection `bay_history`, else SQLite under `DATA_PATH`.

    Raises:
        ConfigError: the address is none.
        HistoryUnavailableError: its driver is not installed.
    """
    from tracking.history import History

    with History(history_url()) as history:
        yield history


def record_outcome(
    bay_id: str,
    batch_id: str,
    outcome: "BatchOutcome",
    reason: str = "",
    *,
    cameras: Collection[str] | None = None,
    failures: Mapping[str, str] | None = None,
    lateness_s: float | None = None,
    spread_s: float | None = None,
    only_new: bool = False,
) -> None:
    """Record in the history how far a batch came; a history that cannot be written stops no batch.

    Without the record `bay-observation history gaps` says less of this slot, and nothing wrong.
    """

    def write(url: str) -> None:
        from tracking.history import History

        with History(url) as history:
            history.record(
                bay_id,
                slot_of(batch_id),
                outcome,
                reason,
                cameras=cameras,
                failures=failures,
                lateness_s=lateness_s,
                spread_s=spread_s,
                only_new=only_new,
            )

    try:
        _unless_it_hangs(history_url(), write)
    except BayObservationError as error:
        _log.warning("batch %s: %s is not in the history: %s", batch_id, outcome, error)


@contextmanager
def recording_outcome(
    bay_id: str, batch_id: str, done: "BatchOutcome | None", failed: "BatchOutcome"
) -> Iterator[None]:
    """Record how a stage ends. None for `done` where the stage itself records its success."""
    from airflow.sdk.exceptions import AirflowSkipException

    from tracking.history import BatchOutcome

    try:
        yield
    except AirflowSkipException as skipped:
        record_outcome(bay_id, batch_id, BatchOutcome.SKIPPED, str(skipped))
        raise
    except Exception as error:
        record_outcome(bay_id, batch_id, failed, str(error) or type(error).__name__)
        raise
    if done is not None:
        record_outcome(bay_id, batch_id, done)


def _unless_it_hangs(url: str, write: Callable[[str], None]) -> None:
    """Write to a history; one in the data root must not be waited for while the shared storage hangs.

    Raises:
        StoreUnavailableError: it hangs, or is absent.
    """
    root = data_root()
    if "://" in root or not url.startswith(f"sqlite:///{Path(root)}/"):
        write(url)
        return
    ArtifactStore(root).check()
    guard_for(root).call(lambda: write(url), store_timeout())


def history_url() -> str:
    """Address of the history's database, in a task."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    from tracking.history import database_url

    if url := settings.HISTORY_DB.read():
        return url
    try:
        return url_of(BaseHook.get_connection(CONNECTION_ID))
    except AirflowNotFoundException:
        _log.debug("no Connection %s: the history is SQLite under the data root", CONNECTION_ID)
    return database_url(data_path())
