"""A store on S3: `s3://bucket/prefix`, through fsspec and s3fs.

A PUT is atomic there: a reader sees the whole object or none. `If-None-Match` makes one that never
replaces an object. What S3 has not is a lock: tracking then needs the one of PostgreSQL.
Address and credentials are the environment's (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_PROFILE`, or the host's role); none stands in the root.
"""

import errno
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import takewhile
from typing import Any

from artifacts.filesystem import FileStatus
from bay_observation.errors import ConfigError, FileTooLargeError
from bay_observation.files import BeforeCommit

_ROOT = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9][A-Za-z0-9_.=-]*)*/?")
# Beneath `STORE_TIMEOUT`, so that the error names S3, and not a hanging call.
_CONFIG = {"connect_timeout": 5, "read_timeout": 10, "retries": {"max_attempts": 2}}


class ObjectStorage:
    """A bucket, or what lies under a prefix of one.

    Args:
        root: `s3://bucket/prefix`.

    Raises:
        ConfigError: it is no such address.
    """

    def __init__(self, root: str) -> None:
        # Not repeated: what is wrong with it may be that a login stands in it.
        if _ROOT.fullmatch(root) is None:
            raise ConfigError(
                "DATA_PATH is no s3://bucket/prefix of plain names; endpoint and credentials come from the"
                " environment (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
            )
        self.root = root.rstrip("/")
        self._prefix = self.root.removeprefix("s3://")
        self._client: Any = None

    def where(self, path: str) -> str:
        """The object's address, for people."""
        return f"{self.root}/{path}"

    def status(self, path: str) -> FileStatus | None:
        """Size and time of an object, None where there is none."""
        with self._s3() as s3:
            try:
                found = s3.info(self._key(path))
            except FileNotFoundError:
                return None
            return FileStatus(int(found["size"]), found["LastModified"])

    def read(self, path: str, most_bytes: int) -> bytes:
        """All of an object; see `FileSystem`."""
        with self._s3() as s3:
            size = int(s3.info(self._key(path))["size"])
            if size > most_bytes:
                raise FileTooLargeError(f"{self.where(path)}: {size} bytes, at most {most_bytes} are allowed", size)
            content: bytes = s3.cat_file(self._key(path))
            return content

    def write(self, path: str, content: bytes, *, before_commit: BeforeCommit | None = None, new: bool = False) -> None:
        """Put an object there: whole or not at all; see `FileSystem`."""
        if before_commit is not None:
            before_commit()
        with self._s3() as s3:
            s3.pipe_file(self._key(path), content, mode="create" if new else "overwrite")

    def remove(self, path: str) -> None:
        """Remove an object, if it is there."""
        with self._s3() as s3, suppress(FileNotFoundError):
            s3.rm_file(self._key(path))

    def folders(self, folder: str, file_name: str, since: str = "", until: str = "") -> list[str]:
        """Names of the folders in `folder` that hold an object of that name, in order; see `FileSystem`."""
        begin = _common_beginning(since, until)
        with self._s3() as s3:
            try:
                keys = s3.find(self._key(folder), prefix=begin)
            except FileNotFoundError:
                return []
        names = [key.removeprefix(f"{self._key(folder)}/").split("/") for key in keys]
        found = (parts[0] for parts in names if len(parts) == 2 and parts[1] == file_name)
        return sorted(name for name in found if since <= name and (not until or name < until))

    def newest(self, folder: str, file_name: str) -> str | None:
        """The last of `folders`; None where there is none."""
        return max(self.folders(folder, file_name), default=None)

    def oldest(self, folder: str, file_name: str) -> str | None:
        """The first of `folders`; None where there is none."""
        return min(self.folders(folder, file_name), default=None)

    def unlisted(self, folder: str) -> list[str]:
        """None: S3 lists by prefix."""
        return []

    def enlist(self, folder: str, names: Sequence[str], *, all_are: bool = False) -> None:
        """Nothing: S3 lists by prefix."""

    def remove_leftovers(self, folder: str, since: str, older_than_s: float) -> int:
        """Nothing: a PUT that was cut off leaves no object."""
        return 0

    def lock(self, path: str, patience_s: float) -> AbstractContextManager[None]:
        """There is none.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"{self.where(path)}: S3 has no locks: tracking on an s3:// store needs the lock of a database:"
            " set HISTORY_DB to a PostgreSQL"
        )

    def _key(self, path: str) -> str:
        parts = path.split("/")
        if any(part in ("", "..") or part == "." for part in parts):
            raise ConfigError(f"{path}: leaves the store {self.root}")
        return f"{self._prefix}/{path}"

    @contextmanager
    def _s3(self) -> Iterator[Any]:
        """The client, with its failures as the `OSError` that a file system would raise."""
        try:
            # No DAG is parsed with these, and no host needs them whose store is a folder.
            import botocore.exceptions as botocore
            import s3fs
        except ImportError as error:
            raise ConfigError(f"DATA_PATH={self.root} needs s3fs: install bay-observation[s3]") from error
        if self._client is None:
            self._client = s3fs.S3FileSystem(use_listings_cache=False, config_kwargs=_CONFIG)
        try:
            yield self._client
        except botocore.NoCredentialsError as error:
            raise PermissionError(errno.EACCES, str(error)) from error
        except (botocore.HTTPClientError, botocore.ConnectionError) as error:
            raise ConnectionError(errno.ENOTCONN, str(error)) from error
        except (botocore.BotoCoreError, botocore.ClientError) as error:
            raise OSError(None, str(error)) from error
        except PermissionError as error:
            raise PermissionError(errno.EACCES, str(error)) from error


def _common_beginning(one: str, other: str) -> str:
    """What two bounds both begin with: so does every name between them."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(character for character, _ in same)
