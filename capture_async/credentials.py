"""The login of a bay's cameras, and where a person's commands take it from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from bay_observation import settings
from bay_observation.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Credentials:
    """Login and password of all cameras of a bay, from the Airflow Connection `onvif_{bay_id}`.

    The password is in no `repr`, so that it reaches no log by way of a message.
    """

    username: str
    password: str = field(repr=False)


def login_from_environment(bay_id: str, environment: Mapping[str, str] | None = None) -> Credentials | None:
    """The cameras' login, from the environment; None when it holds none.

    `CAMERA_USER` and `CAMERA_PASSWORD` come first, then `AIRFLOW_CONN_ONVIF_{BAY}`, which
    holds an Airflow Connection as JSON or as a URI.

    Raises:
        ConfigError: one of the two is missing, or the Connection cannot be read. Its text
            is not repeated.
    """
    username = settings.CAMERA_USER.read(environment)
    password = settings.CAMERA_PASSWORD.read(environment)
    if username and password is not None:
        return Credentials(username, password)
    if username or password:
        raise ConfigError("set both CAMERA_USER and CAMERA_PASSWORD, or neither")
    connection = settings.camera_connection(bay_id)
    text = connection.read(environment)
    return None if not text else _login_of_connection(connection.name, text)


def _login_of_connection(variable: str, text: str) -> Credentials:
    try:
        if text.lstrip().startswith("{"):
            values = json.loads(text)
            login, password = values.get("login"), values.get("password")
        else:
            parts = urlsplit(text)
            login = None if parts.username is None else unquote(parts.username)
            password = None if parts.password is None else unquote(parts.password)
    except ValueError:
        # Neither the text nor the parser's message, which quotes it, may reach a screen.
        raise ConfigError(f"{variable}: is no Airflow Connection, neither JSON nor a URI") from None
    if not isinstance(login, str) or not login:
        raise ConfigError(f"{variable}: the Connection has no login")
    return Credentials(login, password if isinstance(password, str) else "")
