"""One frame per camera, concurrently, with an outcome for every camera.

    async with CaptureService(bay, credentials=Credentials("operator", password)) as service:
        batch = await service.capture(slot)

Importing the package loads neither sockets nor XML nor OpenCV; `CaptureService`
and the providers load them when they are first used.
"""

from typing import TYPE_CHECKING, Any

from capture_async.credentials import Credentials
from capture_async.types import Attempt, CameraFailure, CaptureBatch, CapturedImage, FailureReason

if TYPE_CHECKING:
    from capture_async.providers.factory import ImageProviderFactory
    from capture_async.providers.provider import ImageProvider
    from capture_async.service import CaptureService
    from capture_async.service_pool import close_pool, pooled_service, warm_up

__all__ = [
    "Attempt",
    "CameraFailure",
    "CaptureBatch",
    "CaptureService",
    "CapturedImage",
    "Credentials",
    "FailureReason",
    "ImageProvider",
    "ImageProviderFactory",
    "close_pool",
    "pooled_service",
    "warm_up",
]

_LAZY = {
    "CaptureService": "capture_async.service",
    "ImageProvider": "capture_async.providers.provider",
    "ImageProviderFactory": "capture_async.providers.factory",
    "close_pool": "capture_async.service_pool",
    "pooled_service": "capture_async.service_pool",
    "warm_up": "capture_async.service_pool",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
