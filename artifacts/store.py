"""The store: atomic publishing, and reading that verifies before it unpickles."""

import errno
import hashlib
import io
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any

from artifacts.reference import ArtifactReference, Stage, artifact_path
from artifacts.schemas import SCHEMAS, Name
from bay_observation.errors import ArtifactError

_DEFAULT_ROOT = "/opt/airflow/data"
_PICKLE_PROTOCOL = 5
# A file starts with this line; the pickle follows it. It tells a foreign file from
# ours, and an outdated one from a current one, before anything is unpickled.
_MAGIC = b"bay-observation"
_LONGEST_HEADER = 128
# No writer takes so long, on the slowest mount.
_ABANDONED_S = 3600.0


def data_path() -> Path:
    """Root of the shared storage on this host: `DATA_PATH`, or the container's `/opt/airflow/data`."""
    return Path(os.environ.get("DATA_PATH") or _DEFAULT_ROOT)


class ArtifactStore:
    """Artifacts under one root, shared by observers and processors.

    Publishing is atomic: a reader sees the whole file or none. The file at a path
    is replaced only by another publication of the same stage and batch; references
    to what was there before then fail their digest.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else data_path()

    def save(
        self,
        stage: Stage,
        bay_id: str,
        batch_id: str,
        value: object,
        *,
        last_word: Callable[[], None] | None = None,
    ) -> ArtifactReference:
        """Publish `value` as the artifact of a batch's stage.

        Publishing the same content again changes nothing and returns an equal reference.

        Args:
            stage: whose artifact it is.
            bay_id: the bay.
            batch_id: the batch.
            value: of the stage's type.
            last_word: called when everything is written and nothing is visible yet; what it
                raises keeps the artifact from being published and is passed on.

        Raises:
            ArtifactError: the value is not of the stage's type, or the file cannot be written.
        """
        reference, content = _made(stage, bay_id, batch_id, value)
        self._publish(self._locate(reference.path), content, last_word)
        return reference

    def reference(self, stage: Stage, bay_id: str, batch_id: str, value: object) -> ArtifactReference:
        """The reference that `save` would return, for whoever must note it before it is published.

        Raises:
            ArtifactError: the value is not of the stage's type.
        """
        return _made(stage, bay_id, batch_id, value)[0]

    def load(self, reference: ArtifactReference) -> Any:
        """Read an artifact back, after its size, digest and header proved right.

        Raises:
            ArtifactError: the file is missing, damaged, truncated, foreign or outdated.
        """
        content = self._read(reference.path)
        if len(content) != reference.size:
            raise ArtifactError(
                f"{self.root / reference.path}: {len(content)} bytes where {reference.size} were published:"
                " truncated, or replaced by a later run of its stage"
            )
        if hashlib.sha256(content).hexdigest() != reference.sha256:
            raise ArtifactError(
                f"{self.root / reference.path}: its sha256 is not the published one:"
                " damaged, or replaced by a later run of its stage"
            )
        return _unpickle(str(self.root / reference.path), reference.stage, content)

    def is_whole(self, reference: ArtifactReference) -> bool:
        """Whether the artifact is readable on this host with the published size and digest.

        False is for what time can mend: the file has not appeared on this mount yet,
        or not with all of its bytes.

        Raises:
            ArtifactError: the path leaves the store.
        """
        try:
            content = self._locate(reference.path).read_bytes()
        except OSError:
            return False
        return len(content) == reference.size and hashlib.sha256(content).hexdigest() == reference.sha256

    def find(self, stage: Stage, bay_id: str, batch_id: str) -> ArtifactReference | None:
        """Reference to what is published for a batch's stage, None when nothing is.

        Raises:
            ArtifactError: a file is there and is not a whole artifact of this stage.
        """
        path = artifact_path(stage, bay_id, batch_id)
        if not self._locate(path.as_posix()).exists():
            return None
        content = self._read(path.as_posix())
        _unpickle(str(self.root / path), stage, content)
        digest = hashlib.sha256(content).hexdigest()
        return ArtifactReference(stage, bay_id, batch_id, str(path), digest, len(content), SCHEMAS[stage].version)

    def batch_ids(self, stage: Stage, bay_id: str) -> list[str]:
        """Batches of a bay that have an artifact of this stage, in slot order."""
        folder = self._locate(artifact_path(stage, bay_id, "any").parent.parent.as_posix())
        name = artifact_path(stage, bay_id, "any").name
        try:
            return sorted(path.parent.name for path in folder.glob(f"*/{name}"))
        except OSError as error:
            raise ArtifactError(f"{folder}: cannot be listed: {error}") from error

    def _locate(self, relative: str) -> Path:
        root = self.root.resolve()
        path = (root / relative).resolve()
        if not path.is_relative_to(root):
            raise ArtifactError(f"{relative}: leaves the store {root}")
        return path

    def _read(self, relative: str) -> bytes:
        path = self._locate(relative)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise ArtifactError(
                f"{path}: no such artifact; is the shared storage mounted at {self.root} on this host?"
            ) from None
        except OSError as error:
            raise ArtifactError(f"{path}: cannot be read: {error.strerror or error}") from error

    def _publish(self, path: Path, content: bytes, last_word: Callable[[], None] | None) -> None:
        with _named_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.read_bytes() == content:
                return
            _sweep(path)
            descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    os.fchmod(file.fileno(), 0o640)
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                if last_word is not None:
                    last_word()
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


def _sweep(path: Path) -> None:
    """Remove what a writer of this artifact left behind that was killed while it wrote."""
    for leftover in path.parent.glob(f".{path.name}.*.part"):
        with suppress(FileNotFoundError):  # another writer of the same batch was quicker
            if time.time() - leftover.stat().st_mtime > _ABANDONED_S:
                leftover.unlink()


def _made(stage: Stage, bay_id: str, batch_id: str, value: object) -> tuple[ArtifactReference, bytes]:
    """A value as a file's bytes, and the reference to them."""
    path = artifact_path(stage, bay_id, batch_id)
    schema = SCHEMAS[stage]
    kind = (type(value).__module__, type(value).__qualname__)
    if kind != schema.root:
        raise ArtifactError(f"{path}: a {stage} artifact holds {'.'.join(schema.root)}, not {'.'.join(kind)}")
    for attribute, name in (("bay_id", bay_id), ("batch_id", batch_id)):
        if getattr(value, attribute, name) != name:
            raise ArtifactError(f"{path}: the value's {attribute} is {getattr(value, attribute)!r}, not {name!r}")
    content = _header(stage, schema.version) + _pickled(value)
    _unpickle(path.as_posix(), stage, content)  # what cannot be read back is not published
    reference = ArtifactReference(
        stage, bay_id, batch_id, str(path), hashlib.sha256(content).hexdigest(), len(content), schema.version
    )
    return reference, content


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    remedies = {
        errno.ENOSPC: "the file system is full: free room, then clear the task",
        errno.EDQUOT: "the quota is used up: free room, then clear the task",
        errno.EROFS: "the mount is read-only: mount it for writing",
        errno.EACCES: "no permission: the store must be writable by the worker's user",
        errno.ESTALE: "the mount is stale: mount it again",
    }
    try:
        yield
    except OSError as error:
        reason = remedies.get(error.errno or 0, error.strerror or str(error))
        raise ArtifactError(f"{path}: cannot be published: {reason}") from error


