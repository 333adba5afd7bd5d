"""The tracker's state from the history, where the tracking artifacts that held it are gone.

What the history has of a block that stands is nearly all that the tracker knows of it:
identity, place, shape, stage, and since when. What is lost is what was in the balance:
tracks not yet confirmed, readings that spoke for another stage, blocks that had left and
might have come back. Identities go on; a change that was under way is seen some slots later.
"""

import shapely
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tracking.forms import form_of
from tracking.history.schema import batches, positions, tracks
from tracking.types import Track, TrackerState, TrackStatus


def restored_state(connection: Connection, bay_id: str) -> TrackerState:
    """The state after the newest tracked slot of a bay."""
    of_bay = sa.and_(batches.c.bay_id == bay_id, batches.c.sha256.is_not(None))
    slots = connection.execute(sa.select(batches.c.slot).where(of_bay).order_by(batches.c.slot).limit(1)).scalars()
    newest = connection.execute(sa.select(sa.func.max(batches.c.slot)).where(of_bay)).scalar()
    asked = (
        sa.select(positions, tracks.c.first_seen)
        .join(tracks, sa.and_(tracks.c.bay_id == positions.c.bay_id, tracks.c.track_id == positions.c.track_id))
        .where(positions.c.bay_id == bay_id, positions.c.until.is_(None))
        .order_by(positions.c.track_id)
    )
    standing = tuple(_track(row) for row in connection.execute(asked).mappings())
    names = connection.execute(sa.select(tracks.c.track_id).where(tracks.c.bay_id == bay_id)).scalars()
    numbers = [int(number) for name in names if (number := name.rpartition("-")[2]).isdecimal()]
    return TrackerState(
        bay_id=bay_id,
        slot=newest,
        tracks=standing,
        next_number=max(numbers, default=0) + 1,
        began=next(iter(slots), None),
        believed=newest,
    )


def _track(row: sa.RowMapping) -> Track:
    footprint = shapely.from_wkb(row["footprint"])
    return Track(
        track_id=row["track_id"],
        status=TrackStatus.PRESENT,
        class_name=row["class_name"],
        footprint=footprint,
        height_m=row["height_m"],
        area=row["area"],
        stage=row["stage"],
        confidence=row["confidence"],
        position_std_m=row["position_std_m"],
        cameras=(),
        first_seen=row["first_seen"],
        standing_since=row["standing_since"],
        last_seen=row["last_seen"],
        hits=row["hits"],
        stage_readings=row["hits"] if row["stage"] is not None else 0,
        form=form_of(footprint, row["height_m"], row["position_std_m"], row["hits"]),
    )
