"""`python -m lab.cluster check | up BAY ... | sweep`: can this machine do it, look at one, clear up after a crash."""

import argparse
import signal
from datetime import UTC, datetime
from pathlib import Path

from bay_observation.commands import failed, program, run_command
from bay_observation.errors import BayObservationError
from lab.cluster import Cluster, missing, sweep

_MOMENT = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 1 when this machine cannot do it."""
    options = make_parser().parse_args(arguments)
    try:
        if options.command == "sweep":
            print("\n".join(sweep()) or "nothing was left")
        elif options.command == "up":
            _up(options.home, options.bays)
        elif lacking := missing():
            raise BayObservationError(f"a cluster cannot be built on this machine: {lacking}")
        else:
            print("a cluster can be built here")
    except BayObservationError as error:
        return failed(error)
    except KeyboardInterrupt:
        return 130
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(prog=program("python -m lab.cluster"), description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="say what this machine lacks")
    commands.add_parser("sweep", help="remove the namespaces of runs that are no longer alive")
    up = commands.add_parser("up", help="build a cluster and leave it up until Ctrl-C")
    up.add_argument("bays", nargs="+", metavar="BAY", help="ids of bays/*.yaml")
    up.add_argument("--home", type=Path, default=Path("cluster_output"), help="for configuration, logs, artifacts")
    return parser


def _up(home: Path, bays: list[str]) -> None:
    with Cluster(home, bays=bays, moment=_MOMENT) as cluster:
        for name in cluster.services():
            print(f"{name:24} {cluster.log(name)}")
        namespace = cluster.host("main").namespace
        print(f"Airflow: {cluster.url}, from its hosts only: ip netns exec {namespace} ...; Ctrl-C stops it")
        signal.pause()


if __name__ == "__main__":
    run_command(main)
