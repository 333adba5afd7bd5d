"""The contract of everything that frames can come from."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import ClassVar, Self

from bays import Camera
from capture_async.types import CameraFailure, CapturedImage, FailureReason

Outcome = CapturedImage | CameraFailure

MENDED_BY_ANOTHER_TRY = frozenset(
    {
        FailureReason.UNREACHABLE,
        FailureReason.TIMED_OUT,
        FailureReason.BUSY,
        FailureReason.TRUNCATED,
        FailureReason.NOT_AN_IMAGE,
        FailureReason.OBSERVER_FAULT,
    }
)
"""Reasons after which the service asks once more, while the bay's deadline and `capture_attempts` allow it."""


class ImageProvider(ABC):
    """A source of frames (이미지 제공자): live cameras, files, or one registered by a plugin.

    A provider is made without I/O; sockets and threads begin with the first
    `get_images`, belong to the event loop that it runs on, and end with `close`.
    """

    needs_credentials: ClassVar[bool] = False
    """Whether the constructor takes `credentials: Credentials | None`."""

    @abstractmethod
    async def get_images(self, reference_time: datetime, cameras: Sequence[Camera], bay_id: str) -> list[Outcome]:
        """Exactly one outcome for each of `cameras`, in their order.

        A camera that gives no frame is a `CameraFailure`, never an exception. The
        service asks for each camera in a separate call, all at once, so that one
        camera's delay or cancellation is that camera's alone. Cancelling the call
        must let go of its sockets.

        Args:
            reference_time: the slot (aware). Live cameras answer with the present
                frame; a backtest with the nearest one.
            cameras: cameras of one bay.
            bay_id: the bay.
        """

    def worth_another_try(self, camera: Camera, failure: CameraFailure) -> bool:
        """Whether the service may ask the camera again within this capture, after a pause.

        Never for a refused login: cameras lock accounts.
        """
        return failure.reason in MENDED_BY_ANOTHER_TRY

    def retry_after_s(self, camera: Camera) -> float | None:
        """Seconds after which the camera itself wants to be asked again; None where it does not say."""
        return None

    def clock_offset_s(self, camera: Camera) -> float | None:
        """Seconds by which the camera's clock is ahead of this host's; None where it does not say."""
        return None

    async def close(self) -> None:
        """Let go of sockets and threads. May be called twice."""
        return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
