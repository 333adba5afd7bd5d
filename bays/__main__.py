"""`python -m bays list`, `validate [BAY ...]`, `new BAY`, `check`, `plan`, `place-cameras` and `env BAY`."""

import argparse
import json
import sys
from dataclasses import asdict
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import click
import yaml
from rich.table import Table

from bay_observation.bay_files import unknown_bays, unknown_cameras
from bay_observation.commands import DONE, FAILED, counted, existing_path, failed, output_console, program, run_command
from bay_observation.errors import ConfigError
from bays.asking import ask_cameras, ask_models
from bays.checking import Finding, check_bay, floor_view, worst
from bays.drafting import draft_bay, free_network
from bays.env_files import MAIN_SERVER, write_env_files
from bays.findings import located, with_lines
from bays.kept import keep_again, kept_by_another_pose
from bays.loading import bay_ids, bays_path, load_bay, witnesses_file
from bays.models import BayConfig
from bays.naming import observer_queue, processor_queue
from bays.notifications import check_notifier
from bays.placing import Wall, place_cameras, with_placed
from bays.plan import figures, lines, write_plan
from bays.survey import SurveyFiles, SurveyText

_LISTED = ("bay", "enabled", "cameras", "subnet", "observer_queue", "processor_queue", "description")
# Of a table that is written where no terminal says how wide it is.
_COLUMNS = 160
_OF_PLACED = {"name", "host", "pose", "intrinsics"}


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
    check.add_argument(
        "--models", action="store_true", help="load the bay's checkpoints too, and look at their classes"
    )
    check.add_argument("--cameras", action="store_true", help="ask each camera for one frame too, as camera probe does")
    check.add_argument("--no-login", action="store_true", help="with --cameras: they want no login")
    check.set_defaults(run=_check)
    plan = commands.add_parser("plan", help="draw a bay: areas, view cones, how many cameras see each square metre")
    plan.add_argument("bay", help="a bay's id, as 3bay_north")
    plan.add_argument("--out", type=Path, required=True, metavar="FILE", help="plan.svg, plan.html or plan.png")
    plan.set_defaults(run=_plan)
    new = commands.add_parser("new", help="write the file of a new bay, from another bay's and a survey")
    new.add_argument("bay", help="its id: lower-case letters, digits and underscores")
    new.add_argument("--from", dest="source", metavar="BAY", help="the bay to begin from; asked for when left out")
    new.add_argument("--subnet", type=IPv4Network, help="of its cameras; the next free one when left out")
    new.add_argument("--description", help="shown in Airflow's UI; the id when left out")
    new.add_argument(
        "--again",
        action="store_true",
        help="write over the bay's file; not where it is enabled, or the survey is wrong",
    )
    survey = new.add_argument_group(
        "the survey of its hall", "one text, or CSV files whose first line names the columns"
    )
    survey.add_argument(
        "--survey",
        type=existing_path,
        metavar="FILE",
        help="all of it, a line each: hall 80 34; area NAME x_from x_to y_from y_to [kind]; camera NAME x y looks_at_x "
        "looks_at_y; cameras z=18 width=2560 height=1440 focal_mm=2.8 sensor_mm=5.4, of all below "
        "(y=34 looks_at_y=16 of a row, whose camera NAME x looks straight across); mark NAME x y [z]; "
        "marks M 5 15 / 2 30, at each crossing",
    )
    survey.add_argument("--hall", type=_hall, metavar="WxH", help="of the floor along x and along y, metres: 80x34")
    survey.add_argument(
        "--areas", type=existing_path, metavar="FILE", help="name,x_from,x_to,y_from,y_to; kind where not work"
    )
    survey.add_argument(
        "--cameras",
        type=existing_path,
        metavar="FILE",
        help="name,x,y,z; pan,tilt or looks_at_x,looks_at_y; focal_px or focal_mm,sensor_mm or view_deg; width,height "
        "where not 1920,1080; host, else a free one; port; roll; k1,k2,p1,p2,k3 of a measured lens. Without it the "
        "bay has no cameras yet",
    )
    survey.add_argument("--marks", type=existing_path, metavar="FILE", help="floor marks: name,x,y; z where above it")
    new.set_defaults(run=_new)
    _add_placing(commands)
    env = commands.add_parser("env", help="write the env files that a bay's observer and processor are started with")
    env.add_argument("bay", help="a bay's id, as 3bay_north")
    env.add_argument("--environment", choices=["dev", "prod"], default="prod", help="default: prod")
    env.add_argument("--folder", type=Path, default=Path("env"), help="where dev/ and prod/ lie (env)")
    env.add_argument("--main-server", type=IPv4Address, default=MAIN_SERVER, help=f"its address ({MAIN_SERVER})")
    env.set_defaults(run=_env)
    return parser


