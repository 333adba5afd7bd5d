"""What others are told of a bay, and what they were told already.

A *notice* is one thing that happened, as it is told outside: a tracker's event, or a
camera that went down or came back. A *listener* is one recipient of a bay.

What is to be told is a difference: what the history says now, less what the listener was
told. That one rule covers a batch that is run again (no difference), a telling that failed
or died (the difference is still there when the next batch comes), and a late batch that
changed what the history says of later slots: what is new is told, and what was told and is
no longer so is told once more, as withdrawn.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bays import BayConfig
from tracking.history.history import History
from tracking.history.schema import listeners, told
from tracking.history.types import CameraChange, HistoryEvent
from tracking.history.writing import upsert

HORIZON = timedelta(days=1)
"""How far back from the newest slot a listener is told what it has not been told."""

_AN_INSTANT = timedelta(microseconds=1)
_NOT_ITS_IDENTITY = ("slot", "withdrawn", "reason")


@dataclass(frozen=True)
class Notice:
    """One thing that happened, in plain values.

    Attributes:
        kind: of `bays.NOTICE_KINDS`.
        time: first slot that showed it (aware, UTC).
        slot: the slot that made it certain.
        track_id: the block; None for a camera.
        camera: the camera; None for a block.
        from_area, to_area, from_stage, to_stage: as in `tracking.TrackEvent`.
        others: track ids of the further blocks that were merged or split.
        reason: why a camera gave no frame.
        withdrawn: it was told, and is not so: a late batch or a repeated stage changed the history.
    """

    kind: str
    time: datetime
    slot: datetime
    track_id: str | None = None
    camera: str | None = None
    from_area: str | None = None
    to_area: str | None = None
    from_stage: str | None = None
    to_stage: str | None = None
    others: tuple[str, ...] = field(default=())
    reason: str = ""
    withdrawn: bool = False

    @property
    def key(self) -> str:
        """Its identity: the same thing, told again, has the same. Which slot made it certain does not count."""
        own = {name: value for name, value in self.to_dict().items() if name not in _NOT_ITS_IDENTITY}
        return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:32]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: times as ISO 8601 in UTC; what has no value is left out."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values |= {"time": self.time.isoformat(), "slot": self.slot.isoformat(), "others": list(self.others)}
        return {name: value for name, value in values.items() if value not in (None, "", [], False)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Notice":
        """The notice that `to_dict` wrote."""
        times = {name: datetime.fromisoformat(values[name]) for name in ("time", "slot")}
        return cls(**{**values, **times, "others": tuple(values.get("others", ()))})

    def to_text(self, bay: BayConfig) -> str:
        """One line for a person, by the bay's own clock."""
        words = [f"{self.time.astimezone(bay.zone):%H:%M}", self.kind, self.track_id or self.camera or ""]
        for name, before, after in (
            ("area", self.from_area, self.to_area),
            ("stage", self.from_stage, self.to_stage),
        ):
            if before != after and (before or after):
                words.append(f"{name} {before or '–'} → {after or '–'}")
        if self.others:
            words.append(f"with {', '.join(self.others)}")
        if self.reason:
            words.append(f"({self.reason})")
        return ("withdrawn: " if self.withdrawn else "") + " ".join(words)


def notices(history: History, bay: BayConfig, start: datetime, end: datetime) -> list[Notice]:
    """All that slots of [start, end) made certain, in order of time.

    Raises:
        HistoryError: the history has nothing of the bay.
    """
    of_blocks = map(_of_block, history.events_of_slots(bay.bay_id, start, end))
    of_cameras = map(_of_camera, history.camera_changes(bay.bay_id, start, end, bay.camera_down_after))
    return sorted([*of_blocks, *of_cameras], key=_order)


def untold(
    history: History, bay: BayConfig, listener: str, kinds: Collection[str], run: str | None = None
) -> list[Notice]:
    """What a listener has to be told now, what it was told wrongly included (`withdrawn`), in order of time.

    A listener that was never heard of is told from the newest slot on, not what was before.
    Nothing is told any more that was made certain `HORIZON` before the newest slot.

    Args:
        history: of the bay, in which the batch is.
        bay: the bay.
        listener: its name.
        kinds: what it wants to be told.
        run: what was marked under this name counts for nothing (see `mark_told`).

    Raises:
        HistoryError: the history has nothing of the bay.
    """
    newest = history.newest_slot(bay.bay_id)
    start = max(_since(history, bay.bay_id, listener, newest), newest - HORIZON)
    now = {each.key: each for each in notices(history, bay, start, newest + _AN_INSTANT) if each.kind in kinds}
    known = {each.key: each for each in _told(history, bay.bay_id, listener, start, run) if each.kind in kinds}
    new = [notice for key, notice in now.items() if key not in known]
    gone = [replace(notice, withdrawn=True) for key, notice in known.items() if key not in now]
    return sorted([*gone, *new], key=_order)


def mark_told(history: History, bay_id: str, listener: str, told_now: Iterable[Notice], run: str = "") -> None:
    """Note that a listener was told.

    Args:
        history: of the bay.
        bay_id: the bay.
        listener: its name.
        told_now: what `untold` returned.
        run: who told it, where the telling is complete only once that has ended well: the
            same run, if it has to try again, tells it again. Empty where it is complete.
    """
    rows = [
        {
            "bay_id": bay_id,
            "listener": listener,
            "notice": notice.key,
            "slot": notice.slot,
            "content": json.dumps(replace(notice, withdrawn=False).to_dict(), sort_keys=True),
            "run": run,
            "withdrawn": notice.withdrawn,
        }
        for notice in told_now
    ]
    with history.database.writing() as connection, connection.begin():
        upsert(connection, told, rows)


def _since(history: History, bay_id: str, listener: str, newest: datetime) -> datetime:
    """The slot from which on a listener is told; for a new one, that is the newest."""
    own = sa.and_(listeners.c.bay_id == bay_id, listeners.c.listener == listener)
    asked = sa.select(listeners.c.since).where(own)
    with history.database.reading() as connection:
        since: datetime | None = connection.execute(asked).scalar()
    if since is None:
        since = newest
        with history.database.writing() as connection, connection.begin():
            upsert(connection, listeners, [{"bay_id": bay_id, "listener": listener, "since": since}])
    return since


def _told(history: History, bay_id: str, listener: str, start: datetime, run: str | None) -> list[Notice]:
    asked = sa.select(told).where(told.c.bay_id == bay_id, told.c.listener == listener, told.c.slot >= start)
    with history.database.reading() as connection:
        rows = connection.execute(asked).mappings().all()
    # What this very run marked in an earlier try is as it was before: told is untold, and withdrawn is told.
    return [Notice.from_dict(json.loads(row["content"])) for row in rows if row["withdrawn"] == (row["run"] == run)]


def _of_block(event: HistoryEvent) -> Notice:
    return Notice(
        kind=event.kind,
        time=event.time,
        slot=event.slot,
        track_id=event.track_id,
        from_area=event.from_area,
        to_area=event.to_area,
        from_stage=event.from_stage,
        to_stage=event.to_stage,
        others=event.others,
    )


def _of_camera(change: CameraChange) -> Notice:
    return Notice(change.kind.value, change.time, change.slot, camera=change.camera, reason=change.reason)


def _order(notice: Notice) -> tuple[datetime, bool, str, str]:
    return (notice.time, not notice.withdrawn, notice.track_id or notice.camera or "", notice.kind)
