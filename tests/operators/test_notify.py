"""Who is told what: notifiers and asset events, once, also when batches come late, twice, or fail."""

import json
import sys
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest
from airflow.sdk import Asset, AssetAlias, BaseNotifier
from airflow.sdk.exceptions import AirflowException
from shapely import MultiPolygon, box

from bay_observation.errors import ConfigError
from bays import batch_id, load_bay
from fusion.types import FusedBlock, FusionResult
from operators import TrackingOperator, _notify
from tracking.history import History, notices_of_slots
from triggers.events import ArtifactEvent

pytestmark = pytest.mark.slow(1)

START = datetime(2025, 7, 2, 0, 0, tzinfo=UTC)
HOME, AWAY = ("A25", 6.0), ("A13", 50.0)


class Board(BaseNotifier):
    """Keeps what it was told; fails while `broken`."""

    template_fields = ("text",)
    told: list
    broken: Exception | None

    def __init__(self, text="{{ news.text }}", colour="white"):
        super().__init__()
        self.text, self.colour = text, colour

    def notify(self, context):
        if type(self).broken:
            raise type(self).broken
        type(self).told.append((self.text, context["news"]["events"]))


@pytest.fixture
def board(monkeypatch):
    module = ModuleType("yard_board")
    module.Board = Board
    monkeypatch.setitem(sys.modules, "yard_board", module)
    Board.told, Board.broken = [], None
    return Board


@pytest.fixture
def make(make_bay, board):
    def bay(**changes):
        entry = {"name": "board", "notifier": "yard_board.Board", "events": ["moved", "camera_down", "camera_up"]}
        return make_bay(notifications=[entry | changes])

    bay()
    return bay


@pytest.fixture
def run(store, airflow_context, make):
    """run(n, place=AWAY, ...): track a slot with one block at a place; the pushed values and the asset events."""

    def track(number, place=HOME, *, missing=(), **context):
        bay = load_bay("yard")
        area, x = place
        names = [camera.name for camera in bay.cameras]
        standing = box(110, 4, 114, 8)
        blocks = (
            FusedBlock("block", box(x - 4, 3, x + 4, 9), 4.0, area, "welding", 0.9, ("C_2", "D_2"), {}, 0.05),
            FusedBlock("block", standing, 2.0, "A1E", "welding", 0.9, ("C_2", "D_2"), {}, 0.05),
        )
        name = batch_id("yard", START + number * timedelta(minutes=10))
        working = tuple(camera for camera in names if camera not in missing)
        fused = FusionResult(name, "yard", blocks, MultiPolygon(), working, tuple(missing))
        reference = store.save("fusion", "yard", name, fused)
        task = TrackingOperator(task_id="process_tracking", bay_id="yard")
        told = airflow_context(conf={"fusion": reference.to_dict()}, run_id=context.pop("run_id", name), **context)
        pushed = task.execute(told)
        return pushed, told["outlet_events"][AssetAlias("tracking_yard")].asset_alias_events

    return track


def kinds(asset_events):
    return [event["kind"] for each in asset_events for event in each.extra["events"]]


def test_what_happened_is_told_to_the_notifier_and_as_an_asset_event(run, board):
    pushed, published = run(0)
    assert kinds(published) == ["initial", "initial"]
    assert board.told == []  # it asked for moves
    for number in (1, 2):
        assert run(number)[1] == []
    run(3, AWAY)
    pushed, published = run(4, AWAY)
    ((line, events),) = board.told
    assert line.splitlines()[1].startswith("09:30 moved yard-")
    assert "area A25 → A13" in line
    assert [(event["kind"], event["to_area"]) for event in events] == [("moved", "A13")]
    (event,) = published
    assert event.dest_asset_key.uri == Asset("tracking://yard").uri
    assert event.source_alias_name == "tracking_yard"
    assert event.extra["counts"] == {"moved": 1}
    assert event.extra["events"] == events
    assert event.extra["batch_id"] == pushed["batch_id"] == batch_id("yard", START + timedelta(minutes=40))
    assert json.loads(json.dumps(event.extra)) == event.extra
    assert (pushed["notified_count"], pushed["published_count"], pushed["waiting_count"]) == (1, 1, 0)


def move(run):
    for number, place in enumerate([HOME, HOME, HOME, AWAY, AWAY]):
        told = run(number, place)
    return told


def test_a_batch_that_is_run_again_tells_nothing(run, board):
    move(run)
    pushed, published = run(4, AWAY, cleared=1)
    assert published == []
    assert (pushed["notified_count"], pushed["published_count"]) == (0, 0)
    assert len(board.told) == 1


