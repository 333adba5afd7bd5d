"""Alerts and events through everything that repeats, refuses or dies: how often each reaches a receiver.

A death is an exception that nothing catches: at a statement to the database by chance, before the receiver has
answered, or after it. What was not committed is then rolled back, as by the database when a process is killed.
One moment is uncertain for every sender: the receiver has the message, and the sender dies before it has recorded so.
The message is then repeated under its identity, by which the receiver knows it; each such repetition is counted.
"""

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from shapely import MultiPolygon

from bay_observation.errors import DeliveryError
from bays import BayConfig, batch_id
from dashboard.alerting.dispatcher import Dispatcher
from dashboard.alerting.routes import Channel, Routes
from dashboard.alerting.wording import Message
from fusion.types import FusionResult
from lab.benchmarks.alert_yard import SLOT, START, AlertYard
from tracking import EventKind, Tracker, TrackEvent, TrackingResult
from tracking.history import History, TrackedBatch, notices_of_slots
from tracking.history.alerts import Alert
from tracking.history.messages import backlog

_KINDS = ("moved", "exited", "camera_down", "camera_up")
_LISTENERS = ("office", "phone")
ROUTES = Routes.model_validate(
    {
        "zone": "Asia/Seoul",
        "channels": {name: {"kind": "webhook", "connection": name} for name in _LISTENERS},
        "routes": [
            {"name": "alerts", "channels": ["office"]},
            {"name": "events", "channels": ["phone"], "match": {"kinds": list(_KINDS)}},
        ],
    }
)

Thing = tuple[str, ...]


@dataclass
class Repeated:
    """What came of it.

    Attributes:
        done: what was done to it, how often.
        expected: things that happened, each for one channel.
        missing: of them, those without a message.
        doubled: of them, those in messages of two identities.
        uncertain: deaths between a receiver's answer and its record.
        sent_again: messages that a receiver got once more.
        known_again: of them, those that it knew by identity and content.
        unexplained: of them, those that no such death explains.
    """

    done: Counter[str] = field(default_factory=Counter)
    expected: int = 0
    missing: int = 0
    doubled: int = 0
    uncertain: int = 0
    sent_again: int = 0
    known_again: int = 0
    unexplained: int = 0


def repeated(folder: Path, seed: int, rounds: int) -> Repeated:
    """Let things happen for some rounds, each with something that repeats, refuses or dies."""
    yard = AlertYard(folder / "yard", ("north",))
    with yard.standing():
        trial = _Trial(yard, random.Random(seed))
        for _ in range(rounds):
            trial.round()
        trial.settle()
        found = trial.found()
    yard.close()
    return found


class _Killed(BaseException):
    """The process dies here."""


