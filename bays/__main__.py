"""`python -m bays list`, `python -m bays validate [BAY ...]` and `python -m bays env BAY`."""

import argparse
import json
import sys
from dataclasses import asdict
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bay_observation.commands import DONE, FAILED, failed, program, run_command
from bay_observation.errors import ConfigError
from bays.checking import Finding, check_bay, worst
from bays.drafting import draft_bay
from bays.env_files import MAIN_SERVER, write_env_files
from bays.loading import bay_ids, bays_path, load_bay
from bays.models import BayConfig
from bays.naming import observer_queue, processor_queue
from bays.notifications import check_notifier
from bays.plan import lines, write_plan

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
    check = commands.add_parser("check", help="what is allowed and cannot be right, or is probably not meant")
    check.add_argument("bay", nargs="*", help="a bay's id, as 3bay_north; all of them without one")
    check.add_argument("--strict", action="store_true", help="a warning counts as an error")
    check.add_argument("--json", action="store_true", help="one JSON document in place of the lines")
    check.set_defaults(run=_check)
    plan = commands.add_parser("plan", help="draw a bay: areas, view cones, how many cameras see each square metre")
    plan.add_argument("bay", help="a bay's id, as 3bay_north")
    plan.add_argument("--out", type=Path, required=True, metavar="FILE", help="plan.svg, plan.html or plan.png")
    plan.set_defaults(run=_plan)
    new = commands.add_parser("new", help="write the file of a new bay, from another bay's")
    new.add_argument("bay", help="its id: lower-case letters, digits and underscores")
    new.add_argument("--from", dest="source", required=True, metavar="BAY", help="the bay to begin from")
    new.add_argument("--subnet", type=IPv4Network, help="of its cameras; the next free one when left out")
    new.add_argument("--description", help="shown in Airflow's UI; the id when left out")
    new.set_defaults(run=_new)
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


def _check(options: argparse.Namespace) -> int:
    there = bay_ids()
    names = options.bay or there
    if unknown := [name for name in names if name not in there]:
        raise ConfigError(f"{bays_path()}: there is no bay {', '.join(unknown)}; there are {', '.join(there)}")
    bays, broken = {}, {}
    for name in there:
        try:
            bays[name] = _checked(name)
        except ConfigError as error:
            broken[name] = str(error)
    found = {name: check_bay(bays[name], list(bays.values())) for name in names if name in bays}
    if options.json:
        rows = {name: [asdict(one) for one in findings] for name, findings in found.items()}
        faults = {name: text for name, text in broken.items() if name in names}
        print(
            json.dumps({"folder": str(bays_path()), "findings": rows, "faults": faults}, ensure_ascii=False, indent=1)
        )
    else:
        _print_findings(names, found, broken)
    fails = worst(one for findings in found.values() for one in findings)
    return FAILED if broken.keys() & set(names) or fails == "error" or (options.strict and fails) else DONE


def _print_findings(names: list[str], found: dict[str, list[Finding]], broken: dict[str, str]) -> None:
    for name in names:
        if name in broken:
            print(broken[name], file=sys.stderr)
            continue
        print(f"{name}: {'nothing to say' if not found[name] else f'{len(found[name])} findings'}")
        for one in found[name]:
            print(f"  {one}")


def _plan(options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    print("\n".join(lines(bay, write_plan(bay, options.out))))
    print(options.out)
    return DONE


def _new(options: argparse.Namespace) -> int:
    path = draft_bay(options.bay, options.source, options.subnet, options.description)
    print(f"{path}: written from {options.source}, not enabled. Next: its floor, areas and cameras, then")
    print(f"  bay-observation bay check {options.bay}")
    print(f"  bay-observation bay plan {options.bay} --out plan.html")
    return DONE


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
