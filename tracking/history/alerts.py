"""Alerts of the monitoring, from their start to their end, and what people said to them.

The monitoring repeats an alert while it lasts, and again after each of its restarts. Of one alert at most
one row is open: what is repeated finds that row, and a row that ended is never opened again. Where the monitoring
was away and missed an end, the next alert with the same labels ends the row at the time of its last repetition.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, RowMapping

from bay_observation.errors import HistoryError
from tracking.history.history import History
from tracking.history.schema import alerts, mutes

REPEATED_WITHIN = timedelta(minutes=20)
"""The monitoring repeats what lasts at least this often: every five minutes, as deploy/monitoring sets it."""


@dataclass(frozen=True)
class Alert:
    """One alert, from its start to its end.

    Attributes:
        fingerprint: of its labels, as the monitoring gives it.
        since: when it began (aware, UTC).
        name: of its rule.
        severity: `critical`, `warning` or `info`.
        bay_id: the bay; empty for what belongs to the whole yard.
        labels: further ones, as `camera` and `queue`.
        summary: one line for a person.
        runbook: a page of docs/, with its section.
        until: when it ended; None while it lasts.
        seen: when the monitoring last said that it lasts.
        acknowledged_at: when a person took it over; None before.
        acknowledged_by: who.
    """

    fingerprint: str
    since: datetime
    name: str
    severity: str
    bay_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    runbook: str = ""
    until: datetime | None = None
    seen: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None

    @property
    def item(self) -> str:
        """Its key among what messages are about."""
        return hashlib.sha256(f"{self.fingerprint} {self.since.isoformat()}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Mute:
    """What is not sent for a while: of one bay or all, of one kind or all.

    Attributes:
        made_at: from when on (aware, UTC).
        until: the end.
        author: who wants it.
        bay_id: the bay; empty for all.
        kind: of events, or the name of an alert; empty for all.
        reason: in the person's words.
        mute_id: of this row.
    """

    made_at: datetime
    until: datetime
    author: str
    bay_id: str = ""
    kind: str = ""
    reason: str = ""
    mute_id: str = field(default_factory=lambda: secrets.token_hex(16))

    def covers(self, bay_id: str, kind: str) -> bool:
        """Whether a bay's kind is muted."""
        return self.bay_id in ("", bay_id) and self.kind in ("", kind)


def begin_alert(history: History, alert: Alert, now: datetime) -> Alert | None:
    """Take an alert that the monitoring says to last.

    Returns:
        The row that is open, which may have begun earlier; None where this is a late repetition of one that ended.
    """
    with history.database.writing() as connection, connection.begin():
        standing = _open(connection, alert.fingerprint)
        if standing is not None and standing.seen is not None and alert.since > standing.seen + REPEATED_WITHIN:
            _change(connection, standing, until=standing.seen)
            standing = None
        if standing is not None:
            _change(connection, standing, seen=now)
            return standing
        ended = sa.select(sa.func.max(alerts.c.until)).where(alerts.c.fingerprint == alert.fingerprint)
        last: datetime | None = connection.execute(ended).scalar()
        if last is not None and alert.since <= last:
            return None
        insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(alerts)
        connection.execute(insert.values(_row(replace(alert, seen=now))).on_conflict_do_nothing())
        return _open(connection, alert.fingerprint)


def end_alert(history: History, fingerprint: str, until: datetime) -> Alert | None:
    """Take the end of an alert (aware). What is repeated has the same answer.

    Returns:
        The alert; None where none is open or has this end, or the open one began later.
    """
    is_alert = alerts.c.fingerprint == fingerprint
    with history.database.writing() as connection, connection.begin():
        standing = _open(connection, fingerprint)
        if standing is not None and until >= standing.since:
            _change(connection, standing, until=until)
        return _read(connection, sa.and_(is_alert, alerts.c.until == until))


