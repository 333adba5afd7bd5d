"""Alertmanager's webhook: what it posts becomes alerts of the dispatcher. A token stands before all of it."""

import hmac
import json
import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from bay_observation.errors import HistoryUnavailableError
from bays.naming import BAY_ID
from dashboard.alerting.dispatcher import Dispatcher
from dashboard.alerting.routes import SEVERITIES
from tracking.history.alerts import Alert

MOST_BYTES = 4_000_000
_MOST_TEXT = 500
# What the alert's name, severity and bay say already, and what only the monitoring knows by.
_OWN_LABELS = ("alertname", "severity", "bay", "job", "instance")

_log = logging.getLogger(__name__)

_Text = Annotated[str, Field(max_length=2000)]


class _PostedAlert(BaseModel):
    """One alert as Alertmanager posts it (version 4); what else it says is not needed."""

    status: Literal["firing", "resolved"]
    labels: dict[_Text, _Text]
    annotations: dict[_Text, _Text] = {}
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime = Field(alias="endsAt")
    fingerprint: str = Field(pattern=r"^[0-9a-f]{8,32}$")


class _Posted(BaseModel):
    """A post of Alertmanager."""

    version: Literal["4"]
    alerts: list[_PostedAlert] = Field(max_length=5000)


def receiving_app(dispatcher: Dispatcher, token: str) -> WSGIApplication:
    """A WSGI application that takes `POST /alerts` with `Authorization: Bearer TOKEN`, and nothing else.

    It answers 503 where the history cannot be written: Alertmanager then posts again.
    """
    wanted = f"Bearer {token}".encode()

    def app(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        status, text = _answer(dispatcher, wanted, environment)
        headers = [("Content-Type", "text/plain; charset=utf-8")]
        start(status, headers + ([("WWW-Authenticate", "Bearer")] if status.startswith("401") else []))
        return [f"{text}\n".encode()]

    return app


def _answer(dispatcher: Dispatcher, wanted: bytes, environment: WSGIEnvironment) -> tuple[str, str]:
    given = environment.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")
    if not hmac.compare_digest(given, wanted):
        return "401 Unauthorized", "a token is wanted"
    if (environment.get("REQUEST_METHOD"), environment.get("PATH_INFO")) != ("POST", "/alerts"):
        return "404 Not Found", "POST /alerts"
    try:
        length = int(environment.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = -1
    if not 0 < length <= MOST_BYTES:
        return "413 Content Too Large", f"1 to {MOST_BYTES} bytes"
    try:
        posted = _Posted.model_validate(json.loads(environment["wsgi.input"].read(length)))
    except (ValidationError, ValueError, RecursionError) as error:
        _log.warning("a post that is none of Alertmanager's: %s", type(error).__name__)
        return "400 Bad Request", "no post of Alertmanager, version 4"
    try:
        for alert in posted.alerts:
            _take(dispatcher, alert)
    except HistoryUnavailableError as error:
        _log.warning("%s", error)
        return "503 Service Unavailable", "the history cannot be written"
    return "200 OK", f"{len(posted.alerts)} taken"


def _take(dispatcher: Dispatcher, posted: _PostedAlert) -> None:
    if posted.status == "resolved":
        dispatcher.end(posted.fingerprint, posted.ends_at)
    else:
        dispatcher.begin(alert_of(posted.labels, posted.annotations, posted.starts_at, posted.fingerprint))


def alert_of(labels: dict[str, str], annotations: dict[str, str], since: datetime, fingerprint: str) -> Alert:
    """An alert of its labels, which may be of any rule that a yard has."""
    bay_id, severity = labels.get("bay", ""), labels.get("severity", "")
    return Alert(
        fingerprint=fingerprint,
        since=since,
        name=_line(labels.get("alertname", ""))[:96] or "Alert",
        severity=severity if severity in SEVERITIES else "warning",
        bay_id=bay_id if BAY_ID.fullmatch(bay_id) and len(bay_id) <= 48 else "",
        labels={_line(key): _line(value) for key, value in labels.items() if key not in _OWN_LABELS},
        summary=_line(annotations.get("summary", "")),
        runbook=_line(annotations.get("runbook", "")),
    )


def _line(text: str) -> str:
    """As one line of printable characters: it stands in subjects, headers and terminals."""
    return "".join(one if one.isprintable() else " " for one in text)[:_MOST_TEXT].strip()
