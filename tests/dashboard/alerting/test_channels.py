"""Every channel to a real receiver on this machine; errors that hold no address and no login."""

import json
import shutil
import ssl
import subprocess
import threading
import time
import warnings

import pytest

from bay_observation.errors import DeliveryError
from dashboard.alerting.channels import send
from dashboard.alerting.routes import AppriseChannel, MailChannel, MqttChannel, WebhookChannel
from dashboard.alerting.wording import Message
from lab.services.ports import free_port

MESSAGE = Message(
    "0123abcd", "[critical] Halle 3: nichts – gar nichts", "what: BaySilent\n", "critical", ({"kind": "BaySilent"},)
)
MAIL = MailChannel(
    kind="mail", connection="yard_mail", sender="bays@yard.example", to=("a@yard.example", "b@yard.example")
)
MQTT = MqttChannel(kind="mqtt", connection="yard_mqtt", topic="bays/alerts")
HOOK = WebhookChannel(kind="webhook", connection="yard_hook")
CHAT = AppriseChannel(kind="apprise", connection="yard_chat")
SECRET = "s3cr3t-of-the-yard"


@pytest.fixture
def mail_server():
    """A mail server that keeps what it takes; `refuses` holds addresses that it does not know."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult

    class Handler:
        def __init__(self):
            self.mails, self.refuses = [], set()

        async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 - the library's name
            if address in self.refuses:
                return "550 no such person"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - the library's name
            self.mails.append((envelope.rcpt_tos, envelope.content.decode()))
            return "250 taken"

    def knows(_server, _session, _envelope, _mechanism, data):
        return AuthResult(success=data.password == SECRET.encode(), handled=False)

    handler = Handler()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a login without TLS, on this machine alone
        controller = Controller(
            handler, hostname="127.0.0.1", port=free_port(), authenticator=knows, auth_require_tls=False
        )
        controller.start()
    handler.port = controller.port
    yield handler
    controller.stop()


def plain_mail(connect, port, **values):
    given = {"host": "127.0.0.1", "port": port, "extra": {"disable_ssl": True, "disable_tls": True}}
    connect("yard_mail", **given | values)


def test_mail(connect, mail_server):
    plain_mail(connect, mail_server.port, login="bays", password=SECRET)
    send(MAIL, MESSAGE)
    ((recipients, text),) = mail_server.mails
    assert recipients == ["a@yard.example", "b@yard.example"]
    assert "Message-ID: <0123abcd@yard.example>" in text
    assert "Importance: high" in text
    assert "what: BaySilent" in text


def test_an_address_that_is_unknown_keeps_the_mail_from_no_other(connect, mail_server, caplog):
    plain_mail(connect, mail_server.port)
    mail_server.refuses = {"a@yard.example"}
    send(MAIL, MESSAGE)
    assert [recipients for recipients, _ in mail_server.mails] == [["b@yard.example"]]
    assert "1 of 2 addresses are refused" in caplog.text


def test_a_wrong_login_is_no_secret_in_an_error(connect, mail_server):
    plain_mail(connect, mail_server.port, login="bays", password="wrong-s3cr3t")
    with pytest.raises(DeliveryError, match="SMTPAuthenticationError 535") as refused:
        send(MAIL, MESSAGE)
    assert "s3cr3t" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_mail_without_the_encryption_that_is_wanted_is_not_sent(connect, mail_server):
    plain_mail(connect, mail_server.port, extra={"disable_ssl": True})
    with pytest.raises(DeliveryError, match="SMTPNotSupportedError"):
        send(MAIL, MESSAGE)
    assert mail_server.mails == []


def test_a_webhook(connect, web):
    connect(
        "yard_hook", host="127.0.0.1", schema="http", port=web.server_port, password=SECRET, extra={"endpoint": "in"}
    )
    send(HOOK, MESSAGE)
    ((path, headers, body),) = web.posts
    assert path == "/in"
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["Idempotency-Key"] == "0123abcd"
    assert body == {
        "id": "0123abcd", "severity": "critical", "subject": MESSAGE.subject, "text": MESSAGE.text,
        "items": [{"kind": "BaySilent"}],
    }  # fmt: skip


@pytest.mark.parametrize("status", [307, 404, 500])
def test_a_webhook_that_does_not_take_it(connect, web, status):
    web.status = status
    connect("yard_hook", host=f"http://127.0.0.1:{web.server_port}", extra={"endpoint": SECRET})
    with pytest.raises(DeliveryError, match=f"status {status}") as refused:
        send(HOOK, MESSAGE)
    assert SECRET not in str(refused.value)


def test_a_webhook_that_is_away(connect):
    connect("yard_hook", host=f"http://127.0.0.1:{free_port()}", extra={"endpoint": SECRET})
    with pytest.raises(DeliveryError, match="yard_hook: ConnectionError") as refused:
        send(HOOK, MESSAGE)
    assert SECRET not in str(refused.value)


# Of Python's own `imghdr`, which apprise imports for a library of PGP.
quiet_apprise = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.mark.slow(1)
@quiet_apprise
def test_apprise(connect, web):
    connect("yard_chat", extra={"config": {"path": f"json://127.0.0.1:{web.server_port}/{SECRET}", "tag": "yard"}})
    send(CHAT, MESSAGE)
    ((path, _, body),) = web.posts
    assert path.strip("/") == SECRET
    assert body["title"] == MESSAGE.subject
    assert body["type"] == "failure"


@quiet_apprise
@pytest.mark.parametrize(
    ("path", "reason"),
    [("json://127.0.0.1:1/" + SECRET, "not taken"), ("pigeon://" + SECRET, "knows no service")],
)
def test_apprise_that_does_not_take_it(connect, path, reason, caplog):
    connect("yard_chat", extra={"config": {"path": path}})
    with pytest.raises(DeliveryError, match=reason) as refused:
        send(CHAT, MESSAGE)
    assert SECRET not in str(refused.value)
    assert SECRET not in caplog.text


def test_no_connection(monkeypatch):
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "sqlite://")
    with pytest.raises(DeliveryError, match="yard_chat"):
        send(CHAT, MESSAGE)


needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto", path="/usr/sbin:/usr/bin") is None,
    reason="no mosquitto: deploy/install-system-packages.sh",
)


@pytest.fixture
def broker(tmp_path):
    """A broker that knows one login, and a subscriber's list of what it got."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    port = free_port()
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
    passwords = shutil.which("mosquitto_passwd")
    subprocess.run([passwords, "-c", "-b", tmp_path / "passwords", "bays", SECRET], check=True, capture_output=True)
    (tmp_path / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {tmp_path}/passwords\nuser root\n"
    )
    process = subprocess.Popen(
        [program, "-c", tmp_path / "mosquitto.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    got, ready = [], threading.Event()
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("bays", SECRET)
    client.on_message = lambda _client, _data, message: got.append(json.loads(message.payload))
    client.on_subscribe = lambda *_: ready.set()
    try:
        _until(lambda: _connected(client, port))
        client.loop_start()
        client.subscribe("bays/#", qos=2)
        assert ready.wait(10)
        yield port, got
    finally:
        client.disconnect()
        client.loop_stop()
        process.terminate()
        process.wait(10)


def _connected(client, port):
    try:
        client.connect("127.0.0.1", port)
    except OSError:
        return False
    return True


def _until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@needs_mosquitto
def test_mqtt(connect, broker):
    port, got = broker
    connect("yard_mqtt", host="127.0.0.1", port=port, login="bays", password=SECRET, extra={"disable_tls": True})
    send(MQTT, MESSAGE)
    _until(lambda: got)
    assert [one["id"] for one in got] == ["0123abcd"]


@pytest.mark.slow(1)
@needs_mosquitto
def test_mqtt_with_a_wrong_login(connect, broker, monkeypatch):
    port, got = broker
    monkeypatch.setattr("dashboard.alerting.channels.TIMEOUT_S", 1.0)
    connect("yard_mqtt", host="127.0.0.1", port=port, login="bays", password="wrong", extra={"disable_tls": True})
    with pytest.raises(DeliveryError, match="has not taken it"):
        send(MQTT, MESSAGE)
    assert got == []


def test_mqtt_asks_for_encryption_unless_it_is_told_not_to(connect, monkeypatch):
    asked = []
    monkeypatch.setattr("paho.mqtt.client.Client.tls_set_context", lambda _, context: asked.append(context))
    connect("yard_mqtt", host="127.0.0.1", port=free_port())
    with pytest.raises(DeliveryError, match="ConnectionRefusedError"):
        send(MQTT, MESSAGE)
    assert isinstance(asked[0], ssl.SSLContext)
