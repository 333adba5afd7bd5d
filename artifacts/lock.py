"""One process at a time per bay: a lock on the shared storage itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from artifacts.reference import Stage, artifact_path
from artifacts.store import ArtifactStore

LOCK_PATIENCE_S = 300.0
"""How long a process waits for another one."""


@contextmanager
def exclusive(store: ArtifactStore, stage: Stage, bay_id: str, *, held_elsewhere: bool = False) -> Iterator[None]:
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
