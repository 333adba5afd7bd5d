"""`make demo`: six slots of the simulated day of a bay, through real Airflow, beside the truth."""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console

from bay_observation.bay_files import unknown_cameras
from bay_observation.commands import failed, output_console, program, run_command
from bay_observation.errors import BayObservationError, ConfigError
from lab.services.ending import end_in_good_order

if TYPE_CHECKING:
    from bays import BayConfig
    from lab.demo.hall import DemoSlots
    from lab.demo.yard_process import YardProcess
    from lab.services.embedded_airflow import EmbeddedAirflow

PROJECT = Path(__file__).resolve().parents[2]
BAY_ID = "demo_bay"
DEFAULT_PORT = 8793
DEFAULT_SEED = 13  # an hour in which each kind of event happens


def main(arguments: list[str] | None = None) -> int:
    """Run the demo.

    Returns:
        0 when its promises hold, 1 when one does not or the demo could not run, 2 for wrong use, 3 when no block was
        seen whole by two cameras, so that nothing is shown.
    """
    options = make_parser().parse_args(arguments)
    console = output_console()
    try:
        end_in_good_order()
        return _run(options, console)
    except BayObservationError as error:
        return failed(error)
    except KeyboardInterrupt:
        console.print("stopped")
        return 130


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(
        prog=program("python -m lab.demo"),
        description=__doc__,
        epilog="exit status: 0 its promises hold, 1 one does not, 2 wrong use, 3 no block was seen whole",
    )
    parser.add_argument(
        "--bay",
        metavar="BAY",
        help="of the folder of bays, of which a twin on this machine is made; else the demo's own",
    )
    parser.add_argument("--slots", type=int, default=6, help="how many ten-minute slots (6)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help=f"of the simulated yard ({DEFAULT_SEED})")
    parser.add_argument("--off", default="", help="cameras that are switched off, as 'C_4 D_7'")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"of the Airflow UI ({DEFAULT_PORT})")
    parser.add_argument("--keep", action="store_true", help="leave Airflow up until Ctrl-C")
    parser.add_argument("--output", type=Path, default=Path("demo_output"), help="folder for all output (demo_output)")
    return parser


def _run(options: argparse.Namespace, console: Console) -> int:
    # One bay, no cron: every run of the demo is started by hand.
    os.environ |= {"BAYS_ENABLED": options.bay or BAY_ID, "BAYS_SCHEDULE": "off"}
    if options.bay is None:
        os.environ.pop("BAYS_PATH", None)
    from lab.demo.hall import DemoSlots

    started = time.monotonic()
    output = options.output.resolve()
    bay = _prepared(options, output)
    demo = DemoSlots.before(datetime.now(UTC), bay, options.slots)
    with ExitStack() as stack:
        console.print(f"starting {len(bay.cameras)} simulated cameras and an embedded Airflow in {output} …")
        cameras, airflow, let_go = _started(stack, options, bay, demo, output)
        console.print(f"Airflow is up at {airflow.url} ({time.monotonic() - started:.0f} s)")
        for number, slot in enumerate(demo.slots, start=1):
            cameras.set_time(demo.moment(slot))
            label = f"slot {number}/{len(demo.slots)} {slot.astimezone(bay.zone):%H:%M}"
            _travel(airflow, bay, slot, label, console)
        status = _compared(options, bay, demo, output, console)
        console.print(f"{time.monotonic() - started:.0f} s in total")
        if options.keep:
            floor = f"{airflow.url}/plugin/bays?bay={bay.bay_id}"
            console.print(f"the floor: {floor}", soft_wrap=True, highlight=False)
            console.print(
                f"Airflow stays up at {airflow.url}: a slot every ten minutes, and one at any time by Trigger of"
                f" observation_{bay.bay_id}_dag; Ctrl-C stops it",
                soft_wrap=True,
                highlight=False,
            )
            let_go()
            _go_on(airflow, cameras, bay, demo, console)
    return status


def _prepared(options: argparse.Namespace, output: Path) -> "BayConfig":
    """The bay, or its twin on this machine, once all that can be known to be wrong was looked at."""
    from bays import load_bay
    from lab.demo import preflight
    from lab.simulation.twin import write_twin

    bay = load_bay(options.bay or BAY_ID)
    if options.bay is not None:
        preflight.check_sound(bay)
    offline = _names(options.off)
    names = [camera.name for camera in bay.cameras]
    if not set(offline) <= set(names):
        raise unknown_cameras(bay.bay_id, offline, names)
    if options.slots < 1:
        raise ConfigError(f"--slots {options.slots}: give at least 1")
    preflight.check_opencv()
    preflight.prepare_output(output)
    if options.bay is not None:
        write_twin(bay, output / "bays")
        os.environ["BAYS_PATH"] = str(output / "bays")
        bay = load_bay(options.bay)
    preflight.check_can_listen(bay, options.port)
    return bay


