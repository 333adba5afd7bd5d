"""What goes wrong with one camera, on its way to becoming a `CameraFailure`."""

import errno
import os

from bay_observation.errors import CaptureError
from capture_async.types import FailureReason

_HOST_LIMITS = {
    errno.EMFILE: "this process may open no more files: raise its limit (LimitNOFILE, ulimit -n)",
    errno.ENFILE: "this host may open no more files: raise fs.file-max",
    errno.ENOBUFS: "this host has no network buffers left",
    errno.ENOMEM: "this host has no memory left",
    errno.EADDRNOTAVAIL: "this host has no local port left, or no address in the camera's network",
    errno.ENOSPC: "this host's disk is full",
}


class CameraError(CaptureError):
    """A camera gives no frame. Stays in this package: providers turn it into an outcome.

    Args:
        reason: what the person at the camera cabinet reads.
        detail: one sentence, without login, password or an address's query.
        final: asking again within this capture cannot help, whatever the reason.
        login_refused: a login was sent and refused. Cameras count that and lock accounts, so
            the same login is not sent again for a while. False where the camera wants a
            login and none was sent.
        retry_after_s: seconds after which the camera wants to be asked again.
    """

    def __init__(
        self,
        reason: FailureReason,
        detail: str,
        *,
        final: bool = False,
        login_refused: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.final = final
        self.login_refused = login_refused
        self.retry_after_s = retry_after_s


def connection_error(where: object, error: OSError) -> CameraError:
    """Unreachable, or the observer's own fault, by the number of a socket's error.

    Args:
        where: the camera's address.
        error: of its socket.
    """
    limit = _HOST_LIMITS.get(error.errno) if error.errno is not None else None
    if limit is not None:
        return CameraError(FailureReason.OBSERVER_FAULT, f"{where}: not asked: {limit}")
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return CameraError(FailureReason.UNREACHABLE, f"{where}: {reason}")


def unexpected_error(where: object, error: Exception) -> CameraError:
    """What stands at the wall around a camera: an exception that no reader of its replies foresees.

    Args:
        where: the camera.
        error: what was raised; the caller logs it with its traceback.
    """
    if isinstance(error, OSError) and error.errno in _HOST_LIMITS:
        return connection_error(where, error)
    if isinstance(error, MemoryError):
        return CameraError(FailureReason.OBSERVER_FAULT, f"{where}: {_HOST_LIMITS[errno.ENOMEM]}")
    detail = f"{where}: its reply could not be handled ({type(error).__name__}); the log has the traceback"
    return CameraError(FailureReason.FAULTY_REPLY, detail)