def _header(stage: Stage, version: int) -> bytes:
    return _MAGIC + f" {stage} {version}\n".encode()


def _pickled(value: object) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, protocol=_PICKLE_PROTOCOL).dump(value)
    return stream.getvalue()


class _Pickler(pickle.Pickler):
    """Members of an enumeration by their value, on every Python.

    Python 3.11.2, which Debian 12 has, writes them as `getattr(class, name)`, which no allow-list can bear.
    """

    def reducer_override(self, value: Any) -> Any:
        return (type(value), (value.value,)) if isinstance(value, Enum) else NotImplemented


class _AllowListUnpickler(pickle.Unpickler):
    def __init__(self, content: bytes, allowed: frozenset[Name]) -> None:
        super().__init__(io.BytesIO(content))
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which this stage does not allow")
        return super().find_class(module, name)


def _unpickle(where: str, stage: Stage, content: bytes) -> Any:
    """Check the header, then unpickle by the stage's allow-list and check the type of the whole."""
    schema = SCHEMAS[stage]
    first, separator, _ = content[:_LONGEST_HEADER].partition(b"\n")
    words = first.split(b" ")
    if not separator or words[0] != _MAGIC or len(words) != 3:
        raise ArtifactError(f"{where}: foreign: not an artifact of this project")
    if words[1] != stage.encode():
        raise ArtifactError(f"{where}: holds a {words[1].decode(errors='replace')} artifact, not {stage}")
    if words[2] != str(schema.version).encode():
        raise ArtifactError(
            f"{where}: outdated: schema {words[2].decode(errors='replace')}, this version reads {schema.version};"
            " run the stage again"
        )
    try:
        value = _AllowListUnpickler(content[len(first) + 1 :], schema.allowed).load()
    except ArtifactError:
        raise
    except Exception as error:  # a pickle can fail in any way
        raise ArtifactError(f"{where}: cannot be unpickled: {error}") from error
    kind = (type(value).__module__, type(value).__qualname__)
    if kind != schema.root:
        raise ArtifactError(f"{where}: holds {'.'.join(kind)}, not {'.'.join(schema.root)}")
    return value
