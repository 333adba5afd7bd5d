"""A notifier of Airflow that sends through a channel: for a task or a DAG of one's own, or in a bay's file."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseNotifier
from airflow.sdk.definitions.context import Context
from pydantic import TypeAdapter, ValidationError

from bay_observation.errors import ConfigError
from dashboard.alerting.routes import SEVERITIES, Channel, Severity

_CHANNEL: TypeAdapter[Channel] = TypeAdapter(Channel)


class ChannelNotifier(BaseNotifier):
    """Sends one message by mail, chat, SMS, webhook or MQTT.

    As `on_failure_callback` of a task or a DAG it says which task of which run failed, and why; among the
    `notifications` of a bay it says what happened there. Runs where the callback runs: there the channel's
    Connection must be known.

    Args:
        channel: as one stands in the routes (docs/alerting.md), with its `kind` and the id of its `connection`.
        subject: one line; a template. By default what happened.
        text: the whole; a template. By default what, where, and the link to the task's log.
        severity: `critical`, `warning` or `info`.
        context: of the task, for Airflow.

    Raises:
        ConfigError: there is no such kind of channel, a key of it is missing or unknown, or there is no such severity.
    """

    template_fields: Sequence[str] = ("subject", "text")

    def __init__(
        self,
        *,
        channel: Mapping[str, Any],
        subject: str | None = None,
        text: str | None = None,
        severity: Severity = "warning",
        context: Context | None = None,
    ) -> None:
        super().__init__(context)
        self.channel = _channel(channel)
        if severity not in SEVERITIES:
            raise ConfigError(f"ChannelNotifier: severity {severity!r} is none of {', '.join(SEVERITIES)}")
        self.subject, self.text, self.severity = subject, text, severity

    def notify(self, context: Mapping[str, Any]) -> None:
        """Send the message.

        Raises:
            DeliveryError: it was not taken.
        """
        # The history and its database library: not while Airflow parses a DAG that has this notifier.
        from dashboard.alerting.channels import send
        from dashboard.alerting.wording import Message

        subject, text, items = _of_events(context["news"]) if "news" in context else _of_run(context)
        subject, text = self.subject or f"[{self.severity}] {subject}", self.text or text
        # The same at every attempt to send the same, so that a receiver knows what it has.
        identity = hashlib.sha256(f"{subject}\n{text}\n{_run_of(context)}".encode()).hexdigest()[:32]
        send(self.channel, Message(identity, " ".join(subject.split()), text, self.severity, items))


def _channel(given: object) -> Channel:
    try:
        return _CHANNEL.validate_python(given)
    except ValidationError as error:
        # A kind of channel stands in the place of each of its keys.
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'][1:]))} {fault['msg']}".strip() for fault in error.errors())
        raise ConfigError(f"ChannelNotifier: channel: {faults}: docs/alerting.md has the keys of each kind") from None


def _of_events(news: Mapping[str, Any]) -> tuple[str, str, tuple[dict[str, Any], ...]]:
    """Subject, text and items of what happened in a bay."""
    return f"{news['heading']}: {len(news['events'])} events", f"{news['text']}\n", tuple(news["events"])


def _of_run(context: Mapping[str, Any]) -> tuple[str, str, tuple[dict[str, Any], ...]]:
    """Subject, text and items of a task's or a run's end."""
    run, task = context.get("dag_run"), context.get("ti")
    item = {
        "dag_id": getattr(run, "dag_id", None),
        "run_id": getattr(run, "run_id", None),
        "task_id": getattr(task, "task_id", None),
        "state": str(getattr(task, "state", None) or getattr(run, "state", None) or "ended"),
        "try_number": getattr(task, "try_number", None),
        "reason": str(context.get("exception") or context.get("reason") or "") or None,
        "link": getattr(task, "log_url", None),
    }
    known = {key: value for key, value in item.items() if value is not None}
    where = ".".join(str(known[key]) for key in ("dag_id", "task_id") if key in known) or "a run"
    lines = [f"{where}: {known['state']}", *(f"  {key}: {value}" for key, value in known.items())]
    return lines[0], "\n".join(lines) + "\n", (known,)


def _run_of(context: Mapping[str, Any]) -> str:
    """What tells equal messages of two runs apart; of a bay's events the heading has the time."""
    return "" if "news" in context else str(getattr(context.get("dag_run"), "run_id", ""))
