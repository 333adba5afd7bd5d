"""One HTTP exchange with one camera: authentication, limits, and a named error when it fails."""

import asyncio
import errno
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from bays import Camera
from capture_async.addresses import path_of
from capture_async.errors import CameraError, connection_error
from capture_async.http.authentication import HttpAuthenticator
from capture_async.http.lenient import Address, request_leniently
from capture_async.http.reply import Body, Reply
from capture_async.limits import is_crowded
from capture_async.refusals import Refusal, refusal_in
from capture_async.types import FailureReason

logger = logging.getLogger(__name__)

MAX_FRAME_BYTES = 20 * 1024 * 1024
_CONNECT_S = 5.0
# A camera that sends no end of its frame is not waited for longer than this after the frame's last byte.
_IDLE_S = 1.0
# A frame of 400 kB in few pieces: aiohttp stops reading from the socket at twice this.
_READ_BUFFER = 512 * 1024
_KEPT_URLS = 8
_LONGEST_REFUSAL = 64 * 1024
_DROPPED = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})
_MULTIPLE_CHOICES, _BAD_REQUEST = 300, 400
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_TOO_MANY_REQUESTS, _UNAVAILABLE = 429, 503


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
    """Requests to one camera, always to the scheme and host that the bay's file gives.

    Args:
        session: see `new_session`.
        camera: whose address; those in a camera's replies contribute their path and
            query, and their port where the host is the camera's own.
        authenticator: gives the camera's authentication state for a port, kept between captures.
        timeout: seconds for one request, from connecting to the last byte: only a
            total stops a camera that sends a byte at a time.
        tls: of a camera with `scheme: https`; see `capture_async.http.tls`.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        camera: Camera,
        authenticator: Callable[[int], HttpAuthenticator],
        timeout: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._session = session
        self.host = str(camera.host)
        self.port = camera.port
        self._scheme = camera.scheme
        self._authenticator = authenticator
        self._seconds = timeout
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=min(timeout, _CONNECT_S))
        self._tls = tls
        self._urls: dict[tuple[int, str], URL] = {}
        self._is_lenient = False
        self._kept: set[int] = set()

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    async def request(
        self,
        method: str,
        target: str,
        *,
        port: int | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_FRAME_BYTES,
        timeout: float | None = None,  # noqa: ASYNC109  becomes a named error here
        login_in_body: bool = False,
    ) -> Reply:
        """Send and receive, answering a challenge once.

        Args:
            method: as `GET`.
            target: path and query, percent-encoded; sent as it is.
            port: of the same host, in place of the camera's own.
            body: what to send.
            headers: further headers.
            max_bytes: a body that is larger is not read on.
            timeout: seconds, where less than the camera's.
            login_in_body: `body` carries a login: a refusal then is one of it.

        Returns:
            The answer, whatever its status, except for those that are errors. It may lack
            its end (`Reply.whole`).

        Raises:
            CameraError: unreachable, timed out, refused credentials (401, 403, and words
                to that effect), busy (429, 503, and words), not an image (a redirect),
                truncated, too large, a faulty reply, a fault of the observer.
        """
        exchange = _Exchange(
            self, port or self.port, method, target, body, dict(headers or {}), max_bytes, timeout or self._seconds
        )
        try:
            reply = await exchange.run(self._authenticator(exchange.port))
        except CameraError as error:
            if error.reason is FailureReason.REFUSED_CREDENTIALS and login_in_body:
                error.login_refused = True
            raise
        reply = replace(reply, login_sent=reply.login_sent or login_in_body)
        self._refuse_errors(reply)
        if not reply.whole and not reply.body:
            raise self._error(FailureReason.TRUNCATED, "the connection ended within the answer")
        return reply

    def _refuse_errors(self, reply: Reply) -> None:
        status = reply.status
        if _MULTIPLE_CHOICES <= status < _BAD_REQUEST:
            detail = f"answered {status}: a redirect, which is not followed"
            if reply.headers.get("Location", "").lower().startswith("https:") and self._scheme == "http":
                detail = f"answered {status}: it redirects to https: set the camera's `scheme: https`"
            raise self._error(FailureReason.NOT_AN_IMAGE, detail, final=True)
        if status not in (_FORBIDDEN, _TOO_MANY_REQUESTS, _UNAVAILABLE):
            return
        refusal = refusal_in(reply.text)
        if refusal is Refusal.LOCKED:
            raise self.refused(f"answered {status}: {refusal.value}", login_refused=reply.login_sent)
        if status == _FORBIDDEN and refusal is not Refusal.BUSY:
            raise self.refused("answered 403: the login lacks the right", login_refused=reply.login_sent)
        raise CameraError(
            FailureReason.BUSY,
            f"{self}: answered {status}: {Refusal.BUSY.value}",
            retry_after_s=reply.retry_after_s,
        )

    def read_leniently(self) -> None:
        """Read its answers as far as they can be from now on; see `capture_async.http.lenient`."""
        self._is_lenient = True

    def refused(self, detail: str, *, login_refused: bool) -> CameraError:
        """The error of a refusal."""
        return CameraError(
            FailureReason.REFUSED_CREDENTIALS, f"{self}: {detail}", final=True, login_refused=login_refused
        )

    def _error(self, reason: FailureReason, detail: str, *, final: bool = False) -> CameraError:
        return CameraError(reason, f"{self}: {detail}", final=final)

    def _url(self, port: int, target: str) -> URL:
        url = self._urls.get((port, target))
        if url is None:
            path, _, query = target.partition("?")
            # Built from parts: joined as a reference, a path that begins with // would name another host.
            url = URL.build(scheme=self._scheme, host=self.host, port=port, path=path, query_string=query, encoded=True)
            if len(self._urls) >= _KEPT_URLS:
                self._urls.clear()
            self._urls[port, target] = url
        return url


class _MalformedReplyError(Exception):
    """aiohttp cannot read the answer, or cannot write what it asks for."""


class _Exchange:
    """One request to one camera, with all that is sent for it."""

    def __init__(  # noqa: PLR0917
        self,
        http: CameraHttp,
        port: int,
        method: str,
        target: str,
        body: bytes | None,
        headers: dict[str, str],
        max_bytes: int,
        seconds: float,
    ) -> None:
        self._http = http
        self.port = port
        self._where = f"{http.host}:{port}"
        self._method = method
        self._target = target
        self._url = http._url(port, target)
        self._body = body
        self._headers = headers
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def run(self, authenticator: HttpAuthenticator) -> Reply:
        """The answer to the request, its challenges answered; once more where a kept connection was dropped."""
        while True:
            try:
                return await authenticator.exchange(self._where, self._method, self._url.raw_path_qs, self._send)
            except _MalformedReplyError as error:
                logger.info("%s: %s; it is read leniently from now on", self._where, error)
                self._http.read_leniently()
            except (aiohttp.ServerDisconnectedError, ConnectionError) as error:
                if self.port not in self._http._kept:
                    if isinstance(error, OSError) and error.errno:
                        raise connection_error(self._where, error) from error
                    detail = "it closes the connection without an answer"
                    raise self._error(FailureReason.UNREACHABLE, detail) from error
                self._http._kept.discard(self.port)

    async def _send(self, authorization: str | None) -> Reply:
        headers = self._headers if authorization is None else self._headers | {"Authorization": authorization}
        if is_crowded():
            headers = headers | {"Connection": "close"}
        if not self._http._is_lenient and authorization is not None and not _is_unicode(authorization):
            raise _MalformedReplyError("its challenge is no UTF-8")
        transport = self._send_leniently if self._http._is_lenient else self._send_by_aiohttp
        try:
            async with asyncio.timeout(self._seconds):
                reply = await transport(headers)
        except TimeoutError as error:
            raise self._timed_out(error) from error
        reply = replace(reply, login_sent=authorization is not None)
        if reply.status == _UNAUTHORIZED:
            self._refuse_other_reasons(reply)
        return reply

    async def _send_by_aiohttp(self, headers: dict[str, str]) -> Reply:
        try:
            async with self._http._session.request(
                self._method,
                self._url,
                data=self._body,
                headers=headers,
                timeout=self._http._timeout,
                allow_redirects=False,
                ssl=True if self._http._tls is None else self._http._tls,
            ) as response:
                return await self._read(response)
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            raise self._tls_error(error) from error
        except (aiohttp.ServerDisconnectedError, ConnectionError, TimeoutError, CameraError):
            raise
        except OSError as error:
            if error.errno in _DROPPED and not isinstance(error, aiohttp.ClientConnectorError):
                raise ConnectionResetError(error.errno, str(error)) from error
            if error.errno is None and isinstance(error, aiohttp.ClientOSError):
                if self.port in self._http._kept:
                    raise ConnectionResetError from error
                raise _MalformedReplyError("its answer came before the request was sent") from error
            raise connection_error(self._where, error) from error
        except (aiohttp.ClientError, HttpProcessingError, ValueError) as error:
            raise _MalformedReplyError(f"its answer is malformed HTTP ({_first_line(error)})") from error

    async def _send_leniently(self, headers: dict[str, str]) -> Reply:
        address = Address(self._http.host, self.port, self._http._tls)
        try:
            return await request_leniently(
                address, self._method, self._url.raw_path_qs, headers, self._body, max_bytes=self._max_bytes
            )
        except ssl.SSLError as error:
            raise self._tls_error(error) from error
        except OSError as error:
            raise connection_error(self._where, error) from error

    async def _read(self, response: aiohttp.ClientResponse) -> Reply:
        received_at = datetime.now(UTC)
        announced = response.content_length
        if announced is not None and announced > self._max_bytes:
            response.close()
            detail = f"the answer is announced as {announced} bytes, more than {self._max_bytes}"
            raise self._error(FailureReason.TOO_LARGE, detail)
        body = Body(self._where, response.headers, self._max_bytes, first_part=self._method == "GET")
        # Of a refusal no more is read than what it may say.
        longest = _LONGEST_REFUSAL if response.status == _UNAUTHORIZED else self._max_bytes
        whole, at_end = await self._collect(response.content, body, longest)
        if at_end:
            self._http._kept.add(self.port)
        else:
            self._http._kept.discard(self.port)
            response.close()
        return Reply(response.status, response.headers, body.content(), received_at, whole=whole)

    async def _collect(self, content: aiohttp.StreamReader, body: Body, longest: int) -> tuple[bool, bool]:
        """(whether the body is whole, whether the reply is at its end); given up beyond `longest` bytes."""
        # Not `iter_chunks`: of a reply without a body it yields for ever, and never lets the loop run.
        while not content.at_eof():
            try:
                if body.looks_whole:
                    async with asyncio.timeout(_IDLE_S):
                        piece = await content.readany()
                else:
                    piece = await content.readany()
            except TimeoutError:
                return True, False
            except (aiohttp.ClientError, HttpProcessingError, ConnectionError):
                return False, False
            if not piece:
                break
            if body.push(piece) or body.size > longest:
                return True, False
        return True, True

    def _refuse_other_reasons(self, reply: Reply) -> None:
        """A 401 that is none: asking again at once could count as another failed login."""
        refusal = refusal_in(reply.text)
        if refusal is Refusal.LOCKED:
            raise self._http.refused(f"answered 401: {refusal.value}", login_refused=True)
        if refusal is Refusal.BUSY:
            detail = f"answered 401 with a page that says that {refusal.value}"
            raise self._error(FailureReason.BUSY, detail, final=True)

    def _timed_out(self, error: TimeoutError) -> CameraError:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return self._error(FailureReason.UNREACHABLE, f"no connection within {_CONNECT_S:g} s")
        detail = f"no whole answer to {self._method} {path_of(self._target)} within {self._seconds:g} s"
        return self._error(FailureReason.TIMED_OUT, detail)

    def _tls_error(self, error: Exception) -> CameraError:
        """Trying again brings the same certificate, and the same versions of TLS."""
        reason = _tls_reason(error)
        if any(word in reason.upper() for word in ("WRONG_VERSION", "HTTP", "PACKET_LENGTH", "RECORD_LAYER")):
            detail = f"no TLS connection ({reason}): does it speak plain HTTP? Then set the camera's `scheme: http`"
        elif any(word in reason.upper() for word in ("PROTOCOL", "VERSION", "CIPHER", "HANDSHAKE_FAILURE", "DH_KEY")):
            detail = (
                f"it offers no TLS that is accepted ({reason}): TLS 1.2 or newer is needed: "
                "a newer firmware may have it, else use `scheme: http`"
            )
        elif "CERT" in reason.upper() or "verif" in reason or "self" in reason or "mismatch" in reason.lower():
            detail = (
                f"its TLS certificate is not accepted ({reason}): name it, or its signer, in "
                "image_provider_config.tls.ca_file, or set tls.verify: false"
            )
        else:
            detail = f"no TLS connection ({reason})"
        return self._error(FailureReason.UNREACHABLE, detail, final=True)

    def _error(self, reason: FailureReason, detail: str, *, final: bool = False) -> CameraError:
        return CameraError(reason, f"{self._where}: {detail}", final=final)


def _is_unicode(header: str) -> bool:
    """Whether every byte of it was UTF-8: aiohttp would send the others as something else."""
    return header.isascii() or not any("\ud800" <= character <= "\udfff" for character in header)


def _first_line(error: Exception) -> str:
    text = getattr(error, "message", "") or str(error) or type(error).__name__
    return text.splitlines()[0][:80] if text.splitlines() else type(error).__name__


def _tls_reason(error: Exception) -> str:
    underneath = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        underneath = error.certificate_error
    return str(getattr(underneath, "verify_message", "") or getattr(underneath, "reason", "") or type(error).__name__)
