"""`python -m inference`: the models of a bay, served, checked, and asked about any pictures."""

import argparse
import asyncio
import json
import logging

from bay_observation.commands import DONE, failed, program, run_command
from bay_observation.errors import BayObservationError
from inference.data_commands import add_commands


def main(arguments: list[str] | None = None) -> int:
    """Run the command: 0; 1 when it fails, or what was checked is not in order; 2 for wrong use."""
    options = make_parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except BayObservationError as error:
        return failed(error)


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(prog=program("python -m inference"), description="The models of a bay.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="keep the models of bays loaded and answer their tasks")
    serve.add_argument("bays", nargs="+", metavar="BAY", help="bays of this host whose models share the device")
    serve.add_argument("--device", help="as cuda:1; default: the first GPU, or the CPU without one")
    serve.add_argument("--queue", type=_at_least_one, default=8, help="batches that may wait (8)")
    serve.add_argument("--grace", type=float, default=30.0, help="seconds for the running batch at shutdown (30)")
    serve.set_defaults(run=_serve)
    health = commands.add_parser("health", help="print the state of a bay's server; the exit status is 1 without one")
    health.add_argument("bay", help="a bay's id, as 3bay_north")
    health.set_defaults(run=_health)
    add_commands(commands)
    return parser


def _serve(options: argparse.Namespace) -> int:
    from inference.serving.server import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    serve(options.bays, device=options.device, limit=options.queue, grace_s=options.grace)
    return DONE


def _health(options: argparse.Namespace) -> int:
    from bays import load_bay
    from inference.serving import InferenceClient

    load_bay(options.bay)  # an id that no bay has is wrong use, and not a server that is down
    print(json.dumps(asyncio.run(InferenceClient(options.bay).health()), indent=1))
    return DONE


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least one")
    return number


if __name__ == "__main__":
    run_command(main)
