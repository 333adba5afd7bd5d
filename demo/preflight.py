"""What can be known to go wrong before anything is started: one clear line each."""

import shutil
import socket
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
                raise ConfigError(f"{folder}: holds files that no demo wrote; name another folder with --output")
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARKER).touch()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be used for the demo's output: {error.strerror or error}") from error
    if free < _NEEDED_BYTES:
        raise ConfigError(
            f"{folder}: {free / 2**20:.0f} MB free where the demo writes up to {_NEEDED_BYTES / 2**20:.0f} MB:"
            " free room, or name another folder with --output"
        )


def check_cameras_can_listen(bay: BayConfig) -> None:
    """Refuse to start when another program holds a camera's address.

    Raises:
        ConfigError: the message names the address.
    """
    for camera in bay.cameras:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((str(camera.host), camera.port))
            except OSError as error:
                raise ConfigError(
                    f"camera {camera.name} cannot listen on {camera.host}:{camera.port}: {error.strerror};"
                    " is another demo running?"
                ) from error
