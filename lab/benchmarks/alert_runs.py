"""A fault from its first minute to what people get, and a healthy week."""

import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bay_observation.errors import DeliveryError
from dashboard.alerting.channels import Send
from dashboard.alerting.dispatcher import Dispatcher
from dashboard.alerting.receiver import receiving_app
from dashboard.alerting.routes import Channel, Routes
from dashboard.alerting.wording import Message
from lab.benchmarks.alert_faults import Fault
from lab.benchmarks.alert_rules import Alertmanager, Labels, firing
from lab.benchmarks.alert_yard import MINUTE, SLOT, START, AlertYard
from tracking.history import BatchOutcome, Database, History

_TOKEN = "of-this-run-alone"  # noqa: S105 - there is no other side
_BEFORE, _AFTER = timedelta(minutes=30), timedelta(minutes=40)
_REPEAT = timedelta(minutes=5)
_HEALTHY_STEP = 2 * MINUTE
_OPEN = ["06:00-23:00"]
_OUT_OF_SERVICE = {START + timedelta(hours=30): False, START + timedelta(hours=35): True}

ROUTES = Routes.model_validate(
    {
        "zone": "Asia/Seoul",
        "channels": {
            "office": {"kind": "webhook", "connection": "office"},
            "broken": {"kind": "webhook", "connection": "broken"},
        },
        "routes": [{"name": "all", "channels": ["office"]}],
        "without_history": ["office"],
    }
)


@dataclass
class FaultRun:
    """What people got of one fault.

    Attributes:
        minutes: from when it shows until its own alert was sent; None where it was not.
        further: names of other alerts that were sent.
    """

    minutes: int | None = None
    further: list[str] = field(default_factory=list)


def run_fault(fault: Fault, manager: Alertmanager, folder: Path, seed: int) -> FaultRun:
    """Run the yard for half an hour, break it at a moment by chance, and see what is sent in the next 40 minutes."""
    yard = AlertYard(folder)
    with yard.standing():
        before = _BEFORE + random.Random(seed).randrange(10) * MINUTE
        samples, times = [], list[datetime]()
        began = yard.now + before
        while yard.now < began + _AFTER:
            if yard.now == began:
                fault.breaks(yard)
            samples.append(yard.minute())
            times.append(yard.now)
        shows = _first_slot(began) if fault.by_slot else began
        sent = _sent(yard, firing(samples, MINUTE, folder), times, began, manager)
    yard.close()
    run = FaultRun()
    for name, labels, at in sent:
        if name == fault.alert and fault.labels.items() <= labels.items():
            minutes = int((at - shows) / MINUTE)
            run.minutes = minutes if run.minutes is None else min(run.minutes, minutes)
        else:
            run.further.append(name)
    return run


def healthy_week(folder: Path, seed: int, days: int) -> tuple[set[Labels], int]:
    """Run the yard with what is usual in a week: the alerts that fire all the same, and how many batches were tracked.

    Usual are cameras that start again and miss one slot, a switch that does so with all of a bay's cameras, a triggerer
    that is restarted, tasks that wait for some seconds, a storage that is slow for two minutes, a capture that is late,
    a slot that fails once, an exporter that is restarted, operating hours, a bay that needs all of its cameras, and one
    that is taken out of service for some hours.
    """
    yard, dice = AlertYard(folder), random.Random(seed)
    with yard.standing():
        yard.add_bay("south", operating_hours=_OPEN)
        cameras = yard.bays["south"].config.cameras
        yard.add_bay("west", camera_quorum=len(cameras))
        samples = []
        end = yard.now + timedelta(days=days)
        while yard.now < end:
            if yard.now.minute % 10 == 0:
                _usual_slot(yard, dice)
            if yard.now in _OUT_OF_SERVICE:
                yard.enable("west", _OUT_OF_SERVICE[yard.now])
            _usual_minute(yard, dice)
            values = [yard.minute() for _ in range(int(_HEALTHY_STEP / MINUTE))]
            samples.append(values[-1])
        fired = set().union(*firing(samples, _HEALTHY_STEP, folder))
        tracked = sum(
            batch.outcome == BatchOutcome.TRACKED
            for bay_id in yard.bays
            for batch in yard.history.batches(bay_id, end - timedelta(days=days), end)
        )
    yard.close()
    return fired, tracked


