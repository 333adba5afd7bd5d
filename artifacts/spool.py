"""The spool: an observer's own disk, which keeps what the shared store does not take.

    {SPOOL_PATH}/pending/{bay_id}/{batch_id}.{stage}   waits for the store, in the order of the names
    {SPOOL_PATH}/kept/{bay_id}/...                     published; kept for a while for this host's own readers
    {SPOOL_PATH}/aside/{bay_id}/...                    not published: something stands in its place, or it is damaged

Each file is whole: a line of JSON (reference, what it replaces, when it was made), and the
artifact's bytes. It moves by rename: it is always in exactly one folder, whichever process is killed.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from artifacts.faults import StoreFault, unavailable
from artifacts.location import data_root
from artifacts.reference import ArtifactReference, Stage, artifact_path
from bay_observation import settings
from bay_observation.errors import ArtifactError, ConfigError, SpoolError
from bay_observation.files import (
    BeforeCommit,
    file_lock,
    read_regular_file,
    remove_old_parts,
    sync_folder,
    write_atomically,
)

logger = logging.getLogger(__name__)

SPOOLED_STAGES: frozenset[Stage] = frozenset({"capture", "observation"})
"""What is made on an observer. Fusion and tracking run beside the store: their task fails, and is retried."""

# For a person to look at.
_ASIDE_KEPT = timedelta(days=7)
_ABANDONED_S = 3600.0
# A healthy publication takes milliseconds; one that hangs is given up after this time.
_PATIENCE_S = 2.0
_LONGEST_HEADER = 8192


@dataclass(frozen=True, slots=True)
class Spooled:
    """One artifact in the spool.

    Attributes:
        reference: to it, as it travels through XCom.
        replaces: sha256 of each published capture that it is to take the place of.
        made_at: when it was spooled (aware, UTC, by this host's clock).
        path: where it lies.
        size: of the file, bytes.
    """

    reference: ArtifactReference
    replaces: tuple[str, ...]
    made_at: datetime
    path: Path
    size: int

    def stands_back(self, sha256: str, published_at: datetime) -> bool:
        """Whether another artifact that is published in its place stays there.

        Of the captures of a slot the first one stands, but for one that a cleared task replaces.
        Of two Observations the later one does: fusion has the reference to that one.
        """
        if sha256 in self.replaces:
            return False
        return self.reference.stage == "capture" or published_at >= self.made_at


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits of a bay: how many artifacts, their bytes, since when (aware, UTC), and what was set aside."""

    bay_id: str
    pending: int
    size: int
    oldest_batch: str | None
    since: datetime | None
    aside: int

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "bay_id": self.bay_id,
            "pending": self.pending,
            "bytes": self.size,
            "oldest_batch": self.oldest_batch,
            "since": self.since.isoformat() if self.since else None,
            "aside": self.aside,
        }


