"""The file of the routes: strict, without secrets; times of day by its zone."""

from datetime import UTC, datetime, timedelta

import pytest

from bay_observation.errors import ConfigError
from dashboard.alerting.routes import due, load_routes

GOOD = """
zone: Asia/Seoul
dashboard: https://bays.yard.example
channels:
  office: {kind: mail, connection: yard_mail, sender: bays@yard.example, to: [office@yard.example]}
  scada: {kind: mqtt, connection: yard_mqtt, topic: bays/alerts}
  hook: {kind: webhook, connection: yard_hook}
  chat: {kind: apprise, connection: yard_chat}
routes:
  - name: shift
    channels: [office, chat]
    match: {bays: [yard], kinds: [BaySilent, moved], severities: [critical, info]}
    quiet: {start: "22:00", end: "06:00"}
    digest: {at: ["07:00"]}
    escalate: [{after: 15m, channels: [scada]}, {after: 1h, channels: [hook]}]
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    def file(text):
        path = tmp_path / "routes.yaml"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("ALERT_ROUTES", str(path))
        return path

    return file


def test_a_good_file(write):
    write(GOOD)
    routes = load_routes()
    assert routes.routes[0].match.event_kinds == ("moved",)
    assert routes.routes[0].ended


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("kind: mqtt", "kind: pigeon", "does not match any of the expected tags"),
        ("connection: yard_hook", "connection: yard_hook, password: xyzzy", "password: Extra inputs"),
        ("connection: yard_chat", "connection: 'slack://a/b/c'", "connection"),
        ("[office, chat]", "[office, char]", "there is no channel char"),
        ("BaySilent", "bay_silent", "neither an alert's name"),
        ("15m", "15 minutes", "no duration"),
        ("after: 1h", "after: 15m", "let `after` grow"),
        ('"22:00"', '"25:00"', "no time of day"),
        ('"22:00"', "22:00", "put it in quotes"),
        ('"22:00"', '"06:00"', "are the same"),
        ("Asia/Seoul", "Seoul", "no time zone"),
        ("office@yard.example]", '"a@b\\nBcc: c@d"]', "to"),
        ("https://bays", "https://me:pw@bays", "leave the login out"),
        ("critical, info", "fatal", "severities"),
        ("name: shift", "name: shift\n    name: shaft", "stands twice"),
        ("topic: bays/alerts", "topic: bays/#", "topic"),
        ("routes:", "roots:", "roots"),
    ],
)
def test_a_wrong_file_is_named_with_the_line_and_without_the_value(write, before, after, reason):
    assert before in GOOD
    path = write(GOOD.replace(before, after, 1))
    with pytest.raises(ConfigError, match=reason) as refused:
        load_routes()
    assert str(path) in str(refused.value)
    for secret in ("xyzzy", "slack://", "pw@"):
        assert secret not in str(refused.value)


def test_no_file(monkeypatch, tmp_path):
    monkeypatch.delenv("ALERT_ROUTES", raising=False)
    with pytest.raises(ConfigError, match="ALERT_ROUTES"):
        load_routes()
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_routes(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("severity", "came", "wanted"),
    [
        ("critical", (3, 0), (3, 0)),
        ("warning", (3, 0), (7, 0)),  # the digest
        ("info", (7, 0), (31, 0)),  # the next day's
    ],
)
def test_when_it_is_due(write, severity, came, wanted):
    path = write(GOOD)
    routes = load_routes(path)
    midnight = datetime(2025, 7, 1, 15, tzinfo=UTC)
    at = [midnight + timedelta(hours=hours, minutes=minutes) for hours, minutes in (came, wanted)]
    assert due(routes.routes[0], routes.clock, severity, at[0]) == at[1]


def test_a_digest_within_the_quiet_hours_waits_for_their_end(write):
    routes = load_routes(write(GOOD.replace("07:00", "23:00")))
    noon = datetime(2025, 7, 2, 3, tzinfo=UTC)
    assert due(routes.routes[0], routes.clock, "info", noon) == noon + timedelta(hours=18)
