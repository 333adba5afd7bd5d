"""Alertmanager's posts: a token before all, bounds, and odd texts that reach no header."""

import io
import json

import pytest

from bay_observation.errors import HistoryUnavailableError
from dashboard.alerting.receiver import MOST_BYTES, receiving_app

TOKEN = "a-token-of-some-length"
ALERT = {
    "status": "firing",
    "labels": {"alertname": "CameraDown", "severity": "warning", "bay": "yard", "camera": "C_1", "job": "bays"},
    "annotations": {"summary": "no frame", "runbook": "alerts.md#cameradown"},
    "startsAt": "2025-07-02T02:59:12.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus:9090/graph",
    "fingerprint": "0123456789abcdef",
}


@pytest.fixture
def post(dispatch):
    dispatcher = dispatch({})

    def send(body, *, token=TOKEN, method="POST", path="/alerts", length=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        environment = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO(data),
            "CONTENT_LENGTH": str(len(data) if length is None else length), "HTTP_AUTHORIZATION": f"Bearer {token}",
        }  # fmt: skip
        answers = []
        list(receiving_app(dispatcher, TOKEN)(environment, lambda status, _: answers.append(status[:3])))
        return answers[0]

    send.dispatcher = dispatcher
    return send


def posted(**changes):
    return {"version": "4", "receiver": "people", "alerts": [ALERT | changes]}


def test_an_alert_and_its_end(post, receiver, clock):
    assert post(posted()) == "200"
    post.dispatcher.tick()
    assert "where: Hall 3 (yard), camera C_1" in receiver.got[0][1].text
    assert post(posted(status="resolved", endsAt=clock.now.isoformat())) == "200"
    post.dispatcher.tick()
    assert [step for *_, step in receiver.kinds] == ["began", "ended"]


def test_odd_texts_become_one_line(post, receiver):
    labels = {"alertname": "A\r\nBcc: x@y", "severity": "awful", "bay": "../../etc", "queue": "q\x1b[31m"}
    assert post(posted(labels=labels, annotations={"summary": "s\nSubject: t"})) == "200"
    post.dispatcher.tick()
    (_, message) = receiver.got[0]
    assert "\n" not in message.subject
    assert "\x1b" not in message.text
    assert "bay_id" not in message.items[0]
    assert message.severity == "warning"
    assert "../" not in message.text


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("body", "how", "status"),
    [
        (posted(), {"token": "wrong"}, "401"),
        (posted(), {"token": "\u00e9"}, "401"),
        (posted(), {"method": "GET"}, "404"),
        (posted(), {"path": "/"}, "404"),
        (posted(), {"length": MOST_BYTES + 1}, "413"),
        (posted(), {"length": "some"}, "413"),
        (b"{", {}, "400"),
        (b"[" * 100_000, {}, "400"),
        ({"version": "4"}, {}, "400"),
        (posted(fingerprint="../x"), {}, "400"),
        (posted(startsAt="2025-07-02T02:59:12"), {}, "400"),
        (posted(labels={"a": 3}), {}, "400"),
    ],
)
def test_what_is_refused(post, receiver, body, how, status):
    assert post(body, **how) == status
    post.dispatcher.tick()
    assert receiver.got == []


def test_a_history_that_cannot_be_written_is_asked_again(post, monkeypatch):
    def away(_):
        raise HistoryUnavailableError("away")

    monkeypatch.setattr(post.dispatcher, "begin", away)
    assert post(posted()) == "503"
