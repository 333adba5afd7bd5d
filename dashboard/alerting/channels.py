"""Ways to send a message: mail, apprise, webhook, MQTT.

Each takes its address and login from an Airflow Connection when it sends. An error names the channel and the kind of
failure, never an address: those of chat services hold a token.
"""

import json
import logging
import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, assert_never

from bay_observation.errors import DeliveryError
from dashboard.alerting.routes import AppriseChannel, Channel, MailChannel, MqttChannel, WebhookChannel
from dashboard.alerting.wording import Message

if TYPE_CHECKING:
    from airflow.models.connection import Connection

TIMEOUT_S = 20.0
"""For which a receiver may keep a sender waiting."""

_log = logging.getLogger(__name__)


def send(channel: Channel, message: Message) -> None:
    """Send a message.

    Raises:
        DeliveryError: it was not taken.
    """
    connection = _connection(channel.connection)
    try:
        match channel:
            case MailChannel():
                _mail(channel, connection, message)
            case AppriseChannel():
                _apprise(connection, message)
            case WebhookChannel():
                _webhook(connection, message)
            case MqttChannel():
                _mqtt(channel, connection, message)
            case _:
                assert_never(channel)
    except DeliveryError:
        raise
    except Exception as error:  # noqa: BLE001 - each library has its own
        # Its text and its cause may hold the address.
        raise DeliveryError(f"Connection {channel.connection}: {_kind(error)}") from None


def _mail(channel: MailChannel, connection: "Connection", message: Message) -> None:
    mail = EmailMessage()
    mail["Message-ID"] = f"<{message.identity}@{channel.sender.rpartition('@')[2]}>"
    mail["Date"] = formatdate()
    mail["From"] = channel.sender
    mail["To"] = ", ".join(channel.to)
    mail["Subject"] = message.subject
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    if message.severity == "critical":
        mail["Importance"] = "high"
    with _smtp(connection) as server:
        if connection.login:
            server.login(connection.login, connection.password or "")
        refused = server.send_message(mail)
    if refused:
        # The others have it: to send it again would give it to them twice.
        _log.error("Connection %s: %d of %d addresses are refused", channel.connection, len(refused), len(channel.to))


def _smtp(connection: "Connection") -> smtplib.SMTP:
    extra = connection.extra_dejson
    host = connection.host or ""
    if not _flag(extra, "disable_ssl"):
        return smtplib.SMTP_SSL(host, connection.port or 465, timeout=TIMEOUT_S, context=ssl.create_default_context())
    server = smtplib.SMTP(host, connection.port or 25, timeout=TIMEOUT_S)
    try:
        if not _flag(extra, "disable_tls"):
            server.starttls(context=ssl.create_default_context())
    except BaseException:
        server.close()
        raise
    return server


def _apprise(connection: "Connection", message: Message) -> None:
    from airflow.providers.apprise.hooks.apprise import AppriseHook
    from apprise import Apprise, NotifyType

    services = Apprise()
    # The hook's own `notify` says nothing of a failure.
    AppriseHook(connection.conn_id).set_config_from_conn(connection, services)
    if len(services) == 0:
        raise DeliveryError(f"Connection {connection.conn_id}: apprise knows no service of its `config`")
    kinds = {"critical": NotifyType.FAILURE, "warning": NotifyType.WARNING}
    kind = kinds.get(message.severity, NotifyType.INFO)
    if not services.notify(body=message.text, title=message.subject, notify_type=kind):
        raise DeliveryError(f"Connection {connection.conn_id}: apprise says that it was not taken")


def _webhook(connection: "Connection", message: Message) -> None:
    import requests

    headers = {"Idempotency-Key": message.identity}
    if connection.password:
        headers["Authorization"] = f"Bearer {connection.password}"
    # A redirect would take the token elsewhere.
    answer = requests.post(
        _address(connection), json=_document(message), headers=headers, timeout=TIMEOUT_S, allow_redirects=False
    )
    if not 200 <= answer.status_code < 300:
        raise DeliveryError(f"Connection {connection.conn_id}: status {answer.status_code}")


def _address(connection: "Connection") -> str:
    host = connection.host or ""
    base = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    port = f":{connection.port}" if connection.port else ""
    return f"{base}{port}/{str(connection.extra_dejson.get('endpoint', '')).lstrip('/')}"


def _mqtt(channel: MqttChannel, connection: "Connection", message: Message) -> None:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

    client = Client(CallbackAPIVersion.VERSION2)
    client.connect_timeout = TIMEOUT_S
    if connection.login:
        client.username_pw_set(connection.login, connection.password)
    encrypted = not _flag(connection.extra_dejson, "disable_tls")
    if encrypted:
        client.tls_set_context(ssl.create_default_context())
    client.connect(connection.host or "", connection.port or (8883 if encrypted else 1883))
    client.loop_start()
    try:
        sent = client.publish(channel.topic, json.dumps(_document(message)), qos=2)
        with suppress(RuntimeError, ValueError):  # it is not sent: said below
            sent.wait_for_publish(TIMEOUT_S)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS or not sent.is_published():
            raise DeliveryError(f"Connection {connection.conn_id}: the broker has not taken it")
    finally:
        client.disconnect()
        client.loop_stop()


def _document(message: Message) -> dict[str, Any]:
    return {
        "id": message.identity,
        "severity": message.severity,
        "subject": message.subject,
        "text": message.text,
        "items": list(message.items),
    }


def _connection(connection_id: str) -> "Connection":
    from airflow.models.connection import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return Connection.get_connection_from_secrets(connection_id)
    except AirflowNotFoundException:
        raise DeliveryError(f"there is no Connection {connection_id}: docs/alerting.md says what it holds") from None


def _flag(extra: dict[str, Any], name: str) -> bool:
    return str(extra.get(name, False)).lower() == "true"


def _kind(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} {error.smtp_code}"
    code = getattr(error, "strerror", None)
    return f"{type(error).__name__}: {code}" if isinstance(code, str) else type(error).__name__


Send = Callable[[Channel, Message], None]
"""How `send` is called."""
