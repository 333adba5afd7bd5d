"""Requests to cameras through aiohttp, which takes a process a third of a second to import: see `transports`."""

import asyncio
import errno
import ssl
from datetime import UTC, datetime
from functools import lru_cache

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from capture_async.errors import CameraError, connection_error
from capture_async.http.reply import Body, Reply
from capture_async.http.request import Address, EarlyAnswerError, MalformedReplyError, NoConnectionError, Request

# A frame of 400 kB in few pieces: aiohttp stops reading from the socket at twice this.
_READ_BUFFER = 512 * 1024
# A camera that sends no end of its frame is not waited for longer than this after the frame's last byte.
_IDLE_S = 1.0
_DROPPED = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})
_KEPT_URLS = 8192


class AiohttpTransport:
    """Sends through one session, to any number of cameras. To be made on the running loop, and closed there."""

    def __init__(self) -> None:
        # No limit on connections: time spent waiting for a pool's slot would count in a camera's timeout.
        # No proxies from the environment, no cookies.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
            skip_auto_headers=("User-Agent",),
            request_class=_Request,
        )

    async def send(self, request: Request) -> Reply:
        """See `Transport.send`."""
        authorization = request.headers.get("Authorization", "")
        if not _is_unicode(authorization):
            raise MalformedReplyError("its challenge is no UTF-8")
        address = request.address
        try:
            async with self._session.request(
                request.method,
                _url(address.host, address.port, request.target, is_https=address.tls is not None),
                data=request.body,
                headers=request.headers if request.keep else request.headers | {"Connection": "close"},
                timeout=_timeout(request.connect_s),
                allow_redirects=False,
                ssl=True if address.tls is None else address.tls,
            ) as response:
                return await _read(response, request)
        except aiohttp.ClientSSLError as error:
            raise _tls_error(error) from error
        except aiohttp.ServerDisconnectedError as error:
            raise ConnectionResetError from error
        except aiohttp.ConnectionTimeoutError as error:
            raise NoConnectionError from error
        except (ssl.SSLError, ConnectionError, TimeoutError, CameraError):
            raise
        except OSError as error:
            raise _socket_error(address, error) from error
        except (aiohttp.ClientError, HttpProcessingError, ValueError) as error:
            raise MalformedReplyError(f"its answer is malformed HTTP ({_first_line(error)})") from error

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._session.close()


class _Request(aiohttp.ClientRequest):
    """Not sent where something waits to be read: a second answer to the request before would be taken for its own."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if conn.protocol is None or conn.protocol.should_close:
            raise aiohttp.ServerDisconnectedError
        return await super().send(conn)


async def _read(response: aiohttp.ClientResponse, request: Request) -> Reply:
    received_at = datetime.now(UTC)
    body = Body(
        request.address, response.status, response.headers, request.max_bytes, first_part=request.method == "GET"
    )
    try:
        body.announce(response.content_length)
    except CameraError:
        response.close()
        raise
    whole, at_end = await _collect(response.content, body)
    if not at_end:
        response.close()
    return Reply(response.status, response.headers, await body.unfolded(), received_at, whole=whole, at_end=at_end)


async def _collect(content: aiohttp.StreamReader, body: Body) -> tuple[bool, bool]:
    """(whether the body is whole, whether the answer is at its end)."""
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
        if body.push(piece):
            return True, False
    return True, True


@lru_cache(maxsize=_KEPT_URLS)
def _url(host: str, port: int, target: str, *, is_https: bool) -> URL:
    path, _, query = target.partition("?")
    # Built from parts: joined as a reference, a path that begins with // would name another host.
    scheme = "https" if is_https else "http"
    return URL.build(scheme=scheme, host=host, port=port, path=path, query_string=query, encoded=True)


@lru_cache
def _timeout(connect_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=connect_s)


def _socket_error(address: Address, error: OSError) -> Exception:
    if error.errno in _DROPPED and not isinstance(error, aiohttp.ClientConnectorError):
        return ConnectionResetError(error.errno, str(error))
    if error.errno is None and isinstance(error, aiohttp.ClientOSError):
        return EarlyAnswerError("its answer came before the request was sent")
    return connection_error(address, error)


def _tls_error(error: aiohttp.ClientSSLError) -> Exception:
    """The error of TLS underneath."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error
    return error.os_error


def _is_unicode(header: str) -> bool:
    """Whether every byte of it was UTF-8: aiohttp would send the others as something else."""
    return header.isascii() or not any("\ud800" <= character <= "\udfff" for character in header)


def _first_line(error: Exception) -> str:
    text = getattr(error, "message", "") or str(error) or type(error).__name__
    return text.splitlines()[0][:80] if text.splitlines() else type(error).__name__
