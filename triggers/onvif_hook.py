"""The Airflow Connection of a bay's cameras: type `onvif`, named `onvif_{bay_id}`."""

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Self

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from bay_observation.errors import BayObservationError, ConfigError
from bays import BayConfig, bay_ids, load_bay, onvif_connection_id

if TYPE_CHECKING:
    from capture_async import Credentials
    from capture_async.probe import CameraReport


class OnvifHook(BaseHook):
    """Login of the cameras of a bay, and the form's *Test*.

    A Connection of another type under the same name serves as well: only login and password count.

    Args:
        onvif_conn_id: the Connection, see `bays.onvif_connection_id`.
    """

    conn_name_attr = "onvif_conn_id"
    default_conn_name = "onvif_default"
    conn_type = "onvif"
    hook_name = "ONVIF cameras of a bay"

    def __init__(self, onvif_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.onvif_conn_id = onvif_conn_id

    @classmethod
    def of_bay(cls, bay_id: str) -> Self:
        """The hook of a bay's Connection."""
        return cls(onvif_connection_id(bay_id))

    def get_conn(self) -> "Credentials":
        """Login and password, in a task.

        Raises:
            ConfigError: Airflow has no such Connection.
        """
        try:
            return _credentials(BaseHook.get_connection(self.onvif_conn_id))
        except AirflowNotFoundException as error:
            raise self._missing() from error

    async def aget_conn(self) -> "Credentials":
        """Login and password, in a trigger.

        Raises:
            ConfigError: Airflow has no such Connection.
        """
        try:
            return _credentials(await BaseHook.aget_connection(self.onvif_conn_id))
        except AirflowNotFoundException as error:
            raise self._missing() from error

    def test_connection(self) -> tuple[bool, str]:
        """Ask one camera, that of the field *host*, for a frame from the host on which this runs.

        Only a camera that stands in a bay's file is asked. As a rule the API server has no route to it: the
        answer then says where to ask.

        Returns:
            Whether it gave a frame, and what was found.
        """
        try:
            connection = BaseHook.get_connection(self.onvif_conn_id)
            bay = _bay_of_camera(str(connection.host or ""), connection.port)
            report = asyncio.run(_probe(bay, _credentials(connection)))
        except BayObservationError as error:
            return False, str(error)
        except ImportError as error:
            return False, f"the libraries for cameras are not installed here ({error.name}): {_elsewhere()}"
        return report.has_frame, _found(bay, report)

    def _missing(self) -> ConfigError:
        name = self.onvif_conn_id
        return ConfigError(
            f"there is no Airflow Connection {name}: add it with login and password of the bay's"
            f" cameras (airflow connections add {name} --conn-type onvif ..., or AIRFLOW_CONN_{name.upper()})"
        )


def _credentials(connection: Any) -> "Credentials":
    from capture_async import Credentials

    return Credentials(connection.login or "", connection.password or "")


def _bay_of_camera(host: str, port: int | None) -> BayConfig:
    """The bay that has this camera, with no other camera.

    Raises:
        ConfigError: no bay's file has it.
    """
    if not host:
        raise ConfigError("nothing was asked: give the address of one of the bay's cameras as host, then Test asks it")
    for bay_id in bay_ids():
        try:
            bay = load_bay(bay_id)
        except ConfigError:
            continue  # another bay's file
        for camera in bay.cameras:
            if str(camera.host) == host and port in (None, camera.port):
                return bay.model_copy(update={"cameras": (camera,)})
    where = host if port is None else f"{host}:{port}"
    raise ConfigError(f"no bay's file has a camera at {where}: only cameras of a bay are asked")


async def _probe(bay: BayConfig, credentials: "Credentials") -> "CameraReport":
    from capture_async.probe import probe

    return (await probe(bay, credentials)).cameras[0]


def _found(bay: BayConfig, report: "CameraReport") -> str:
    camera = f"camera {report.name} of bay {bay.bay_id} ({report.address})"
    if report.reason is None:
        width, height = report.resolution or (0, 0)
        return f"{camera} gave a frame of {width} x {height}; asked from {socket.gethostname()}"
    found = f"{camera}, asked from {socket.gethostname()}: {report.reason}: {report.detail}. {report.advice}"
    return found if report.reachable else f"{found} If this host has no route to the cameras, {_elsewhere(bay.bay_id)}"


def _elsewhere(bay_id: str = "BAY") -> str:
    return f"ask on the bay's observer: bay-observation camera probe {bay_id}"
