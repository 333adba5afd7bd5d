"""What goes wrong with one camera, on its way to becoming a `CameraFailure`."""

from bay_observation.errors import CaptureError
from capture_async.types import FailureReason


class CameraError(CaptureError):
    """A camera gives no frame. Never leaves this package: providers turn it into an outcome.

    Args:
        reason: what the person at the camera cabinet is told.
        detail: one sentence, without login, password or an address's query.
        final: asking again within this capture cannot help, whatever the reason.
    """

    def __init__(self, reason: FailureReason, detail: str, *, final: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.final = final


class LoginMissingError(CameraError):
    """The camera wants a login, none was sent, and it named no way to send one: nothing was refused yet."""
