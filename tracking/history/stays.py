"""Questions about many blocks of a bay at once: the stays of a period, and how the bays are right now."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tracking.history.history import _STAY, History, _lasting, _over, _read_stays
from tracking.history.schema import batches, camera_failures, events, positions
from tracking.history.types import Stay

_AN_INSTANT = timedelta(microseconds=1)


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
    """

    newest_slot: datetime | None
    sha256: str | None
    blocks: int
    events: int
    tracked: int
    captured_slot: datetime | None
    cameras: tuple[str, ...]
    failed_cameras: tuple[str, ...]


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
        The stays; none where the history has nothing of the bay.
    """
    of_bay = positions.c.bay_id == bay_id
    asked = sa.union_all(
        _lasting(_STAY).where(of_bay, positions.c.since < end),
        _over(_STAY, start, end - _AN_INSTANT).where(of_bay),
    )
    with history.database.reading() as connection:
        found = _read_stays(connection, asked)
    return sorted(found, key=lambda stay: (stay.track_id, stay.since))


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
    with history.database.reading() as connection:
        return {bay_id: _overview(connection, bay_id, events_since, slots_since) for bay_id in bay_ids}


def _overview(connection: Connection, bay_id: str, events_since: datetime, slots_since: datetime) -> Overview:
    newest = connection.execute(
        sa.select(batches.c.slot, batches.c.sha256)
        .where(batches.c.bay_id == bay_id, batches.c.sha256.is_not(None))
        .order_by(batches.c.slot.desc())
        .limit(1)
    ).first()
    captured = connection.execute(
        sa.select(batches.c.slot, batches.c.cameras)
        .where(batches.c.bay_id == bay_id, batches.c.cameras.is_not(None))
        .order_by(batches.c.slot.desc())
        .limit(1)
    ).first()
    failed: Sequence[str] = ()
    if captured is not None:
        failed = (
            connection.execute(
                sa.select(camera_failures.c.camera)
                .where(camera_failures.c.bay_id == bay_id, camera_failures.c.slot == captured.slot)
                .order_by(camera_failures.c.camera)
            )
            .scalars()
            .all()
        )
    return Overview(
        newest_slot=None if newest is None else newest.slot,
        sha256=None if newest is None else newest.sha256,
        blocks=_count(connection, positions.c.bay_id == bay_id, positions.c.until.is_(None)),
        events=_count(connection, events.c.bay_id == bay_id, events.c.time >= events_since),
        tracked=_count(
            connection, batches.c.bay_id == bay_id, batches.c.slot >= slots_since, batches.c.sha256.is_not(None)
        ),
        captured_slot=None if captured is None else captured.slot,
        cameras=() if captured is None else tuple(json.loads(captured.cameras)),
        failed_cameras=tuple(failed),
    )


def _count(connection: Connection, *conditions: sa.ColumnElement[bool]) -> int:
    return int(connection.execute(sa.select(sa.func.count()).where(*conditions)).scalar() or 0)
