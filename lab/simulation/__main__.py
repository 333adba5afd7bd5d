"""`python -m lab.simulation serve BAY`, `render BAY` and `twin BAY`.

The cameras' login comes from `SIMULATED_CAMERA_USER` and `SIMULATED_CAMERA_PASSWORD`.
Without them, and only on loopback, it is the documented one: `yard`, password `yard`.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bay_observation.bay_files import unknown_cameras
from bay_observation.commands import failed, program, run_command
from bay_observation.errors import BayObservationError, ConfigError
from bays import BayConfig, load_bay
from lab.simulation.cameras import CameraFarm
from lab.simulation.clock import SimulatedClock
from lab.simulation.control import ControlServer
from lab.simulation.faults import FAULTS
from lab.simulation.twin import is_on_this_machine, write_twin

_DEFAULT_LOGIN = "yard"
_BEFORE_FIRST_FRAME = timedelta(minutes=10)


def main(arguments: list[str] | None = None) -> int:
    """Run the command: 0; 1 when the yard cannot be served or drawn; 2 for wrong use."""
    options = make_parser().parse_args(arguments)
    try:
        bay = load_bay(options.bay)
        if options.command == "serve":
            asyncio.run(_serve(bay, options))
        else:
            {"render": _render, "twin": _twin}[options.command](bay, options)
    except BayObservationError as error:
        return failed(error)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(
        prog=program("python -m lab.simulation"), description="A simulated yard and its cameras."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    faults = "\n".join(f"  {fault:19} {sentence}" for fault, sentence in FAULTS.items())
    serve = commands.add_parser(
        "serve",
        help="let the bay's cameras listen at their own addresses",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"faults:\n{faults}",
        description="Login of all cameras: SIMULATED_CAMERA_USER and SIMULATED_CAMERA_PASSWORD;\n"
        f"on loopback, when both are unset: {_DEFAULT_LOGIN} / {_DEFAULT_LOGIN}.",
    )
    serve.add_argument("--fault", action="append", default=[], metavar="CAMERA=FAULT", help="see below; repeatable")
    serve.add_argument("--latency", type=_seconds, default=0.2, metavar="S", help="seconds a snapshot takes (0.2)")
    serve.add_argument("--speed", type=float, default=1.0, help="simulated seconds in a second, while time runs (1)")
    serve.add_argument("--port", type=int, help="one port for all cameras, in place of the bay file's")
    serve.add_argument("--control", metavar="HOST:PORT", help="loopback address that sets time and faults")
    render = commands.add_parser("render", help="write a frame of one camera, or of each")
    render.add_argument("--camera", help="its name, such as C_4; without it a frame of each is written")
    render.add_argument(
        "--out", required=True, type=Path, help="the JPEG file to write; of all cameras, the folder, as of camera probe"
    )
    render.add_argument(
        "--points",
        type=Path,
        metavar="FILE",
        help="write where the bay's witnesses show in the frames too, as a person clicks them: camera,name,u,v",
    )
    twin = commands.add_parser("twin", help="write a bay's twin that can be tried on this machine")
    twin.add_argument("--folder", required=True, type=Path, help="a folder of bays, for BAYS_PATH")
    for command in (serve, render, twin):
        command.add_argument("bay", help="a bay's id, as demo_bay")
    for command in (serve, render):
        command.add_argument(
            "--blocks",
            type=int,
            help="mean number of blocks; as many as the floor has room for when left out; 0 renders an empty hall, also"
            " without equipment, cranes and people",
        )
        command.add_argument("--seed", type=int, default=0, help="of the yard (0)")
        command.add_argument(
            "--hang-off",
            type=float,
            default=0.0,
            metavar="DEG",
            help="turn each camera by so many degrees about an axis of its own (by --seed), and move it by 5 cm for"
            " each of them, to practise calibration; the bay's file stays (0)",
        )
        command.add_argument(
            "--time",
            metavar="ISO",
            help="simulated moment, bay-local unless it has a zone; time stands still there. "
            "When left out, time runs from ten minutes after the yard's beginning",
        )
    return parser


async def _serve(bay: BayConfig, options: argparse.Namespace) -> None:
    from lab.simulation.hanging import hung_off
    from lab.simulation.rendering import FrameSource
    from lab.simulation.yard import Yard

    bay = hung_off(bay, options.hang_off, options.seed)
    yard = Yard(bay, seed=options.seed, blocks=_blocks(bay, options))
    moment = _moment(options.time, bay)
    clock = SimulatedClock(moment or yard.start + _BEFORE_FIRST_FRAME, running=moment is None, speed=options.speed)
    yard.at(clock.now())  # a moment that the yard does not know is refused here, not at the first frame
    username, password = _login(bay, os.environ)
    farm = CameraFarm(
        bay,
        FrameSource(yard),
        username=username,
        password=password,
        latency_s=options.latency,
        clock=clock,
        faults=_faults(bay, options.fault),
        port=options.port,
    )
    control = _control(farm, options.control)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(farm)
        if control is not None:
            await stack.enter_async_context(control)
        print(f"drawing the first frame of {len(bay.cameras)} cameras ...", file=sys.stderr)
        if await _first_of(farm.prepare(), stop):
            known = (username, password) == (_DEFAULT_LOGIN, _DEFAULT_LOGIN)
            logs_in = f"login {username}, password {password if known else 'of SIMULATED_CAMERA_PASSWORD'}"
            print(f"{_announcement(farm)}; {logs_in}" + (f"; control {control.address}" if control else ""), flush=True)
            await stop.wait()


def _blocks(bay: BayConfig, options: argparse.Namespace) -> int:
    from lab.simulation.yard import blocks_for

    return blocks_for(bay) if options.blocks is None else int(options.blocks)


async def _first_of(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Do the work; False when it was stopped before it was done."""
    tasks = [asyncio.create_task(work), asyncio.create_task(stop.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    done = tasks[0].done()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks[1:], return_exceptions=True)
    if done:
        tasks[0].result()
    return done


def _render(bay: BayConfig, options: argparse.Namespace) -> None:
    from lab.simulation.clicks import clicked_marks
    from lab.simulation.hanging import hung_off
    from lab.simulation.rendering import FrameSource
    from lab.simulation.yard import Yard

    names = [camera.name for camera in bay.cameras]
    if options.camera is not None and options.camera not in names:
        raise unknown_cameras(bay.bay_id, [options.camera], names)
    if not names:
        raise ConfigError(f"bay {bay.bay_id} has no cameras: add them to its file")
    for option, path in (("--out", options.out), ("--points", options.points)):
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigError(f"{option} {path}: there is no folder {path.parent}")
    if options.camera is None and options.out.exists() and not options.out.is_dir():
        raise ConfigError(f"--out {options.out}: is a file: name a folder, or one camera with --camera")
    if options.points is not None and not bay.witnesses:
        raise ConfigError(f"bay {bay.bay_id} has no witnesses: add floor marks to its file, as M1: {{x: 29, y: 20}}")
    bay = hung_off(bay, options.hang_off, options.seed)
    yard = Yard(bay, seed=options.seed, blocks=_blocks(bay, options), is_bare=options.blocks == 0)
    moment = _moment(options.time, bay) or yard.start + _BEFORE_FIRST_FRAME
    drawn = names if options.camera is None else [options.camera]
    source, clicked = FrameSource(yard), []
    for name in drawn:
        jpeg = source(name, moment)
        path = options.out
        if options.camera is None:
            options.out.mkdir(exist_ok=True)
            path = options.out / f"{bay.bay_id}_{name}_{moment.astimezone(UTC):%Y%m%d%H%M%S}.jpg"
        path.write_bytes(jpeg)
        marks = clicked_marks(bay, name, yard.at(moment)) if bay.witnesses else None
        told = f"{len(jpeg)} bytes" + (f", {marks}" if marks else "")
        print(f"{path}: {name} of {bay.bay_id} at {moment.isoformat()}, {told}", flush=True)
        if marks and options.points is not None:
            clicked += [(name, *mark) for mark in marks.clicked]
    if options.points is not None:
        rows = "".join(f"{','.join(map(str, row))}\n" for row in clicked)
        options.points.write_text(f"camera,name,u,v\n{rows}", encoding="utf-8")
        print(f"{options.points}: {len(clicked)} points of {len(drawn)} cameras, each about a pixel off")
    if options.hang_off:
        print(f"each camera hangs {options.hang_off:g}° off what {bay.bay_id}.yaml says, until it is calibrated")


def _twin(bay: BayConfig, options: argparse.Namespace) -> None:
    path = write_twin(bay, options.folder)
    print(f"{path}: cameras on loopback addresses, enabled, with the shipped models. Next:")
    print(f"  BAYS_PATH={options.folder} bay-observation simulate serve {bay.bay_id}")


def _announcement(farm: CameraFarm) -> str:
    bay = farm.bay
    addresses = [f"{camera.host}:{camera.port}" for camera in bay.cameras]
    where = " to ".join(dict.fromkeys(addresses[:1] + addresses[-1:])) or "no address"
    offline = sum("offline" in camera.faults for camera in farm.cameras.values())
    absent = f" ({offline} offline)" if offline else ""
    moment = farm.clock.now().astimezone(bay.zone)
    return f"{len(bay.cameras)} cameras of {bay.bay_id} listening on {where}{absent}, simulated time {moment:%F %T %Z}"


def _login(bay: BayConfig, environment: Mapping[str, str]) -> tuple[str, str]:
    username = environment.get("SIMULATED_CAMERA_USER", "")
    password = environment.get("SIMULATED_CAMERA_PASSWORD", "")
    if username and password:
        return username, password
    if username or password:
        raise ConfigError("set both SIMULATED_CAMERA_USER and SIMULATED_CAMERA_PASSWORD, or neither")
    if not is_on_this_machine(bay):
        raise ConfigError(
            f"bay {bay.bay_id} is not on loopback: serve its twin (simulate twin {bay.bay_id} --folder twins), or set"
            " SIMULATED_CAMERA_USER and SIMULATED_CAMERA_PASSWORD"
        )
    return _DEFAULT_LOGIN, _DEFAULT_LOGIN


def _faults(bay: BayConfig, texts: list[str]) -> dict[str, list[str]]:
    faults: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        camera, equals, name = text.partition("=")
        if not (camera and equals and name):
            raise ConfigError(f"--fault {text}: write CAMERA=FAULT, such as C_4=offline")
        if camera not in (names := [one.name for one in bay.cameras]):
            raise ConfigError(f"--fault {text}: {unknown_cameras(bay.bay_id, [camera], names)}")
        if name not in FAULTS:
            raise ConfigError(f"--fault {text}: there is no fault {name}; the faults are: {', '.join(FAULTS)}")
        faults[camera].append(name)
    return faults


def _control(farm: CameraFarm, address: str | None) -> ControlServer | None:
    if address is None:
        return None
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"--control {address}: write HOST:PORT, such as 127.0.0.1:8790")
    return ControlServer(farm, host, int(port))


def _moment(text: str | None, bay: BayConfig) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--time {text}: not an ISO time; write it as 2025-07-02T16:10:00") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=bay.zone)


def _seconds(text: str) -> float:
    """For argparse.

    Raises:
        ArgumentTypeError: no number of seconds.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return seconds


if __name__ == "__main__":
    run_command(main)
