"""What can be known to go wrong before anything is started: one clear line each."""

import shutil
import socket
from contextlib import suppress
from pathlib import Path

from bay_observation.errors import ConfigError
from bays import BayConfig

_NEEDED_BYTES = 600 * 2**20  # Airflow's home and logs, six slots of frames, pictures
_MARKER = ".made-by-the-demo"


def prepare_output(folder: Path) -> None:
    """Make `folder` an empty one; what an earlier demo left there is removed.

    Raises:
        ConfigError: the folder holds something that no demo wrote, cannot be
            written, or its file system has too little room.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            if not (folder / _MARKER).exists():
                raise ConfigError(f"{folder}: holds files that the demo did not write; use another --output")
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARKER).touch()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be used for the demo's output: {error.strerror or error}") from error
    if free < _NEEDED_BYTES:
        raise ConfigError(
            f"{folder}: {free / 2**20:.0f} MB are free, and the demo writes up to {_NEEDED_BYTES / 2**20:.0f} MB:"
            " free some space, or choose another folder with --output"
        )


def check_sound(bay: BayConfig) -> None:
    """Refuse a bay that cannot work: a demo of it shows its faults late, and in other words.

    Raises:
        ConfigError: what `bay check` calls errors, one a line.
    """
    from bays import bay_ids, load_bay
    from bays.checking import check_bay
    from bays.findings import located, with_lines

    others = []
    for name in bay_ids():
        with suppress(ConfigError):  # another bay's file is no matter of this one
            others.append(load_bay(name))
    errors = [one for one in check_bay(bay, others) if one.level == "error"]
    if errors:
        said = "\n".join(located(bay.bay_id, one) for one in with_lines(bay.bay_id, errors))
        raise ConfigError(f"{said}\nbay {bay.bay_id} cannot work so: correct it, and see bay check {bay.bay_id}")


def check_opencv() -> None:
    """Refuse to start on a machine that lacks the libraries which OpenCV loads.

    Raises:
        ConfigError: the message names the packages.
    """
    try:
        import cv2
    except ImportError as error:
        raise ConfigError(f"OpenCV cannot be loaded ({error}): run apt install libgl1 libglib2.0-0") from error
    del cv2


def check_can_listen(bay: BayConfig, ui_port: int) -> None:
    """Refuse to start when another program holds a camera's address or the Airflow UI's port.

    Raises:
        ConfigError: the message names the address.
    """
    for camera in bay.cameras:
        _check_free(f"camera {camera.name}", str(camera.host), camera.port, "is another demo running?")
    _check_free("the Airflow UI", "127.0.0.1", ui_port, "choose another with --port")


def _check_free(who: str, host: str, port: int, remedy: str) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise ConfigError(f"{who} cannot listen on {host}:{port}: {error.strerror}; {remedy}") from error
