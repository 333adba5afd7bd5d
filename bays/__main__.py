"""`python -m bays list`, `python -m bays validate [BAY ...]` and `python -m bays env BAY`."""

import argparse
import sys
from ipaddress import IPv4Address
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bay_observation.commands import run_command
from bay_observation.errors import ConfigError
from bays.env_files import MAIN_SERVER, write_env_files
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
    env = commands.add_parser("env", help="write the env files that a bay's observer and processor are started with")
    env.add_argument("bay")
    env.add_argument("--environment", choices=["dev", "prod"], default="prod", help="default: prod")
    env.add_argument("--folder", type=Path, default=Path("env"), help="where dev/ and prod/ lie (env)")
    env.add_argument("--main-server", type=IPv4Address, default=MAIN_SERVER, help=f"its address ({MAIN_SERVER})")
    options = parser.parse_args(arguments)
    try:
        if options.command == "list":
            return _list()
        if options.command == "env":
            return _env(options)
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


def _env(options: argparse.Namespace) -> int:
    written = write_env_files(load_bay(options.bay), options.folder, options.environment, options.main_server)
    print("\n".join(str(path) for path in written) or f"{options.bay}: its env files are there already")
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
    run_command(main)
