"""Where a camera keeps its snapshot: asked over ONVIF once, kept by the caller."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from capture_async.addresses import encoded_target, named_port, target_of
from capture_async.credentials import Credentials
from capture_async.errors import CameraError
from capture_async.http.client import CameraHttp
from capture_async.onvif.messages import Service, write_message
from capture_async.onvif.replies import (
    Profile,
    SoapError,
    read_clock,
    read_media_address,
    read_profiles,
    read_reply,
    read_services,
    read_uri,
)
from capture_async.onvif.resolved import Resolved, Wanted
from capture_async.refusals import Refusal
from capture_async.types import FailureReason

logger = logging.getLogger(__name__)

_DEVICE_TARGET = "/onvif/device_service"
_MAX_SOAP_BYTES = 1024 * 1024
# Replies of this size and more are read in a thread: they would hold up the loop.
_LARGE = 64 * 1024
_CLOCK_S = 3.0
_MANY_SECONDS = 60
_QUARTER_HOUR = timedelta(minutes=15)
# A local time that lies further from ours is no matter of time zones.
_FURTHEST_ZONE = timedelta(hours=26)
_NO_SERVICE = frozenset(
    {FailureReason.NOT_AN_IMAGE, FailureReason.TOO_LARGE, FailureReason.TRUNCATED, FailureReason.NO_SNAPSHOT_SERVICE}
)
_ASK_ELSEWHERE = _NO_SERVICE | {FailureReason.UNREACHABLE, FailureReason.TIMED_OUT, FailureReason.FAULTY_REPLY}
_T = TypeVar("_T")


async def resolve(
    http: CameraHttp,
    credentials: Credentials | None,
    warned: set[str] | None = None,
    wanted: Wanted | None = None,
) -> Resolved:
    """Ask a camera for its clock, its Media service, its profiles and the wanted one's snapshot address.

    Of every address that the camera names only path and query are used, and its port
    where the host is the camera's own: behind NAT the host is often wrong, and no other
    host than the configured one is asked.

    Args:
        http: the camera.
        credentials: its login.
        warned: warnings that were given about this camera; each is given once.
        wanted: which picture; the largest when left out.

    Raises:
        CameraError: unreachable, timed out, refused credentials, busy, no snapshot
            service, a faulty reply.
    """
    resolver = _Resolver(http, credentials, set() if warned is None else warned, wanted or Wanted())
    return await resolver.with_named_errors(resolver.snapshot())


async def resolve_stream(
    http: CameraHttp,
    credentials: Credentials | None,
    warned: set[str] | None = None,
    wanted: Wanted | None = None,
) -> str:
    """Path and query of the wanted profile's RTSP stream; see `resolve`.

    Raises:
        CameraError: as `resolve`.
    """
    resolver = _Resolver(http, credentials, set() if warned is None else warned, wanted or Wanted())
    return await resolver.with_named_errors(resolver.stream())


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """Path and query of a service or picture, and the ports of the camera where it may be."""

    target: str
    ports: tuple[int, ...]


@dataclass(slots=True)
class _Resolver:
    http: CameraHttp
    credentials: Credentials | None
    warned: set[str]
    wanted: Wanted
    offset: timedelta = field(default_factory=timedelta)
    zone: timedelta | None = None
    clock_read: bool = False
    services: dict[Service, _Endpoint] = field(default_factory=dict)
    services_asked: bool = False

    async def with_named_errors(self, work: Awaitable[_T]) -> _T:
        """Await the work; SOAP faults become errors with a reason."""
        try:
            return await work
        except SoapError as error:
            if error.refusal is Refusal.BUSY:
                raise CameraError(FailureReason.BUSY, f"{self.http}: {error}") from error
            if error.refusal is not None:
                raise self._refused(str(error), error.refusal) from error
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, f"{self.http}: {error}") from error

    async def snapshot(self) -> Resolved:
        service, profile = await self._profile()
        endpoint = await self._uri(service, profile, "GetSnapshotUri", "snapshot address", self._http_endpoint)
        ports = endpoint.ports if self.wanted.snapshot_port is None else (self.wanted.snapshot_port,)
        return Resolved(endpoint.target, profile.name, profile.size, self.offset, self.zone, ports)

    async def stream(self) -> str:
        service, profile = await self._profile()
        endpoint = await self._uri(service, profile, "GetStreamUri", "stream address", self._rtsp_endpoint)
        return endpoint.target

    async def _profile(self) -> tuple[Service, Profile]:
        """The wanted profile, and the Media service that knows it."""
        await self._read_clock()
        await self._find_media()
        found: list[tuple[Service, Profile]] = []
        missing: Exception | None = None
        if "media" in self.services:
            try:
                found = [("media", profile) for profile in await self._profiles("media")]
            except (SoapError, CameraError) as error:
                if not _is_optional(error):
                    raise
                missing = error
        if not self._is_content(found):
            found += [("media2", profile) for profile in await self._media2_profiles()]
        if not found:
            raise missing or CameraError(
                FailureReason.NO_SNAPSHOT_SERVICE, f"{self.http}: GetProfiles: the camera has no media profile"
            )
        return _best(found, self.wanted, str(self.http))

    def _is_content(self, found: Sequence[tuple[Service, Profile]]) -> bool:
        """Whether the older Media service has what is wanted: it may leave out H.265."""
        profiles = [profile for _, profile in found]
        if self.wanted.profile is not None:
            return any(_is_called(profile, self.wanted.profile) for profile in profiles)
        largest = max(profiles, key=lambda profile: profile.pixels, default=None)
        return largest is not None and largest.size_is_known and largest.size == self.wanted.size

    async def _media2_profiles(self) -> list[Profile]:
        await self._ask_services()
        if "media2" not in self.services:
            return []
        try:
            return await self._profiles("media2")
        except (SoapError, CameraError) as error:
            if not _is_optional(error) or "media" not in self.services:
                raise
            return []

    async def _profiles(self, service: Service) -> list[Profile]:
        return read_profiles(await self._call(service, "GetProfiles"))

    async def _uri(
        self,
        service: Service,
        profile: Profile,
        operation: str,
        what: str,
        endpoint_of: Callable[[str, str], _Endpoint],
    ) -> _Endpoint:
        """The address of the profile's picture; from the other Media service where this one has none."""
        try:
            return await self._uri_of(service, profile, operation, what, endpoint_of)
        except (SoapError, CameraError) as error:
            if not _is_optional(error):
                raise
            await self._ask_services()
            other: Service = "media" if service == "media2" else "media2"
            if other not in self.services:
                raise
            try:
                return await self._uri_of(other, profile, operation, what, endpoint_of)
            except (SoapError, CameraError) as second:
                raise error from second

    async def _uri_of(
        self,
        service: Service,
        profile: Profile,
        operation: str,
        what: str,
        endpoint_of: Callable[[str, str], _Endpoint],
    ) -> _Endpoint:
        address = read_uri(await self._call(service, operation, profile=profile.token))
        if address is None:
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, f"{self.http}: it names no {what}")
        return endpoint_of(address, what)

    async def _read_clock(self) -> None:
        """The standard wants this answered without a login; some devices demand one, some have no clock.

        Whatever goes wrong here costs no frame, except a login that is refused.
        """
        asked_at = datetime.now(UTC)
        try:
            response = await self._clock_response()
        except SoapError as error:
            if error.refusal in (Refusal.LOGIN, Refusal.LOCKED) and self.credentials is not None:
                raise
            return
        except CameraError as error:
            if error.login_refused or error.reason in (FailureReason.UNREACHABLE, FailureReason.OBSERVER_FAULT):
                raise
            return
        clock = read_clock(response)
        self.clock_read = True
        now = asked_at + (datetime.now(UTC) - asked_at) / 2
        self._take_clock(clock.utc, clock.local, clock.zone, now)
        if abs(self.offset.total_seconds()) > _MANY_SECONDS:
            seconds = self.offset.total_seconds()
            self._warn_once("clock", f"the clock of {self.http} differs by {seconds:.0f} s; set its NTP server")

    async def _clock_response(self) -> Any:
        try:
            return await self._call("device", "GetSystemDateAndTime", login=False)
        except SoapError as error:
            if error.refusal is not Refusal.LOGIN or self.credentials is None:
                raise
        return await self._call("device", "GetSystemDateAndTime")

    def _take_clock(self, utc: datetime | None, local: datetime | None, zone: timedelta | None, now: datetime) -> None:
        if utc is not None:
            self.offset = utc - now
            if local is not None:
                # Some answer the two from two readings of their clock, a second apart.
                self.zone = round((local - utc) / _QUARTER_HOUR) * _QUARTER_HOUR
        elif local is not None and zone is not None:
            self.offset, self.zone = local - zone - now, zone
        elif local is not None and abs(local - now) > _FURTHEST_ZONE:
            # A clock that was never set, and says no more than this: tokens are checked by it.
            self.offset = local - now
        # Otherwise tokens carry our own time.

    async def _find_media(self) -> None:
        """From GetCapabilities, which old devices know, or GetServices, which new ones must."""
        failed: Exception | None = None
        try:
            address = read_media_address(await self._call("device", "GetCapabilities"))
            if address is not None:
                self.services["media"] = self._http_endpoint(address, "Media service")
        except (SoapError, CameraError) as error:
            if not _is_optional(error):
                raise
            failed = error
        if not self.services:
            await self._ask_services(optional=False)
        if not self.services:
            detail = f"{self.http}: the camera names no Media service"
            raise failed or CameraError(FailureReason.NO_SNAPSHOT_SERVICE, detail)

    async def _ask_services(self, *, optional: bool = True) -> None:
        """Take in GetServices, once."""
        if self.services_asked:
            return
        self.services_asked = True
        try:
            named = read_services(await self._call("device", "GetServices"))
        except (SoapError, CameraError) as error:
            if not optional or not _is_optional(error):
                raise
            return
        for service, address in named.items():
            if service != "device":
                self.services.setdefault(service, self._http_endpoint(address, "Media service"))

    async def _call(self, service: Service, operation: str, *, login: bool = True, profile: str | None = None) -> Any:
        """The response, from the first port that has one."""
        endpoint = self.services.get(service) or _Endpoint(_DEVICE_TARGET, (self.http.port,))
        for port in endpoint.ports[:-1]:
            try:
                response = await self._ask(service, endpoint.target, port, operation, login=login, profile=profile)
            except CameraError as error:
                if error.reason not in _ASK_ELSEWHERE:
                    raise
            except SoapError as error:
                if error.refusal is not None:
                    raise
            else:
                self.services[service] = _Endpoint(endpoint.target, (port,))
                return response
        return await self._ask(service, endpoint.target, endpoint.ports[-1], operation, login=login, profile=profile)

    async def _ask(
        self, service: Service, target: str, port: int, operation: str, *, login: bool, profile: str | None
    ) -> Any:
        credentials = self.credentials if login else None
        message = write_message(service, operation, credentials, self.offset, profile=profile)
        try:
            reply = await self.http.request(
                "POST",
                target,
                port=port,
                body=message.body,
                headers=message.headers,
                max_bytes=_MAX_SOAP_BYTES,
                timeout=_CLOCK_S if operation == "GetSystemDateAndTime" else None,
                login_in_body=credentials is not None,
            )
        except CameraError as error:
            if error.reason is FailureReason.REFUSED_CREDENTIALS:
                if error.login_refused:
                    raise self._refused(error.detail, Refusal.LOGIN) from error
                raise SoapError(f"{operation}: {error.detail}", Refusal.LOGIN) from error
            if error.reason in _NO_SERVICE:
                detail = f"{operation}: {error.detail}"
                raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, detail, final=error.final) from error
            raise
        arguments = (operation, reply.status, reply.headers.get("Content-Type", ""), reply.body)
        if len(reply.body) < _LARGE:
            return read_reply(*arguments)
        return await asyncio.to_thread(read_reply, *arguments)

    def _refused(self, said: str, refusal: Refusal) -> CameraError:
        said = said.removeprefix(f"{self.http}: ")
        detail = f"{self.http}: {said}: {refusal.value} (check the bay's Airflow Connection and the camera)"
        if not self.clock_read:
            detail += ", or its clock is: a login carries the time, and it does not say its own"
        elif abs(self.offset) > _FURTHEST_ZONE:
            detail += f"; its clock is off by {self.offset.days} days, which alone can be the cause: set its NTP server"
        return CameraError(
            FailureReason.REFUSED_CREDENTIALS, detail, final=True, login_refused=self.credentials is not None
        )

    def _http_endpoint(self, address: str, what: str) -> _Endpoint:
        try:
            target = target_of(address)
            parts = urlsplit(address.strip())
        except ValueError as error:
            detail = f"{self.http}: its {what} is {error}"
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, detail) from error
        self._warn_of_host(parts.hostname, what)
        own, port = self.http.port, named_port(address)
        if port is None or port == own or parts.scheme.lower() != "http":
            return _Endpoint(target, (own,))
        # A camera knows the ports of its host; behind NAT it rarely knows those outside.
        return _Endpoint(target, (port, own) if parts.hostname == self.http.host else (own, port))

    def _rtsp_endpoint(self, address: str, what: str) -> _Endpoint:
        try:
            parts = urlsplit(address.strip())
            host = parts.hostname
        except ValueError as error:
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, f"{self.http}: its {what} is no address") from error
        if parts.scheme.lower() not in ("rtsp", "rtsps") or not parts.netloc:
            detail = f"{self.http}: its {what} is a {parts.scheme or 'relative'} address"
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, detail)
        self._warn_of_host(host, what)
        return _Endpoint(encoded_target(parts.path, parts.query), ())

    def _warn_of_host(self, host: str | None, what: str) -> None:
        if host is not None and host != self.http.host:
            self._warn_once(
                f"{what} {host}",
                f"camera {self.http} names {host} in its {what}; path and query of it are used, "
                f"and no other host than {self.http.host} is asked",
            )

    def _warn_once(self, what: str, text: str) -> None:
        if what not in self.warned:
            self.warned.add(what)
            logger.warning("%s", text)


