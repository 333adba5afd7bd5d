"""`python -m bays list`, `python -m bays validate [BAY ...]` and `python -m bays env BAY`."""

import argparse
import json
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bay_observation.commands import DONE, FAILED, failed, program, run_command
from bay_observation.errors import ConfigError
from bays.env_files import MAIN_SERVER, write_env_files
from bays.loading import bay_ids, bays_path, load_bay
from bays.models import BayConfig
from bays.naming import observer_queue, processor_queue
from bays.notifications import check_notifier

_LISTED = ("bay", "enabled", "cameras", "subnet", "observer_queue", "processor_queue", "description")
# Of a table that is written where no terminal says how wide it is.
_COLUMNS = 160


def main(arguments: list[str] | None = None) -> int:
    """Run the command: 0; 1 when a bay's file is wrong; 2 for wrong use."""
    options = make_parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ConfigError as error:
        return failed(error)


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(prog=program("python -m bays"), description="The bays and their YAML files.")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="a table of all bays")
    listing.add_argument("--json", action="store_true", help="one JSON document in place of the table")
    listing.set_defaults(run=_list)
    validate = commands.add_parser("validate", help="check every bay's file, or those named")
    validate.add_argument("bay", nargs="*", help="a bay's id, as 3bay_north; all of them without one")
    validate.set_defaults(run=_validate)
    env = commands.add_parser("env", help="write the env files that a bay's observer and processor are started with")
    env.add_argument("bay", help="a bay's id, as 3bay_north")
    env.add_argument("--environment", choices=["dev", "prod"], default="prod", help="default: prod")
    env.add_argument("--folder", type=Path, default=Path("env"), help="where dev/ and prod/ lie (env)")
    env.add_argument("--main-server", type=IPv4Address, default=MAIN_SERVER, help=f"its address ({MAIN_SERVER})")
    env.set_defaults(run=_env)
    return parser


def _list(options: argparse.Namespace) -> int:
    """The bays that can be read, and below them what is wrong with the others."""
    rows, wrong = [], []
    for bay_id in bay_ids():
        try:
            rows.append(_described(load_bay(bay_id)))
        except ConfigError as error:
            wrong.append(str(error))
    if options.json:
        print(json.dumps({"folder": str(bays_path()), "bays": rows, "faults": wrong}, ensure_ascii=False, indent=1))
    else:
        table = Table(*(name.replace("_", " ") for name in _LISTED), title=f"{bays_path()}", title_justify="left")
        for row in rows:
            table.add_row(*(_shown(row[name]) for name in _LISTED))
        Console(width=None if sys.stdout.isatty() else _COLUMNS).print(table)
    for fault in wrong:
        print(fault, file=sys.stderr)
    return FAILED if wrong else DONE


def _described(bay: BayConfig) -> dict[str, Any]:
    return {
        "bay": bay.bay_id,
        "enabled": bay.enabled,
        "cameras": len(bay.cameras),
        "subnet": str(bay.network.camera_subnet),
        "observer_queue": observer_queue(bay.bay_id),
        "processor_queue": processor_queue(bay.bay_id),
        "description": bay.description,
    }


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _env(options: argparse.Namespace) -> int:
    written = write_env_files(load_bay(options.bay), options.folder, options.environment, options.main_server)
    print("\n".join(str(path) for path in written) or f"{options.bay}: its env files are there already")
    return 0


def _validate(options: argparse.Namespace) -> int:
    there = bay_ids()
    names = options.bay or there
    if not names:
        raise ConfigError(f"{bays_path()}: holds no *.yaml")
    if unknown := [name for name in names if name not in there]:
        raise ConfigError(f"{bays_path()}: there is no bay {', '.join(unknown)}; there are {', '.join(there)}")
    wrong = 0
    for bay_id in names:
        try:
            bay = _checked(bay_id)
        except ConfigError as error:
            wrong += 1
            print(error, file=sys.stderr)
        else:
            print(f"{bay_id}: ok ({len(bay.cameras)} cameras, {len(bay.layout.areas)} areas)")
    return FAILED if wrong else DONE


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
