"""One HTTP exchange with one camera: authentication, limits, and a named error when it fails."""

import os
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from bays import Camera
from capture_async.addresses import path_of
from capture_async.errors import CameraError
from capture_async.http.authentication import HttpAuthenticator
from capture_async.types import FailureReason

MAX_FRAME_BYTES = 20 * 1024 * 1024
_BLOCK = 64 * 1024
_CONNECT_S = 5.0
# A frame of 400 kB in few pieces: aiohttp stops reading from the socket at twice this.
_READ_BUFFER = 512 * 1024
_MULTIPLE_CHOICES, _BAD_REQUEST = 300, 400
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_TOO_MANY_REQUESTS, _UNAVAILABLE = 429, 503
_MEANS_BUSY = re.compile(
    rb"too many|max(imum)?\W+(number of )?(connection|user|session|client)"
    rb"|(connection|user|session|client)s?\W+(limit|exceed|full)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A camera's answer. `received_at` is when its head arrived (aware, UTC)."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    received_at: datetime

    @property
    def challenges(self) -> list[str]:
        """Every value of WWW-Authenticate."""
        return self.headers.getall("WWW-Authenticate", [])


def new_session() -> aiohttp.ClientSession:
    """A session for any number of cameras, to be made on the running loop and closed there.

    No limit on connections: time spent waiting for a pool's slot would count in a
    camera's timeout. No proxies from the environment, no cookies.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=_READ_BUFFER,
        skip_auto_headers=("User-Agent",),
        headers={"Accept-Encoding": "identity"},
    )


class CameraHttp:
    """Requests to one camera, always to the scheme, host and port that the bay's file gives.

    Args:
        session: see `new_session`.
        camera: whose address; those in a camera's replies contribute their path and
            query and nothing else.
        authenticator: the camera's, kept between captures.
        timeout: seconds for one request, from connecting to the last byte: only a
            total stops a camera that sends a byte at a time.
        tls: of a camera with `scheme: https`; see `capture_async.http.tls`.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        camera: Camera,
        authenticator: HttpAuthenticator,
        timeout: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._session = session
        self.host = str(camera.host)
        self._port = camera.port
        self._scheme = camera.scheme
        self._authenticator = authenticator
        self._seconds = timeout
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, _CONNECT_S))
        self._tls: ssl.SSLContext | bool = True if tls is None else tls
        self._urls: dict[str, URL] = {}

    def __str__(self) -> str:
        return f"{self.host}:{self._port}"

    async def request(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_FRAME_BYTES,
    ) -> Reply:
        """Send and receive, answering a challenge once.

        Args:
            method: as `GET`.
            target: path and query, percent-encoded; sent as it is.
            body: what to send.
            headers: further headers.
            max_bytes: a body that is larger is not read on.

        Returns:
            The answer, whatever its status, except for those that are errors.

        Raises:
            CameraError: unreachable, timed out, refused credentials (401 and 403),
                busy (429, 503, and a 401 that says so), not an image (a redirect),
                truncated, too large.
        """
        started = time.monotonic()
        try:
            return await self._exchange(method, target, body, dict(headers or {}), max_bytes)
        except aiohttp.ConnectionTimeoutError as error:
            raise self._error(FailureReason.UNREACHABLE, f"no connection within {_CONNECT_S:g} s") from error
        except TimeoutError as error:
            detail = f"no whole answer to {method} {path_of(target)} within {self._seconds:g} s"
            raise self._error(FailureReason.TIMED_OUT, detail) from error
        except aiohttp.ClientPayloadError as error:
            raise self._error(FailureReason.TRUNCATED, "the connection ended within the answer") from error
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            # Trying again brings the same certificate. Its text names no secret, but may be long.
            detail = (
                f"its TLS certificate is not accepted ({_tls_reason(error)}): name it, or who signed it, in "
                "image_provider_config.tls.ca_file, or set tls.verify: false"
            )
            raise self._error(FailureReason.UNREACHABLE, detail, final=True) from error
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise self._error(FailureReason.UNREACHABLE, reason) from error
        except aiohttp.ClientError as error:
            seconds = time.monotonic() - started
            detail = f"no HTTP answer ({type(error).__name__} after {seconds:.1f} s)"
            raise self._error(FailureReason.UNREACHABLE, detail) from error

    async def _exchange(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str], max_bytes: int
    ) -> Reply:
        url = self._url(target)

        async def send(authorization: str | None) -> Reply:
            sent = headers if authorization is None else headers | {"Authorization": authorization}
            async with self._session.request(
                method,
                url,
                data=body,
                headers=sent,
                timeout=self._timeout,
                allow_redirects=False,
                ssl=self._tls,
            ) as response:
                return await self._read(response, max_bytes)

        reply = await self._authenticator.exchange(f"{self}", method, url.raw_path_qs, send)
        if reply.status == _FORBIDDEN:
            sent_login = self._authenticator.scheme is not None
            detail = "answered 403: the login lacks the right"
            raise self._error(FailureReason.REFUSED_CREDENTIALS, detail, login_refused=sent_login)
        return reply

    async def _read(self, response: aiohttp.ClientResponse, max_bytes: int) -> Reply:
        received_at = datetime.now(UTC)
        status = response.status
        if status == _UNAUTHORIZED:
            return await self._read_refusal(response, received_at)
        if status in (_TOO_MANY_REQUESTS, _UNAVAILABLE):
            raise self._error(FailureReason.BUSY, f"answered {status}: its connections are in use")
        if _MULTIPLE_CHOICES <= status < _BAD_REQUEST:
            detail = f"answered {status}: a redirect, which is not followed"
            raise self._error(FailureReason.NOT_AN_IMAGE, detail, final=True)
        announced = response.content_length
        if announced is not None and announced > max_bytes:
            response.close()
            detail = f"the answer is announced as {announced} bytes, more than {max_bytes}"
            raise self._error(FailureReason.TOO_LARGE, detail)
        parts, size = [], 0
        async for part, _ in response.content.iter_chunks():  # as they came: joined once, at the end
            size += len(part)
            if size > max_bytes:
                response.close()
                raise self._error(FailureReason.TOO_LARGE, f"the answer is larger than {max_bytes} bytes")
            parts.append(part)
        return Reply(status, response.headers, b"".join(parts), received_at)

    async def _read_refusal(self, response: aiohttp.ClientResponse, received_at: datetime) -> Reply:
        said = await _drain(response)
        if _MEANS_BUSY.search(said) is not None:
            # Asking again at once could be taken for another failed login.
            detail = "answered 401 with a page that says its connections are in use"
            raise self._error(FailureReason.BUSY, detail, final=True)
        return Reply(response.status, response.headers, said, received_at)

    def _url(self, target: str) -> URL:
        url = self._urls.get(target)
        if url is None:
            path, _, query = target.partition("?")
            # Built from parts: joined as a reference, a path that begins with // would name another host.
            url = URL.build(
                scheme=self._scheme, host=self.host, port=self._port, path=path, query_string=query, encoded=True
            )
            if len(self._urls) >= 8:
                self._urls.clear()
            self._urls[target] = url
        return url

    def _error(
        self, reason: FailureReason, detail: str, *, final: bool = False, login_refused: bool = False
    ) -> CameraError:
        return CameraError(reason, f"{self}: {detail}", final=final, login_refused=login_refused)


async def _drain(response: aiohttp.ClientResponse) -> bytes:
    """A refusal's short body, read so that the connection can be used again."""
    said = b""
    async for part in response.content.iter_any():
        said += part
        if len(said) > _BLOCK:
            response.close()
            break
    return said


def _tls_reason(error: Exception) -> str:
    underneath = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        underneath = error.certificate_error
    return str(getattr(underneath, "verify_message", "") or getattr(underneath, "reason", "") or type(error).__name__)