class Spool:
    """A folder on this host's own disk.

    Args:
        folder: made when it is first written to.
        limit_bytes: all that may lie in it. What was published is deleted for what waits, the
            oldest first; what waits is never deleted.
        kept: how long what was published stays readable here.
    """

    def __init__(self, folder: Path | str, *, limit_bytes: float, kept: timedelta) -> None:
        self.folder = Path(folder)
        self.limit_bytes = limit_bytes
        self.kept = kept

    @classmethod
    def from_environment(cls) -> Self | None:
        """The spool of `SPOOL_PATH`, with `SPOOL_LIMIT_MB` and `SPOOL_KEPT_HOURS`; None where that is unset.

        Raises:
            ConfigError: it lies in the store that it is to stand in for, or a number is wrong.
        """
        text = settings.SPOOL_PATH.read()
        if not text:
            return None
        folder, root = os.path.abspath(text), data_root()  # noqa: PTH100 - resolve() would ask a store that may hang
        if "://" not in root and Path(folder).is_relative_to(os.path.abspath(root)):  # noqa: PTH100
            raise ConfigError(f"SPOOL_PATH={text} lies in DATA_PATH={root}: give a folder of this host's own disk")
        return cls(
            folder,
            limit_bytes=settings.SPOOL_LIMIT_MB.read() * 1e6,
            kept=timedelta(hours=settings.SPOOL_KEPT_HOURS.read()),
        )

    def add(
        self, reference: ArtifactReference, content: bytes, replaces: str | None, before_commit: BeforeCommit | None
    ) -> None:
        """Keep an artifact until the store takes it.

        Raises:
            SpoolError: there is no room for it, or the disk cannot be written.
        """
        before = self.waiting(reference.stage, reference.bay_id, reference.batch_id)
        if before is not None and before.reference == reference:
            return
        replaced = {replaces} if replaces else set()
        if before is not None:
            replaced |= {before.reference.sha256, *before.replaces}
        header = {
            "reference": reference.to_dict(),
            "replaces": sorted(replaced),
            "made_at": datetime.now(UTC).isoformat(),
        }
        path = self._path("pending", reference.stage, reference.bay_id, reference.batch_id)
        whole = json.dumps(header).encode() + b"\n" + content
        with ExitStack() as held:

            def about_to_appear() -> None:
                if before_commit is not None:
                    before_commit()
                held.enter_context(self._names())

            try:
                self._make_folders(reference.bay_id)
                self._make_room(len(whole))
                write_atomically(path, whole, before_commit=about_to_appear)
            except OSError as error:
                reason = error.strerror or error
                raise SpoolError(f"{path}: cannot be spooled, while the shared store fails: {reason}") from error

    def waiting(self, stage: Stage, bay_id: str, batch_id: str) -> Spooled | None:
        """What waits of a batch's stage, None when nothing does.

        Raises:
            ArtifactError: the names are none.
        """
        if stage not in SPOOLED_STAGES:
            return None
        try:
            return _header_of(self._path("pending", stage, bay_id, batch_id))
        except FileNotFoundError:
            return None
        except (OSError, ArtifactError) as error:
            logger.warning("%s", error)  # the replicator sets it aside
            return None

    def read(self, reference: ArtifactReference) -> bytes | None:
        """The bytes of an artifact that waits or was published a while ago, None where it is not here whole."""
        if reference.stage not in SPOOLED_STAGES:
            return None
        for place in ("pending", "kept"):
            path = self._path(place, reference.stage, reference.bay_id, reference.batch_id)
            with suppress(OSError, ArtifactError):
                if _header_of(path).reference == reference:
                    return content_of(path, reference)
        return None

    def has_backlog(self, bay_id: str) -> bool:
        """Whether anything of a bay waits."""
        try:
            with os.scandir(self.folder / "pending" / bay_id) as entries:
                return any(not entry.name.startswith(".") for entry in entries)
        except FileNotFoundError:
            return False
        except OSError as error:
            # A spool that is broken must not keep anything from a store that is not.
            logger.error("%s: the spool cannot be used: %s", self.folder, error.strerror)
            return False

    def bay_ids(self) -> list[str]:
        """Bays of which something is here."""
        places = (self.folder / place for place in ("pending", "aside"))
        return sorted({path.name for place in places for path in place.glob("*") if path.is_dir()})

    def pending(self, bay_id: str) -> list[Path]:
        """Files of a bay that wait, by slot, the capture before the Observation."""
        return self._files("pending", bay_id)

    def entry(self, path: Path) -> Spooled:
        """What a file of the spool is.

        Raises:
            ArtifactError: it is damaged.
            OSError: it is gone, or cannot be read.
        """
        return _header_of(path)

    def move(self, path: Path, place: str, reference: ArtifactReference | None = None) -> None:
        """Move a file that waits to `kept` or `aside`.

        Args:
            path: the file.
            place: where to.
            reference: what it held; a later artifact of the same batch that has taken its name since stays.
        """
        target = self.folder / place / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        with self._names():
            if reference is not None and _header_of(path).reference != reference:
                return
            os.utime(path)  # it is kept from now on
            path.replace(target)
        sync_folder(target.parent)
        sync_folder(path.parent)

    def discard(self, stage: Stage, bay_id: str, batch_id: str) -> None:
        """Delete an artifact that waits, or that was published a while ago.

        Raises:
            SpoolError: the spool cannot be used.
        """
        paths = [self._path(place, stage, bay_id, batch_id) for place in ("pending", "kept")]
        if any(path.exists() for path in paths):
            with self._names():
                for path in paths:
                    path.unlink(missing_ok=True)

    def prune(self) -> None:
        """Delete what was published or set aside longer ago than it is kept, and what killed writers left."""
        for folder in (self.folder / "pending").glob("*"):
            remove_old_parts(folder, _ABANDONED_S)
        for place, age in (("kept", self.kept), ("aside", _ASIDE_KEPT)):
            for path in (self.folder / place).glob("*/*"):
                with suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime > age.total_seconds():
                        path.unlink()

    def backlog(self, bay_id: str) -> Backlog:
        """How much waits of a bay."""
        count = size = 0
        oldest, since = None, None
        for path in self.pending(bay_id):
            with suppress(FileNotFoundError):  # it was published in this moment
                found = path.stat()
                count, size = count + 1, size + found.st_size
                oldest = oldest or path.stem
                made_at = datetime.fromtimestamp(found.st_mtime, UTC)
                since = min(since or made_at, made_at)
        return Backlog(bay_id, count, size, oldest, since, len(self._files("aside", bay_id)))

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Held by each who writes to the store from this host; the replicator waits for them.

        A publication that hangs holds it until it returns: what it writes then must not take the
        place of what came after it.

        Raises:
            StoreUnavailableError: the replicator is publishing.
        """
        with ExitStack() as held:
            try:
                held.enter_context(self._store_lock(shared=True))
            except SpoolError as error:
                logger.error("%s", error)  # and not a reason to keep anything from a store that works
            yield

    @contextmanager
    def replicating(self) -> Iterator[None]:
        """Held while the replicator publishes an artifact: no other process of this host publishes meanwhile.

        Raises:
            StoreUnavailableError: a publication of this host hangs.
        """
        with self._store_lock(shared=False):
            yield

    @contextmanager
    def only_replicator(self, patience_s: float) -> Iterator[None]:
        """Be the one process that replicates this spool.

        Raises:
            ArtifactError: another one does, for `patience_s` already.
            SpoolError: the spool cannot be written.
        """
        with self._lock("replicator.lock", patience_s, shared=False):
            yield

    def has_replicator(self) -> bool:
        """Whether a process replicates this spool now.

        Raises:
            SpoolError: the spool cannot be used.
        """
        if not self.folder.exists():
            return False
        try:
            with self.only_replicator(0.0):
                return False
        except SpoolError:
            raise
        except ArtifactError:
            return True

    @contextmanager
    def _store_lock(self, *, shared: bool) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(self._lock("publishing.lock", _PATIENCE_S, shared=shared))
            except SpoolError:
                raise
            except ArtifactError as error:
                detail = "another process of this host has been publishing for long"
                raise unavailable(data_root(), "published", StoreFault.HANGING, detail) from error
            yield

    def _names(self) -> AbstractContextManager[None]:
        """Held for the moment in which a name of `pending` is given or taken."""
        return self._lock("names.lock", _PATIENCE_S, shared=False)

    @contextmanager
    def _lock(self, name: str, patience_s: float, *, shared: bool) -> Iterator[None]:
        path = self.folder / name
        with ExitStack() as held:
            try:
                if not path.exists():
                    self._make_root()
                held.enter_context(file_lock(path, patience_s, shared=shared))
            except OSError as error:
                raise SpoolError(f"{path}: the spool cannot be used: {error.strerror}") from error
            yield

    def _path(self, place: str, stage: Stage, bay_id: str, batch_id: str) -> Path:
        artifact_path(stage, bay_id, batch_id)  # no name leaves the spool
        return self.folder / place / bay_id / f"{batch_id}.{stage}"

    def _files(self, place: str, bay_id: str) -> list[Path]:
        return sorted(path for path in (self.folder / place / bay_id).glob("*") if not path.name.startswith("."))

    def _make_root(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        if self.folder.stat().st_mode & 0o002:
            raise SpoolError(
                f"{self.folder}: anybody may write to the spool, and what lies in it is published: chmod o-w"
            )

    def _make_folders(self, bay_id: str) -> None:
        pending = self.folder / "pending" / bay_id
        if not pending.is_dir():
            self._make_root()
            pending.mkdir(parents=True, exist_ok=True, mode=0o750)
            for folder in (pending.parent, self.folder, self.folder.parent):
                sync_folder(folder)

    def _make_room(self, needed: int) -> None:
        sizes = _sizes(self.folder.glob("*/*/*"))
        taken = sum(sizes.values())
        published = [path for path in sizes if path.parent.parent.name == "kept"]
        for path in sorted(published, key=lambda path: path.stat().st_mtime):
            if taken + needed <= self.limit_bytes:
                break
            path.unlink(missing_ok=True)
            taken -= sizes[path]
        if taken + needed > self.limit_bytes:
            waiting = sum(1 for path in sizes if path.parent.parent.name == "pending")
            raise SpoolError(
                f"{self.folder}: the spool is full: {waiting} artifacts wait for the shared store, {taken / 1e6:.0f} of"
                f" {self.limit_bytes / 1e6:g} MB are taken: repair the store, or raise SPOOL_LIMIT_MB"
            )


def content_of(path: Path, reference: ArtifactReference) -> bytes:
    """The artifact in a file of the spool.

    Raises:
        ArtifactError: it is damaged.
        OSError: it is gone, or cannot be read.
    """
    content = read_regular_file(path, reference.size + _LONGEST_HEADER).partition(b"\n")[2]
    if len(content) != reference.size or hashlib.sha256(content).hexdigest() != reference.sha256:
        raise ArtifactError(f"{path}: damaged: its bytes are not those that were spooled")
    return content


def _header_of(path: Path) -> Spooled:
    with path.open("rb") as file:
        line = file.readline(_LONGEST_HEADER)
        size = os.fstat(file.fileno()).st_size
    try:
        values = json.loads(line)
        reference = ArtifactReference.from_dict(values["reference"])
        made_at = datetime.fromisoformat(values["made_at"])
        replaces = tuple(str(digest) for digest in values["replaces"])
    except (ValueError, KeyError, TypeError, ArtifactError) as error:
        raise ArtifactError(f"{path}: damaged: its first line is not a spool's: {error}") from error
    if path.name != f"{reference.batch_id}.{reference.stage}" or path.parent.name != reference.bay_id:
        raise ArtifactError(f"{path}: damaged: it holds {reference.path}")
    return Spooled(reference, replaces, made_at, path, size)


def _sizes(paths: Iterator[Path]) -> dict[Path, int]:
    sizes = {}
    for path in paths:
        with suppress(FileNotFoundError):
            sizes[path] = path.stat().st_size
    return sizes
