"""Who owned a bay, from when on: the changes of `owner` in its file, as they were made."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bay_observation.errors import HistoryError, HistoryUnavailableError
from tracking.history.history import History
from tracking.history.schema import listeners, owners
from tracking.history.writing import upsert

_BRIDGE = "legacy_bridge"
_LONGEST_AUTHOR = 256


@dataclass(frozen=True)
class OwnerChange:
    """A change of owner: `changed_at` (aware, UTC), by whom, and why."""

    changed_at: datetime
    owner: str
    former: str
    author: str
    reason: str


def note_owner(history: History, bay_id: str, change: OwnerChange) -> None:
    """Add a change of a bay's owner.

    Raises:
        HistoryUnavailableError: the database cannot be used.
    """
    row = {name: getattr(change, name) for name in OwnerChange.__dataclass_fields__}
    row |= {"bay_id": bay_id, "author": change.author[:_LONGEST_AUTHOR]}
    with history.database.writing() as connection, connection.begin():
        connection.execute(owners.insert().values(row))


def owner_changes(history: History, bay_id: str) -> list[OwnerChange]:
    """Every change of a bay's owner, the oldest first.

    Raises:
        HistoryError: nothing was written yet.
    """
    asked = (
        sa.select(*(owners.c[name] for name in OwnerChange.__dataclass_fields__))
        .where(owners.c.bay_id == bay_id)
        .order_by(owners.c.changed_at)
    )
    with history.database.reading() as connection:
        return [OwnerChange(*row) for row in connection.execute(asked)]


def owner_now(history: History, bay_id: str) -> str | None:
    """The owner that the latest change made; None where there was none.

    Raises:
        HistoryUnavailableError: the database cannot be used.
    """
    try:
        changes = owner_changes(history, bay_id)
    except HistoryUnavailableError:
        raise
    except HistoryError:
        return None
    return changes[-1].owner if changes else None


def note_published(history: History, bay_id: str, slot: datetime) -> None:
    """Note that a slot of a bay, and those before it, were published for the old consumers.

    Raises:
        HistoryUnavailableError: the database cannot be used.
    """
    with history.database.writing() as connection, connection.begin():
        known = connection.execute(_published(bay_id)).scalar()
        if known is None or known < slot:
            upsert(connection, listeners, [{"bay_id": bay_id, "listener": _BRIDGE, "since": slot}])


def last_published(history: History, bay_id: str) -> datetime | None:
    """The last slot that was noted (aware, UTC); None where none was.

    Raises:
        HistoryUnavailableError: the database cannot be used.
    """
    try:
        with history.database.reading() as connection:
            slot: datetime | None = connection.execute(_published(bay_id)).scalar()
    except HistoryUnavailableError:
        raise
    except HistoryError:
        return None  # nothing was written yet
    return slot


def _published(bay_id: str) -> sa.Select[Any]:
    return sa.select(listeners.c.since).where(listeners.c.bay_id == bay_id, listeners.c.listener == _BRIDGE)
