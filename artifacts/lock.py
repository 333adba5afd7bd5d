"""One process at a time per bay: a lock on the shared storage itself."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from artifacts.reference import Stage, artifact_path
from artifacts.store import ArtifactStore
from bay_observation.errors import ArtifactError

LOCK_PATIENCE_S = 300.0
"""How long a process waits for another one."""

_POLL_S = 0.2


@contextmanager
def exclusive(store: ArtifactStore, stage: Stage, bay_id: str) -> Iterator[None]:
    """Be the only one who changes a bay's artifacts of a stage.

    A `flock` on a file of the store; it ends with the process, however that ends. Linux
    carries it over NFS from version 4 on (and over version 3 with lockd); a mount with
    `nolock` or `local_lock=flock`, and many FUSE file systems, keep it to one host.

    Raises:
        ArtifactError: the file cannot be opened, or another process held it for `LOCK_PATIENCE_S`.
    """
    folder = store.root / artifact_path(stage, bay_id, "any").parent.parent
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be opened: {error.strerror or error}") from error
    try:
        deadline = time.monotonic() + LOCK_PATIENCE_S
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                raise ArtifactError(f"{path}: held by another process for {LOCK_PATIENCE_S:g} s: is one stuck?")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)  # and the lock with it


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
