"""Links on the tasks of a bay's DAGs: the floor of the slot, its frames, what happened on that day.

The API server makes them when a person looks at a task; no worker computes or stores anything for them.
"""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from airflow.sdk import BaseOperatorLink

from bays.naming import BAY_ID

_DAG = re.compile(rf"(?:observation|fusion|tracking)_({BAY_ID.pattern})_dag")
_BATCH = re.compile(r"_(\d{8}-\d{6})\b")


class BayLink(BaseOperatorLink):
    """A page of the bay at the slot of the run; none for a task of another DAG.

    Args:
        label: on the button.
        page: which page.
    """

    def __init__(self, label: str, page: str) -> None:
        self._label, self._page = label, page

    @property
    def name(self) -> str:
        """What stands on the button."""
        return self._label

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The page's address; empty for a task of another DAG."""
        dag = _DAG.fullmatch(ti_key.dag_id)
        if dag is None:
            return ""
        slot = _slot(ti_key.dag_id, ti_key.run_id)
        return _base() + page_path(dag[1], self._page, slot)


def bay_links() -> list[BayLink]:
    """The links that every task of the three DAGs has."""
    return [BayLink("Floor", "floor"), BayLink("Frames", "frames"), BayLink("Events", "events")]


def page_path(bay_id: str, page: str, slot: datetime | None = None) -> str:
    """Path of a bay's page, below the address of the UI; `slot` is aware."""
    query = {"bay": bay_id, "page": page}
    if slot is not None:
        query["at"] = f"{slot.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return f"/plugin/bays?{urlencode(query)}"


def _base() -> str:
    """Path under which the UI is served."""
    from airflow.configuration import conf

    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")


def _slot(dag_id: str, run_id: str) -> datetime | None:
    """The slot of a run: of the batch that it is named by, else its date."""
    if batch := _BATCH.search(run_id):
        try:
            return datetime.strptime(batch[1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return None
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    asked = select(DagRun.logical_date, DagRun.run_after).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    with create_session() as session:
        row = session.execute(asked).first()
    return None if row is None else (row[0] or row[1])
