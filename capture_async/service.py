"""All cameras of a bay at once: one outcome each, within the bay's deadline."""

import asyncio
import logging
import random
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Self

from bay_observation.errors import CaptureError, ConfigError
from bays import BayConfig, Camera, batch_id, onvif_connection_id
from capture_async.credentials import Credentials
from capture_async.errors import unexpected_error
from capture_async.providers.factory import provider_for
from capture_async.providers.provider import ImageProvider, Outcome
from capture_async.types import Attempt, CameraFailure, CaptureBatch, CapturedImage, FailureReason

logger = logging.getLogger(__name__)

# The last try begins after this share of the deadline, where the camera answers at once.
_SPREAD = 0.25


class CaptureService:
    """Captures one bay.

        async with CaptureService(bay, credentials=credentials) as service:
            batch = await service.capture(slot)

    Args:
        bay: cameras, network, deadline and provider.
        credentials: login of the bay's cameras; None where they need none.
        provider: in place of the bay's own; it stays the caller's to close.
        cancel_wait_s: seconds that a cancelled camera has to close its sockets before it is left behind.

    Raises:
        ConfigError: the bay's `image_provider_config` does not fit its provider.
    """

    def __init__(
        self,
        bay: BayConfig,
        *,
        credentials: Credentials | None = None,
        provider: ImageProvider | None = None,
        cancel_wait_s: float = 1.0,
    ) -> None:
        self._bay = bay
        self._owns_provider = provider is None
        self._cancel_wait_s = cancel_wait_s
        self._provider = provider_for(bay, credentials) if provider is None else provider

    async def capture(self, reference_time: datetime) -> CaptureBatch:
        """One outcome for every camera, in the order of the bay's file.

        Returns when all cameras have one, at the bay's `capture_deadline` at the
        latest: cameras without an outcome by then are `timed out`, what arrived is kept.
        A camera whose failure another try can mend is asked again within that time, up
        to `capture_attempts` times; each attempt and its duration is in the outcome.

        Args:
            reference_time: the slot (aware).

        Raises:
            CaptureError: the bay has no cameras; one lies outside the bay's
                `camera_subnet` (before any socket is opened); the provider broke its contract.
            ConfigError: `reference_time` has no time zone; a file that the configuration names cannot be read.
        """
        batch = batch_id(self._bay.bay_id, reference_time)
        self._refuse_foreign_cameras()
        started = time.monotonic()
        outcomes = await self._all_outcomes(reference_time)
        images = tuple(outcome for outcome in outcomes if isinstance(outcome, CapturedImage))
        failures = tuple(outcome for outcome in outcomes if isinstance(outcome, CameraFailure))
        self._report(batch, images, failures, time.monotonic() - started)
        return CaptureBatch(batch, self._bay.bay_id, images, failures)

    def clock_offsets(self) -> dict[str, float]:
        """Seconds by which cameras' clocks are ahead of this host's, by name; of those that say."""
        offsets = ((camera.name, self._provider.clock_offset_s(camera)) for camera in self._bay.cameras)
        return {name: round(offset, 1) for name, offset in offsets if offset is not None}

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
        """Defence in depth: the bay's queue already keeps other observers away from these cameras."""
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
        deadline = asyncio.get_running_loop().time() + self._bay.capture_deadline
        asked = [_Asked(camera) for camera in self._bay.cameras]
        tasks = [
            asyncio.create_task(self._one_outcome(reference_time, one, deadline), name=f"capture {one.camera.name}")
            for one in asked
        ]
        try:
            await asyncio.wait(tasks, timeout=self._bay.capture_deadline, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            # Also when this capture is itself cancelled: no task and no socket outlives it.
            unfinished = [task for task in tasks if task.cancel()]
            if unfinished:
                await asyncio.wait(unfinished, timeout=self._cancel_wait_s)
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
        return [
            task.result() if task.done() and not task.cancelled() else self._late(one)
            for one, task in zip(asked, tasks, strict=True)
        ]

    async def _one_outcome(self, reference_time: datetime, asked: "_Asked", deadline: float) -> Outcome:
        """The camera's outcome, after as many attempts as make sense."""
        loop = asyncio.get_running_loop()
        left = self._bay.capture_attempts
        while True:
            asked.since = loop.time()
            outcome = await self._ask(reference_time, asked.camera)
            left -= 1
            if isinstance(outcome, CapturedImage):
                return replace(outcome, attempts=asked.tried + outcome.attempts) if asked.tried else outcome
            asked.tried += outcome.attempts
            asked.last = replace(outcome, attempts=asked.tried)
            again = left > 0 and self._provider.worth_another_try(asked.camera, outcome)
            wait = self._pause(self._bay.capture_attempts - left, asked.camera)
            if not again or loop.time() + wait >= deadline:
                return asked.last
            await asyncio.sleep(wait)

    def _pause(self, tries: int, camera: Camera) -> float:
        """Seconds before the next try: short at first, then spread over the deadline; never before Retry-After.

        A camera that restarts, or serves another client, is back within seconds, not milliseconds.
        """
        pauses = max(1, self._bay.capture_attempts - 1)
        share = _SPREAD * self._bay.capture_deadline * (2 * tries - 1) / pauses**2
        # Jittered, so that cameras that failed together do not come back together.
        return max(share * random.uniform(0.9, 1.1), self._provider.retry_after_s(camera) or 0.0)

    async def _ask(self, reference_time: datetime, camera: Camera) -> Outcome:
        where = f"bay {self._bay.bay_id}, camera {camera.name}: {type(self._provider).__name__}"
        try:
            outcomes = await self._provider.get_images(reference_time, [camera], self._bay.bay_id)
        except (CaptureError, ConfigError):
            raise
        except Exception as error:
            logger.warning("%s failed", where, exc_info=True)
            failed = unexpected_error(where, error)
            return CameraFailure(camera.name, failed.reason, failed.detail)
        if len(outcomes) != 1 or outcomes[0].camera_name != camera.name:
            names = ", ".join(outcome.camera_name for outcome in outcomes) or "none"
            raise CaptureError(f"{where} owes one outcome for this camera and gave {len(outcomes)}: {names}")
        return outcomes[0]

    def _late(self, asked: "_Asked") -> CameraFailure:
        """The deadline came first; what earlier attempts ended with says more than that it did."""
        camera = asked.camera
        detail = f"{camera.host}:{camera.port}: no outcome within the bay's {self._bay.capture_deadline:g} s"
        since = asyncio.get_running_loop().time() - asked.since if asked.since else 0.0
        attempts = (*asked.tried, Attempt(FailureReason.TIMED_OUT, round(since, 4)))
        if asked.last is None:
            return CameraFailure(camera.name, FailureReason.TIMED_OUT, detail, attempts)
        return CameraFailure(camera.name, asked.last.reason, f"{asked.last.detail}; then {detail}", attempts)

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


@dataclass(slots=True)
class _Asked:
    """One camera of a capture, and what was tried so far."""

    camera: Camera
    tried: tuple[Attempt, ...] = ()
    last: CameraFailure | None = None
    since: float = 0.0