def _add_placing(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    place = commands.add_parser("place-cameras", help="where cameras would see most of the floor")
    place.add_argument("bay", help="a bay's id, as 3bay_north")
    number = place.add_mutually_exclusive_group(required=True)
    number.add_argument("--add", type=int, metavar="N", help="so many further cameras")
    number.add_argument("--instead", type=int, metavar="N", help="so many cameras in place of the bay's")
    place.add_argument(
        "--like", metavar="CAMERA", help="with this camera's focal length and image size; else the first's"
    )
    place.add_argument("--height", type=float, metavar="M", help="of all; else that of the bay's cameras")
    place.add_argument(
        "--wall",
        type=_wall,
        action="append",
        default=[],
        metavar="X,Y,X,Y",
        help="from where to where they may hang, metres; may be repeated; else both long sides",
    )
    place.add_argument("--plan", type=Path, metavar="FILE", help="draw the bay with them: .svg, .html or .png")
    place.add_argument("--json", action="store_true", help="one JSON document in place of the lines")
    place.set_defaults(run=_place)


def _wall(text: str) -> Wall:
    """For argparse."""
    try:
        x, y, to_x, to_y = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no wall: write it as 0,40,150,40") from None
    return (x, y), (to_x, to_y)


def _hall(text: str) -> tuple[float, float]:
    """For argparse."""
    try:
        width, height = (float(part) for part in text.lower().split("x"))
    except ValueError:
        width = height = 0.0
    if not (0 < width <= 1000 and 0 < height <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is no hall: write its sides in metres, as 80x34")
    return width, height


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
        output_console().print(table)
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
    if not set(names) <= set(there):
        raise unknown_bays(names, there, bays_path())
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
    if not set(names) <= set(there):
        raise unknown_bays(names, there, bays_path())
    bays, broken = _readable()
    found = {
        name: with_lines(
            name, [*check_bay(bays[name], list(bays.values())), *_of_kept(bays[name]), *_asked(name, options)]
        )
        for name in names
        if name in bays
    }
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


def _of_kept(bay: BayConfig) -> list[Finding]:
    """Cameras of which the marks were kept by another pose than the file's."""
    names = kept_by_another_pose(bay)
    if not names:
        return []
    text = (
        f"how they look to {', '.join(names)} was kept by another pose than the file's: {keep_again(bay.bay_id, names)}"
    )
    return [Finding("warning", "witnesses", text)]


def _readable() -> tuple[dict[str, BayConfig], dict[str, str]]:
    """The bays that can be read, and of the others what is wrong."""
    bays, broken = {}, {}
    for name in bay_ids():
        try:
            bays[name] = _checked(name)
        except ConfigError as error:
            broken[name] = str(error)
    return bays, broken


def _asked(bay_id: str, options: argparse.Namespace) -> list[Finding]:
    """What only the models and the cameras themselves can say."""
    found = []
    if options.models:
        print(f"{bay_id}: loading its models", file=sys.stderr)
        found += ask_models(bay_id)
    if options.cameras:
        print(f"{bay_id}: asking its cameras", file=sys.stderr)
        found += ask_cameras(bay_id, login=not options.no_login)
    return found


def _print_findings(names: list[str], found: dict[str, list[Finding]], broken: dict[str, str]) -> None:
    for name in names:
        if name in broken:
            print(broken[name], file=sys.stderr)
            continue
        count = len(found[name])
        print(f"{name}: {counted(count, 'finding') if count else 'nothing to say'}")
        for one in found[name]:
            print(f"  {located(name, one)}")


def _plan(options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    print("\n".join(lines(bay, write_plan(bay, options.out))))
    print(options.out)
    return DONE


def _place(options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    names = [camera.name for camera in bay.cameras]
    if options.like is not None and options.like not in names:
        raise unknown_cameras(bay.bay_id, [options.like], names)
    placed = place_cameras(
        bay,
        options.add or options.instead or 0,
        instead=options.instead is not None,
        like=None if options.like is None else bay.camera(options.like),
        height_m=options.height,
        walls=options.wall,
    )
    after = with_placed(bay, placed, instead=options.instead is not None)
    new = after.cameras[len(after.cameras) - len(placed) :]
    before, now = (figures(one, floor_view(one)) for one in (bay, after))
    if options.plan is not None:
        write_plan(after, options.plan)
    if options.json:
        document = {
            "bay_id": bay.bay_id,
            "cameras": [camera.model_dump(mode="json", include=_OF_PLACED) for camera in new],
            "before": asdict(before),
            "after": asdict(now),
        }
        print(json.dumps(document, indent=1))
        return DONE
    wanted = options.add or options.instead
    if len(placed) < wanted:
        needed = "none is needed" if not placed else f"{len(placed)} of {wanted} are needed"
        print(f"# {needed}: a further one on these walls sees no floor that fewer than two cameras see")
    if placed:
        print("# for the bay's file, with the names and hosts that they get")
    for camera, one in zip(new, placed, strict=True):
        print(f"# sees {one.gained_m2:.0f} m² that fewer than two others see")
        values = camera.model_dump(mode="json", include=_OF_PLACED, exclude_defaults=True)
        print(yaml.safe_dump([values], sort_keys=False, default_flow_style=None, width=_COLUMNS), end="")
    print(f"seen by no camera: {before.blind_m2:.0f} m² before, {now.blind_m2:.0f} m² with them")
    print(f"seen by one alone: {before.alone_m2:.0f} m² before, {now.alone_m2:.0f} m² with them")
    return DONE


def _new(options: argparse.Namespace) -> int:
    if options.source is None:
        _ask(options)
    measured = _measured(options)
    path = draft_bay(options.bay, options.source, options.subnet, options.description, measured, again=options.again)
    if measured is None:
        print(f"{path}: written from {options.source}, not enabled. Next: its floor, areas and cameras, then")
        print(f"  bay-observation bay check {options.bay}")
        print(f"  bay-observation bay plan {options.bay} --out plan.html")
        if unkept := _unkept(options.bay, options.source):
            print(unkept)
    else:
        bays, _ = _readable()
        bay = bays[options.bay]
        print(f"{path}: written from {options.source} and the survey, not enabled: {_counted(bay)}")
        findings = with_lines(bay.bay_id, check_bay(bay, list(bays.values())))
        _print_findings([bay.bay_id], {bay.bay_id: findings}, {})
        if worst(findings) == "error":
            print("It will not work so. Next: correct the survey, and run this again with --again")
            return FAILED
        print("\n  ".join(("Next:", *_next(bay))))
        if unkept := _unkept(options.bay, options.source):
            print(unkept)
    return DONE


def _next(bay: BayConfig) -> list[str]:
    """The commands from a new bay's file to simulated slots, to be pasted."""
    name = bay.bay_id
    found = [f"bay plan {name} --out plan.html"]
    if not bay.cameras:
        found.append(f"bay place-cameras {name} --add 4 --plan plan.html")
    elif bay.witnesses:
        found += [
            f"simulate render {name} --blocks 0 --hang-off 1.5 --out frames --points points.csv",
            f"camera overlay {name} --frames frames --out overlays",
            f"calibrate {name} --points points.csv",
            f"camera keep-witnesses {name} --frames frames",
        ]
    if bay.cameras:
        found.append(f"demo --bay {name}")
    return [f"bay-observation {words}" for words in found]


def _unkept(bay_id: str, source: str) -> str:
    """What a new bay does not have though its source, or an earlier file of its name, has it; empty where nothing."""
    again = f"bay-observation camera keep-witnesses {bay_id} --frames frames"
    if (old := witnesses_file(bay_id)).exists():
        return f"{old}: is of an earlier {bay_id}: once its cameras hang, keep how its marks look again: {again}"
    if load_bay(bay_id).witnesses and witnesses_file(source).exists():
        return (
            f"how {source}'s marks look ({witnesses_file(source).name}) stays with {source}: once the cameras of"
            f" {bay_id} hang: {again}"
        )
    return ""


def _measured(options: argparse.Namespace) -> SurveyFiles | SurveyText | None:
    """The files of the survey; None where none is given."""
    if options.survey is not None:
        given = [name for name in ("hall", "areas", "cameras", "marks") if getattr(options, name) is not None]
        if given:
            raise ConfigError(f"--survey has the {given[0]} too: leave --{given[0]} out")
        return SurveyText(options.survey)
    if options.hall is None and options.areas is None and options.cameras is None and options.marks is None:
        return None
    if options.hall is None or options.areas is None:
        raise ConfigError(
            "a survey is --survey FILE, or at least --hall 80x34 and --areas FILE; --cameras and --marks belong to them"
        )
    return SurveyFiles(options.hall, options.areas, options.cameras, options.marks)


def _counted(bay: BayConfig) -> str:
    parts = (
        counted(len(bay.layout.areas), "area"),
        counted(len(bay.cameras), "camera"),
        counted(len(bay.witnesses), "mark"),
    )
    return ", ".join((f"{bay.layout.width:g} x {bay.layout.height:g} m", *parts))


def _ask(options: argparse.Namespace) -> None:
    """What was not given, on the terminal."""
    if not sys.stdin.isatty():
        raise ConfigError("--from BAY: which bay is the new one like? There are " + ", ".join(bay_ids()))
    options.source = click.prompt("Like which bay", type=click.Choice(bay_ids()), err=True)
    if options.description is None:
        options.description = click.prompt("Description, shown in Airflow's UI", default=options.bay, err=True)
    if options.subnet is None:
        free = free_network(options.source, options.bay)
        options.subnet = click.prompt("Network of its cameras", default=free, type=IPv4Network, err=True)


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