def _usual_slot(yard: AlertYard, dice: random.Random) -> None:
    for state in yard.bays.values():
        switch = dice.random() < 0.002
        missed = {camera.name for camera in state.config.cameras if switch or dice.random() < 0.004}
        # A camera that starts again is back for the next slot. Two slots in a row that a bay loses are not usual.
        spare = len(state.config.cameras) - state.config.camera_quorum
        state.down = missed - state.down if spare >= len(missed) or not state.down else set()
        state.late_s = 75.0 if dice.random() < 0.001 else dice.uniform(5, 40)
        failed = state.failing is None and dice.random() < 0.003
        state.failing = BatchOutcome.INFERENCE_FAILED if failed else None


def _usual_minute(yard: AlertYard, dice: random.Random) -> None:
    yard.store_latency_s = 6.0 if dice.random() < 0.002 else dice.uniform(0.01, 0.8)
    yard.exporter_away = dice.random() < 0.0005
    looked = yard.now + _HEALTHY_STEP  # so long have tasks waited when the exporter is asked
    for queue in yard.queues.values():
        queue.triggerer = dice.random() >= 0.0005
        queue.queued_since = looked - timedelta(seconds=dice.uniform(0, 40)) if dice.random() < 0.1 else None
        queue.deferred_since = looked - timedelta(seconds=dice.uniform(0, 20)) if dice.random() < 0.1 else None


def _sent(
    yard: AlertYard, fires: list[set[Labels]], times: list[datetime], began: datetime, manager: Alertmanager
) -> list[tuple[str, dict[str, str], datetime]]:
    """What the service sends from a moment on: name, labels, time."""
    clock, kept = _Clock(times[0]), _Kept()
    away = History("postgresql://nobody@127.0.0.1:1/none") if yard.history_away else yard.history
    known: Any = _Switched(yard.history, away, lambda: clock.now >= began)
    bays = {bay_id: state.config for bay_id, state in yard.bays.items()}
    dispatcher = Dispatcher(ROUTES, known, lambda: bays, kept.send(clock), clock)
    lasting, active = dict[Labels, datetime](), dict[Labels, str]()
    for number, (alerts, at) in enumerate(zip(fires, times, strict=True)):
        clock.now = at
        lasting = {labels: lasting.get(labels, at) for labels in alerts}
        if number == 0 or alerts != fires[number - 1]:
            active = manager.active(alerts)
        if active and (number == 0 or alerts != fires[number - 1] or at.minute % (_REPEAT / MINUTE) == 0):
            _post(dispatcher, active, lasting)
        dispatcher.tick()
    manager.active(set())
    if early := [name for name, _, at in kept.sent if at < began]:
        raise AssertionError(f"sent before anything was broken: {early}")
    return kept.sent


class _Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class _Switched:
    """A history whose database is another one from a moment on."""

    def __init__(self, before: History, after: History, switched: Callable[[], bool]) -> None:
        self._before, self._after, self._switched = before, after, switched

    @property
    def database(self) -> Database:
        return (self._after if self._switched() else self._before).database


class _Kept:
    """The receivers' side."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, str], datetime]] = []

    def send(self, clock: _Clock) -> Send:
        def send(channel: Channel, message: Message) -> None:
            if channel.connection == "broken":
                raise DeliveryError("it takes nothing")
            for item in message.items:
                if item["step"] == "began":
                    labels = {"bay": item.get("bay_id", "")} | _places(item["where"])
                    self.sent.append((item["kind"], labels, clock.now))

        return send


def _places(where: str) -> dict[str, str]:
    """Further labels of an alert, as the message names them."""
    return dict(part.split(" ", 1) for part in where.split(", ")[1:] if " " in part)


def _post(dispatcher: Dispatcher, active: dict[Labels, str], lasting: dict[Labels, datetime]) -> None:
    """As Alertmanager posts to the service. A 503 is posted again with the next repetition."""
    alerts = [
        {
            "status": "firing",
            "labels": dict(labels),
            "annotations": {},
            "startsAt": lasting[labels].isoformat(),
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": fingerprint,
        }
        for labels, fingerprint in active.items()
    ]
    body = json.dumps({"version": "4", "alerts": alerts}).encode()
    environment = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/alerts",
        "HTTP_AUTHORIZATION": f"Bearer {_TOKEN}",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    answers: list[str] = []
    list(receiving_app(dispatcher, _TOKEN)(environment, lambda status, *_: answers.append(status)))  # type: ignore[arg-type]
    if answers[0][:3] not in ("200", "503"):
        raise AssertionError(f"the service refuses Alertmanager's post: {answers[0]}")


def _first_slot(moment: datetime) -> datetime:
    """The first slot that shows what breaks now: the next one, or this one while it is worked on."""
    before = timedelta(seconds=moment.timestamp() % SLOT.total_seconds())
    return moment - before + (SLOT if before >= 2 * MINUTE else timedelta(0))