def _is_optional(error: Exception) -> bool:
    """Whether another operation may still succeed after this error."""
    if isinstance(error, SoapError):
        return error.refusal is None
    return isinstance(error, CameraError) and error.reason in (_NO_SERVICE | {FailureReason.FAULTY_REPLY})


def _best(found: Sequence[tuple[Service, Profile]], wanted: Wanted, where: str) -> tuple[Service, Profile]:
    """The wanted profile: by its token or name, of the channel; else the largest, of two alike the first."""
    if wanted.profile is not None:
        named = [one for one in found if _is_called(one[1], wanted.profile)]
        if not named:
            names = ", ".join(dict.fromkeys(profile.name for _, profile in found))[:200]
            detail = f"{where}: it has no profile {wanted.profile!r}; it has {names}: correct the camera's `profile`"
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, detail, final=True)
        found = named
    if wanted.channel is not None:
        sources = list(dict.fromkeys(profile.source for _, profile in found if profile.source))
        if wanted.channel > len(sources):
            detail = (
                f"{where}: it has {len(sources)} video sources, and no channel {wanted.channel}: "
                "correct the camera's `channel`"
            )
            raise CameraError(FailureReason.NO_SNAPSHOT_SERVICE, detail, final=True)
        found = [one for one in found if one[1].source == sources[wanted.channel - 1]]
    return max(found, key=lambda one: (one[1].pixels, one[1].size_is_known))


def _is_called(profile: Profile, name: str) -> bool:
    return name in (profile.token, profile.name)