def test_a_try_that_did_not_end_well_hands_its_asset_event_over_again(run):
    _, first = move(run)
    _, again = run(4, AWAY)  # the same run, not cleared: Airflow tries again what did not succeed
    assert [event.extra for event in again] == [event.extra for event in first]
    assert run(4, AWAY, cleared=1)[1] == []


def test_a_notifier_that_fails_loses_nothing_and_fails_no_batch(run, board, caplog):
    board.broken = OSError("no mail server")
    pushed, published = move(run)
    assert board.told == []
    assert pushed["waiting_count"] == 1
    assert kinds(published) == ["moved"]
    assert "notification board of bay yard failed" in caplog.text
    assert "no mail server" in caplog.text
    board.broken = None
    pushed, _ = run(5, AWAY)
    assert [event["kind"] for event in board.told[0][1]] == ["moved"]
    assert pushed["waiting_count"] == 0
    run(6, AWAY)
    assert len(board.told) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"notifier": "yard_board.Bored"}, "yard_board.Bored"),
        ({"notifier": "nowhere.Board"}, "No module named"),
        ({"notifier": "pathlib.Path"}, "is no BaseNotifier"),
        ({"arguments": {"size": 3}}, "size"),
        ({"arguments": {"text": "{{ nothing.at.all }}"}}, "is undefined"),
    ],
)
def test_a_notifier_that_cannot_be_used_is_named_in_the_log(run, make, board, caplog, changes, reason):
    make(**changes)
    pushed, _ = move(run)
    assert pushed["waiting_count"] == 1
    assert "notification board" in caplog.text
    assert reason in caplog.text
    make()
    assert run(5, AWAY)[0]["notified_count"] == 1


def test_a_late_batch_that_changes_what_was_told_tells_it_as_withdrawn(run, board):
    for number, place in ((0, HOME), (1, HOME), (2, HOME), (4, AWAY), (5, AWAY)):
        run(number, place)
    (_, told), *_ = board.told
    assert told[0]["time"] == (START + timedelta(minutes=40)).isoformat()
    _, published = run(3, AWAY)  # it moved a slot earlier than was told
    (event,) = published
    assert [each["time"] for each in event.extra["withdrawn"]] == [told[0]["time"]]
    assert [each["time"] for each in event.extra["events"]] == [(START + timedelta(minutes=30)).isoformat()]
    line, events = board.told[1]
    assert [each.get("withdrawn", False) for each in events] == [False, True]
    assert "withdrawn: 09:40 moved" in line
    assert run(6, AWAY)[1] == []


def test_a_recipient_that_is_new_is_not_told_the_past(run, make, board):
    move(run)
    make(name="another")
    run(5, AWAY)
    assert len(board.told) == 1


def test_cameras_down_and_up_are_told_after_their_slots_in_a_row(run, board):
    for number in range(3):
        run(number, missing=["C_4"] if number else [])
    assert board.told == []
    _, published = run(3, missing=["C_4"])
    assert [event["kind"] for event in board.told[-1][1]] == ["camera_down"]
    assert "camera_down C_4 (no frame)" in board.told[-1][0]
    assert published[0].extra["events"][0]["camera"] == "C_4"
    run(4)
    assert [event["kind"] for event in board.told[-1][1]] == ["camera_up"]
    assert len(board.told) == 2


def test_the_bay_says_how_many_slots_make_an_outage(run, make_bay, board):
    make_bay(
        camera_down_after=1, notifications=[{"name": "b", "notifier": "yard_board.Board", "events": ["camera_down"]}]
    )
    run(0)
    run(1, missing=["D_2"])
    assert [event["camera"] for event in board.told[0][1]] == ["D_2"]


def test_an_asset_event_is_bounded_and_says_what_it_leaves_out(run, store, monkeypatch):
    monkeypatch.setattr(_notify, "MAX_EVENTS", 1)
    _, (event,) = run(0)
    assert (len(event.extra["events"]), event.extra["omitted"], event.extra["counts"]) == (1, 1, {"initial": 2})


def test_a_notice_is_the_same_after_json(run, store):
    move(run)
    with History.at(store.root) as history:
        told = notices_of_slots(history, load_bay("yard"), START, START + timedelta(hours=1))
    assert [notice.kind for notice in told] == ["initial", "initial", "moved"]
    for notice in told:
        assert type(notice).from_dict(json.loads(json.dumps(notice.to_dict()))) == notice
    assert len({notice.key for notice in told}) == 3


