"""Questions about many blocks of a bay at once: the stays of a period, and how the bays are right now."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tracking.history.history import _STAY, History, _read_stays, check_period, ended_after, overlapping
from tracking.history.schema import UtcTime, alerts, batches, camera_failures, events, positions
from tracking.history.types import Stay, TrackSummary

# In the order of the fields of `TrackSummary`; the last one is for their order.
_SUMMARY: tuple[sa.ColumnElement[Any], ...] = (
    positions.c.track_id,
    positions.c.class_name,
    positions.c.area,
    positions.c.stage,
    positions.c.status,
    positions.c.standing_since,
    positions.c.until,
    positions.c.last_seen,
    positions.c.since,
)


@dataclass(frozen=True)
class Overview:
    """How a bay is, in a few numbers.

    Attributes:
        newest_slot: the newest slot that was tracked; None before the first.
        sha256: digest of that slot's tracking artifact.
        blocks: that stand in the bay.
        events: since the time that was asked about.
        tracked: slots that were tracked since the time that was asked about.
        captured_slot: the newest slot of which the cameras are known; None before the first.
        cameras: that gave a frame in that slot.
        failed_cameras: that did not.
        first_slot: the first slot of which anything is known; None before there is one.
        alerts: of the bay, that last and that nobody has taken over.
    """

    newest_slot: datetime | None
    sha256: str | None
    blocks: int
    events: int
    tracked: int
    captured_slot: datetime | None
    cameras: tuple[str, ...]
    failed_cameras: tuple[str, ...]
    first_slot: datetime | None = None
    alerts: int = 0


def stays_between(history: History, bay_id: str, start: datetime, end: datetime) -> list[Stay]:
    """Every stay of a bay that overlaps [start, end), in order of track, then of time.

    One answer is enough to draw the floor of every slot in the period: a stay holds from
    `since` until `until`.

    Args:
        history: of the bay.
        bay_id: the bay.
        start: begin of the period (aware).
        end: its end (aware).

    Returns:
        The stays; none where nothing stood there.

    Raises:
        HistoryError: the history has nothing of the bay; a time is naive, or the end lies before the begin.
        NotObservedError: no slot of the period was tracked, so that it is not known what stood there.
    """
    check_period(start, end)
    with history.database.reading() as connection:
        history.refuse_unobserved(connection, bay_id, start, end)
    return recorded_stays(history, bay_id, start, end)


def recorded_stays(history: History, bay_id: str, start: datetime, end: datetime) -> list[Stay]:
    """As `stays_between`, for who sees to it that the period was observed: nothing is asked about that."""
    with history.database.reading() as connection:
        found = _read_stays(connection, *_recorded(_STAY, bay_id, start, end))
    return sorted(found, key=lambda stay: (stay.track_id, stay.since))


def blocks_between(
    history: History, bay_id: str, start: datetime, end: datetime, area: str | None = None
) -> list[TrackSummary]:
    """The blocks of `recorded_stays`, in order of their id, without their outlines, which take longest to read.

    Args:
        history: of the bay.
        bay_id: the bay.
        start: begin of the period (aware).
        end: its end (aware).
        area: of this area only, as their latest stay there; all when None.
    """
    with history.database.reading() as connection:
        rows = connection.execute(*_recorded(_SUMMARY, bay_id, start, end, area)).all()
    latest = {row[0]: row for row in sorted(rows, key=itemgetter(0, -1))}  # of each block the last
    return [TrackSummary(*row[:-1]) for row in latest.values()]


def overviews(
    history: History, bay_ids: Sequence[str], events_since: datetime, slots_since: datetime
) -> dict[str, Overview]:
    """How each of these bays is, in one transaction.

    Args:
        history: of the bays.
        bay_ids: the bays; one that the history does not know has an empty overview.
        events_since: events are counted from then on (aware).
        slots_since: tracked slots are counted from then on (aware).
    """
    if not bay_ids:
        return {}
    with history.database.reading() as connection:
        rows = connection.execute(_figures(bay_ids, events_since, slots_since)).all()
        slots = {row.bay_id: (row.newest_slot, row.captured_slot) for row in rows}
        digests = _of_slots(connection, batches.c.sha256, {bay_id: newest for bay_id, (newest, _) in slots.items()})
        captured = {bay_id: slot for bay_id, (_, slot) in slots.items()}
        cameras = _of_slots(connection, batches.c.cameras, captured)
        failed = _of_slots(connection, camera_failures.c.camera, captured)
    return {
        row.bay_id: Overview(
            newest_slot=row.newest_slot,
            sha256=next(iter(digests.get(row.bay_id, ())), None),
            blocks=row.blocks,
            events=row.events,
            tracked=row.tracked,
            captured_slot=row.captured_slot,
            cameras=tuple(json.loads(cameras[row.bay_id][0])) if row.bay_id in cameras else (),
            failed_cameras=tuple(sorted(failed.get(row.bay_id, ()))),
            first_slot=row.first_slot,
            alerts=row.alerts,
        )
        for row in rows
    }


def _recorded(
    columns: tuple[sa.ColumnElement[Any], ...], bay_id: str, start: datetime, end: datetime, area: str | None = None
) -> tuple[sa.CompoundSelect[Any], dict[str, Any]]:
    """Columns of every stay that overlaps [start, end), of one area or all: the statement, and its values."""
    check_period(start, end)
    values = {"bay_id": bay_id, "end": end, **({} if area is None else {"area": area}), **ended_after(start)}
    return _overlapping(columns, in_area=area is not None), values


@cache
def _overlapping(columns: tuple[sa.ColumnElement[Any], ...], *, in_area: bool) -> sa.CompoundSelect[Any]:
    """Made once: it takes as long as the answer."""
    there = [
        positions.c.bay_id == sa.bindparam("bay_id"),
        positions.c.since < sa.bindparam("end", type_=positions.c.since.type),
        *([positions.c.area == sa.bindparam("area")] if in_area else []),
    ]
    return overlapping(columns, *there)


def _figures(bay_ids: Sequence[str], events_since: datetime, slots_since: datetime) -> sa.Select[Any]:
    """A row for each bay. Each figure is a short range of an index, whatever the years before hold."""
    bay = sa.union_all(*(sa.select(sa.literal(bay_id).label("bay_id")) for bay_id in bay_ids)).subquery("bays")

    def of_bay(figure: sa.ColumnElement[Any], table: sa.Table, *conditions: sa.ColumnElement[bool]) -> Any:
        return sa.select(figure).where(table.c.bay_id == bay.c.bay_id, *conditions).correlate(bay).scalar_subquery()

    newest, count = sa.func.max(batches.c.slot), sa.func.count()
    tracked, captured = batches.c.sha256.is_not(None), batches.c.cameras.is_not(None)
    return sa.select(
        bay.c.bay_id,
        of_bay(newest, batches, tracked).label("newest_slot"),
        of_bay(newest, batches, captured).label("captured_slot"),
        of_bay(sa.func.min(batches.c.slot), batches).label("first_slot"),
        of_bay(count, positions, positions.c.until.is_(None)).label("blocks"),
        of_bay(count, events, events.c.time >= events_since).label("events"),
        of_bay(count, batches, batches.c.slot >= slots_since, tracked).label("tracked"),
        of_bay(count, alerts, alerts.c.until.is_(None), alerts.c.acknowledged_at.is_(None)).label("alerts"),
    )


def _of_slots(
    connection: Connection, column: sa.Column[Any], slots: Mapping[str, datetime | None]
) -> dict[str, list[Any]]:
    """A column's values in one slot of each bay, by bay."""
    wanted = [(bay_id, slot) for bay_id, slot in slots.items() if slot is not None]
    table = column.table
    if not wanted:
        return {}
    chosen = sa.tuple_(table.c.bay_id, table.c.slot, types=[sa.String(), UtcTime()]).in_(wanted)
    found: dict[str, list[Any]] = {}
    for bay_id, value in connection.execute(sa.select(table.c.bay_id, column).where(chosen)):
        found.setdefault(bay_id, []).append(value)
    return found
