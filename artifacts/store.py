"""The store: atomic publishing, and reading that verifies before it unpickles."""

import hashlib
import io
import logging
import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from artifacts.faults import named_errors
from artifacts.filesystem import FileSystem
from artifacts.hang_guard import WatchedFileSystem, store_timeout
from artifacts.local_folder import LocalFileSystem
from artifacts.location import data_root, file_system
from artifacts.reference import ArtifactReference, Stage, artifact_path
from artifacts.schemas import SCHEMAS, Name
from artifacts.spool import SPOOLED_STAGES, Spool
from bay_observation import settings
from bay_observation.errors import ArtifactError, ConfigError, StoreUnavailableError
from bay_observation.files import BeforeCommit

logger = logging.getLogger(__name__)

_PICKLE_PROTOCOL = 5
# A file starts with this line; the pickle follows it. It tells a foreign file from
# ours, and an outdated one from a current one, before anything is unpickled.
_MAGIC = b"bay-observation"
_LONGEST_HEADER = 128
# Another publisher of the same artifact may come between a look and a publication, but not for ever.
_LOOKS = 5

Outcome = Literal["published", "already there", "superseded"]


class ArtifactStore:
    """Artifacts under one root, shared by observers and processors.

    Publishing is atomic: a reader sees the whole file or none. The file at a path
    is replaced only by another publication of the same stage and batch; references
    to what was there before then fail their digest.

    Where the store fails, what an observer publishes goes to its spool, on its own disk, and is
    read back from there by the stages that follow on the same observer; `artifacts.replication`
    publishes it when the store is back. The reference is the same in both cases.

    Args:
        root: a folder, or `s3://bucket/prefix`. By default what the environment says, together
            with the spool: `DATA_PATH`, `SPOOL_PATH`.
        spool: where to put what the store does not take; without one that is an error.
        timeout_s: seconds that one call of the store may take before the store counts as hanging;
            `STORE_TIMEOUT` by default.

    Raises:
        ConfigError: the root or a variable of the environment is wrong.
    """

    def __init__(
        self, root: Path | str | None = None, *, spool: Spool | None = None, timeout_s: float | None = None
    ) -> None:
        if root is None:
            root, spool = data_root(), spool or Spool.from_environment()
        beneath: FileSystem = LocalFileSystem(root) if isinstance(root, Path) else file_system(root)
        self._folder = Path(root) if isinstance(beneath, LocalFileSystem) else None
        self._files = WatchedFileSystem(
            beneath,
            timeout_s or store_timeout(),
            marked=settings.STORE_MARKER.read(),
            around_write=nullcontext if spool is None else spool.publishing,
        )
        self.spool = spool

    @property
    def location(self) -> str:
        """The root as a person wrote it: a folder, or `s3://bucket/prefix`."""
        return self._files.root

    @property
    def root(self) -> Path:
        """The folder of a store that is one.

        Raises:
            ConfigError: the store is no folder.
        """
        if self._folder is None:
            raise ConfigError(f"{self._files.root} is no folder: this needs a store that is one")
        return self._folder

    @property
    def has_locks(self) -> bool:
        """Whether `artifacts.exclusive` can keep two hosts apart here."""
        return self._folder is not None

    def where(self, reference: ArtifactReference) -> str:
        """The artifact's full path or address, for people."""
        return self._files.where(reference.path)

    def check(self) -> None:
        """Ask the store for a sign of life.

        Raises:
            StoreUnavailableError: it fails.
        """
        with named_errors(self._files.root, "used"):
            self._files.check()

    def save(
        self,
        stage: Stage,
        bay_id: str,
        batch_id: str,
        value: object,
        *,
        before_commit: BeforeCommit | None = None,
        replaces: str | None = None,
    ) -> ArtifactReference:
        """Publish `value` as the artifact of a batch's stage.

        Publishing the same content again changes nothing and returns an equal reference.

        Args:
            stage: whose artifact it is.
            bay_id: the bay.
            batch_id: the batch.
            value: of the stage's type.
            before_commit: called when everything is written and nothing is visible yet; what it
                raises keeps the artifact from being published and is passed on.
            replaces: sha256 of a capture that is to be replaced, should this one have to wait
                in the spool: there it would otherwise give way to one that was published.

        Raises:
            ArtifactError: the value is not of the stage's type.
            StoreUnavailableError: the store fails, and there is no spool.
            SpoolError: the store fails, and so does the spool.
        """
        reference, content = _made(stage, bay_id, batch_id, value)
        if self.spool is not None and stage in SPOOLED_STAGES:
            self._publish_or_spool(self.spool, reference, content, before_commit, replaces)
        else:
            self._publish(reference, content, before_commit)
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
            StoreUnavailableError: the store fails, and this host's spool does not hold the artifact.
        """
        spooled = None if self.spool is None else self.spool.read(reference)
        if spooled is not None:
            return _unpickle(self.where(reference), reference.stage, spooled)
        content = self._read(reference.path)
        if len(content) != reference.size:
            raise ArtifactError(
                f"{self.where(reference)}: {len(content)} bytes where {reference.size} were published:"
                " truncated, or replaced by a later run of its stage"
            )
        if hashlib.sha256(content).hexdigest() != reference.sha256:
            raise ArtifactError(
                f"{self.where(reference)}: its sha256 is not the published one:"
                " damaged, or replaced by a later run of its stage"
            )
        return _unpickle(self.where(reference), reference.stage, content)

    def is_whole(self, reference: ArtifactReference) -> bool:
        """Whether the artifact is readable on this host with the published size and digest.

        False is for what time can mend: the file has not appeared on this mount yet,
        or not with all of its bytes, or the store fails.

        Raises:
            ArtifactError: the path leaves the store.
        """
        if self.spool is not None and self.spool.read(reference) is not None:
            return True
        try:
            content = self._files.read(reference.path)
        except (OSError, StoreUnavailableError):
            return False
        return len(content) == reference.size and hashlib.sha256(content).hexdigest() == reference.sha256

    def find(self, stage: Stage, bay_id: str, batch_id: str) -> ArtifactReference | None:
        """Reference to what is published for a batch's stage, or waits in this host's spool; None when nothing is.

        Raises:
            ArtifactError: a file is there and is not a whole artifact of this stage.
            StoreUnavailableError: the store fails.
        """
        path = artifact_path(stage, bay_id, batch_id).as_posix()
        if self.spool is not None and (waiting := self.spool.waiting(stage, bay_id, batch_id)) is not None:
            return waiting.reference
        with named_errors(self._files.where(path), "read"):
            if self._files.status(path) is None:
                return None
        content = self._read(path)
        _unpickle(self._files.where(path), stage, content)
        digest = hashlib.sha256(content).hexdigest()
        return ArtifactReference(stage, bay_id, batch_id, path, digest, len(content), SCHEMAS[stage].version)

    def batch_ids(self, stage: Stage, bay_id: str) -> list[str]:
        """Batches of a bay that have a published artifact of this stage, in slot order.

        Raises:
            StoreUnavailableError: the store fails.
        """
        path = artifact_path(stage, bay_id, "any")
        folder = path.parent.parent.as_posix()
        with named_errors(self._files.where(folder), "listed"):
            return self._files.folders(folder, path.name)

    def replicate(
        self, reference: ArtifactReference, content: bytes, stands: Callable[[str, datetime], bool]
    ) -> Outcome:
        """Publish what waited in a spool, unless something stands in its place; then read it back.

        Whoever else publishes the same artifact at the same moment, one of the two stands.

        Args:
            reference: of the artifact.
            content: its bytes.
            stands: called with the sha256 of another artifact that is published in its place, and
                with when it was; True leaves that one there.

        Raises:
            ArtifactError: the path leaves the store.
            StoreUnavailableError: the store fails.
        """
        where = self.where(reference)
        for _ in range(_LOOKS):
            with named_errors(where, "published"):
                present = self._present(reference)
                if present is not None:
                    digest, modified_at = present
                    if digest == reference.sha256:
                        return "already there"
                    if digest and stands(digest, modified_at):
                        return "superseded"
                try:
                    self._files.write(reference.path, content, new=present is None)
                except FileExistsError:
                    continue
                if self._files.read(reference.path) == content:
                    return "published"
        raise ArtifactError(f"{where}: cannot be published: it changes whenever it is looked at")

    @contextmanager
    def lock(self, path: str, patience_s: float) -> Iterator[None]:
        """Hold a lock of the store; see `artifacts.exclusive`."""
        with ExitStack() as held:
            with named_errors(self._files.where(path), "locked"):
                held.enter_context(self._files.lock(path, patience_s))
            yield

    def _present(self, reference: ArtifactReference) -> tuple[str, datetime] | None:
        """Digest (empty for what is no whole artifact) and time of what is published, None when nothing is."""
        status = self._files.status(reference.path)
        if status is None:
            return None
        content = self._files.read(reference.path)
        try:
            _unpickle(self.where(reference), reference.stage, content)
        except ArtifactError as error:
            logger.warning("%s; it is replaced", error)
            return "", status.modified_at
        return hashlib.sha256(content).hexdigest(), status.modified_at

    def _read(self, path: str) -> bytes:
        where = self._files.where(path)
        with named_errors(where, "read"):
            try:
                return self._files.read(path)
            except FileNotFoundError:
                raise ArtifactError(
                    f"{where}: no such artifact; is the shared storage mounted at {self._files.root} on this host?"
                ) from None

    def _publish(self, reference: ArtifactReference, content: bytes, before_commit: BeforeCommit | None) -> None:
        with named_errors(self.where(reference), "published"):
            self._files.publish(reference.path, content, before_commit)

    def _publish_or_spool(
        self,
        spool: Spool,
        reference: ArtifactReference,
        content: bytes,
        before_commit: BeforeCommit | None,
        replaces: str | None,
    ) -> None:
        # What waits of this bay goes first; also, a store that failed a moment ago is not waited for again.
        if spool.has_backlog(reference.bay_id):
            why = "earlier artifacts of its bay wait there"
        else:
            try:
                self._publish(reference, content, before_commit)
            except StoreUnavailableError as error:
                why = str(error)
            else:
                return
        spool.add(reference, content, replaces, before_commit)
        logger.warning("%s is spooled on this host: %s", reference.path, why)


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
