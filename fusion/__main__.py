"""`python -m fusion calibrate BAY`, `check-poses`, `refine-poses` and `keep-witnesses BAY`."""

import argparse

from bay_observation.commands import failed, program, run_command
from bay_observation.errors import BayObservationError
from bays import load_bay
from fusion.calibrate_command import add_calibrate
from fusion.pose_commands import add_commands
from fusion.refine_command import add_refine


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Returns:
        0; 1 when a camera is out of its pose, or the command failed; 2 for wrong use; 3 where it cannot be
        told: points that do not decide, more than half of the cameras undecided, or too few blocks.
    """
    options = make_parser().parse_args(arguments)
    try:
        return int(options.run(options, load_bay(options.bay)))
    except BayObservationError as error:
        return failed(error)


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(prog=program("python -m fusion"), description="Poses of a bay's cameras.")
    commands = parser.add_subparsers(dest="command", required=True)
    add_calibrate(commands)
    add_commands(commands)
    add_refine(commands)
    return parser


if __name__ == "__main__":
    run_command(main)
