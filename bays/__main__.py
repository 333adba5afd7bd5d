"""`python -m bays list` and `python -m bays validate [BAY ...]`."""

import argparse
import sys

from rich.console import Console
from rich.table import Table

from bay_observation.errors import ConfigError
from bays.loading import bay_ids, bays_path, load_bay
from bays.models import BayConfig
from bays.naming import observer_queue, processor_queue
from bays.notifications import check_notifier


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 1 when a bay's file is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bays", description="The bays and their YAML files.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="a table of all bays")
    validate = commands.add_parser("validate", help="check every bay's file, or those named")
    validate.add_argument("bay", nargs="*")
    options = parser.parse_args(arguments)
    try:
        if options.command == "list":
            return _list()
        return _validate(options.bay or bay_ids())
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1


def _list() -> int:
    table = Table("bay", "enabled", "cameras", "subnet", "observer queue", "processor queue", "description")
    for bay_id in bay_ids():
        bay = load_bay(bay_id)
        table.add_row(
            bay_id,
            "yes" if bay.enabled else "no",
            str(len(bay.cameras)),
            str(bay.network.camera_subnet),
            observer_queue(bay_id),
            processor_queue(bay_id),
            bay.description,
        )
    Console().print(table)
    return 0


def _validate(names: list[str]) -> int:
    if not names:
        print(f"{bays_path()}: holds no *.yaml", file=sys.stderr)
        return 1
    wrong = 0
    for bay_id in names:
        try:
            bay = _checked(bay_id)
        except ConfigError as error:
            wrong += 1
            print(error, file=sys.stderr)
        else:
            print(f"{bay_id}: ok ({len(bay.cameras)} cameras, {len(bay.layout.areas)} areas)")
    return 1 if wrong else 0


def _checked(bay_id: str) -> BayConfig:
    bay = load_bay(bay_id)
    for notification in bay.notifications:
        try:
            check_notifier(notification)
        except ConfigError as error:
            raise ConfigError(f"{bays_path() / bay_id}.yaml: {error}") from error
    return bay


if __name__ == "__main__":
    sys.exit(main())