def _started(
    stack: ExitStack, options: argparse.Namespace, bay: "BayConfig", demo: "DemoSlots", output: Path
) -> tuple["YardProcess", "EmbeddedAirflow", Callable[[], None]]:
    """The cameras, Airflow with its DAGs, and what lets go the runs that are not the demo's; until the stack ends."""
    from lab.demo.holding import held_for
    from lab.demo.yard_process import YardProcess
    from lab.services.embedded_airflow import EmbeddedAirflow

    begin, log, offline = demo.moment(demo.slots[0]), output / "cameras.log", _names(options.off)
    cameras = stack.enter_context(YardProcess(bay.bay_id, seed=options.seed, moment=begin, offline=offline, log=log))
    environment = {"DATA_PATH": str(output / "data"), "CLOCK": "slot"}
    environment |= {
        name: os.environ[name] for name in ("BAYS_ENABLED", "BAYS_SCHEDULE", "BAYS_PATH") if name in os.environ
    }
    airflow = EmbeddedAirflow(output / "airflow", dags_folder=PROJECT / "dags", env=environment, port=options.port)
    airflow.add_connection(f"onvif_{bay.bay_id}", kind="generic", login=cameras.username, password=cameras.password)
    let_go = stack.enter_context(held_for(airflow))
    stack.enter_context(airflow)
    airflow.wait_for_dags(f"{stage}_{bay.bay_id}_dag" for stage in ("observation", "fusion", "tracking"))
    return cameras, airflow, let_go


def _travel(airflow: "EmbeddedAirflow", bay: "BayConfig", slot: datetime, label: str, console: Console) -> None:
    """One slot from capture to tracking; where it is on its way, in one line of a terminal or line by line."""
    from lab.demo.day import send_slot

    with console.status(label) as status:

        def say(where: str) -> None:
            if console.is_terminal:
                status.update(f"{label}  {where}")
            else:
                console.print(f"  {label}  {where}")

        travelled = send_slot(airflow, bay.bay_id, slot, say)
    console.print(f"{label}  tracked after {travelled.seconds:.1f} s")


def _compared(options: argparse.Namespace, bay: "BayConfig", demo: "DemoSlots", output: Path, console: Console) -> int:
    """Print what was tracked beside the truth, and draw it; the exit status."""
    from artifacts import ArtifactStore
    from lab.demo.report import DemoDay, print_report, write_pictures
    from lab.simulation.yard import Yard, blocks_for

    data = output / "data"
    day = DemoDay.read(ArtifactStore(data), bay, Yard(bay, seed=options.seed, blocks=blocks_for(bay)), demo)
    report = day.compare()
    verdict = day.judge(report)
    print_report(console, day, report, verdict)
    pictures = write_pictures(output / "pictures", day)
    console.print(f"\npictures: {', '.join(str(picture) for picture in pictures)}", soft_wrap=True)
    console.print(f"artifacts: {data}   logs: {output / 'airflow' / 'logs'}", soft_wrap=True)
    console.print("ask it:", *_questions(bay.bay_id, data, os.environ.get("BAYS_PATH")), sep="\n  ", soft_wrap=True)
    return verdict.status


def _names(cameras: str) -> list[str]:
    return cameras.replace(",", " ").split()


def _questions(bay_id: str, data: Path, bays: str | None) -> list[str]:
    """Commands that ask what the demo left behind."""
    where = f"DATA_PATH={shlex.quote(str(data))} " + (f"BAYS_PATH={shlex.quote(bays)} " if bays else "")
    command = Path(sys.executable).with_name("bay-observation")
    if command.is_relative_to(Path.cwd()):
        command = command.relative_to(Path.cwd())
    return [
        f"{where}{shlex.quote(str(command))} {question}"
        for question in (f"history show {bay_id}", f"history events {bay_id}", f"store list {bay_id}")
    ]


def _go_on(
    airflow: "EmbeddedAirflow", cameras: "YardProcess", bay: "BayConfig", demo: "DemoSlots", console: Console
) -> NoReturn:
    """Go on with this machine's clock, until a person stops it. A slot that fails is shown, and the next one comes."""
    from lab.demo.day import send_slot
    from lab.demo.hall import SLOT_LENGTH

    slot = demo.slots[-1]
    while True:
        slot += SLOT_LENGTH
        time.sleep(max(0.0, (slot - datetime.now(UTC)).total_seconds()))
        now = datetime.now(UTC)
        live = demo.is_live(slot, bay, now)
        try:
            cameras.set_time(demo.moment(now if live else slot), running=live)
            send_slot(airflow, bay.bay_id, slot, lambda _: None)
        except BayObservationError as error:
            console.print(f"slot {slot:%Y-%m-%d %H:%M} UTC: {error}", style="yellow", markup=False, soft_wrap=True)


if __name__ == "__main__":
    run_command(main)
