"""A clock that a test moves, a history, routes, and a receiver that keeps or refuses what is sent."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from shapely import MultiPolygon

from bay_observation.errors import DeliveryError
from bays import batch_id
from dashboard.alerting.dispatcher import Dispatcher
from dashboard.alerting.routes import Routes
from fusion.types import FusionResult
from tracking import Tracker
from tracking.history import BatchOutcome, History, TrackedBatch
from tracking.history.alerts import Alert

NOON = datetime(2025, 7, 2, 3, 0, tzinfo=UTC)  # in Seoul
SLOT = timedelta(minutes=10)
CHANNELS = {
    "office": {"kind": "mail", "connection": "yard_mail", "sender": "bays@yard.example", "to": ["office@yard.example"]},
    "phone": {"kind": "apprise", "connection": "yard_phone"},
}


class Clock:
    """The time, which a test moves."""

    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now

    def forward(self, **length):
        self.now += timedelta(**length)


class Receiver:
    """Keeps what is sent, by channel; refuses while `away`."""

    def __init__(self):
        self.got, self.away = [], False

    def __call__(self, channel, message):
        if self.away:
            raise DeliveryError("away")
        self.got.append((channel.kind, message))

    @property
    def subjects(self):
        return [message.subject for _, message in self.got]

    @property
    def kinds(self):
        return [(channel, item["kind"], item["step"]) for channel, message in self.got for item in message.items]


@pytest.fixture
def connect(monkeypatch):
    def make(connection_id, **values):
        monkeypatch.setenv(f"AIRFLOW_CONN_{connection_id.upper()}", json.dumps({"conn_type": "generic"} | values))

    return make


@pytest.fixture
def web():
    """A web server that keeps what is posted, and answers `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.posts.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(server.status)
            if server.status == 307:
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.posts, server.status = [], 200
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def history(tmp_path):
    with History.at(tmp_path / "data") as known:
        known.database.migrate()
        yield known


@pytest.fixture
def yard(make_bay):
    return make_bay(description="Hall 3")


@pytest.fixture
def make_routes():
    def make(*routes, **further):
        given = {"zone": "Asia/Seoul", "channels": CHANNELS, "dashboard": "https://bays.yard.example/airflow"}
        named = [{"name": f"r{number}", "channels": ["office"]} | route for number, route in enumerate(routes)]
        return Routes.model_validate(given | further | {"routes": named})

    return make


@pytest.fixture
def dispatch(make_routes, history, yard, receiver, clock):
    """dispatch(route, ...): a dispatcher of these routes."""

    def make(*routes, **further):
        return Dispatcher(make_routes(*routes, **further), history, lambda: {"yard": yard}, receiver, clock)

    return make


@pytest.fixture
def silent():
    """The bay's silence as the monitoring says it."""
    return Alert(
        "a1" * 8,
        NOON - timedelta(minutes=1),
        "BaySilent",
        "critical",
        "yard",
        {},
        "nothing tracked",
        "alerts.md#baysilent",
    )


@pytest.fixture
def slots(history, yard):
    """slots.track(n, missing): record and track the bay's slot n, with cameras that gave no frame."""
    state = SimpleNamespace(tracker=None)

    def track(number, missing=()):
        slot = NOON + number * SLOT
        names = tuple(camera.name for camera in yard.cameras if camera.name not in missing)
        result = Tracker(yard, state.tracker).update(
            FusionResult(batch_id("yard", slot), "yard", (), MultiPolygon(), cameras=names)
        )
        state.tracker = result.state
        with history.writer("yard") as writer:
            writer.append([TrackedBatch(result, f"{number:064x}", names)], "")
        record(number, missing)

    def record(number, missing=()):
        names = [camera.name for camera in yard.cameras if camera.name not in missing]
        history.record(
            "yard",
            NOON + number * SLOT,
            BatchOutcome.TRACKED,
            cameras=names,
            failures=dict.fromkeys(missing, "timed out"),
        )

    return SimpleNamespace(track=track, record=record)
