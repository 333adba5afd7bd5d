"""The Connection of a bay's cameras, and the form's Test."""

import socket

import pytest
from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from bay_observation.errors import ConfigError
from capture_async import Credentials
from lab.services.ports import free_port
from triggers.onvif_hook import OnvifHook

PASSWORD = "s3cret-of-the-yard"


@pytest.fixture
def connection(monkeypatch):
    """Airflow's only Connection; a test changes it."""
    made = Connection(conn_id="onvif_yard", conn_type="onvif", login="operator", password=PASSWORD)

    def found(name):
        if name != made.conn_id:
            raise AirflowNotFoundException(name)
        return made

    async def afound(name):
        return found(name)

    monkeypatch.setattr(BaseHook, "get_connection", found)
    monkeypatch.setattr(BaseHook, "aget_connection", afound)
    return made


@pytest.fixture
def camera(make_bay):
    """The first camera of bay `yard`; nothing listens at its address."""
    bay = make_bay()
    camera = bay.cameras[0].model_dump(mode="json", exclude_unset=True) | {"port": free_port("127.60.0.12")}
    camera["host"] = "127.60.0.12"
    return make_bay(cameras=[camera], camera_quorum=1).cameras[0]


async def test_login_and_password_of_a_bay(connection):
    expected = Credentials("operator", PASSWORD)
    assert OnvifHook.of_bay("yard").get_conn() == expected
    assert await OnvifHook.of_bay("yard").aget_conn() == expected


async def test_a_missing_connection_says_how_to_add_it(connection):
    for ask in (OnvifHook.of_bay("other").get_conn, None):
        with pytest.raises(ConfigError, match=r"no Airflow Connection onvif_other: .* --conn-type onvif"):
            ask() if ask else await OnvifHook.of_bay("other").aget_conn()


def test_a_test_without_a_camera_asks_nothing(connection, make_bay):
    make_bay()
    assert OnvifHook.of_bay("yard").test_connection() == (
        False,
        "nothing was asked: give the address of one of the bay's cameras as host, then Test asks it",
    )


@pytest.mark.parametrize(("host", "port"), [("169.254.169.254", 80), ("127.60.0.12", 9), ("camera.example", None)])
def test_only_a_camera_of_a_bay_is_asked(connection, camera, monkeypatch, host, port):
    monkeypatch.setattr(socket, "socket", pytest.fail)
    connection.host, connection.port = host, port
    passed, said = OnvifHook.of_bay("yard").test_connection()
    assert not passed
    assert f"no bay's file has a camera at {host}" in said


def test_a_camera_that_cannot_be_reached_from_here(connection, camera):
    connection.host = str(camera.host)
    passed, said = OnvifHook.of_bay("yard").test_connection()
    assert not passed
    assert f"camera {camera.name} of bay yard" in said
    assert "unreachable" in said
    assert "ask on the bay's observer: bay-observation camera probe yard" in said
    assert PASSWORD not in said


def test_a_camera_that_gives_a_frame(connection, camera, monkeypatch):
    from capture_async import probe
    from capture_async.probe import CameraReport, ProbeReport

    asked = []

    async def found(bay, credentials):
        asked.append((bay.cameras, credentials))
        report = CameraReport(camera.name, str(camera.host), done=True, resolution=(1920, 1080))
        return ProbeReport("yard", 1, 0.2, (report,))

    monkeypatch.setattr(probe, "probe", found)
    connection.host, connection.port = str(camera.host), camera.port
    passed, said = OnvifHook.of_bay("yard").test_connection()
    assert passed
    assert "gave a frame of 1920 x 1080" in said
    assert asked == [((camera,), Credentials("operator", PASSWORD))]


def test_a_host_without_the_libraries_for_cameras(connection, camera, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "capture_async.probe", None)
    connection.host = str(camera.host)
    passed, said = OnvifHook.of_bay("yard").test_connection()
    assert not passed
    assert "not installed here" in said
