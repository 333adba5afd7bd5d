"""`python -m dashboard export`: the metrics for Prometheus. See docs/monitoring.md.

Runs on the main server, where Airflow's database, the history and the storage are at hand. A scraper needs the
token: `Authorization: Bearer TOKEN`.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from bay_observation.commands import DONE, failed, program, run_command
from bay_observation.errors import BayObservationError, ConfigError

_SHORTEST = 16


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 when it is stopped; 2 for wrong use.
    """
    options = make_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        return _print() if options.once else _serve(options)
    except BayObservationError as error:
        return failed(error)


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(prog=program("python -m dashboard"), description="The bays, for other programs.")
    commands = parser.add_subparsers(dest="command", required=True)
    export = commands.add_parser(
        "export", help="serve the metrics to Prometheus", description="Serves the metrics to Prometheus at /metrics."
    )
    export.add_argument("--listen", type=_address, default="127.0.0.1:9470", help="HOST:PORT (127.0.0.1:9470)")
    export.add_argument("--token-file", type=Path, metavar="FILE", help="holds the token that a scraper must send")
    export.add_argument("--every", type=_seconds, default=30.0, help="seconds for which values are kept (30)")
    export.add_argument("--once", action="store_true", help="print the metrics and end; no token is needed")
    return parser


def _print() -> int:
    from prometheus_client import CollectorRegistry, generate_latest

    from dashboard.export import BayCollector

    registry = CollectorRegistry(auto_describe=False)
    registry.register(BayCollector())
    print(generate_latest(registry).decode(), end="")
    return DONE


def _serve(options: argparse.Namespace) -> int:
    from dashboard.export import BayCollector, guarded_app

    app = guarded_app(BayCollector(options.every), _token(options.token_file))
    host, port = options.listen
    try:
        server = make_server(host, port, app, _Server, _Handler)
    except OSError as error:
        raise ConfigError(f"--listen {host}:{port}: {error.strerror or error}; choose another") from error
    with server:
        print(f"metrics at http://{host}:{server.server_port}/metrics", file=sys.stderr, flush=True)
        server.serve_forever()
    return DONE


class _Server(ThreadingMixIn, WSGIServer):
    """A scraper that hangs holds up no other."""

    daemon_threads = True


class _Handler(WSGIRequestHandler):
    """A scrape every few seconds is no news."""

    timeout = 30

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def _token(path: Path | None) -> str:
    """The token.

    Raises:
        ConfigError: there is no file, or it holds nothing that is worth the name.
    """
    if path is None:
        raise ConfigError("--token-file: name the file that holds the token of the scraper (openssl rand -hex 32)")
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"--token-file {path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(token) < _SHORTEST or not token.isprintable() or " " in token:
        raise ConfigError(f"--token-file {path}: write at least {_SHORTEST} letters and digits on one line")
    return token


def _address(text: str) -> tuple[str, int]:
    """For argparse.

    Raises:
        ArgumentTypeError: it is no HOST:PORT.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r}: write HOST:PORT, as 0.0.0.0:9470")
    return host.strip("[]"), int(port)


def _seconds(text: str) -> float:
    """For argparse.

    Raises:
        ArgumentTypeError: no number of seconds from 1 to 3600.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number of seconds from 1 to 3600")
    return seconds


if __name__ == "__main__":
    run_command(main)
