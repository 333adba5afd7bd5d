"""What a capture yields: a frame or a named failure for every camera of the bay."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from bay_observation.errors import CaptureError
from bays import slot_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class FailureReason(StrEnum):
    """Why a camera gave no frame. Each asks something else of the person at the camera cabinet."""

    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed out"
    REFUSED_CREDENTIALS = "refused credentials"
    BUSY = "busy"
    NO_SNAPSHOT_SERVICE = "no snapshot service"
    NOT_AN_IMAGE = "not an image"
    TRUNCATED = "truncated"
    TOO_LARGE = "too large"
    STALE = "stale"
    WRONG_SIZE = "wrong size"
    FAULTY_REPLY = "faulty reply"
    """It broke a rule of its protocol in a way that leaves no frame; the log has the details."""
    OBSERVER_FAULT = "observer fault"
    """The observer's own host is at a limit; nothing is known of the camera."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one camera: what it ended with and how long it took, in seconds."""

    outcome: str
    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class CapturedImage:
    """One frame, as the camera sent it.

    Attributes:
        camera_name: name of the camera in the bay's YAML file.
        bay_id: the bay.
        captured_at: when the frame was taken (aware).
        jpeg: the file's bytes, unchanged: decode where they are used, in a thread.
    """

    camera_name: str
    bay_id: str
    captured_at: datetime
    jpeg: bytes
    attempts: tuple[Attempt, ...] = ()

    def __post_init__(self) -> None:
        if self.captured_at.tzinfo is None:
            raise CaptureError(f"frame of camera {self.camera_name}: captured_at has no time zone")

    def __repr__(self) -> str:
        return f"<CapturedImage {self.image_id}, {len(self.jpeg)} bytes>"

    @property
    def image_id(self) -> str:
        """`{bay_id}_{camera_name}_{YYYYmmddHHMMSS}`, the specification's name of a frame."""
        return f"{self.bay_id}_{self.camera_name}_{self.captured_at:%Y%m%d%H%M%S}"

    def decode(self) -> "NDArray[np.uint8]":
        """The picture: (H, W, 3) uint8, BGR. Takes 10 to 20 ms for 1080p and holds no lock.

        Rows and columns are the sensor's, to which a camera's intrinsics belong: EXIF's
        orientation, which some cameras write, is not applied.

        Raises:
            CaptureError: the bytes are no picture that OpenCV can read.
        """
        import cv2
        import numpy as np

        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        unreadable = f"frame {self.image_id}: {len(self.jpeg)} bytes that are no readable picture"
        try:
            picture = cv2.imdecode(np.frombuffer(self.jpeg, dtype=np.uint8), flags)
        except cv2.error as error:  # nothing at all, or more pixels than OpenCV reads
            raise CaptureError(unreadable) from error
        if picture is None:
            raise CaptureError(unreadable)
        return np.asarray(picture, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class CameraFailure:
    """A camera without a frame: the reason, a sentence for the log, and what was tried."""

    camera_name: str
    reason: FailureReason
    detail: str
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class CaptureBatch:
    """All outcomes of one slot: every camera of the bay is in `images` or in `failures`."""

    batch_id: str
    bay_id: str
    images: tuple[CapturedImage, ...]
    failures: tuple[CameraFailure, ...] = ()

    def __repr__(self) -> str:
        return f"<CaptureBatch {self.batch_id}, {len(self.images)} frames, {len(self.failures)} failures>"

    @property
    def slot(self) -> datetime:
        """The slot that the batch belongs to (aware, UTC)."""
        return slot_of(self.batch_id)
