"""A small HTTP server behind a token, for the exporter and for Alertmanager's posts."""

import argparse
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import WSGIApplication

from bay_observation.errors import ConfigError

_SHORTEST = 16


@contextmanager
def serving(app: WSGIApplication, host: str, port: int) -> Iterator[int]:
    """Within, the application answers in threads of its own; gives the port.

    Raises:
        ConfigError: the address cannot be had.
    """
    try:
        server = make_server(host, port, app, _Server, _Handler)
    except OSError as error:
        raise ConfigError(f"--listen {host}:{port}: {error.strerror or error}; choose another") from error
    with server:
        thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def token_of(path: Path | None) -> str:
    """The token in a file.

    Raises:
        ConfigError: there is no file, or it holds nothing that is worth the name.
    """
    if path is None:
        raise ConfigError("--token-file: name the file that holds the token (openssl rand -hex 32)")
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"--token-file {path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(token) < _SHORTEST or not token.isprintable() or " " in token:
        raise ConfigError(f"--token-file {path}: write at least {_SHORTEST} letters and digits on one line")
    return token


def address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, for argparse.

    Raises:
        ArgumentTypeError: it is no such text.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r}: write HOST:PORT, as 0.0.0.0:9470")
    return host.strip("[]"), int(port)


class _Server(ThreadingMixIn, WSGIServer):
    """A client that hangs holds up no other."""

    daemon_threads = True


class _Handler(WSGIRequestHandler):
    """A request every few seconds is no news."""

    timeout = 30

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""
