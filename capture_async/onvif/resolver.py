"""Where a camera keeps its snapshot: asked over ONVIF once, kept by the caller."""

import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from capture_async.addresses import encoded_target, target_of
from capture_async.credentials import Credentials
from capture_async.errors import CameraError
from capture_async.http.client import CameraHttp
from capture_async.onvif.resolved import Resolved
from capture_async.onvif.soap import (
    NAMESPACES,
    Service,
    SoapRefusedError,
    SoapUnreadableError,
    read_reply,
    run_soap,
    write_message,
    written_before,
)
from capture_async.types import FailureReason

logger = logging.getLogger(__name__)

_DEVICE_TARGET = "/onvif/device_service"
_MAX_SOAP_BYTES = 1024 * 1024
_MANY_SECONDS = 60
_QUARTER_HOUR = timedelta(minutes=15)
_T = TypeVar("_T")
_RTSP = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}


async def resolve(http: CameraHttp, credentials: Credentials | None, warned: set[str] | None = None) -> Resolved:
    """Ask a camera for its clock, its Media service, its profiles and the largest one's snapshot address.

    Of every address that the camera names only path and query are used: behind
    NAT the host is often wrong, and no other host than the configured one is asked.

    Args:
        http: the camera.
        credentials: its login.
        warned: warnings that were given about this camera; each is given once.

    Raises:
        CameraError: unreachable, timed out, refused credentials, busy, or no snapshot service.
    """
    resolver = _Resolver(http, credentials, set() if warned is None else warned)
    return await resolver.with_named_errors(resolver.snapshot())


async def resolve_stream(http: CameraHttp, credentials: Credentials | None, warned: set[str] | None = None) -> str:
    """Path and query of the largest profile's RTSP stream; see `resolve`.

    Raises:
        CameraError: as `resolve`.
    """
    resolver = _Resolver(http, credentials, set() if warned is None else warned)
    return await resolver.with_named_errors(resolver.stream())


