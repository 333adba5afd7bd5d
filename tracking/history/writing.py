"""How tracking results become rows: a fold over the slots, that can be taken back to any of them.

Each slot, every confirmed track of the tracker's state either goes on with its open
position or closes it and opens another (it moved, its stage or area changed, it crept
further than `_CREEP_M`, it left). What a row holds is a function of the results up to its
slot and of nothing else, so that batches that came late, twice or out of order leave the
same rows as an ordered run.

To write slot S where later slots were written, everything from S on is undone first:
rows that a slot from S on opened are deleted, and rows that such a slot changed are given
back what they held before, which the result of the slot before S has. Undoing and
writing are one transaction, so that readers see the history before or after, never half.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import shapely
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from bay_observation.errors import HistoryError
from bays import batch_id, slot_of
from tracking.history.restoring import restored_state
from tracking.history.schema import batches, camera_failures, events, positions, retention, span_of, tracks
from tracking.history.sql import epoch
from tracking.history.types import BatchOutcome, TrackedBatch
from tracking.types import EventKind, Track, TrackerState, TrackEvent, TrackingResult, TrackStatus

Row = dict[str, Any]

# A standing block's footprint jitters by centimetres and is smoothed. One that was pushed
# further than this from where its row began has another position.
_CREEP_M = 0.5
# Of a long replay, rows are held back so long: most are brought up to date many times in between.
_SLOTS_HELD = 100
# Less than lies between two slots.
_MOMENT = timedelta(microseconds=1)
_NO_FRAME = "no frame"
_OF_FRAMES = ("lateness_s", "spread_s")
_EVENT_COLUMNS = ("kind", "track_id", "time", "from_area", "to_area", "from_stage", "to_stage")


class HistoryWriter:
    """Writes one bay, whose lock its maker holds (see `History.writer`)."""

    def __init__(self, connection: Connection, bay_id: str) -> None:
        self._connection = connection
        self._bay_id = bay_id

    def digest(self, batch_id: str) -> str | None:
        """Digest of the tracking artifact that the history holds for a batch; None when it holds none."""
        asked = sa.select(batches.c.sha256).where(self._of(batches), batches.c.slot == slot_of(batch_id))
        with self._connection.begin():
            return self._connection.execute(asked).scalar()

    def digests(self, since: datetime | None = None, until: datetime | None = None) -> dict[str, str]:
        """Digest of the tracking artifact of every tracked slot within [since, until), by batch id."""
        asked = sa.select(epoch(batches.c.slot), batches.c.sha256).where(
            self._of(batches), batches.c.sha256.is_not(None), *_within(since, until)
        )
        with self._connection.begin():
            rows = self._connection.execute(asked).all()
        # Of a whole year there are 52 560: `batch_id` of each would take half a second.
        times = np.datetime_as_string(np.array([row[0] for row in rows], dtype="datetime64[s]"))
        names = (f"{self._bay_id}_{t[:4]}{t[5:7]}{t[8:10]}-{t[11:13]}{t[14:16]}{t[17:19]}" for t in times.tolist())
        return {name: row[1] for name, row in zip(names, rows, strict=True)}

    def newest(self) -> datetime | None:
        """The newest tracked slot; None before the first."""
        with self._connection.begin():
            return self._newest()

    def newest_batch(self) -> str | None:
        """Batch id of the newest tracked slot; None before the first."""
        newest = self.newest()
        return None if newest is None else batch_id(self._bay_id, newest)

    def withdrawn(self, since: datetime | None = None, until: datetime | None = None) -> dict[str, str]:
        """Why, by batch id of every slot within [since, until) that a person withdrew."""
        asked = sa.select(batches.c.slot, batches.c.reason).where(
            self._of(batches),
            batches.c.sha256.is_(None),
            batches.c.outcome == BatchOutcome.WITHDRAWN.value,
            *_within(since, until),
        )
        with self._connection.begin():
            return {batch_id(self._bay_id, slot): why for slot, why in self._connection.execute(asked)}

    def artifacts_before(self) -> datetime | None:
        """The slot before which housekeeping deletes the bay's artifacts; None where it has deleted none."""
        asked = sa.select(retention.c.artifacts_before).where(self._of(retention))
        with self._connection.begin():
            return self._connection.execute(asked).scalar()

    def note_deletion(self, before: datetime) -> None:
        """Note, before the first one goes, that the artifacts of slots before a time are deleted."""
        asked = sa.select(retention.c.artifacts_before).where(self._of(retention))
        with self._connection.begin():
            noted = self._connection.execute(asked).scalar()
            latest = before if noted is None else max(before, noted)
            upsert(self._connection, retention, [{"bay_id": self._bay_id, "artifacts_before": latest}])

    def restored_state(self) -> TrackerState:
        """The tracker's state as far as the history knows it, after the newest slot: see `restored_state`."""
        with self._connection.begin():
            return restored_state(self._connection, self._bay_id)

    def append(self, tracked: Sequence[TrackedBatch], seam: str) -> None:
        """Write slots that are newer than all of the history and do not build on its newest.

        Args:
            tracked: in slot order.
            seam: why, for the first of them.

        Raises:
            HistoryError: the history holds a slot that is not older.
        """
        with self._connection.begin():
            newest = self._newest()
            if newest is not None and newest >= tracked[0].slot:
                raise HistoryError(
                    f"bay {self._bay_id}: slot {tracked[0].slot:%Y-%m-%d %H:%M} UTC is not newer than the history,"
                    f" which holds slots up to {newest:%Y-%m-%d %H:%M} UTC"
                )
            floor = _Floor(self._bay_id, self._open_positions())
            for batch in tracked:
                floor.follow(batch)
            self._flush(floor)
            of_first = sa.and_(self._of(batches), batches.c.slot == tracked[0].slot)
            self._connection.execute(batches.update().where(of_first).values(seam=seam))

    def mark_restored(self, name: str, sha256: str, seam: str) -> None:
        """Hold another artifact for a slot, one that was made from the history."""
        of_slot = sa.and_(self._of(batches), batches.c.slot == slot_of(name))
        with self._connection.begin():
            self._connection.execute(batches.update().where(of_slot).values(sha256=sha256, seam=seam))

    def withdraw(self, name: str, why: str, before: TrackingResult | None, again: Sequence[TrackedBatch]) -> None:
        """Take a slot back, and write the later ones in its place as they are without it.

        Args:
            name: batch id of the slot.
            why: and by whom.
            before: the result of the slot before it; None where there is none.
            again: the later slots, in order.
        """
        slot = slot_of(name)
        with self._connection.begin():
            floor = _Floor(self._bay_id, self._rewound(before, slot))
            for batch in again:
                floor.follow(batch)
            if again:
                self._flush(floor)
            row = {"bay_id": self._bay_id, "slot": slot, "outcome": BatchOutcome.WITHDRAWN.value, "reason": why}
            upsert(self._connection, batches, [row | {"reported": False}], keep=("cameras", "reported", *_OF_FRAMES))

    def replace(self, before: TrackingResult | None, tracked: Iterable[TrackedBatch]) -> None:
        """Write slots in place of everything that the history holds after `before`.

        One transaction. Written again with the same results, the rows are the same again.

        Args:
            before: the result of the slot before the first; None when there is none.
            tracked: in slot order, without leaving out a slot that was tracked.

        Raises:
            HistoryError: the history does not end where `before` stands, or a batch is not the bay's.
        """
        with self._connection.begin():
            floor: _Floor | None = None
            for batch in tracked:
                if batch.result.bay_id != self._bay_id:
                    raise HistoryError(f"batch {batch.result.batch_id} is not of bay {self._bay_id}")
                if floor is None:
                    floor = _Floor(self._bay_id, self._rewound(before, batch.slot))
                floor.follow(batch)
                if floor.slots_held >= _SLOTS_HELD:
                    self._flush(floor)
            if floor is not None:
                self._flush(floor)

    def clear(self) -> None:
        """Take back everything that tracking wrote; what is known of captures stays.

        For a history that is rebuilt from the artifacts alone.
        """
        with self._connection.begin():
            self._delete_tracked(None)
            for table in (positions, tracks):
                self._connection.execute(table.delete().where(self._own(table)))

    # -- back to the slot before ------------------------------------------------------------------

    def _rewound(self, before: TrackingResult | None, first: datetime) -> list[Row]:
        """The open positions as of `before`, with nothing left of any slot after it.

        Nothing also of slots between `before` and `first`: where the history holds one that
        is not among the results, a run died before it could publish it.
        """
        begin = first if before is None else slot_of(before.batch_id) + _MOMENT
        self._refuse_what_does_not_follow(before, begin)
        later = sa.select(batches.c.slot).where(
            self._of(batches), batches.c.slot >= begin, batches.c.sha256.is_not(None)
        )
        if self._connection.execute(later.limit(1)).first() is not None:
            self._undo(before, begin)
        return self._open_positions()

    def _open_positions(self) -> list[Row]:
        rows = self._connection.execute(sa.select(positions).where(self._of(positions), positions.c.until.is_(None)))
        return [dict(row) for row in rows.mappings()]

    def _refuse_what_does_not_follow(self, before: TrackingResult | None, begin: datetime) -> None:
        newest = sa.select(sa.func.max(batches.c.slot)).where(
            self._of(batches), batches.c.slot < begin, batches.c.sha256.is_not(None)
        )
        known = self._connection.execute(newest).scalar()
        expected = None if before is None else slot_of(before.batch_id)
        if known == expected:
            return
        held = "nothing" if known is None else f"slots up to {known:%Y-%m-%d %H:%M} UTC"
        follows = "the bay's very beginning" if expected is None else f"slot {expected:%Y-%m-%d %H:%M} UTC"
        raise HistoryError(
            f"bay {self._bay_id}: what is to be written follows {follows}, and before it the history holds {held}:"
            f" run `bay-observation history rebuild {self._bay_id}`"
        )

    def _undo(self, before: TrackingResult | None, begin: datetime) -> None:
        self._delete_tracked(begin)
        for table in (positions, tracks):
            self._connection.execute(table.delete().where(self._own(table), table.c.recorded >= begin))
        if before is None:
            return
        known = {track.track_id: track for track in before.state.tracks}
        changed = sa.select(positions).where(self._of(positions), positions.c.updated >= begin)
        rows = [dict(row) for row in self._connection.execute(changed).mappings()]
        if strange := sorted({row["track_id"] for row in rows} - known.keys()):
            raise HistoryError(
                f"bay {self._bay_id}: the history holds {', '.join(strange)}, and batch {before.batch_id} has no"
                f" such track: run `bay-observation history rebuild {self._bay_id}`"
            )
        as_of = slot_of(before.batch_id)
        self._upsert(
            positions, [row | _sighting(known[row["track_id"]], as_of) | {"until": None, "span": None} for row in rows]
        )
        confirmed = [track for track in before.state.tracks if track.status is not TrackStatus.TENTATIVE]
        self._upsert(tracks, [_track_row(self._bay_id, track, begin) for track in confirmed], keep=("recorded",))

    def _delete_tracked(self, begin: datetime | None) -> None:
        """Delete events, batches and camera failures from `begin` on that tracking wrote; all when None."""
        written = sa.and_(self._of(batches), batches.c.sha256.is_not(None))
        if begin is not None:
            written = sa.and_(written, batches.c.slot >= begin)
        ours = sa.select(batches.c.slot).where(written, batches.c.reported.is_(False))
        run = self._connection.execute
        run(camera_failures.delete().where(self._of(camera_failures), camera_failures.c.slot.in_(ours)))
        happened = self._own(events) if begin is None else sa.and_(self._own(events), events.c.slot >= begin)
        run(events.delete().where(happened))
        run(batches.delete().where(written, batches.c.reported.is_(False)))
        captured = {
            "outcome": BatchOutcome.CAPTURED.value,
            "reason": "",
            "sha256": None,
            "track_count": None,
            "event_count": None,
            "seam": None,
        }
        run(batches.update().where(written).values(captured))

    # -- rows to the database ----------------------------------------------------------------------

    def _flush(self, floor: "_Floor") -> None:
        changes = floor.take()
        self._upsert(tracks, changes.tracks, keep=("recorded",))
        self._upsert(positions, changes.positions)
        if changes.events:
            self._connection.execute(events.insert(), changes.events)
        self._write_batches(changes.batches)

    def _write_batches(self, written: list[TrackedBatch]) -> None:
        slots = [batch.slot for batch in written]
        asked = sa.select(batches.c.slot).where(
            self._of(batches), batches.c.slot.between(slots[0], slots[-1]), batches.c.reported.is_(True)
        )
        reported = set(self._connection.execute(asked).scalars())
        rows = [_batch_row(self._bay_id, batch) for batch in written]
        # A capture knows more of its cameras than fusion does.
        self._upsert(
            batches,
            [row for row in rows if row["slot"] in reported],
            keep=("cameras", "reported", "lateness_s", "spread_s"),
        )
        self._upsert(batches, [row for row in rows if row["slot"] not in reported])
        failed = [
            {"bay_id": self._bay_id, "slot": batch.slot, "camera": camera, "reason": _NO_FRAME}
            for batch in written
            if batch.slot not in reported
            for camera in batch.missing_cameras
        ]
        self._upsert(camera_failures, failed)

    def _upsert(self, table: sa.Table, rows: list[Row], keep: tuple[str, ...] = ()) -> None:
        upsert(self._connection, table, rows, keep)

    def _newest(self) -> datetime | None:
        asked = sa.select(sa.func.max(batches.c.slot)).where(self._of(batches), batches.c.sha256.is_not(None))
        newest: datetime | None = self._connection.execute(asked).scalar()
        return newest

    def _own(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """The bay's rows of tracks, positions or events, but for those that were imported."""
        imported = sa.select(tracks.c.track_id).where(self._of(tracks), tracks.c.imported.is_not(None))
        return sa.and_(self._of(table), table.c.track_id.not_in(imported))

    def _of(self, table: sa.Table) -> sa.ColumnElement[bool]:
        return table.c.bay_id == self._bay_id


def _within(since: datetime | None, until: datetime | None) -> list[sa.ColumnElement[bool]]:
    bounds = []
    if since is not None:
        bounds.append(batches.c.slot >= since)
    if until is not None:
        bounds.append(batches.c.slot < until)
    return bounds


def upsert(connection: Connection, table: sa.Table, rows: list[Row], keep: tuple[str, ...] = ()) -> None:
    """Insert rows, or bring those with the same key up to date, but for the columns to `keep`."""
    if not rows:
        return
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    key = [column.name for column in table.primary_key]
    changed = {
        column.name: insert.excluded[column.name]
        for column in table.c
        if column.name not in key and column.name not in keep
    }
    connection.execute(insert.on_conflict_do_update(index_elements=key, set_=changed), rows)


class _Changes:
    """Rows that wait to be written."""

    def __init__(self) -> None:
        self._tracks: dict[str, Row] = {}
        self._positions: dict[tuple[str, datetime], Row] = {}
        self.events: list[Row] = []
        self.batches: list[TrackedBatch] = []

    @property
    def tracks(self) -> list[Row]:
        return list(self._tracks.values())

    @property
    def positions(self) -> list[Row]:
        return list(self._positions.values())

    def add_track(self, row: Row) -> None:
        first = self._tracks.get(row["track_id"], row)
        self._tracks[row["track_id"]] = row | {"recorded": first["recorded"]}

    def add_position(self, row: Row) -> None:
        self._positions[row["track_id"], row["since"]] = row


class _Floor:
    """The open positions of a bay, slot after slot."""

    def __init__(self, bay_id: str, open_positions: list[Row]) -> None:
        self._bay_id = bay_id
        self._open = {row["track_id"]: row for row in open_positions}
        self._changes = _Changes()

    @property
    def slots_held(self) -> int:
        return len(self._changes.batches)

    def take(self) -> _Changes:
        """What changed since the last time."""
        taken, self._changes = self._changes, _Changes()
        return taken

    def follow(self, batch: TrackedBatch) -> None:
        """Take the floor one slot further."""
        result, slot = batch.result, batch.slot
        staged = {event.track_id: event.time for event in result.events if event.kind == EventKind.STAGE_CHANGED}
        known = {track.track_id: track for track in result.state.tracks}
        for track in known.values():
            if track.on_floor or track.status is TrackStatus.LEAVING:  # its stay ends once its exit is certain
                self._stands(track, slot, staged.get(track.track_id))
            elif track.status is TrackStatus.EXITED:
                self._left(track, slot)
        # A track that the tracker gave up, as one that was merged into another.
        for track_id in self._open.keys() - known.keys():
            self._close(track_id, slot, slot)
        self._changes.events += [_event_row(self._bay_id, slot, *numbered) for numbered in enumerate(result.events)]
        self._changes.batches.append(batch)

    def _stands(self, track: Track, slot: datetime, staged_at: datetime | None) -> None:
        row = self._open.get(track.track_id)
        if row is not None and _goes_on(row, track):
            self._open[track.track_id] = row | _sighting(track, slot)
            self._changes.add_position(self._open[track.track_id])
            return
        since, hits_before = track.standing_since, 0
        if row is not None:
            since = _began(row, track, slot, staged_at)
            hits_before = row["hits"] if track.hits > row["hits"] else 0
            self._close(track.track_id, since, slot)
        centre = track.footprint.centroid
        opened = {
            "bay_id": self._bay_id,
            "track_id": track.track_id,
            "since": since,
            "until": None,
            "span": None,
            "recorded": slot,
            "hits_before": hits_before,
            "anchor_x": centre.x,
            "anchor_y": centre.y,
        }
        self._open[track.track_id] = opened | _sighting(track, slot)
        self._changes.add_position(self._open[track.track_id])
        self._changes.add_track(_track_row(self._bay_id, track, slot))

    def _left(self, track: Track, slot: datetime) -> None:
        if track.track_id in self._open:
            self._close(track.track_id, track.missed_since or slot, slot)
            self._changes.add_track(_track_row(self._bay_id, track, slot))

    def _close(self, track_id: str, until: datetime, slot: datetime) -> None:
        row = self._open.pop(track_id)
        row |= {"until": until, "span": span_of(until - row["since"]), "updated": slot}
        self._changes.add_position(row)


def _goes_on(row: Mapping[str, Any], track: Track) -> bool:
    """Whether a track stands where, and as what, its open position says."""
    same = (
        row["standing_since"] == track.standing_since
        and row["area"] == track.area
        and row["stage"] == track.stage
        and row["class_name"] == track.class_name
    )
    anchor = shapely.Point(row["anchor_x"], row["anchor_y"])
    return bool(same and anchor.distance(track.footprint.centroid) <= _CREEP_M)


def _began(row: Mapping[str, Any], track: Track, slot: datetime, staged_at: datetime | None) -> datetime:
    """First slot of the position that follows `row`: that of the move, of the stage, or this one."""
    moved_at = track.standing_since if track.standing_since != row["standing_since"] else None
    for time in (moved_at, staged_at):
        if time is not None and time > row["since"]:
            return time
    return slot


def _sighting(track: Track, slot: datetime) -> Row:
    """The columns of an open position that each slot brings up to date."""
    return {
        "updated": slot,
        "standing_since": track.standing_since,
        "last_seen": track.last_seen,
        "hits": track.hits,
        "status": str(track.status),
        "class_name": track.class_name,
        "area": track.area,
        "stage": track.stage,
        "footprint": shapely.to_wkb(track.footprint),
        "height_m": track.height_m,
        "position_std_m": track.position_std_m,
        "confidence": track.confidence,
    }


def _track_row(bay_id: str, track: Track, slot: datetime) -> Row:
    return {
        "bay_id": bay_id,
        "track_id": track.track_id,
        "class_name": track.class_name,
        "first_seen": track.first_seen,
        "recorded": slot,
        "exited_at": (track.missed_since or slot) if track.status is TrackStatus.EXITED else None,
        "imported": None,
    }


def _event_row(bay_id: str, slot: datetime, number: int, event: TrackEvent) -> Row:
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    others = values.pop("others", ())
    details = {
        field.name: values[field.name]
        for field in fields(event)
        if field.name not in (*_EVENT_COLUMNS, "batch_id", "others") and values[field.name] != field.default
    }
    return {
        "bay_id": bay_id,
        "slot": slot,
        "number": number,
        **{name: values.get(name) for name in _EVENT_COLUMNS},
        "kind": str(event.kind),
        "others": json.dumps(list(others)) if others else None,
        "details": json.dumps(details, default=_plain, sort_keys=True) if details else None,
    }


def _plain(value: object) -> object:
    """A value of a later kind of event, for JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    return dict(value) if isinstance(value, Mapping) else str(value)


def _batch_row(bay_id: str, batch: TrackedBatch) -> Row:
    return {
        "bay_id": bay_id,
        "slot": batch.slot,
        "outcome": BatchOutcome.TRACKED.value,
        "reason": "",
        "sha256": batch.sha256,
        "track_count": len(batch.result.tracks),
        "event_count": len(batch.result.events),
        "cameras": json.dumps(sorted(batch.cameras)),
        "reported": False,
    }
