"""Alerts of the monitoring, for the people of a bay: what lasts, who has taken it over, what is muted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, HTTPException, Request, Response

from bay_observation.errors import HistoryError, HistoryUnavailableError
from bays import BayConfig, bay_ids
from dashboard.api.access import Bay, Right, User, WritableBay, may
from dashboard.api.answers import answer
from dashboard.api.history import history
from dashboard.api.models import AlertRow, Alerts, EndedMute, MuteRow, NewMute, TakenAlert
from tracking.history.alerts import (
    REPEATED_WITHIN,
    Alert,
    Mute,
    acknowledge,
    add_mute,
    alerts_of,
    end_mute,
    mutes_at,
)

router = APIRouter(tags=["alerts"])

_OF_LATE = timedelta(days=1)
_WHOLE_YARD = ""


@router.get("/bays/{bay_id}/alerts", response_model=Alerts)
def list_alerts(request: Request, bay: Bay, user: User) -> Response:
    """Alerts that last or ended within a day, the newest first, and the mutes that hold.

    What belongs to the whole yard is there for who may read every bay.
    """
    now, readable = datetime.now(UTC), _bays_of(bay, user, "GET")
    writable = _bays_of(bay, user, "PUT")
    found = [one for name in readable for one in alerts_of(history(), now - _OF_LATE, name)]
    found.sort(key=lambda one: (one.since, one.fingerprint), reverse=True)
    mutes = [mute for mute in mutes_at(history(), now) if mute.bay_id in readable]
    return answer(
        request,
        Alerts(
            bay_id=bay.bay_id,
            alerts=[_alert(one, now, writable) for one in found],
            mutes=[_mute(mute, writable) for mute in mutes],
        ),
    )


@router.post("/bays/{bay_id}/alerts/acknowledged", response_model=AlertRow, status_code=201)
def acknowledge_alert(bay: WritableBay, user: User, taken: TakenAlert) -> AlertRow:
    """Take an alert over, under your name: it is not escalated any more. The first who does so counts."""
    now, writable = datetime.now(UTC), _bays_of(bay, user, "PUT")
    for name in writable:
        if any(one.fingerprint == taken.fingerprint for one in alerts_of(history(), bay_id=name, lasting=True)):
            found = acknowledge(history(), taken.fingerprint, _name_of(user), now, bay_id=name)
            return _alert(found, now, writable)
    raise HTTPException(404, f"no alert {taken.fingerprint} of bay {bay.bay_id} lasts")


@router.post("/bays/{bay_id}/mutes", response_model=MuteRow, status_code=201)
def make_mute(bay: WritableBay, user: User, wanted: NewMute) -> MuteRow:
    """Send nothing of this bay, or of one kind of it, for a while. What still lasts when it ends is sent then."""
    now = datetime.now(UTC)
    mute = Mute(
        now,
        now + timedelta(minutes=wanted.minutes),
        _name_of(user),
        bay.bay_id,
        wanted.kind,
        wanted.reason.strip(),
    )
    add_mute(history(), mute)
    return _mute(mute, [bay.bay_id])


@router.post("/bays/{bay_id}/mutes/ended", response_model=MuteRow, status_code=201)
def end_mute_now(bay: WritableBay, ended: EndedMute) -> MuteRow:
    """End a mute of this bay now."""
    now, wanted = datetime.now(UTC), (ended.mute_id, bay.bay_id)
    mute = next((one for one in mutes_at(history(), now) if (one.mute_id, one.bay_id) == wanted), None)
    if mute is None:
        raise HTTPException(404, f"bay {bay.bay_id} has no mute {ended.mute_id} that holds")
    try:
        end_mute(history(), ended.mute_id, now)
    except HistoryUnavailableError:
        raise
    except HistoryError as error:  # it ended meanwhile
        raise HTTPException(404, str(error)) from error
    return _mute(replace(mute, until=now), [bay.bay_id])


def _bays_of(bay: BayConfig, user: User, right: Right) -> list[str]:
    """Of which bays a person has the alerts on a bay's page: of this one; of the whole yard with the right to all."""
    if not may(user, right, bay.bay_id):
        return []
    everywhere = all(may(user, right, name) for name in bay_ids())
    return [bay.bay_id, _WHOLE_YARD] if everywhere else [bay.bay_id]


def _name_of(user: User) -> str:
    return str(user.get_name())[:256]


def _alert(alert: Alert, now: datetime, writable: list[str]) -> AlertRow:
    lasts = alert.until is None
    return AlertRow(
        fingerprint=alert.fingerprint,
        name=alert.name,
        severity=alert.severity,
        bay_id=alert.bay_id or None,
        summary=alert.summary,
        labels=dict(alert.labels),
        runbook=alert.runbook,
        since=alert.since,
        until=alert.until,
        seen=alert.seen,
        unsure=lasts and alert.seen is not None and now - alert.seen > REPEATED_WITHIN,
        acknowledged_at=alert.acknowledged_at,
        acknowledged_by=alert.acknowledged_by,
        may_acknowledge=lasts and alert.acknowledged_at is None and alert.bay_id in writable,
    )


def _mute(mute: Mute, writable: list[str]) -> MuteRow:
    return MuteRow(
        mute_id=mute.mute_id,
        bay_id=mute.bay_id or None,
        kind=mute.kind or None,
        made_at=mute.made_at,
        until=mute.until,
        author=mute.author,
        reason=mute.reason,
        # A mute of the whole yard is made, and ended, on the command line.
        may_end=bool(mute.bay_id) and mute.bay_id in writable,
    )
