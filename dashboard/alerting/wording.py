"""What a message says: what, where, since when, the link to the slot, and the page that goes through it."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bays import BayConfig
from dashboard.alerting.routes import SEVERITIES, Routes
from dashboard.links import page_path
from tracking.history import Notice
from tracking.history.alerts import Alert
from tracking.history.messages import BEGAN, ENDED, Outgoing

_SLOT = timedelta(minutes=10)
_LONGEST_SUBJECT = 150
_EVENT_SEVERITY = {"camera_down": "warning", "floor_doubted": "warning", "pose_drift": "warning"}


@dataclass(frozen=True)
class Message:
    """One message as channels send it.

    Attributes:
        identity: the same at every attempt; a receiver knows by it what it has.
        subject: one line.
        text: the whole.
        severity: of its most severe item.
        items: its items in plain values, for programs.
    """

    identity: str
    subject: str
    text: str
    severity: str
    items: tuple[dict[str, Any], ...]


def event_severity(kind: str) -> str:
    """Of a kind of event."""
    return _EVENT_SEVERITY.get(kind, "info")


def of_alert(alert: Alert, bay: BayConfig | None, step: str) -> dict[str, Any]:
    """What a message of an alert holds, in plain values.

    Args:
        alert: the alert.
        bay: its bay, where it has one that is known.
        step: which of its messages: `began`, `escalated-1`, ..., `ended`.
    """
    further = ", ".join(f"{key} {value}" for key, value in sorted(alert.labels.items()))
    place = _name(bay) if bay else alert.bay_id or "the whole yard"
    content = {
        "step": step,
        "kind": alert.name,
        "severity": alert.severity,
        "bay_id": alert.bay_id,
        "where": f"{place}, {further}" if further else place,
        "what": alert.summary or alert.name,
        "since": alert.since.isoformat(),
        "until": alert.until.isoformat() if alert.until else None,
        "slot": _slot(alert.since).isoformat() if alert.bay_id else None,
        "page": "frames" if "camera" in alert.labels else "floor",
        "runbook": alert.runbook,
        "fingerprint": alert.fingerprint,
        "zone": bay.zone.key if bay else None,
    }
    return {key: value for key, value in content.items() if value}


def of_notice(notice: Notice, bay: BayConfig) -> dict[str, Any]:
    """What a message of an event holds, in plain values."""
    what = notice.to_text(bay)
    return {
        "step": "withdrawn" if notice.withdrawn else "happened",
        "kind": notice.kind,
        "severity": event_severity(notice.kind),
        "bay_id": bay.bay_id,
        "where": _name(bay) + (f", camera {notice.camera}" if notice.camera else ""),
        "what": what,
        "since": notice.time.isoformat(),
        "slot": notice.slot.isoformat(),
        "page": "frames" if notice.camera else "floor",
        "runbook": "events.md",
        "zone": bay.zone.key,
        "event": notice.to_dict(),
    }


def history_away(since: datetime, routes: Routes) -> Message:
    """The one message that is sent without a record.

    Args:
        since: when it was first found away (aware).
        routes: that give the links and the zone.
    """
    content = {
        "step": "began",
        "kind": "HistoryAway",
        "severity": "critical",
        "where": "the whole yard",
        "what": "the history's database does not answer: nothing else is sent until it does",
        "since": since.isoformat(),
        "runbook": "alerts.md#historyaway",
    }
    identity = hashlib.sha256(f"HistoryAway {since.isoformat()}".encode()).hexdigest()[:32]
    return Message(identity, _subject(content), _paragraph(content, routes) + "\n", "critical", (content,))


def compose(outgoing: Outgoing, routes: Routes) -> Message:
    """The message of all that goes out together."""
    contents = sorted(outgoing.contents, key=lambda one: SEVERITIES.index(one["severity"]))
    subject = _subject(contents[0])
    if len(contents) > 1:
        counts = Counter(content["severity"] for content in contents)
        counted = ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES if counts[severity])
        subject = f"{len(contents)} messages ({counted}): {subject}"
    items = tuple(_for_programs(content, routes) for content in contents)
    text = "\n\n".join(_paragraph(content, routes) for content in contents)
    return Message(outgoing.message, _shortened(subject), text + "\n", contents[0]["severity"], items)


def _subject(content: Mapping[str, Any]) -> str:
    mark = content["severity"]
    if content["step"] == ENDED or "until" in content:
        mark = "over"
    elif content["step"].startswith("escalated"):
        mark += ", not acknowledged"
    return f"[{mark}] {content['where']}: {content['what']}"


def _paragraph(content: Mapping[str, Any], routes: Routes) -> str:
    zone = ZoneInfo(content["zone"]) if "zone" in content else routes.clock
    since = _local(content["since"], zone)
    lines = [
        f"{_subject(content)}",
        f"  what: {content['kind']}, {content['severity']}",
        f"  where: {content['where']}",
        f"  since: {since}" + (f", over at {_local(content['until'], zone)}" if "until" in content else ""),
    ]
    if link := _slot_link(content, routes):
        lines.append(f"  slot: {link}")
    if content.get("runbook"):
        lines.append(f"  what to do: {_page_link(content['runbook'], routes)}")
    if "fingerprint" in content and (content["step"] == BEGAN or content["step"].startswith("escalated")):
        page = _health_link(content, routes)
        lines.append(
            f"  acknowledge: bay-observation alerts acknowledge {content['fingerprint']}" + (page and f", or at {page}")
        )
    return "\n".join(lines)


def _for_programs(content: Mapping[str, Any], routes: Routes) -> dict[str, Any]:
    own = {key: value for key, value in content.items() if key not in ("zone", "page")}
    link = _slot_link(content, routes)
    return own | ({"link": link} if link else {})


def _slot_link(content: Mapping[str, Any], routes: Routes) -> str:
    if "slot" not in content or routes.dashboard is None:
        return ""
    path = page_path(content["bay_id"], content["page"], datetime.fromisoformat(content["slot"]))
    return str(routes.dashboard).rstrip("/") + path


def _health_link(content: Mapping[str, Any], routes: Routes) -> str:
    """Where a person takes an alert of a bay over; nowhere for one of the whole yard, which no page is about."""
    if "bay_id" not in content or routes.dashboard is None:
        return ""
    return str(routes.dashboard).rstrip("/") + page_path(content["bay_id"], "health")


def _page_link(page: str, routes: Routes) -> str:
    if routes.docs is None:
        return f"docs/{page}"
    name, _, section = page.partition("#")
    # As `make docs` names its pages.
    return f"{str(routes.docs).rstrip('/')}/{name.removesuffix('.md')}.html" + (f"#{section}" if section else "")


def _local(moment: str, zone: ZoneInfo) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(zone):%Y-%m-%d %H:%M} {zone.key}"


def _slot(moment: datetime) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() // _SLOT.total_seconds() * _SLOT.total_seconds(), moment.tzinfo)


def _name(bay: BayConfig) -> str:
    return f"{bay.description} ({bay.bay_id})" if bay.description else bay.bay_id


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST_SUBJECT else words[: _LONGEST_SUBJECT - 1] + "…"
