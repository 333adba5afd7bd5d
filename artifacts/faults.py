"""The ways in which a store fails, each with what to do about it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from bay_observation.errors import StoreUnavailableError


class StoreFault(StrEnum):
    """Why a store cannot be used."""

    FULL = "full"
    QUOTA = "quota"
    READ_ONLY = "read-only"
    STALE = "stale"
    INPUT_OUTPUT = "input/output"
    DISCONNECTED = "disconnected"
    ABSENT = "absent"
    PERMISSION = "permission"
    HANGING = "hanging"
    UNUSABLE = "unusable"


_FAULTS = {
    errno.ENOSPC: StoreFault.FULL,
    errno.EDQUOT: StoreFault.QUOTA,
    errno.EROFS: StoreFault.READ_ONLY,
    errno.ESTALE: StoreFault.STALE,
    errno.EIO: StoreFault.INPUT_OUTPUT,
    errno.ENOTCONN: StoreFault.DISCONNECTED,
    errno.ENODEV: StoreFault.DISCONNECTED,
    errno.ENXIO: StoreFault.DISCONNECTED,
    errno.EHOSTDOWN: StoreFault.DISCONNECTED,
    errno.EHOSTUNREACH: StoreFault.DISCONNECTED,
    errno.ECONNREFUSED: StoreFault.DISCONNECTED,
    errno.ETIMEDOUT: StoreFault.DISCONNECTED,
    errno.EACCES: StoreFault.PERMISSION,
    errno.EPERM: StoreFault.PERMISSION,
    errno.ENOENT: StoreFault.ABSENT,
    errno.ENOTDIR: StoreFault.ABSENT,
}
_REMEDIES = {
    StoreFault.FULL: "the file system is full: free room on the file server",
    StoreFault.QUOTA: "the quota is used up: raise it, or delete old batches",
    StoreFault.READ_ONLY: "the mount is read-only: mount it for writing (see dmesg for why it changed)",
    StoreFault.STALE: "the mount is stale, its server exported it again: unmount it and mount it again",
    StoreFault.INPUT_OUTPUT: "Input/output error: look at the file server, its disks and the network between",
    StoreFault.DISCONNECTED: "the file server is not connected: is it up, and is there a route to it?",
    StoreFault.ABSENT: "the shared storage is not there: mount it, or correct DATA_PATH",
    StoreFault.PERMISSION: "no permission: the store must be writable by the worker's user (on S3: its credentials)",
    StoreFault.HANGING: "the shared storage hangs: is the file server up, and is there a route to it?",
    StoreFault.UNUSABLE: "the shared storage cannot be used",
}


def unavailable(where: str, doing: str, fault: StoreFault, detail: str = "") -> StoreUnavailableError:
    """The error that names the path, what was tried there, and the remedy.

    Args:
        where: path of the file, as a person would look for it.
        doing: what was tried, as "published" or "read".
        fault: which way the store fails.
        detail: what else is known.
    """
    detail = f" ({detail})" if detail else ""
    return StoreUnavailableError(f"{where}: cannot be {doing}: {_REMEDIES[fault]}{detail}", fault)


@contextmanager
def named_errors(where: str, doing: str) -> Iterator[None]:
    """Turn what the operating system says of a store into `StoreUnavailableError`.

    Raises:
        StoreUnavailableError: in place of any `OSError`.
    """
    try:
        yield
    except OSError as error:
        fault = _FAULTS.get(error.errno or 0, StoreFault.UNUSABLE)
        detail = (error.strerror or str(error)) if fault is StoreFault.UNUSABLE else ""
        raise unavailable(where, doing, fault, detail) from error