def alerts_of(
    history: History, start: datetime | None = None, bay_id: str | None = None, *, lasting: bool = False
) -> list[Alert]:
    """Alerts, the newest first.

    Args:
        history: that holds them.
        start: those that last, or ended after this time (aware); all when None.
        bay_id: of this bay only.
        lasting: only those that last.
    """
    wanted: list[sa.ColumnElement[bool]] = []
    if start is not None:
        wanted.append(sa.or_(alerts.c.until.is_(None), alerts.c.until > start))
    if bay_id is not None:
        wanted.append(alerts.c.bay_id == bay_id)
    if lasting:
        wanted.append(alerts.c.until.is_(None))
    asked = sa.select(alerts).where(*wanted).order_by(alerts.c.since.desc(), alerts.c.fingerprint)
    with history.database.reading() as connection:
        return [_alert(row) for row in connection.execute(asked).mappings()]


def acknowledge(history: History, fingerprint: str, author: str, at: datetime, *, bay_id: str | None = None) -> Alert:
    """A person takes an alert over: it is not escalated any more. The first who does so counts.

    Args:
        history: that holds it.
        fingerprint: the alert's; its first characters do where they name one that lasts.
        author: who.
        at: when (aware).
        bay_id: an alert of this bay only, or with an empty one of the whole yard.

    Raises:
        HistoryError: no such alert lasts, or the characters name several.
    """
    with history.database.writing() as connection, connection.begin():
        wanted = [alerts.c.fingerprint.startswith(fingerprint, autoescape=True), alerts.c.until.is_(None)]
        if bay_id is not None:
            wanted.append(alerts.c.bay_id == bay_id)
        found = connection.execute(sa.select(alerts).where(*wanted)).mappings().all()
        if len(found) != 1 or not fingerprint:
            several = f"{len(found)} alerts that last begin so" if found else "no such alert lasts"
            raise HistoryError(f"alert {fingerprint!a}: {several}: `bay-observation alerts list` has them")
        is_it = sa.and_(alerts.c.fingerprint == found[0]["fingerprint"], alerts.c.until.is_(None))
        first = alerts.update().where(is_it, alerts.c.acknowledged_at.is_(None))
        connection.execute(first.values(acknowledged_at=at, acknowledged_by=author[:256]))
        taken = _read(connection, is_it)
        assert taken is not None  # noqa: S101 - within one transaction
        return taken


def add_mute(history: History, mute: Mute) -> None:
    """Send nothing that a mute covers until it ends."""
    with history.database.writing() as connection, connection.begin():
        connection.execute(mutes.insert().values({name: getattr(mute, name) for name in _names(mutes)}))


def end_mute(history: History, mute_id: str, at: datetime) -> None:
    """End a mute now.

    Raises:
        HistoryError: there is no such mute any more.
    """
    with history.database.writing() as connection, connection.begin():
        lasts = sa.and_(mutes.c.mute_id == mute_id, mutes.c.until > at)
        if connection.execute(mutes.update().where(lasts).values(until=at)).rowcount == 0:
            raise HistoryError(f"mute {mute_id!a}: there is none that lasts: `bay-observation alerts list` has them")


def mutes_at(history: History, at: datetime) -> list[Mute]:
    """Mutes that hold at a time (aware), the first to end first."""
    asked = sa.select(mutes).where(mutes.c.made_at <= at, mutes.c.until > at).order_by(mutes.c.until, mutes.c.mute_id)
    with history.database.reading() as connection:
        return [Mute(**row) for row in connection.execute(asked).mappings()]


def _open(connection: Connection, fingerprint: str) -> Alert | None:
    return _read(connection, sa.and_(alerts.c.fingerprint == fingerprint, alerts.c.until.is_(None)))


def _read(connection: Connection, which: sa.ColumnElement[bool]) -> Alert | None:
    row = connection.execute(sa.select(alerts).where(which)).mappings().first()
    return None if row is None else _alert(row)


def _change(connection: Connection, alert: Alert, **changes: datetime) -> None:
    is_it = sa.and_(alerts.c.fingerprint == alert.fingerprint, alerts.c.since == alert.since)
    connection.execute(alerts.update().where(is_it).values(changes))


def _row(alert: Alert) -> dict[str, Any]:
    content = {"labels": dict(alert.labels), "summary": alert.summary, "runbook": alert.runbook}
    own = {name: getattr(alert, name) for name in _names(alerts) if name != "content"}
    return own | {"content": json.dumps(content, sort_keys=True)}


def _names(table: sa.Table) -> list[str]:
    return [column.name for column in table.columns]


def _alert(row: RowMapping) -> Alert:
    values = dict(row)
    return Alert(**json.loads(values.pop("content")), **values)
