"""ChannelNotifier: as a callback of a task, and in a bay's file."""

from types import SimpleNamespace

import pytest

from bay_observation.errors import ConfigError, DeliveryError
from bays.notifications import Notification, check_notifier
from dashboard.alerting.notifier import ChannelNotifier

HOOK = {"kind": "webhook", "connection": "yard_hook"}
FAILED = {
    "dag_run": SimpleNamespace(dag_id="north_by_hand", run_id="manual__1", state="failed"),
    "ti": SimpleNamespace(
        task_id="process_fusion", state="failed", try_number=3, log_url="https://bays.yard.example/dags/north_by_hand"
    ),
    "exception": ValueError("no camera of the batch has a pose"),
}
NEWS = {
    "news": {
        "bay_id": "yard",
        "heading": "Halle 3, 2025-07-02 16:10",
        "text": "Halle 3, 2025-07-02 16:10\nmoved A12 to A14",
        "events": [{"kind": "moved", "track_id": "yard-000001"}],
    }
}


@pytest.fixture
def hook(connect, web):
    connect("yard_hook", host=f"http://127.0.0.1:{web.server_port}")
    return web


def posted(web):
    ((_, headers, body),) = web.posts
    return headers, body


def test_a_task_that_failed(hook):
    ChannelNotifier(channel=HOOK)(dict(FAILED))
    _, body = posted(hook)
    assert body["subject"] == "[warning] north_by_hand.process_fusion: failed"
    for words in ("manual__1", "no camera of the batch has a pose", "https://bays.yard.example/dags/north_by_hand"):
        assert words in body["text"]
    assert body["items"][0]["try_number"] == 3


def test_what_happened_in_a_bay(hook):
    ChannelNotifier(channel=HOOK, severity="info")(dict(NEWS))
    _, body = posted(hook)
    assert body["subject"] == "[info] Halle 3, 2025-07-02 16:10: 1 events"
    assert "moved A12 to A14" in body["text"]
    assert body["items"] == NEWS["news"]["events"]


def test_texts_of_ones_own_are_templates(hook):
    ChannelNotifier(channel=HOOK, subject="{{ dag_run.dag_id }}\nfailed", text="by {{ ti.task_id }}")(dict(FAILED))
    _, body = posted(hook)
    assert (body["subject"], body["text"]) == ("north_by_hand failed", "by process_fusion")


def test_a_context_with_little_in_it(hook):
    ChannelNotifier(channel=HOOK)({})
    assert posted(hook)[1]["subject"] == "[warning] a run: ended"


def test_the_same_message_has_the_same_identity_and_another_run_another(hook):
    other = FAILED | {"dag_run": SimpleNamespace(dag_id="north_by_hand", run_id="manual__2", state="failed")}
    for context in (FAILED, FAILED, other):
        ChannelNotifier(channel=HOOK, text="failed")(dict(context))
    first, again, another = [headers["Idempotency-Key"] for _, headers, _ in hook.posts]
    assert first == again != another


def test_what_is_not_taken_is_an_error(hook):
    hook.status = 500
    with pytest.raises(DeliveryError, match="yard_hook: status 500"):
        ChannelNotifier(channel=HOOK)(dict(FAILED))


@pytest.mark.parametrize(
    ("channel", "reason"),
    [
        ("chat", "valid dictionary"),
        (None, "valid dictionary"),
        ({}, "kind"),
        ({"kind": "pigeon", "connection": "x"}, "'pigeon'"),
        ({"kind": "webhook"}, "connection Field required"),
        (HOOK | {"password": "hunter2"}, "password Extra inputs"),
        ({"kind": "mail", "connection": "m", "sender": "bays@yard.example", "to": []}, "to "),
        ({"kind": "mqtt", "connection": "m", "topic": "a/#"}, "topic "),
    ],
)
def test_a_channel_that_is_none(channel, reason):
    with pytest.raises(ConfigError, match=reason) as refused:
        ChannelNotifier(channel=channel)
    assert "hunter2" not in str(refused.value)


def test_a_severity_that_is_none():
    with pytest.raises(ConfigError, match="'loud' is none of critical, warning, info"):
        ChannelNotifier(channel=HOOK, severity="loud")


def test_a_mail_takes_a_list_of_addresses():
    mail = {"kind": "mail", "connection": "m", "sender": "bays@yard.example", "to": ["a@yard.example"]}
    assert ChannelNotifier(channel=mail).channel.to == ("a@yard.example",)


def test_it_stands_in_a_bays_file():
    entry = {"name": "crane_office", "notifier": "dashboard.alerting.notifier.ChannelNotifier"}
    check_notifier(Notification(**entry, arguments={"channel": HOOK, "severity": "info"}))
    with pytest.raises(ConfigError, match="takes no chanel"):
        check_notifier(Notification(**entry, arguments={"channel": HOOK, "chanel": 1}))
