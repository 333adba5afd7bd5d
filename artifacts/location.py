"""Where the shared storage lies: `DATA_PATH`, and the kind of place that it names."""

from pathlib import Path

from artifacts.filesystem import FileSystem
from artifacts.local_folder import LocalFileSystem
from artifacts.object_storage import ObjectStorage
from bay_observation import settings
from bay_observation.errors import ConfigError


def data_root() -> str:
    """Root of the shared storage: a folder, or `s3://bucket/prefix`."""
    return settings.DATA_PATH.read()


def data_path() -> Path:
    """The same where it must be a folder, since what lies there is no artifact (camera health, SQLite).

    Raises:
        ConfigError: `DATA_PATH` is no folder.
    """
    root = data_root()
    if "://" in root:
        raise ConfigError(
            f"DATA_PATH={root} is no folder: artifacts can lie there, a database or a lock cannot;"
            " set HISTORY_DB to a PostgreSQL for the history and the lock of tracking"
        )
    return Path(root)


def file_system(root: str) -> FileSystem:
    """The place that a root names.

    Raises:
        ConfigError: it is an address of a kind that is not known, or holds a login.
    """
    scheme, separator, _ = root.partition("://")
    if not separator:
        return LocalFileSystem(root)
    if scheme == "s3":
        return ObjectStorage(root)
    raise ConfigError(f"DATA_PATH: {scheme}:// is no kind of store: give a folder, or s3://bucket/prefix")