class _Receivers:
    """What arrived, and what goes wrong with the next message."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, str, tuple[Thing, ...]]] = []
        self.next_fault = ""
        self._lock = threading.Lock()

    def __call__(self, channel: Channel, message: Message) -> None:
        with self._lock:
            fault, self.next_fault = self.next_fault, ""
            if fault == "refused":
                raise DeliveryError("not now")
            if fault == "death before the answer":
                raise _Killed
            self.arrived.append((channel.connection, message.identity, tuple(map(_thing, message.items))))
            if fault == "death after the answer":
                raise _Killed


class _Trial:
    def __init__(self, yard: AlertYard, dice: random.Random) -> None:
        self._yard, self._dice = yard, dice
        self._bay: BayConfig = yard.bays["north"].config
        self._receivers = _Receivers()
        self._done: Counter[str] = Counter()
        self._batches: list[TrackedBatch] = []
        self._lasting: list[Alert] = []
        self._all: list[tuple[Alert, bool]] = []
        self._explained: Counter[str] = Counter()
        self._uncertain = 0
        self._now = START
        self._history = yard.history
        self._slot()
        self._dispatcher = self._restarted()
        self._dispatcher.tick()  # a new listener begins with the newest slot

    # -- what happens ------------------------------------------------------------------------------

    def round(self) -> None:
        """Something happens; something repeats, refuses or dies."""
        self._now += SLOT
        self._slot()
        self._alerts()
        actions: list[Callable[[], None]] = [
            self._repeats,
            self._retries,
            self._refuses,
            self._restarts,
            self._dies_at_a_statement,
            self._dies_before,
            self._dies_after,
            self._two_services,
        ]
        self._dice.choice(actions)()
        self._tick()

    def settle(self) -> None:
        """No fault any more: all that waits is sent."""
        for _ in range(200):
            self._now += timedelta(minutes=31)
            self._tick()
            if backlog(self._history, self._now).waiting == 0:
                return

    def _slot(self) -> None:
        """A batch with some events and some cameras without a frame, tracked."""
        number, slot = len(self._batches), START + len(self._batches) * SLOT
        missing = tuple(camera.name for camera in self._bay.cameras[:3] if self._dice.random() < 0.8)
        names = tuple(camera.name for camera in self._bay.cameras if camera.name not in missing)
        before = self._batches[-1].result if self._batches else None
        fused = FusionResult(
            batch_id("north", slot), "north", (), MultiPolygon(), cameras=names, missing_cameras=missing
        )
        result = Tracker(self._bay, before.state if before else None).update(fused)
        events = tuple(
            TrackEvent(kind, f"north-{number:06d}{index}", slot, result.batch_id, from_area="A12", to_area="A13")
            for index, kind in enumerate(self._dice.choices([EventKind.MOVED, EventKind.EXITED], k=3))
        )
        batch = TrackedBatch(replace(result, events=events), f"{number:064x}", names, missing)
        self._batches.append(batch)
        self._write([batch], before)

    def _write(self, batches: list[TrackedBatch], before: TrackingResult | None) -> None:
        with self._history.writer("north") as writer:
            writer.replace(before, batches)

    def _alerts(self) -> None:
        for alert in [one for one in self._lasting if self._dice.random() < 0.4]:
            self._lasting.remove(alert)
            self._all.append((alert, True))
            self._survive(lambda alert=alert: self._dispatcher.end(alert.fingerprint, self._now))  # type: ignore[misc]
        if self._dice.random() < 0.7:
            fingerprint = f"{self._dice.getrandbits(64):016x}"
            alert = Alert(fingerprint, self._now, "CameraDown", "warning", "north", {"camera": "C_1"}, "no frame")
            self._lasting.append(alert)
        self._post()

    def _post(self) -> None:
        for alert in self._lasting:
            self._survive(lambda alert=alert: self._dispatcher.begin(alert))  # type: ignore[misc]

    # -- what repeats, refuses and dies -------------------------------------------------------------

    def _repeats(self) -> None:
        self._done["posts repeated, late ones among them"] += 1
        self._post()
        for alert, _ in self._all[-3:]:
            self._dispatcher.begin(alert)
        # A restarted monitoring knows no earlier start.
        for alert in self._lasting:
            self._dispatcher.begin(replace(alert, since=self._now))

    def _retries(self) -> None:
        self._done["batches tracked again"] += 1
        first = max(1, len(self._batches) - self._dice.randint(1, 4))
        self._write(self._batches[first:], self._batches[first - 1].result)

    def _refuses(self) -> None:
        self._done["message refused"] += 1
        self._receivers.next_fault = "refused"

    def _restarts(self) -> None:
        self._done["service restarted"] += 1
        self._dispatcher = self._restarted()

    def _dies_before(self) -> None:
        self._done["death before the answer"] += 1
        self._receivers.next_fault = "death before the answer"

    def _dies_after(self) -> None:
        self._done["death after the answer"] += 1
        self._receivers.next_fault = "death after the answer"

    def _dies_at_a_statement(self) -> None:
        self._done["death at a statement"] += 1
        with _death_at(self._history, self._dice.randint(1, 60)):
            self._tick()
            self._post()

    def _two_services(self) -> None:
        self._done["two services at once"] += 1
        threads = [threading.Thread(target=self._restarted().tick) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _tick(self) -> None:
        self._survive(self._dispatcher.tick)

    def _survive(self, step: Callable[[], object]) -> None:
        """Run it; where it dies, another service takes its place."""
        arrived = len(self._receivers.arrived)
        try:
            step()
        except _Killed:
            new = {identity for _, identity, _ in self._receivers.arrived[arrived:]}
            lost = new - self._recorded()
            self._uncertain += len(lost)
            self._explained.update(lost)
            self._dispatcher = self._restarted()

    def _recorded(self) -> set[str]:
        from tracking.history.schema import messages

        asked = sa.select(messages.c.message).where(messages.c.sent.is_not(None))
        with self._history.database.reading() as connection:
            return set(connection.execute(asked).scalars())

    def _restarted(self) -> Dispatcher:
        return Dispatcher(ROUTES, self._history, lambda: {"north": self._bay}, self._receivers, lambda: self._now)

    # -- what came of it ------------------------------------------------------------------------------

    def found(self) -> Repeated:
        """What came of it."""
        identities: dict[Thing, set[str]] = defaultdict(set)
        contents: dict[str, set[tuple[Thing, ...]]] = defaultdict(set)
        copies: Counter[str] = Counter()
        for channel, identity, things in self._receivers.arrived:
            copies[identity] += 1
            contents[identity].add(things)
            for thing in things:
                identities[channel, *thing].add(identity)
        expected = self._expected(identities)
        again = {identity: count - 1 for identity, count in copies.items() if count > 1}
        return Repeated(
            self._done,
            len(expected),
            len(expected - identities.keys()),
            sum(len(found) > 1 for found in identities.values()) + len(identities.keys() - expected),
            self._uncertain,
            sum(again.values()),
            sum(count for identity, count in again.items() if len(contents[identity]) == 1),
            sum(max(0, count - self._explained[identity]) for identity, count in again.items()),
        )

    def _expected(self, got: dict[Thing, set[str]]) -> set[Thing]:
        end = START + len(self._batches) * SLOT
        notices = notices_of_slots(self._history, self._bay, START, end)
        expected: set[Thing] = {("phone", "happened", notice.key) for notice in notices if notice.kind in _KINDS}
        for alert, ended in [*self._all, *((alert, False) for alert in self._lasting)]:
            whole = ("office", "began and ended", alert.fingerprint, alert.since.isoformat())
            if whole in got:  # its end came before its start could be sent: one message says both
                expected.add(whole)
                continue
            for step in ("began", "ended") if ended else ("began",):
                expected.add(("office", step, alert.fingerprint, alert.since.isoformat()))
        return expected


def _thing(item: dict[str, Any]) -> Thing:
    from tracking.history import Notice

    if "event" in item:
        return item["step"], Notice.from_dict(item["event"]).key
    step = "began and ended" if item["step"] == "began" and "until" in item else item["step"]
    return step, item["fingerprint"], item["since"]


@contextmanager
def _death_at(history: History, number: int) -> Iterator[None]:
    """The process dies at this statement."""
    count = 0

    def statement(*_: object) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise _Killed

    engine = history.database._engine
    sa.event.listen(engine, "before_cursor_execute", statement)
    try:
        yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", statement)
