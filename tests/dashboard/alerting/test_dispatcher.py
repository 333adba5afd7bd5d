"""What people get: by the routes, in time, and each thing once, whatever is repeated, refused, or dies."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bay_observation.errors import HistoryUnavailableError
from dashboard.alerting.dispatcher import Dispatcher
from tracking.history import pending_notices
from tracking.history.alerts import Mute, acknowledge, add_mute, alerts_of
from tracking.history.messages import CLAIM, backlog, claim_next, enter_notices

NIGHT = {"quiet": {"start": "22:00", "end": "06:00"}}


def seoul(hour, minute=0, day=2):
    return datetime(2025, 7, day, hour, minute, tzinfo=UTC) - timedelta(hours=9)


def test_an_alert_says_what_where_since_when_with_the_link_to_the_slot(dispatch, receiver, silent):
    dispatcher = dispatch({}, docs="https://docs.yard.example/")
    dispatcher.begin(silent)
    assert dispatcher.tick() == 1
    (_, message) = receiver.got[0]
    assert message.subject == "[critical] Hall 3 (yard): nothing tracked"
    for line in (
        "what: BaySilent, critical",
        "where: Hall 3 (yard)",
        "since: 2025-07-02 11:59 Asia/Seoul",
        "slot: https://bays.yard.example/airflow/plugin/bays?bay=yard&page=floor&at=2025-07-02T02%3A50%3A00Z",
        "what to do: https://docs.yard.example/alerts.html#baysilent",
        f"acknowledge: bay-observation alerts acknowledge {silent.fingerprint}, or at"
        " https://bays.yard.example/airflow/plugin/bays?bay=yard&page=health",
    ):
        assert line in message.text
    assert message.items[0]["link"].endswith("at=2025-07-02T02%3A50%3A00Z")


def test_what_the_monitoring_repeats_is_sent_once(dispatch, receiver, silent, clock):
    dispatcher = dispatch({})
    for _ in range(5):
        dispatcher.begin(silent)
        dispatcher.tick()
        clock.forward(minutes=5)
    # A restarted Prometheus knows no earlier start.
    dispatcher.begin(replace(silent, since=clock.now))
    for _ in range(2):
        dispatcher.end(silent.fingerprint, clock.now)
        dispatcher.tick()
    dispatcher.begin(silent)  # a post that was held up
    dispatcher.tick()
    assert receiver.kinds == [("mail", "BaySilent", "began"), ("mail", "BaySilent", "ended")]
    assert receiver.subjects[1].startswith("[over]")


def test_the_next_time_it_is_another_alert(dispatch, receiver, silent, clock):
    dispatcher = dispatch({"ended": False})
    dispatcher.begin(silent)
    clock.forward(minutes=10)
    dispatcher.end(silent.fingerprint, clock.now)
    clock.forward(minutes=10)
    dispatcher.begin(replace(silent, since=clock.now))
    dispatcher.tick()
    assert len(receiver.got[0][1].items) == 2


def test_an_end_that_was_missed_hides_no_later_alert(dispatch, receiver, silent, clock, history):
    dispatcher = dispatch({})
    dispatcher.begin(silent)
    dispatcher.tick()
    clock.forward(hours=3)
    dispatcher.begin(replace(silent, since=clock.now - timedelta(minutes=1)))
    dispatcher.tick()
    assert [item for _, *item in receiver.kinds] == [["BaySilent", "began"]] * 2
    assert [alert.until is None for alert in alerts_of(history)] == [True, False]


def test_a_refused_message_is_tried_later_under_the_same_identity(dispatch, receiver, silent, clock, history):
    dispatcher, receiver.away, tried = dispatch({}), True, []
    dispatcher.begin(silent)
    for _ in range(6):
        dispatcher.tick()
        tried.append(claim_next(history, clock.now + timedelta(days=1)))
        clock.forward(minutes=40)
    assert backlog(history, clock.now).waiting == 1
    receiver.away = False
    clock.forward(days=2)
    dispatcher.tick()
    dispatcher.tick()
    assert {one.message for one in tried} == {message.identity for _, message in receiver.got}
    assert len(receiver.got) == 1
    assert backlog(history, clock.now).waiting == 0


def test_a_channel_that_takes_nothing_holds_up_no_other(dispatch, receiver, silent):
    class Half:
        def __call__(self, channel, message):
            receiver.away = channel.kind == "mail"
            receiver(channel, message)

    dispatcher = dispatch({"channels": ["office", "phone"]})
    dispatcher._send = Half()
    dispatcher.begin(silent)
    dispatcher.tick()
    assert receiver.kinds == [("apprise", "BaySilent", "began")]


def test_a_sender_that_dies_leaves_its_message_to_the_next_one(dispatch, receiver, silent, clock, history):
    class Killed(BaseException):
        pass

    def dies(_channel, message):
        identities.append(message.identity)
        raise Killed

    identities = []
    dispatcher = dispatch({})
    dispatcher.begin(silent)
    dispatcher._send = dies
    with pytest.raises(Killed):
        dispatcher.tick()
    other = dispatch({})
    assert other.tick() == 0  # it may still be on its way
    clock.forward(seconds=CLAIM.total_seconds() + 1)
    assert other.tick() == 1
    assert receiver.got[0][1].identity == identities[0]


def test_two_services_send_it_once(dispatch, receiver, silent):
    one, other = dispatch({}), dispatch({})
    one.begin(silent)
    other.begin(silent)
    assert one.tick() + other.tick() == 1


def test_routes_by_bay_kind_and_severity(dispatch, receiver, silent):
    dispatcher = dispatch(
        {"match": {"bays": ["other"]}},
        {"match": {"kinds": ["CameraDown"]}},
        {"match": {"severities": ["warning"]}, "channels": ["phone"]},
        {"match": {"bays": ["yard"], "severities": ["critical"]}},
    )
    dispatcher.begin(silent)
    dispatcher.begin(replace(silent, fingerprint="b2" * 8, name="DiskFillsUp", severity="warning", bay_id=""))
    dispatcher.tick()
    assert sorted(receiver.kinds) == [("apprise", "DiskFillsUp", "began"), ("mail", "BaySilent", "began")]


def test_quiet_hours_let_critical_ones_through(dispatch, receiver, silent, clock):
    clock.now = seoul(23)
    dispatcher = dispatch(NIGHT)
    dispatcher.begin(replace(silent, since=clock.now))
    dispatcher.begin(replace(silent, fingerprint="b2" * 8, name="CameraDown", severity="warning", since=clock.now))
    dispatcher.tick()
    assert receiver.kinds == [("mail", "BaySilent", "began")]
    dispatcher.end("b2" * 8, seoul(23, 30))
    clock.now = seoul(5, 59, day=3)
    dispatcher.tick()
    assert len(receiver.got) == 1
    clock.now = seoul(6, 0, day=3)
    dispatcher.tick()
    # One message says both its start and its end.
    assert receiver.kinds[1:] == [("mail", "CameraDown", "began")]
    assert "over at 2025-07-02 23:30" in receiver.got[1][1].text
    assert receiver.subjects[1].startswith("[over]")


def test_a_digest_is_one_message(dispatch, receiver, silent, clock):
    dispatcher = dispatch({"digest": {"at": ["07:00", "17:30"]}})
    for number in range(4):
        dispatcher.begin(replace(silent, fingerprint=f"{number}" * 8, name="CameraDown", severity="warning"))
        clock.forward(minutes=30)
        dispatcher.tick()
    assert receiver.got == []
    clock.now = seoul(17, 30)
    dispatcher.tick()
    assert [len(message.items) for _, message in receiver.got] == [4]
    assert receiver.subjects[0].startswith("4 messages (4 warning): [warning] Hall 3 (yard)")


def test_it_is_escalated_until_a_person_acknowledges_it(dispatch, receiver, silent, clock, history):
    steps = [{"after": "15m", "channels": ["phone"]}, {"after": "30m", "channels": ["phone"]}]
    dispatcher = dispatch({"escalate": [*steps, {"after": "45m", "channels": ["phone"]}]})
    for _ in range(12):
        dispatcher.begin(silent)
        dispatcher.tick()
        clock.forward(minutes=5)
        if clock.now >= silent.since + timedelta(minutes=35):
            acknowledge(history, silent.fingerprint[:4], "kim", clock.now)
    assert receiver.kinds == [
        ("mail", "BaySilent", "began"),
        ("apprise", "BaySilent", "escalated-1"),
        ("apprise", "BaySilent", "escalated-2"),
    ]
    assert receiver.subjects[1] == "[critical, not acknowledged] Hall 3 (yard): nothing tracked"
    dispatcher.end(silent.fingerprint, clock.now)
    dispatcher.tick()
    assert sorted(receiver.kinds[3:]) == [("apprise", "BaySilent", "ended"), ("mail", "BaySilent", "ended")]


def test_what_ended_is_not_escalated(dispatch, receiver, silent, clock):
    dispatcher = dispatch({"escalate": [{"after": "15m", "channels": ["phone"]}], "ended": False})
    dispatcher.begin(silent)
    dispatcher.tick()
    clock.forward(minutes=10)
    dispatcher.end(silent.fingerprint, clock.now)
    clock.forward(minutes=10)
    dispatcher.tick()
    assert [channel for channel, *_ in receiver.kinds] == ["mail"]


@pytest.mark.slow(0.8)
def test_a_mute_holds_back_what_it_covers(dispatch, receiver, silent, clock, history):
    add_mute(history, Mute(clock.now, clock.now + timedelta(hours=1), "kim", "yard", "CameraDown", "it is exchanged"))
    camera = replace(silent, fingerprint="b2" * 8, name="CameraDown", severity="warning")
    over = replace(camera, fingerprint="c3" * 8)
    dispatcher = dispatch({"escalate": [{"after": "15m", "channels": ["phone"]}], "match": {"severities": ["warning"]}})
    for _ in range(6):
        dispatcher.begin(camera)
        dispatcher.begin(over)
        dispatcher.tick()
        clock.forward(minutes=5)
    dispatcher.end(over.fingerprint, clock.now)
    assert dispatcher.tick() == 0
    clock.forward(minutes=30)
    dispatcher.begin(camera)
    dispatcher.tick()
    # What still lasts when the mute ends is sent; what ended meanwhile is not.
    assert sorted(receiver.kinds) == [("apprise", "CameraDown", "escalated-1"), ("mail", "CameraDown", "began")]


def test_a_channel_that_is_gone_drops_its_messages(dispatch, receiver, silent, history, clock, make_routes, yard):
    dispatch({"channels": ["phone"]}).begin(silent)
    routes = make_routes({})
    routes = routes.model_copy(update={"channels": {"office": routes.channels["office"]}})
    Dispatcher(routes, history, lambda: {"yard": yard}, receiver, clock).tick()
    assert backlog(history, clock.now).waiting == 0
    assert receiver.got == []


def test_events_are_sent_once_and_taken_back(dispatch, receiver, slots, yard, clock):
    route = {"match": {"kinds": ["camera_down", "camera_up"]}}
    lost = [yard.cameras[0].name]
    slots.track(0)
    dispatch(route).tick()
    for number in (1, 2, 3):
        slots.track(number, lost)
        for _ in range(2):  # each with a restart between
            dispatch(route).tick()
    assert receiver.kinds == [("mail", "camera_down", "happened")]
    assert f"camera_down {lost[0]}" in receiver.subjects[0]
    assert "page=frames&at=2025-07-02T03%3A30%3A00Z" in receiver.got[0][1].text
    for missing, step in (((), "withdrawn"), (lost, "happened")):
        slots.record(2, missing)  # late words of the slot between
        for _ in range(2):
            dispatch(route).tick()
        assert receiver.kinds[-1] == ("mail", "camera_down", step)
    assert len(receiver.got) == 3


def test_events_that_two_services_find_at_once_are_entered_once(dispatch, receiver, slots, yard, history, clock):
    route = {"match": {"kinds": ["camera_down"]}}
    slots.track(0)
    dispatch(route).tick()
    for number in (1, 2, 3):
        slots.track(number, [yard.cameras[0].name])
    notices = pending_notices(history, yard, "route r0", ["camera_down"])
    for _ in range(2):  # both have found them before either has entered them
        entries = list(dispatch(route)._event_entries(yard, dispatch(route)._routes.routes[0], notices, clock.now))
        enter_notices(history, "yard", "route r0", notices, entries=entries, now=clock.now)
    dispatch(route).tick()
    assert receiver.kinds == [("mail", "camera_down", "happened")]


def test_events_are_sent_only_where_a_route_names_them(dispatch, receiver, slots, yard):
    slots.track(0)
    dispatcher = dispatch({})
    dispatcher.tick()
    for number in (1, 2, 3):
        slots.track(number, [yard.cameras[0].name])
    dispatcher.tick()
    assert receiver.got == []


def test_what_happens_while_an_old_system_owns_the_bay_is_passed_over(dispatch, receiver, slots, yard, monkeypatch):
    route = {"match": {"kinds": ["camera_down"]}}
    slots.track(0)
    dispatch(route).tick()
    for number in (1, 2, 3):
        slots.track(number, [yard.cameras[0].name])
    with monkeypatch.context() as changed:
        changed.setattr(type(yard), "notifies", property(lambda _: False))
        dispatch(route).tick()
    dispatch(route).tick()
    assert receiver.got == []


def test_a_history_that_is_away_is_said_once_and_everything_else_later(dispatch, receiver, silent, clock, monkeypatch):
    dispatcher = dispatch({}, without_history=["phone"])
    dispatcher.begin(silent)
    with monkeypatch.context() as changed:
        changed.setattr("dashboard.alerting.dispatcher.claim_next", away)
        receiver.away = True
        for minutes in range(12):
            receiver.away = minutes < 7
            dispatcher.tick()
            clock.forward(minutes=1)
    assert receiver.kinds == [("apprise", "HistoryAway", "began")]
    assert "docs/alerts.md#historyaway" in receiver.got[0][1].text
    dispatcher.tick()
    assert receiver.kinds[1:] == [("mail", "BaySilent", "began")]


def test_a_history_that_hangs_is_said_once(dispatch, receiver, clock):
    dispatcher = dispatch({}, without_history=["phone"])
    dispatcher.ask_history()
    for _ in range(12):
        dispatcher.history_hangs()
        clock.forward(minutes=1)
    assert receiver.kinds == [("apprise", "HistoryAway", "began")]


def away(*_):
    raise HistoryUnavailableError("away")
