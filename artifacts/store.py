"""The store: atomic publishing, and reading that verifies before it decodes."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Literal, Self, TypeVar

from artifacts.faults import named_errors
from artifacts.filesystem import FileStatus, FileSystem
from artifacts.format import from_bytes, to_bytes
from artifacts.hang_guard import WatchedFileSystem, store_timeout
from artifacts.local_folder import LocalFileSystem
from artifacts.location import data_root, file_system
from artifacts.reference import ArtifactReference, Stage, artifact_path
from artifacts.schemas import SCHEMAS
from artifacts.spool import SPOOLED_STAGES, Spool
from bay_observation import settings
from bay_observation.errors import (
    ArtifactError,
    ConfigError,
    FileTooLargeError,
    MissingArtifactError,
    StoreUnavailableError,
    WrongArtifactError,
)
from bay_observation.files import BeforeCommit

logger = logging.getLogger(__name__)

# Another publisher of the same artifact may come between a look and a publication, but not for ever.
_LOOKS = 5
# Names that are listed in one call of a store that may be slow.
_AT_ONCE = 1000

T = TypeVar("T")
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

    def existing(self) -> Self:
        """This store, for a command that has nothing to do in one that is not there, and makes none.

        Raises:
            ConfigError: its folder is not there.
        """
        if self._folder is not None and not self._folder.is_dir():
            raise ConfigError(f"{self._folder}: there is no such folder, and so no store; is DATA_PATH right?")
        return self

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
        value: T,
        *,
        before_commit: BeforeCommit | None = None,
        replaces: str | None = None,
    ) -> ArtifactReference[T]:
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

    def reference(self, stage: Stage, bay_id: str, batch_id: str, value: T) -> ArtifactReference[T]:
        """The reference that `save` would return, for callers that note it before it is published.

        Raises:
            ArtifactError: the value is not of the stage's type.
        """
        return _made(stage, bay_id, batch_id, value)[0]

    def load(self, reference: ArtifactReference[T]) -> T:
        """Read an artifact back, after its size, digest and header proved right.

        Raises:
            MissingArtifactError: no file is there.
            WrongArtifactError: it is damaged, truncated, foreign, outdated, or replaced.
            StoreUnavailableError: the store fails, and this host's spool does not hold the artifact.
        """
        if reference is None:  # what `find` gives where nothing is
            raise MissingArtifactError(f"{self._files.root}: there is no artifact to load: `find` gave None")
        content = None if self.spool is None else self.spool.read(reference)
        if content is None:
            content = self._read_verified(reference)
        value: T = from_bytes(self.where(reference), reference.stage, content)
        return value

    def readable_size(self, reference: ArtifactReference) -> int | None:
        """How many bytes of the artifact this host can read; None while no file is there.

        `reference.size` means that it is whole and its digest is right. Less means that it is
        being written, or was cut off: this package writes atomically, a copy made by other
        means does not.

        Raises:
            WrongArtifactError: what is there is not what was published.
            StoreUnavailableError: the store fails.
        """
        if self.spool is not None and self.spool.read(reference) is not None:
            return reference.size
        with named_errors(self.where(reference), "read"):
            status = self._files.status(reference.path)
        if status is not None and status.size < reference.size:
            return status.size
        try:
            return len(self._read_verified(reference))
        except MissingArtifactError:
            return None

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
            content = self._files.read(reference.path, SCHEMAS[reference.stage].most_bytes)
        except (OSError, StoreUnavailableError):
            return False
        return len(content) == reference.size and hashlib.sha256(content).hexdigest() == reference.sha256

    def find(self, stage: Stage, bay_id: str, batch_id: str) -> ArtifactReference | None:
        """Reference to what is published for a batch's stage, or waits in this host's spool; None when nothing is.

        Raises:
            WrongArtifactError: a file is there and is not a whole artifact of this stage.
            StoreUnavailableError: the store fails.
        """
        if self.spool is not None and (waiting := self.spool.waiting(stage, bay_id, batch_id)) is not None:
            return waiting.reference
        found = self._found(stage, bay_id, batch_id)
        if found is None:
            return None
        path, content, _ = found
        digest = hashlib.sha256(content).hexdigest()
        return ArtifactReference(stage, bay_id, batch_id, path, digest, len(content), SCHEMAS[stage].version)

    def fetch(self, stage: Stage, bay_id: str, batch_id: str) -> object | None:
        """What is published for a batch's stage itself, read once; None when nothing is.

        Raises:
            WrongArtifactError: a file is there and is not a whole artifact of this stage.
            StoreUnavailableError: the store fails.
        """
        found = self._found(stage, bay_id, batch_id)
        return None if found is None else found[2]

    def fetch_with_digest(self, stage: Stage, bay_id: str, batch_id: str) -> tuple[object, str] | None:
        """The same with the sha256 of the artifact; errors as of `fetch`."""
        found = self._found(stage, bay_id, batch_id)
        return None if found is None else (found[2], hashlib.sha256(found[1]).hexdigest())

    def batch_ids(self, stage: Stage, bay_id: str, since: str = "", until: str = "") -> list[str]:
        """Batches of a bay that have a published artifact of this stage, in slot order.

        With bounds it costs what lies between them; without, a look at every batch.

        Args:
            stage: whose artifact.
            bay_id: of which bay.
            since: id of a batch, before which none is asked about; empty for no bound.
            until: id of a batch from which on none is asked about.

        Raises:
            StoreUnavailableError: the store fails.
        """
        folder, file_name = _folder_of(stage, bay_id)
        with named_errors(self._files.where(folder), "listed"):
            return self._files.folders(folder, file_name, since, until)

    def newest(self, stage: Stage, bay_id: str) -> str | None:
        """The newest batch of a bay that has a published artifact of this stage; None where none has.

        Raises:
            StoreUnavailableError: the store fails.
        """
        folder, file_name = _folder_of(stage, bay_id)
        with named_errors(self._files.where(folder), "listed"):
            return self._files.newest(folder, file_name)

    def oldest(self, stage: Stage, bay_id: str) -> str | None:
        """The oldest batch of a bay that has a published artifact of this stage; None where none has.

        Raises:
            StoreUnavailableError: the store fails.
        """
        folder, file_name = _folder_of(stage, bay_id)
        with named_errors(self._files.where(folder), "listed"):
            return self._files.oldest(folder, file_name)

    def index(self, stage: Stage, bay_id: str) -> int:
        """Make the lists of batches by day right, from the folders of the batches; how many were missing.

        Raises:
            StoreUnavailableError: the store fails.
        """
        folder, _ = _folder_of(stage, bay_id)
        with named_errors(self._files.where(folder), "listed"):
            missing = self._files.unlisted(folder)
            for begin in range(0, len(missing), _AT_ONCE):
                self._files.enlist(folder, missing[begin : begin + _AT_ONCE])
            self._files.enlist(folder, (), all_are=True)
        return len(missing)

    def published(self, stage: Stage, bay_id: str, batch_id: str) -> FileStatus | None:
        """Size and time of what is published for a batch's stage; None when nothing is.

        Raises:
            StoreUnavailableError: the store fails.
        """
        path = artifact_path(stage, bay_id, batch_id).as_posix()
        with named_errors(self._files.where(path), "read"):
            return self._files.status(path)

    def delete(self, stage: Stage, bay_id: str, batch_id: str) -> None:
        """Delete an artifact, also where it waits in this host's spool. What is not there is deleted already.

        Raises:
            StoreUnavailableError: the store fails.
            SpoolError: the spool cannot be used.
        """
        path = artifact_path(stage, bay_id, batch_id).as_posix()
        if self.spool is not None and stage in SPOOLED_STAGES:
            self.spool.discard(stage, bay_id, batch_id)
        with named_errors(self._files.where(path), "deleted"):
            self._files.remove(path)

    def remove_leftovers(self, stage: Stage, bay_id: str, since: str, older_than_s: float) -> int:
        """Remove what killed writers left in the folders of the batches from `since` on; bytes freed.

        Raises:
            StoreUnavailableError: the store fails.
        """
        folder, _ = _folder_of(stage, bay_id)
        with named_errors(self._files.where(folder), "cleaned"):
            return self._files.remove_leftovers(folder, since, older_than_s)

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
                if self._files.read(reference.path, len(content)) == content:
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
        content = self._files.read(reference.path, SCHEMAS[reference.stage].most_bytes)
        try:
            from_bytes(self.where(reference), reference.stage, content)
        except ArtifactError as error:
            logger.warning("%s; it is replaced", error)
            return "", status.modified_at
        return hashlib.sha256(content).hexdigest(), status.modified_at

    def _read_verified(self, reference: ArtifactReference) -> bytes:
        """The bytes that were published."""
        where = self.where(reference)
        try:
            content = self._read(reference.path, reference.size)
        except FileTooLargeError as error:
            raise WrongArtifactError(
                f"{where}: {error.size} bytes where {reference.size} were published:"
                " replaced by a later run of its stage, or not ours"
            ) from error
        if len(content) != reference.size:
            raise WrongArtifactError(
                f"{where}: {len(content)} bytes where {reference.size} were published:"
                " truncated, or replaced by a later run of its stage"
            )
        if hashlib.sha256(content).hexdigest() != reference.sha256:
            raise WrongArtifactError(
                f"{where}: its sha256 is not the published one: damaged, or replaced by a later run of its stage"
            )
        return content

    def _found(self, stage: Stage, bay_id: str, batch_id: str) -> tuple[str, bytes, object] | None:
        """Path, bytes and value of what the store holds for a batch's stage."""
        path = artifact_path(stage, bay_id, batch_id).as_posix()
        with named_errors(self._files.where(path), "read"):
            if self._files.status(path) is None:
                return None
        content = self._read(path, SCHEMAS[stage].most_bytes)
        return path, content, from_bytes(self._files.where(path), stage, content)

    def _read(self, path: str, most_bytes: int) -> bytes:
        where = self._files.where(path)
        with named_errors(where, "read"):
            try:
                return self._files.read(path, most_bytes)
            except FileNotFoundError:
                raise MissingArtifactError(
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


def _folder_of(stage: Stage, bay_id: str) -> tuple[str, str]:
    """The folder that holds a bay's batches, and the name of the stage's file in each."""
    path = artifact_path(stage, bay_id, "any")
    return path.parent.parent.as_posix(), path.name


def _made(stage: Stage, bay_id: str, batch_id: str, value: T) -> tuple[ArtifactReference[T], bytes]:
    """A value as a file's bytes, and the reference to them."""
    path = artifact_path(stage, bay_id, batch_id)
    schema = SCHEMAS[stage]
    kind = type(value)
    if (kind.__module__, kind.__qualname__) != (schema.module, schema.name):
        raise ArtifactError(
            f"{path}: a {stage} artifact holds {schema.module}.{schema.name}, not {kind.__module__}.{kind.__qualname__}"
        )
    for attribute, name in (("bay_id", bay_id), ("batch_id", batch_id)):
        if getattr(value, attribute, name) != name:
            raise ArtifactError(f"{path}: the value's {attribute} is {getattr(value, attribute)!r}, not {name!r}")
    try:
        content = to_bytes(stage, value)
    except ValueError as error:
        raise ArtifactError(f"{path}: the value cannot be written: {error}") from error
    from_bytes(path.as_posix(), stage, content)  # what cannot be read back is not published
    if len(content) > schema.most_bytes:
        raise ArtifactError(f"{path}: {len(content)} bytes; a {stage} artifact may have {schema.most_bytes}")
    digest = hashlib.sha256(content).hexdigest()
    return ArtifactReference(stage, bay_id, batch_id, str(path), digest, len(content), schema.version), content
