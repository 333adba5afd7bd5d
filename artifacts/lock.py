"""One process at a time per bay: a lock on the shared storage itself."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.reference import Stage, artifact_path
from bay_observation.errors import ArtifactError

if TYPE_CHECKING:
    from artifacts.store import ArtifactStore

LOCK_PATIENCE_S = 300.0
"""How long a process waits for another one."""

_POLL_S = 0.2


@contextmanager
def exclusive(store: "ArtifactStore", stage: Stage, bay_id: str, *, held_elsewhere: bool = False) -> Iterator[None]:
    """Be the only one who changes a bay's artifacts of a stage.

    A `flock` on a file of the store; it ends with the process, however that ends. Linux
    carries it over NFS from version 4 on (and over version 3 with lockd); a mount with
    `nolock` or `local_lock=flock`, and many FUSE file systems, keep it to one host.

    Args:
        store: whose artifacts.
        stage: of which stage.
        bay_id: of which bay.
        held_elsewhere: the caller holds another lock besides that works between hosts
            (`tracking.history` on PostgreSQL). A store on S3 has no locks, and then does without.

    Raises:
        ArtifactError: the file cannot be opened, or another process held it for `LOCK_PATIENCE_S`.
        ConfigError: the store has no locks, and no other lock is held.
    """
    if held_elsewhere and not store.has_locks:
        yield
        return
    folder = artifact_path(stage, bay_id, "any").parent.parent
    with store.lock(str(folder / ".lock"), LOCK_PATIENCE_S):
        yield


@contextmanager
def flock(path: Path, patience_s: float, *, shared: bool = False) -> Iterator[None]:
    """Hold the `flock` of a file, which is made if need be.

    Raises:
        OSError: the file cannot be opened.
        ArtifactError: another process held it for `patience_s`.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        deadline = time.monotonic() + patience_s
        while not _locked(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                raise ArtifactError(f"{path}: held by another process for {patience_s:g} s: is one stuck?")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)  # and the lock with it


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
