"""`python -m dashboard export`: the metrics for Prometheus. See docs/monitoring.md.

Runs on the main server, where Airflow's database, the history and the storage are at hand. A scraper needs the
token: `Authorization: Bearer TOKEN`.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from bay_observation.commands import DONE, failed, program, run_command
from bay_observation.errors import BayObservationError
from dashboard.serving import address

_ONCE_PATIENCE_S = 60.0


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
    export.add_argument("--listen", type=address, default="127.0.0.1:9470", help="HOST:PORT (127.0.0.1:9470)")
    export.add_argument("--token-file", type=Path, metavar="FILE", help="holds the token that a scraper must send")
    export.add_argument("--every", type=_seconds, default=30.0, help="seconds for which values are kept (30)")
    export.add_argument("--once", action="store_true", help="print the metrics and end; no token is needed")
    return parser


def _print() -> int:
    from prometheus_client import CollectorRegistry, generate_latest

    from dashboard.export import BayCollector

    registry = CollectorRegistry(auto_describe=False)
    registry.register(BayCollector(patience_s=_ONCE_PATIENCE_S))
    print(generate_latest(registry).decode(), end="")
    return DONE


def _serve(options: argparse.Namespace) -> int:
    from dashboard.export import BayCollector, guarded_app
    from dashboard.serving import serving, token_of

    host, port = options.listen
    app = guarded_app(BayCollector(options.every), token_of(options.token_file))
    with serving(app, host, port) as chosen:
        print(f"metrics at http://{host}:{chosen}/metrics", file=sys.stderr, flush=True)
        Event().wait()
    return DONE


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
