"""Where a camera keeps its snapshot: asked over ONVIF once, kept by the caller."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from capture_async.credentials import Credentials
from capture_async.http_client import CameraHttp, target_of
from capture_async.onvif_soap import (
    NAMESPACES,
    Service,
    SoapRefusedError,
    SoapUnreadableError,
    read_reply,
    run_soap,
    write_message,
)
from capture_async.problems import CameraError, LoginMissingError
from capture_async.types import FailureReason

logger = logging.getLogger(__name__)

_DEVICE_TARGET = "/onvif/device_service"
_MAX_SOAP_BYTES = 2 * 1024 * 1024
_MANY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Resolved:
    """What resolving found.

    Attributes:
        target: path and query of the snapshot of the largest profile.
        profile: that profile's name.
        size: its (width, height) in pixels, as the camera says.
        clock_offset: the camera's clock minus ours.
    """

    target: str
    profile: str
    size: tuple[int, int]
    clock_offset: timedelta


async def resolve(http: CameraHttp, credentials: Credentials | None) -> Resolved:
    """Ask a camera for its clock, its Media service, its profiles and the largest one's snapshot address.

    Of every address that the camera names only path and query are used: behind
    NAT the host is often wrong, and no other host than the configured one is asked.

    Raises:
        CameraError: unreachable, timed out, refused credentials, busy, or no snapshot service.
    """
    return await _Resolver(http, credentials).resolve()


class _Resolver:
    def __init__(self, http: CameraHttp, credentials: Credentials | None) -> None:
        self._http = http
        self._credentials = credentials
        self._offset = timedelta()

    async def resolve(self) -> Resolved:
        try:
            self._offset = await self._clock_offset()
            media = await self._media_target()
            token, name, size = _largest((await self._call("media", media, "GetProfiles")) or [])
            reply = await self._call("media", media, "GetSnapshotUri", ProfileToken=token)
        except SoapRefusedError as error:
            if error.not_authorized:
                detail = "login or password is wrong (check the bay's Airflow Connection and the camera)"
                raise CameraError(FailureReason.REFUSED_CREDENTIALS, f"{error}: {detail}") from error
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, str(error)) from error
        except SoapUnreadableError as error:
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, str(error)) from error
        target = _target(getattr(reply, "Uri", None), "snapshot address")
        return Resolved(target, name, size, self._offset)

    async def _clock_offset(self) -> timedelta:
        """The standard wants this answered without a login; some devices demand one, some have no clock."""
        try:
            reply = await self._call("device", _DEVICE_TARGET, "GetSystemDateAndTime", login=False)
        except SoapRefusedError as error:
            if not error.not_authorized or self._credentials is None:
                return timedelta()
            reply = await self._call("device", _DEVICE_TARGET, "GetSystemDateAndTime")
        asked_at = datetime.now(UTC)
        moment = getattr(reply, "UTCDateTime", None)
        try:
            date, time = moment.Date, moment.Time  # type: ignore[union-attr]
            camera_time = datetime(
                date.Year, date.Month, date.Day, time.Hour, time.Minute, min(time.Second, 59), tzinfo=UTC
            )
        except (AttributeError, TypeError, ValueError):
            return timedelta()  # no clock, or one never set: tokens carry our own time
        offset = camera_time - asked_at
        if abs(offset.total_seconds()) > _MANY_SECONDS:
            logger.warning("the clock of %s differs by %.0f s; set its NTP server", self._http, offset.total_seconds())
        return offset

    async def _media_target(self) -> str:
        """From GetCapabilities, which old devices know, or GetServices, which new ones must."""
        try:
            capabilities = await self._call("device", _DEVICE_TARGET, "GetCapabilities", Category=["All"])
            address = getattr(getattr(capabilities, "Media", None), "XAddr", None)
        except SoapRefusedError as error:
            if error.not_authorized:
                raise
            address = None
        if not address:
            services = await self._call("device", _DEVICE_TARGET, "GetServices", IncludeCapability=False)
            address = next((item.XAddr for item in services or [] if item.Namespace == NAMESPACES["media"]), None)
        return _target(address, "Media service")

    async def _call(
        self, service: Service, target: str, operation: str, *, login: bool = True, **parameters: Any
    ) -> Any:
        credentials = self._credentials if login else None
        message = await run_soap(write_message, service, operation, parameters, credentials, self._offset)
        try:
            reply = await self._http.request(
                "POST", target, body=message.body, headers=message.headers, max_bytes=_MAX_SOAP_BYTES
            )
        except LoginMissingError as problem:
            raise SoapRefusedError(f"{operation}: {problem.detail}", not_authorized=True) from problem
        except CameraError as problem:
            if problem.reason in (FailureReason.NOT_AN_IMAGE, FailureReason.TOO_LARGE, FailureReason.TRUNCATED):
                detail = f"{operation}: {problem.detail}"
                raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, detail) from problem
            raise
        content_type = reply.headers.get("Content-Type", "application/soap+xml")
        return await run_soap(read_reply, service, operation, reply.status, content_type, reply.body)


def _largest(profiles: list[Any]) -> tuple[str, str, tuple[int, int]]:
    """(token, name, (width, height)) of the profile with the most pixels; one without a size counts as none."""
    if not profiles:
        raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, "GetProfiles: the camera has no media profile")

    def size(profile: Any) -> tuple[int, int]:
        resolution = getattr(getattr(profile, "VideoEncoderConfiguration", None), "Resolution", None)
        return (getattr(resolution, "Width", 0) or 0, getattr(resolution, "Height", 0) or 0)

    best = max(profiles, key=lambda profile: size(profile)[0] * size(profile)[1])
    return str(best.token), str(best.Name), size(best)


def _target(address: object, what: str) -> str:
    if not isinstance(address, str) or not address:
        raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, f"the camera names no {what}")
    try:
        return target_of(address)
    except ValueError as error:
        raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, f"its {what} is {error}") from error
