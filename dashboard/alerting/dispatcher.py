"""From what happened to what people get: entries by the routes, and messages of the entries that are due.

All that must not be lost or doubled stands in the history's database (`tracking.history.alerts`,
`tracking.history.messages`). Any number of dispatchers may work on it, and each may die at any moment.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from bay_observation.errors import DeliveryError, HistoryError, HistoryUnavailableError
from bays import BayConfig
from dashboard.alerting.channels import Send, send
from dashboard.alerting.routes import Route, Routes, due, duration
from dashboard.alerting.wording import compose, event_severity, history_away, of_alert, of_notice
from tracking.history import History, Notice, pending_notices
from tracking.history.alerts import REPEATED_WITHIN, Alert, Mute, alerts_of, begin_alert, end_alert, mutes_at
from tracking.history.messages import (
    BEGAN,
    ENDED,
    Entry,
    claim_next,
    enter,
    enter_end,
    enter_notices,
    item_of,
    mark_dropped,
    mark_failed,
    mark_sent,
    unmute,
)

_MOST_AT_ONCE = 200
# A database that is started again is back sooner.
_AWAY_PATIENCE = timedelta(minutes=5)

_log = logging.getLogger(__name__)


class Dispatcher:
    """Enters and sends.

    Args:
        routes: who gets what.
        history: that records it.
        bays: gives the bays that run, by id.
        send_message: sends one; for tests.
        now: the time (aware); for tests.
    """

    def __init__(
        self,
        routes: Routes,
        history: History,
        bays: Callable[[], Mapping[str, BayConfig]],
        send_message: Send = send,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._routes, self._history, self._bays = routes, history, bays
        self._send, self._now = send_message, now
        self._away_since: datetime | None = None
        self._to_notify: list[str] = []
        self._away_lock = threading.Lock()

    def begin(self, alert: Alert) -> None:
        """Take an alert that lasts, for the first time or again.

        Raises:
            HistoryUnavailableError: it cannot be recorded.
        """
        now = self._now()
        standing = begin_alert(self._history, alert, now)
        if standing is not None:
            enter(self._history, self._entries(standing, now), now)

    def end(self, fingerprint: str, until: datetime) -> None:
        """Take the end of an alert, for the first time or again.

        Raises:
            HistoryUnavailableError: it cannot be recorded.
        """
        ended = end_alert(self._history, fingerprint, until)
        if ended is not None:
            now = self._now()
            enter_end(self._history, ended, self._end_entries(ended, now), now)

    def tick(self) -> int:
        """Enter what has happened, and send what is due; returns how many messages were sent.

        What cannot be entered now is entered at a later call.
        """
        sent = 0
        try:
            for step in (self._take_events, self._escalate, self._end_mutes):
                step()
            sent = self.deliver()
        except HistoryUnavailableError as error:
            _log.warning("%s", error)
            self._without_history()
        else:
            self._away_since = None
        return sent

    def deliver(self) -> int:
        """Send what is due; returns how many messages were sent."""
        sent = 0
        for _ in range(_MOST_AT_ONCE):
            outgoing = claim_next(self._history, self._now())
            if outgoing is None:
                break
            channel = self._routes.channels.get(outgoing.channel)
            if channel is None:
                mark_dropped(self._history, outgoing.message, f"there is no channel {outgoing.channel} any more")
                continue
            try:
                self._send(channel, compose(outgoing, self._routes))
            except DeliveryError as error:
                _log.warning("channel %s: %s; it is tried again", outgoing.channel, error)
                mark_failed(self._history, outgoing, self._now())
                continue
            mark_sent(self._history, outgoing.message, self._now())
            sent += 1
        return sent

    def ask_history(self) -> None:
        """Ask the history's database for a sign of life. Hangs where that hangs.

        Raises:
            HistoryUnavailableError: it does not answer.
        """
        with self._history.database.reading() as connection:
            connection.execute(sa.select(1))

    def history_hangs(self) -> None:
        """Take note that the database hangs: no error says so, and `tick` does not return."""
        _log.warning("the history's database hangs")
        self._without_history()

    def _without_history(self) -> None:
        """Notify of that alone, once: nothing else can be recorded, and so nothing else is sent."""
        with self._away_lock:
            self._notify_without_history()

    def _notify_without_history(self) -> None:
        now = self._now()
        if self._away_since is None:
            self._away_since, self._to_notify = now, list(self._routes.without_history)
        if now - self._away_since < _AWAY_PATIENCE:
            return
        for name in list(self._to_notify):
            try:
                self._send(self._routes.channels[name], history_away(self._away_since, self._routes))
                self._to_notify.remove(name)
            except DeliveryError as error:
                _log.warning("channel %s: %s; it is tried again", name, error)

    # -- alerts ------------------------------------------------------------------------------------

    def _entries(self, alert: Alert, now: datetime) -> Iterator[Entry]:
        muted = self._muted(alert.bay_id, alert.name, mutes_at(self._history, now))
        for route in self._taking(alert):
            at = due(route, self._routes.clock, alert.severity, now)
            for channel in route.channels:
                yield self._entry(route, channel, alert, BEGAN, at=at, muted=muted)

    def _end_entries(self, alert: Alert, now: datetime) -> Iterator[Entry]:
        for route in self._taking(alert):
            at = due(route, self._routes.clock, alert.severity, now)
            for channel in route.all_channels if route.ended else ():
                yield self._entry(route, channel, alert, ENDED, at=at)

    def _escalate(self) -> None:
        now = self._now()
        muted = mutes_at(self._history, now)
        for alert in alerts_of(self._history, lasting=True):
            if alert.acknowledged_at is not None or alert.seen is None or now - alert.seen > REPEATED_WITHIN:
                continue
            if not self._muted(alert.bay_id, alert.name, muted):
                enter(self._history, self._escalations(alert, now), now)

    def _escalations(self, alert: Alert, now: datetime) -> Iterator[Entry]:
        for route in self._taking(alert):
            at = due(route.model_copy(update={"digest": None}), self._routes.clock, alert.severity, now)
            if at > now:
                continue  # quiet hours
            for number, step in enumerate(route.escalate, start=1):
                if now - alert.since >= duration(step.after):
                    for channel in step.channels:
                        yield self._entry(route, channel, alert, f"escalated-{number}", at=now)

    def _end_mutes(self) -> None:
        now = self._now()
        muted = mutes_at(self._history, now)
        for alert in alerts_of(self._history, lasting=True):
            if not self._muted(alert.bay_id, alert.name, muted):
                unmute(self._history, alert.item, now)

    def _taking(self, alert: Alert) -> list[Route]:
        return [route for route in self._routes.routes if route.match.takes(alert.bay_id, alert.name, alert.severity)]

    def _entry(
        self, route: Route, channel: str, alert: Alert, step: str, *, at: datetime, muted: bool = False
    ) -> Entry:
        content = of_alert(alert, self._bays().get(alert.bay_id), step)
        return Entry(route.name, channel, alert.item, step, alert.bay_id, content, at, muted)

    # -- events ------------------------------------------------------------------------------------

    def _take_events(self) -> None:
        for bay in self._bays().values():
            for route in self._routes.routes:
                if route.match.event_kinds and (not route.match.bays or bay.bay_id in route.match.bays):
                    self._take_events_of(bay, route)

    def _take_events_of(self, bay: BayConfig, route: Route) -> None:
        listener = f"route {route.name}"
        try:
            found = pending_notices(self._history, bay, listener, route.match.event_kinds)
        except HistoryUnavailableError:
            raise
        except HistoryError:
            return  # nothing of the bay was ever tracked
        if found:
            now = self._now()
            # While an old system owns the bay, what happens is passed over.
            wanted = found if bay.notifies else []
            entries = list(self._event_entries(bay, route, wanted, now))
            enter_notices(self._history, bay.bay_id, listener, found, entries=entries, now=now)

    def _event_entries(self, bay: BayConfig, route: Route, notices: Sequence[Notice], now: datetime) -> Iterator[Entry]:
        muted = mutes_at(self._history, now)
        for notice in notices:
            severity = event_severity(notice.kind)
            if not route.match.takes(bay.bay_id, notice.kind, severity):
                continue
            held = self._muted(bay.bay_id, notice.kind, muted)
            at = due(route, self._routes.clock, severity, now)
            for channel in route.channels:
                item = item_of(bay.bay_id, notice)
                yield Entry(route.name, channel, item, "", bay.bay_id, of_notice(notice, bay), at, held)

    @staticmethod
    def _muted(bay_id: str, kind: str, mutes: Sequence[Mute]) -> bool:
        return any(mute.covers(bay_id, kind) for mute in mutes)
