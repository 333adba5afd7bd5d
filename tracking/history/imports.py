"""What another system knew of a bay, in the history beside what tracking writes.

Imported tracks are marked (`history_tracks.imported`), imported slots have the outcome `imported` and no
artifact. The tracker never goes on from them, and no rebuild takes them away.

An import replaces what was imported of its period before: a stay that crosses an end of the period is cut
there. So the same import twice leaves the same rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tracking.history.history import History
from tracking.history.schema import batches, events, positions, span_of, tracks
from tracking.history.types import BatchOutcome
from tracking.history.writing import upsert

Row = dict[str, Any]

_AT_ONCE = 2000


@dataclass(frozen=True)
class Imported:
    """Rows of one bay within [start, end), without their bay; see `tracking.history.schema`.

    Attributes:
        start, end: the period (aware, UTC).
        source: where they come from, for a person.
        tracks, positions, events: complete rows; every stay is over by `end`.
        slots: how many blocks stood, and how many events there were, by slot.
        cameras: JSON of the names of those that gave a frame, by slot.
    """

    start: datetime
    end: datetime
    source: str
    tracks: Sequence[Row]
    positions: Sequence[Row]
    events: Sequence[Row]
    slots: Mapping[datetime, tuple[int, int]]
    cameras: Mapping[datetime, str]


def first_own_slot(history: History, bay_id: str) -> datetime | None:
    """The first slot that the bay itself tracked; None where it has tracked none."""
    asked = sa.select(sa.func.min(batches.c.slot)).where(batches.c.bay_id == bay_id, batches.c.sha256.is_not(None))
    with history.database.writing() as connection, connection.begin():
        first: datetime | None = connection.execute(asked).scalar()
    return first


def write_imported(history: History, bay_id: str, imported: Imported) -> int:
    """Put an import in place of what was imported of its period before, in one transaction.

    Returns:
        How many of its slots keep a record that the bay itself made.

    Raises:
        HistoryError: the bay is held by another process.
        HistoryUnavailableError: the database cannot be used.
    """
    with history.database.exclusive(bay_id) as connection, connection.begin():
        _cut(connection, bay_id, imported.start, imported.end)
        kept = set(
            connection.execute(
                sa.select(batches.c.slot).where(
                    batches.c.bay_id == bay_id, batches.c.slot >= imported.start, batches.c.slot < imported.end
                )
            ).scalars()
        )
        _write_tracks(connection, bay_id, imported)
        of_bay = {"bay_id": bay_id}
        _insert(connection, positions, [row | of_bay for row in imported.positions])
        _insert(connection, events, [row | of_bay for row in imported.events])
        made = [
            _batch_row(bay_id, imported, slot, *counts) for slot, counts in imported.slots.items() if slot not in kept
        ]
        _insert(connection, batches, made)
        return len(imported.slots) - len(made)


def _cut(connection: Connection, bay_id: str, start: datetime, end: datetime) -> None:
    """Take away what was imported of [start, end); a stay that reaches beyond it keeps the rest."""
    ours = sa.select(tracks.c.track_id).where(tracks.c.bay_id == bay_id, tracks.c.imported.is_not(None))
    of = {table: sa.and_(table.c.bay_id == bay_id, table.c.track_id.in_(ours)) for table in (positions, events)}
    overlapping = sa.and_(of[positions], positions.c.since < end, positions.c.until > start)
    found = [dict(row) for row in connection.execute(sa.select(positions).where(overlapping)).mappings()]
    connection.execute(positions.delete().where(overlapping))
    before = [_cut_stay(row, row["since"], start) for row in found if row["since"] < start]
    after = [_cut_stay(row, end, row["until"]) for row in found if row["until"] > end]
    _insert(connection, positions, [*before, *after])
    connection.execute(events.delete().where(of[events], events.c.slot >= start, events.c.slot < end))
    imported = sa.and_(batches.c.bay_id == bay_id, batches.c.outcome == BatchOutcome.IMPORTED.value)
    connection.execute(batches.delete().where(imported, batches.c.slot >= start, batches.c.slot < end))
    stands = sa.exists().where(positions.c.bay_id == tracks.c.bay_id, positions.c.track_id == tracks.c.track_id)
    connection.execute(
        tracks.delete().where(tracks.c.bay_id == bay_id, tracks.c.imported.is_not(None), sa.not_(stands))
    )


def _cut_stay(row: Row, since: datetime, until: datetime) -> Row:
    within = {"since": since, "until": until, "span": span_of(until - since), "recorded": since}
    return row | within | {"last_seen": min(row["last_seen"], until), "updated": min(row["updated"], until)}


def _write_tracks(connection: Connection, bay_id: str, imported: Imported) -> None:
    """Tracks of the import; one that another import knows as well has the longer life of both."""
    names = {row["track_id"]: row for row in imported.tracks}
    asked = sa.select(tracks).where(tracks.c.bay_id == bay_id, tracks.c.imported.is_not(None))
    for known in connection.execute(asked).mappings():
        row = names.get(known["track_id"])
        if row is None:
            continue
        if known["first_seen"] < row["first_seen"]:
            row |= {"first_seen": known["first_seen"], "recorded": known["recorded"]}
        later = sa.select(sa.func.max(positions.c.until)).where(
            positions.c.bay_id == bay_id, positions.c.track_id == known["track_id"]
        )
        beyond = connection.execute(later).scalar()
        if beyond is not None and beyond > imported.end:
            row["exited_at"] = known["exited_at"]
    marked = [row | {"bay_id": bay_id, "imported": imported.source} for row in names.values()]
    for begin in range(0, len(marked), _AT_ONCE):
        upsert(connection, tracks, marked[begin : begin + _AT_ONCE])


def _batch_row(bay_id: str, imported: Imported, slot: datetime, blocks: int, happened: int) -> Row:
    return {
        "bay_id": bay_id,
        "slot": slot,
        "outcome": BatchOutcome.IMPORTED.value,
        "reason": f"imported from {imported.source}",
        "track_count": blocks,
        "event_count": happened,
        "cameras": imported.cameras.get(slot),
        "reported": False,
    }


def _insert(connection: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    for begin in range(0, len(rows), _AT_ONCE):
        connection.execute(table.insert(), list(rows[begin : begin + _AT_ONCE]))
