"""All cameras of a bay at once: one outcome each, within the bay's deadline."""

import asyncio
import logging
import time
from collections import Counter
from datetime import datetime
from types import TracebackType
from typing import Self

from bay_observation.errors import CaptureError, ConfigError
from bays import BayConfig, Camera, batch_id, onvif_connection_id
from capture_async.credentials import Credentials
from capture_async.factory import ImageProviderFactory
from capture_async.provider import ImageProvider, Outcome
from capture_async.types import CameraFailure, CaptureBatch, CapturedImage, FailureReason

logger = logging.getLogger(__name__)

# A cancelled camera lets go of its sockets at once; one whose provider does not must not hold up the rest.
_LET_GO_S = 1.0


class CaptureService:
    """Captures one bay.

        async with CaptureService(bay, credentials=credentials) as service:
            batch = await service.capture(slot)

    Args:
        bay: cameras, network, deadline and provider.
        credentials: login of the bay's cameras; None where they need none.
        provider: in place of the bay's own; it stays the caller's to close.

    Raises:
        ConfigError: the bay's `image_provider_config` does not fit its provider.
    """

    def __init__(
        self, bay: BayConfig, *, credentials: Credentials | None = None, provider: ImageProvider | None = None
    ) -> None:
        self._bay = bay
        self._owns_provider = provider is None
        self._provider = _provider_of(bay, credentials) if provider is None else provider

    async def capture(self, reference_time: datetime) -> CaptureBatch:
        """One outcome for every camera, in the order of the bay's file.

        Returns when all cameras have one, at the bay's `capture_deadline` at the
        latest: cameras without an outcome by then are `timed out`, what arrived is kept.

        Args:
            reference_time: the slot (aware).

        Raises:
            CaptureError: the bay has no cameras; one lies outside the bay's
                `camera_subnet` (before any socket is opened); the provider broke its contract.
            ConfigError: `reference_time` has no time zone.
        """
        batch = batch_id(self._bay.bay_id, reference_time)
        self._refuse_foreign_cameras()
        started = time.monotonic()
        outcomes = await self._all_outcomes(reference_time)
        images = tuple(outcome for outcome in outcomes if isinstance(outcome, CapturedImage))
        failures = tuple(outcome for outcome in outcomes if isinstance(outcome, CameraFailure))
        self._report(batch, images, failures, time.monotonic() - started)
        return CaptureBatch(batch, self._bay.bay_id, images, failures)

    async def close(self) -> None:
        """Close the connections to the cameras. May be called twice."""
        if self._owns_provider:
            await self._provider.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _refuse_foreign_cameras(self) -> None:
        """The queue is the wall; this is the lock on its gate."""
        if not self._bay.cameras:
            raise CaptureError(f"bay {self._bay.bay_id} has no cameras: add them to its file")
        subnet = self._bay.network.camera_subnet
        for camera in self._bay.cameras:
            if camera.host not in subnet:
                raise CaptureError(
                    f"bay {self._bay.bay_id}: camera {camera.name} at {camera.host} lies outside the bay's "
                    f"camera_subnet {subnet}; nothing was captured"
                )

    async def _all_outcomes(self, reference_time: datetime) -> list[Outcome]:
        tasks = [
            asyncio.create_task(self._one_outcome(reference_time, camera), name=f"capture {camera.name}")
            for camera in self._bay.cameras
        ]
        try:
            await asyncio.wait(tasks, timeout=self._bay.capture_deadline, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            # Also when this capture is itself cancelled: no task and no socket outlives it.
            unfinished = [task for task in tasks if task.cancel()]
            if unfinished:
                await asyncio.wait(unfinished, timeout=_LET_GO_S)
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
        return [
            task.result() if task.done() and not task.cancelled() else self._late(camera)
            for camera, task in zip(self._bay.cameras, tasks, strict=True)
        ]

    async def _one_outcome(self, reference_time: datetime, camera: Camera) -> Outcome:
        where = f"bay {self._bay.bay_id}, camera {camera.name}: {type(self._provider).__name__}"
        try:
            outcomes = await self._provider.get_images(reference_time, [camera], self._bay.bay_id)
        except CaptureError:
            raise
        except Exception as error:
            raise CaptureError(
                f"{where} failed: {error!r}; this is a fault of the provider, not of a camera"
            ) from error
        if len(outcomes) != 1 or outcomes[0].camera_name != camera.name:
            names = ", ".join(outcome.camera_name for outcome in outcomes) or "none"
            raise CaptureError(f"{where} owes one outcome for this camera and gave {len(outcomes)}: {names}")
        return outcomes[0]

    def _late(self, camera: Camera) -> CameraFailure:
        detail = f"{camera.host}:{camera.port}: no outcome within the bay's {self._bay.capture_deadline:g} s"
        return CameraFailure(camera.name, FailureReason.TIMED_OUT, detail)

    def _report(
        self,
        batch: str,
        images: tuple[CapturedImage, ...],
        failures: tuple[CameraFailure, ...],
        seconds: float,
    ) -> None:
        for failure in failures:
            logger.warning("%s: camera %s: %s: %s", batch, failure.camera_name, failure.reason, failure.detail)
        if any(failure.reason is FailureReason.REFUSED_CREDENTIALS for failure in failures):
            connection = onvif_connection_id(self._bay.bay_id)
            logger.warning("%s: cameras refuse the login of the Airflow Connection %s", batch, connection)
        reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(f.reason for f in failures).items())
        logger.info(
            "%s: %d of %d cameras in %.2f s%s",
            batch,
            len(images),
            len(self._bay.cameras),
            seconds,
            f" ({reasons})" if reasons else "",
        )


def _provider_of(bay: BayConfig, credentials: Credentials | None) -> ImageProvider:
    config = dict(bay.image_provider_config)
    if "credentials" in config:
        connection = onvif_connection_id(bay.bay_id)
        raise ConfigError(
            f"bay {bay.bay_id}: image_provider_config.credentials: a login has no place in the bay's file; "
            f"keep it in the Airflow Connection {connection}"
        )
    if ImageProviderFactory.provider_class(bay.image_provider).needs_credentials:
        config["credentials"] = credentials
    try:
        return ImageProviderFactory.create(bay.image_provider, **config)
    except ConfigError as error:
        raise ConfigError(f"bay {bay.bay_id}: {error}") from error
