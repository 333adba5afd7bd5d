"""One HTTP exchange with one camera: authentication, limits, and a named error when it fails."""

import asyncio
import logging
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace

from bays import Camera
from capture_async.addresses import path_of
from capture_async.errors import CameraError, connection_error
from capture_async.http.authentication import HttpAuthenticator
from capture_async.http.reply import Reply
from capture_async.http.request import Address, MalformedReplyError, NoConnectionError, Request
from capture_async.http.transports import Transports
from capture_async.limits import is_crowded
from capture_async.refusals import Refusal, refusal_in
from capture_async.types import FailureReason

logger = logging.getLogger(__name__)

MAX_FRAME_BYTES = 20 * 1024 * 1024
_CONNECT_S = 5.0
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}
_LOGIN_PAGE = re.compile(r"log[-_]?(?:in|on)\b|sign[-_]?in\b|\bauth", re.IGNORECASE)
_MULTIPLE_CHOICES, _BAD_REQUEST = 300, 400
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_TOO_MANY_REQUESTS, _UNAVAILABLE = 429, 503


class CameraHttp:
    """Requests to one camera, always to the scheme and host that the bay's file gives.

    Args:
        transports: connections, and which way a request is sent.
        camera: whose address; those in a camera's replies contribute their path and
            query, and their port where the host is the camera's own.
        authenticator: gives the camera's authentication state for a port, kept between captures.
        timeout: seconds for one request, from connecting to the last byte: only a
            total stops a camera that sends a byte at a time.
        tls: of a camera with `scheme: https`; see `capture_async.http.tls`.
    """

    def __init__(
        self,
        transports: Transports,
        camera: Camera,
        authenticator: Callable[[int], HttpAuthenticator],
        timeout: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.transports = transports
        self.host = str(camera.host)
        self.port = camera.port
        self.tls = tls
        self.is_lenient = False
        self.kept: set[int] = set()
        """Ports of which the latest answer left the connection open."""
        self._scheme = camera.scheme
        self._authenticator = authenticator
        self._seconds = timeout

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
        request = Request(
            Address(self.host, port or self.port, self.tls),
            method,
            _without_empty_query(target),
            _HEADERS if headers is None else {**_HEADERS, **headers},
            body,
            max_bytes,
            min(self._seconds, _CONNECT_S),
        )
        exchange = _Exchange(self, request, timeout or self._seconds)
        try:
            reply = await exchange.run(self._authenticator(request.address.port))
        except CameraError as error:
            if error.reason is FailureReason.REFUSED_CREDENTIALS and login_in_body:
                error.login_refused = True
            raise
        if login_in_body:
            reply = replace(reply, login_sent=True)
        self._refuse_errors(reply)
        if not reply.whole and not reply.body:
            raise self._error(FailureReason.TRUNCATED, "the connection ended within the answer")
        return reply

    def _refuse_errors(self, reply: Reply) -> None:
        status = reply.status
        if _MULTIPLE_CHOICES <= status < _BAD_REQUEST:
            if reply.login_sent and _LOGIN_PAGE.search(reply.headers.get("Location", "")):
                raise self.refused(f"answered {status}: it redirects to its login page", login_refused=True)
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
        self.is_lenient = True

    def refused(self, detail: str, *, login_refused: bool) -> CameraError:
        """The error of a refusal."""
        return CameraError(
            FailureReason.REFUSED_CREDENTIALS, f"{self}: {detail}", final=True, login_refused=login_refused
        )

    def _error(self, reason: FailureReason, detail: str, *, final: bool = False) -> CameraError:
        return CameraError(reason, f"{self}: {detail}", final=final)


class _Exchange:
    """One request to one camera, with all that is sent for it."""

    def __init__(self, http: CameraHttp, request: Request, seconds: float) -> None:
        self._http = http
        self._request = request
        self._address = request.address
        self._seconds = seconds
        self._was_dropped = False
        self._login_sent = False

    async def run(self, authenticator: HttpAuthenticator) -> Reply:
        """The answer to the request, its challenges answered; once more where a kept connection was dropped."""
        where, kept = str(self._address), self._http.kept
        while True:
            try:
                return await authenticator.exchange(where, self._request.method, self._request.target, self._send)
            except (MalformedReplyError, ConnectionError) as error:
                if isinstance(error, ConnectionError) and self._address.port in kept:
                    kept.discard(self._address.port)
                    self._was_dropped = True
                elif isinstance(error, MalformedReplyError):
                    logger.info("%s: %s; it is read leniently from now on", where, error)
                    self._http.read_leniently()
                elif isinstance(error, ConnectionRefusedError):
                    raise connection_error(where, error) from error
                else:
                    # Some answer a wrong login so: it is not sent again with each try.
                    is_doubtful = self._login_sent and not authenticator.worked_before
                    detail = "it closes the connection without an answer"
                    if is_doubtful:
                        authenticator.forget()
                        detail += " to a login, which may be wrong"
                    raise self._error(FailureReason.UNREACHABLE, detail, final=is_doubtful) from error

    async def _send(self, authorization: str | None) -> Reply:
        headers = self._request.headers
        self._login_sent = authorization is not None
        if authorization is not None:
            headers = headers | {"Authorization": authorization}
        keep = not (self._http.is_lenient or self._was_dropped or is_crowded())
        transport = self._http.transports.transport(is_lenient=self._http.is_lenient)
        try:
            async with asyncio.timeout(self._seconds):
                reply = await transport.send(replace(self._request, headers=headers, keep=keep))
        except TimeoutError as error:
            raise self._timed_out(error) from error
        except ssl.SSLError as error:
            raise self._tls_error(error) from error
        except (MalformedReplyError, ConnectionError):
            raise
        except OSError as error:
            raise connection_error(self._address, error) from error
        (self._http.kept.add if reply.at_end else self._http.kept.discard)(self._address.port)
        if authorization is not None:
            reply = replace(reply, login_sent=True)
        if reply.status == _UNAUTHORIZED:
            self._refuse_other_reasons(reply)
        return reply

    def _refuse_other_reasons(self, reply: Reply) -> None:
        """A 401 that is none: asking again at once could count as another failed login."""
        refusal = refusal_in(reply.text)
        if refusal is Refusal.LOCKED:
            raise self._http.refused(f"answered 401: {refusal.value}", login_refused=True)
        if refusal is Refusal.BUSY:
            detail = f"answered 401 with a page that says that {refusal.value}"
            raise self._error(FailureReason.BUSY, detail, final=True)

    def _timed_out(self, error: TimeoutError) -> CameraError:
        if isinstance(error, NoConnectionError):
            return self._error(FailureReason.UNREACHABLE, f"no connection within {_CONNECT_S:g} s")
        detail = f"no whole answer to {self._request.method} {path_of(self._request.target)} within {self._seconds:g} s"
        return self._error(FailureReason.TIMED_OUT, detail)

    def _tls_error(self, error: ssl.SSLError) -> CameraError:
        """Trying again brings the same certificate, and the same versions of TLS."""
        reason = str(getattr(error, "verify_message", "") or error.reason or type(error).__name__)
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
        return CameraError(reason, f"{self._address}: {detail}", final=final)


def _without_empty_query(target: str) -> str:
    path, _, query = target.partition("?")
    return f"{path}?{query}" if query else path
