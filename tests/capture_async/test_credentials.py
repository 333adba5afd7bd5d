"""Where a person's commands take the cameras' login from."""

import pytest

from bay_observation.errors import ConfigError
from capture_async import Credentials
from capture_async.credentials import login_from_environment

JSON_CONNECTION = '{"conn_type": "onvif", "login": "operator", "password": "p@ss/wörd"}'


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"CAMERA_USER": "a", "CAMERA_PASSWORD": "b"}, ("a", "b")),
        ({"CAMERA_USER": "a", "CAMERA_PASSWORD": ""}, ("a", "")),
        ({"AIRFLOW_CONN_ONVIF_3BAY_NORTH": JSON_CONNECTION}, ("operator", "p@ss/wörd")),
        ({"AIRFLOW_CONN_ONVIF_3BAY_NORTH": "onvif://operator:p%40ss%2Fw%C3%B6rd@"}, ("operator", "p@ss/wörd")),
        ({"AIRFLOW_CONN_ONVIF_3BAY_NORTH": "generic://operator:pw@host:80/?a=b"}, ("operator", "pw")),
        ({"CAMERA_USER": "a", "CAMERA_PASSWORD": "b", "AIRFLOW_CONN_ONVIF_3BAY_NORTH": JSON_CONNECTION}, ("a", "b")),
        ({"AIRFLOW_CONN_ONVIF_4BAY": JSON_CONNECTION}, None),
    ],
)
def test_where_the_login_comes_from(environment, expected):
    found = login_from_environment("3bay_north", environment)
    assert found == (None if expected is None else Credentials(*expected))


def test_connections_are_read_as_airflow_reads_them(monkeypatch):
    from airflow.models import Connection

    for text in (JSON_CONNECTION, "onvif://operator:p%40ss%2Fw%C3%B6rd@", "onvif://operator:pw@cameras/?x=1"):
        theirs = Connection.from_json(text) if text.startswith("{") else Connection(uri=text)
        ours = login_from_environment("yard", {"AIRFLOW_CONN_ONVIF_YARD": text})
        assert ours == Credentials(theirs.login, theirs.password)


@pytest.mark.parametrize(
    "environment",
    [
        {"CAMERA_USER": "operator"},
        {"CAMERA_PASSWORD": "s3cret"},
        {"AIRFLOW_CONN_ONVIF_YARD": '{"password": "s3cret"}'},
        {"AIRFLOW_CONN_ONVIF_YARD": '{"password": "s3cret'},
        {"AIRFLOW_CONN_ONVIF_YARD": "s3cret"},
        {"AIRFLOW_CONN_ONVIF_YARD": "http://[s3cret"},
    ],
)
def test_a_login_that_cannot_be_read_is_named_and_not_repeated(environment):
    with pytest.raises(ConfigError) as caught:
        login_from_environment("yard", environment)
    assert "s3cret" not in str(caught.value)
    assert any(name in str(caught.value) for name in environment)


def test_repr_of_credentials_hides_the_password():
    assert repr(Credentials("operator", "hunter2")) == "Credentials(username='operator')"