def test_a_deferred_batch_is_told_when_it_is_there(run, store, board, airflow_context, monkeypatch):
    for number, place in enumerate([HOME, HOME, HOME, AWAY]):
        run(number, place)
    name = batch_id("yard", START + timedelta(minutes=40))
    source = store.load(store.find("fusion", "yard", batch_id("yard", START + timedelta(minutes=30))))
    fused = FusionResult(name, "yard", source.blocks, source.unseen, source.cameras)
    reference = store.save("fusion", "yard", name, fused)
    task = TrackingOperator(task_id="process_tracking", bay_id="yard")
    context = airflow_context(conf={"fusion": reference.to_dict()})
    task.execute_complete(context, ArtifactEvent("whole", reference).to_dict())
    assert len(board.told) == 1


def test_a_history_that_cannot_be_used_fails_the_task(run, monkeypatch):
    from bay_observation.errors import HistoryUnavailableError
    from operators import tracking

    def away(*_):
        raise HistoryUnavailableError("the server is away")

    monkeypatch.setattr(tracking, "deliver", away)
    with pytest.raises(AirflowException, match="the server is away"):
        run(0)


def test_postgresql_tells_the_same(run, board, empty_postgresql, monkeypatch):
    monkeypatch.setenv("HISTORY_DB", empty_postgresql)
    with History(empty_postgresql) as history:
        history.database.migrate()
    _, published = move(run)
    assert kinds(published) == ["moved"]
    assert [event["kind"] for event in board.told[0][1]] == ["moved"]
    assert run(4, AWAY, cleared=1)[1] == []


def test_pruning_forgets_what_was_told_long_ago(run, store):
    move(run)
    with History.at(store.root) as history:
        deleted = history.prune(START + timedelta(minutes=20))
        assert deleted["history_delivered"] == 2
    assert run(5, AWAY)[1] == []


def test_a_notifier_of_airflows_own_sends_its_mail(run, make_bay, monkeypatch):
    sent = []

    class Server:
        """What `SmtpHook` talks to in place of a mail server."""

        def __init__(self, **address):
            self.address = address

        def login(self, user, password):
            self.user = user

        def sendmail(self, *, from_addr, to_addrs, msg):
            sent.append((self.address["host"], self.user, to_addrs, msg))

        def close(self):
            pass

    connection = {"conn_type": "smtp", "host": "mail", "login": "bays", "password": "only a test", "port": 25}
    extra = {"disable_ssl": True, "disable_tls": True, "from_email": "bays@yard.example"}
    monkeypatch.setenv("AIRFLOW_CONN_YARD_MAIL", json.dumps(connection | {"extra": extra}))
    monkeypatch.setattr("smtplib.SMTP", Server)
    arguments = {
        "to": "crane@yard.example",
        "subject": "{{ news.bay_id }}: {{ news.events | length }} moved",
        "html_content": "{{ news.text }}",
        "smtp_conn_id": "yard_mail",
    }
    smtp = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
    make_bay(notifications=[{"name": "mail", "notifier": smtp, "events": ["moved"], "arguments": arguments}])
    move(run)
    ((host, user, recipients, message),) = sent
    assert (host, user, recipients) == ("mail", "bays", ["crane@yard.example"])
    assert "Subject: yard: 1 moved" in message


def test_a_templated_bay_is_refused_since_its_outlet_could_not_follow():
    with pytest.raises(ConfigError, match="is a template"):
        TrackingOperator(task_id="process_tracking", bay_id="{{ params.bay }}")


def test_nobody_is_notified_in_the_shadow_nor_later_of_what_happened_then(run, make_bay, board, tmp_path):
    entry = {"name": "board", "notifier": "yard_board.Board", "events": ["moved"]}
    frames = {"base_path": str(tmp_path)}
    make_bay(notifications=[entry], migration={"owner": "shadow", "frames": frames})
    for number in range(3):
        assert run(number)[1] == []
    run(3, AWAY)
    pushed, published = run(4, AWAY)
    assert (published, board.told, pushed["event_count"], pushed["waiting_count"]) == ([], [], 1, 0)
    make_bay(notifications=[entry], migration={"owner": "new", "frames": frames})
    for number in (5, 6):
        assert run(number, AWAY)[1] == []
    run(7)
    assert kinds(run(8)[1]) == ["moved"]
    assert len(board.told) == 1