@dataclass(slots=True)
class _Resolver:
    http: CameraHttp
    credentials: Credentials | None
    warned: set[str]
    offset: timedelta = field(default_factory=timedelta)
    zone: timedelta | None = None
    clock_read: bool = False

    async def with_named_errors(self, work: Awaitable[_T]) -> _T:
        """Await the work; SOAP faults become errors with a reason."""
        try:
            return await work
        except SoapRefusedError as error:
            if error.not_authorized:
                detail = "login or password is wrong (check the bay's Airflow Connection and the camera)"
                if not self.clock_read:
                    detail += ", or its clock is: a login carries the time, and it does not say its own"
                raise CameraError(
                    FailureReason.REFUSED_CREDENTIALS,
                    f"{self.http}: {error}: {detail}",
                    final=True,
                    login_refused=self.credentials is not None,
                ) from error
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, str(error)) from error
        except SoapUnreadableError as error:
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, str(error)) from error

    async def snapshot(self) -> Resolved:
        media, token, name, size = await self._largest_profile()
        reply = await self._call("media", media, "GetSnapshotUri", ProfileToken=token)
        address = self._named(getattr(reply, "Uri", None), "snapshot address")
        return Resolved(_http_target(address, "snapshot address"), name, size, self.offset, self.zone)

    async def stream(self) -> str:
        media, token, _, _ = await self._largest_profile()
        reply = await self._call("media", media, "GetStreamUri", StreamSetup=_RTSP, ProfileToken=token)
        address = self._named(getattr(reply, "Uri", None), "stream address")
        parts = urlsplit(address.strip())
        if parts.scheme.lower() not in ("rtsp", "rtsps") or not parts.netloc:
            detail = f"its stream address is a {parts.scheme or 'relative'} address"
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, detail)
        return encoded_target(parts.path, parts.query)

    async def _largest_profile(self) -> tuple[str, str, str, tuple[int, int]]:
        """(target of the Media service, profile's token, its name, its (width, height))."""
        await self._read_clock()
        media = await self._media_target()
        token, name, size = _largest((await self._call("media", media, "GetProfiles")) or [])
        return media, token, name, size

    async def _read_clock(self) -> None:
        """The standard wants this answered without a login; some devices demand one, some have no clock."""
        try:
            reply = await self._call("device", _DEVICE_TARGET, "GetSystemDateAndTime", login=False)
        except SoapRefusedError as error:
            if not error.not_authorized or self.credentials is None:
                return
            reply = await self._call("device", _DEVICE_TARGET, "GetSystemDateAndTime")
        self.clock_read = True
        asked_at = datetime.now(UTC)
        utc, local = (_moment(getattr(reply, name, None)) for name in ("UTCDateTime", "LocalDateTime"))
        if utc is None:
            return  # no clock, or one never set: tokens carry our own time
        self.offset = utc - asked_at
        if local is not None:
            # Some answer the two from two readings of their clock, a second apart.
            self.zone = round((local - utc) / _QUARTER_HOUR) * _QUARTER_HOUR
        if abs(self.offset.total_seconds()) > _MANY_SECONDS:
            seconds = self.offset.total_seconds()
            self._warn_once("clock", f"the clock of {self.http} differs by {seconds:.0f} s; set its NTP server")

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
        return _http_target(self._named(address, "Media service"), "Media service")

    async def _call(
        self, service: Service, target: str, operation: str, *, login: bool = True, **parameters: Any
    ) -> Any:
        credentials = self.credentials if login else None
        if written_before(service, operation, parameters):
            message = write_message(service, operation, parameters, credentials, self.offset)
        else:
            message = await run_soap(write_message, service, operation, parameters, credentials, self.offset)
        try:
            reply = await self.http.request(
                "POST", target, body=message.body, headers=message.headers, max_bytes=_MAX_SOAP_BYTES
            )
        except CameraError as error:
            if error.reason is FailureReason.REFUSED_CREDENTIALS and not error.login_refused:
                raise SoapRefusedError(f"{operation}: {error.detail}", not_authorized=True) from error
            if error.reason in (FailureReason.NOT_AN_IMAGE, FailureReason.TOO_LARGE, FailureReason.TRUNCATED):
                detail = f"{operation}: {error.detail}"
                raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, detail) from error
            raise
        content_type = reply.headers.get("Content-Type", "application/soap+xml")
        return await run_soap(read_reply, service, operation, reply.status, content_type, reply.body)

    def _named(self, address: object, what: str) -> str:
        """The address that the camera names, after a word about a host in it that nobody will ask."""
        if not isinstance(address, str) or not address:
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, f"the camera names no {what}")
        try:
            host = urlsplit(address.strip()).hostname
        except ValueError as error:
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, f"its {what} is no address") from error
        if host is not None and host != self.http.host:
            self._warn_once(
                f"{what} {host}",
                f"camera {self.http} names {host} in its {what}; path and query of it are used, "
                f"and no other host than {self.http.host} is asked",
            )
        return address

    def _warn_once(self, what: str, text: str) -> None:
        if what not in self.warned:
            self.warned.add(what)
            logger.warning("%s", text)


def _moment(value: Any) -> datetime | None:
    """An ONVIF DateTime as if it were UTC; None for a clock that was never set."""
    try:
        date, time = value.Date, value.Time
        return datetime(date.Year, date.Month, date.Day, time.Hour, time.Minute, min(time.Second, 59), tzinfo=UTC)
    except (AttributeError, TypeError, ValueError):
        return None


def _largest(profiles: list[Any]) -> tuple[str, str, tuple[int, int]]:
    """(token, name, (width, height)) of the profile with the most pixels; one without a size counts as none."""
    if not profiles:
        raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, "GetProfiles: the camera has no media profile")

    def size(profile: Any) -> tuple[int, int]:
        resolution = getattr(getattr(profile, "VideoEncoderConfiguration", None), "Resolution", None)
        return (getattr(resolution, "Width", 0) or 0, getattr(resolution, "Height", 0) or 0)

    best = max(profiles, key=lambda profile: size(profile)[0] * size(profile)[1])
    return str(best.token), str(best.Name), size(best)


def _http_target(address: str, what: str) -> str:
    try:
        return target_of(address)
    except ValueError as error:
        raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, f"its {what} is {error}") from error
