"""Sockets of the inference servers of this host: one Unix socket per bay, for its owner only."""

import fcntl
import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import Self

from artifacts.reference import artifact_path
from bay_observation import settings
from bay_observation.errors import ConfigError

_LONGEST_PATH = 107  # bytes, of Linux
_TRUSTED = (0,)  # users beside this one: root


def socket_folder() -> Path:
    """`INFERENCE_SOCKETS`, or a folder of this user in the host's runtime directory."""
    if named := settings.INFERENCE_SOCKETS.read():
        return named
    if runtime := settings.XDG_RUNTIME_DIR.read():
        return runtime / "bay_observation"
    return Path(tempfile.gettempdir()) / f"bay_observation-{os.getuid()}" / "inference"


def socket_path(bay_id: str) -> Path:
    """The socket of the server that has a bay's models.

    Raises:
        ConfigError: the folder's name is too long for a Unix socket.
        ArtifactError: the bay's name could leave the folder.
    """
    artifact_path("capture", bay_id, "any")  # raises for anything but a plain name
    path = socket_folder() / f"{bay_id}.sock"
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ConfigError(f"{path}: longer than the {_LONGEST_PATH} bytes of a socket's name: set INFERENCE_SOCKETS")
    return path


def belongs_to_us(path: Path) -> bool:
    """Whether the socket exists and belongs to this user: another user's server cannot be trusted.

    Raises:
        ConfigError: the socket belongs to another user.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(found.st_mode):
        return False
    if found.st_uid not in (os.getuid(), *_TRUSTED):
        raise ConfigError(f"{path}: belongs to user {found.st_uid}: worker, triggerer and server run as one user")
    return True


class BaySocket:
    """A bay's socket, held by this process alone.

    A lock file beside it, released by the kernel when the process ends, distinguishes a socket
    in use from one that a killed server left behind.

    Raises:
        ConfigError: another server has the bay, or the folder cannot be used.
    """

    def __init__(self, bay_id: str) -> None:
        self.path = socket_path(bay_id)
        self._socket: socket.socket | None = None
        folder = self.path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid != os.getuid():
                raise ConfigError(f"{folder}: belongs to another user: set INFERENCE_SOCKETS to a folder of your own")
            self._lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"{folder}: cannot hold a socket: {error.strerror or error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise ConfigError(f"{self.path}: another server has the models of bay {bay_id}") from None

    def bind(self) -> socket.socket:
        """Bind the socket, readable for its owner only; replaces one that a killed server left."""
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(self.path))
        finally:
            os.umask(before)
        return self._socket

    def close(self) -> None:
        """Remove the socket, if it was bound, and release the lock."""
        if self._socket is not None:
            self._socket.close()
            self.path.unlink(missing_ok=True)
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
