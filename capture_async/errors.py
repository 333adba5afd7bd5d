"""What goes wrong with one camera, on its way to becoming a `CameraFailure`."""

from bay_observation.errors import CaptureError
from capture_async.types import FailureReason


class CameraError(CaptureError):
    """A camera gives no frame. Stays in this package: providers turn it into an outcome.

    Args:
        reason: what the person at the camera cabinet reads.
        detail: one sentence, without login, password or an address's query.
        final: asking again within this capture cannot help, whatever the reason.
        login_refused: a login was sent and refused. Cameras count that and lock accounts, so
            the same login is not sent again for a while. False where the camera wants a
            login and none was sent.
    """

    def __init__(self, reason: FailureReason, detail: str, *, final: bool = False, login_refused: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.final = final
        self.login_refused = login_refused
