"""Notices out: what the history holds and a listener did not get yet goes to notifiers and to Airflow's assets.

A notifier gets each notice **at least once**. The delivery is recorded after the notifier
has returned; one that fails is logged as an error and gets the same notices with the next
batch, for a day. The task stays successful: the batch is in the history, and the bay's next
batch must not wait for a mail server. A worker that dies between the two delivers twice.

An asset event is Airflow's own record, made in the same transaction as the task's success.
The task records what it hands over under the name of its run: if that try does not end
well, the next try of the run hands it over again.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.context import Context

from bay_observation.errors import ConfigError
from bays import ASSET_LISTENER, NOTICE_KINDS, BayConfig, Notification, batch_id, tracking_asset_uri

if TYPE_CHECKING:
    from tracking.history import History, Notice

MAX_EVENTS = 200
"""Events that one asset event carries; `omitted` counts the rest, which the history has."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Deliveries:
    """Notices that notifiers got, that the asset event carries, and that wait for the next batch."""

    notified: int
    published: int
    waiting: int


def tracking_alias(bay_id: str) -> AssetAlias:
    """The outlet of `process_tracking`: it makes an event on `tracking://{bay_id}` only when there are notices.

    (An `Asset` as an outlet makes an event of every success of the task, a cleared one included.)
    """
    return AssetAlias(f"tracking_{bay_id}")


def deliver(history: "History", bay: BayConfig, slot: datetime, context: Context) -> Deliveries:
    """Deliver a bay's pending notices to its listeners.

    Args:
        history: in which the batch is.
        bay: the bay.
        slot: of the batch.
        context: of the task.

    Raises:
        HistoryError: the history cannot be read or written.
    """
    if not bay.notifies:
        return _pass_over(history, bay)
    notified = waiting = 0
    for notification in bay.notifications:
        done, left = _notify(history, bay, notification, slot, context)
        notified += done
        waiting += left
    return Deliveries(notified, _publish(history, bay, slot, context), waiting)


def asset_extra(bay_id: str, slot: datetime, notices: "Sequence[Notice]") -> dict[str, Any]:
    """What an asset event carries, in plain values: see `docs/events.md`."""
    events = [notice.to_dict() for notice in notices if not notice.withdrawn]
    withdrawn = [notice.to_dict() for notice in notices if notice.withdrawn]
    return {
        "bay_id": bay_id,
        "batch_id": batch_id(bay_id, slot),
        "slot": slot.isoformat(),
        "counts": dict(sorted(Counter(event["kind"] for event in events).items())),
        "events": events[:MAX_EVENTS],
        "withdrawn": withdrawn[:MAX_EVENTS],
        "omitted": max(0, len(events) - MAX_EVENTS) + max(0, len(withdrawn) - MAX_EVENTS),
    }


def _pass_over(history: "History", bay: BayConfig) -> Deliveries:
    """Nobody is notified while an old system owns the bay, nor later of what happened meanwhile."""
    from tracking.history import mark_notified, pending_notices

    listeners = [(one.name, one.events) for one in bay.notifications] + [(ASSET_LISTENER, NOTICE_KINDS)]
    for name, kinds in listeners:
        if notices := pending_notices(history, bay, name, kinds):
            mark_notified(history, bay.bay_id, name, notices)
    return Deliveries(0, 0, 0)


def _publish(history: "History", bay: BayConfig, slot: datetime, context: Context) -> int:
    from tracking.history import mark_notified, pending_notices

    run = context["dag_run"]
    name = f"{run.run_id} {run.clear_number or 0}"
    notices = pending_notices(history, bay, ASSET_LISTENER, NOTICE_KINDS, name)
    if notices:
        asset = Asset(tracking_asset_uri(bay.bay_id))
        context["outlet_events"][tracking_alias(bay.bay_id)].add(asset, asset_extra(bay.bay_id, slot, notices))
        mark_notified(history, bay.bay_id, ASSET_LISTENER, notices, name)
        _log.info("%s: %s", asset.uri, _counted(notices))
    return len(notices)


def _notify(
    history: "History", bay: BayConfig, notification: Notification, slot: datetime, context: Context
) -> tuple[int, int]:
    """How many notices a notifier got, and how many wait because it failed."""
    from tracking.history import mark_notified, pending_notices

    notices = pending_notices(history, bay, notification.name, notification.events)
    if not notices:
        return 0, 0
    try:
        _notifier(notification)(_notifier_context(bay, slot, notices, context))
    except Exception:  # noqa: BLE001 - a notifier may fail in any way; it is logged, and tried again
        _log.exception(
            "notification %s of bay %s failed and is tried again with the next batch: %s",
            notification.name,
            bay.bay_id,
            _counted(notices),
        )
        return 0, len(notices)
    mark_notified(history, bay.bay_id, notification.name, notices)
    _log.info("notification %s: %s", notification.name, _counted(notices))
    return len(notices), 0


def _notifier(notification: Notification) -> Any:
    """The bay's notifier, as a callable of the context.

    Raises:
        ConfigError: it cannot be imported, is no notifier, or refuses its arguments.
    """
    from airflow.sdk import BaseNotifier

    module, _, name = notification.notifier.rpartition(".")
    try:
        made = getattr(import_module(module), name)
        if not (isinstance(made, type) and issubclass(made, BaseNotifier)):
            raise ConfigError(f"notification {notification.name}: {notification.notifier} is no BaseNotifier")
        return made(**notification.arguments)
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(f"notification {notification.name}: {notification.notifier}: {error}") from error


def _notifier_context(bay: BayConfig, slot: datetime, notices: "Sequence[Notice]", context: Context) -> dict[str, Any]:
    lines = [notice.to_text(bay) for notice in notices]
    heading = f"{bay.description}, {slot.astimezone(bay.zone):%Y-%m-%d %H:%M}"
    # Under one name: a notifier puts its own templated arguments into the context, and many call one `text`.
    news = {
        "bay_id": bay.bay_id,
        "slot": slot,
        "heading": heading,
        "lines": lines,
        "text": "\n".join([heading, *lines]),
        "events": [notice.to_dict() for notice in notices],
    }
    return {**context, "news": news}


def _counted(notices: "Sequence[Notice]") -> str:
    counts = Counter(f"{notice.kind}{' withdrawn' if notice.withdrawn else ''}" for notice in notices)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
