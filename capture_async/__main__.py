"""`python -m capture_async probe BAY`, `health BAY` and `overlay BAY --camera NAME --out FILE`.

For the person in front of a camera cabinet, and for the people who look after a bay.
"""

import argparse
import asyncio
import getpass
import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from bay_observation.bay_files import unknown_cameras
from bay_observation.commands import (
    CANNOT_TELL,
    DONE,
    FAILED,
    WRONG_USE,
    existing_path,
    failed,
    output_console,
    program,
    run_command,
)
from bay_observation.errors import BayObservationError, CaptureError, ConfigError, NotObservedError
from bays import BayConfig, Camera, load_bay
from bays.overlay import draw_overlay
from capture_async.credentials import Credentials, login_from_environment

if TYPE_CHECKING:
    from capture_async.health import BayHealth, CameraHealth
    from capture_async.probe import CameraReport, ProbeReport


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 when the bay's camera quorum holds, or the overlay is drawn; 1 when it does not, or the health cannot
        be read, or there is no frame; 2 for wrong use: arguments, bay, login.
    """
    options = make_parser().parse_args(arguments)
    try:
        bay = load_bay(options.bay)
        status = {"health": _health, "probe": _probe, "overlay": _overlay}[options.command](bay, options)
    except BayObservationError as error:
        return failed(error)
    except EOFError:
        print("\nno login was given; for cameras that want none, pass --no-login", file=sys.stderr)
        return WRONG_USE
    return status


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(prog=program("python -m capture_async"), description="The cameras of a bay.")
    commands = parser.add_subparsers(dest="command", required=True)
    probe = commands.add_parser(
        "probe",
        help="ask every camera once: reachable, login, profile, resolution, latency, clock, brightness",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Asks every camera of the bay for one frame, all at once, and says what to do about each that\n"
        "gives none. The login comes from CAMERA_USER and CAMERA_PASSWORD, else from the Airflow\n"
        "Connection in AIRFLOW_CONN_ONVIF_{BAY}, else it is asked for on the terminal.",
        epilog="exit status: 0 the bay's camera quorum holds, 1 it does not, 2 wrong use, 3 nothing was captured yet",
    )
    probe.add_argument("--save", type=Path, metavar="DIR", help="write the frames into this folder")
    probe.add_argument("--no-login", action="store_true", help="the cameras want no login")
    health = commands.add_parser("health", help="how the bay's cameras did in the captures of the last day")
    for command in (probe, health):
        command.add_argument("bay", help="a bay's id, as 3bay_north")
        command.add_argument("--json", action="store_true", help="one JSON document in place of the table")
    health.add_argument("--data", type=Path, metavar="DIR", help="the store's root (DATA_PATH)")
    overlay = commands.add_parser("overlay", help="draw areas, axes, verticals and witnesses over a camera's frame")
    overlay.add_argument("bay", help="a bay's id, as 3bay_north")
    overlay.add_argument("--camera", metavar="NAME", help="as the bay's file names it; without it each of the bay's")
    overlay.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="overlay.png or overlay.jpg; of all cameras a folder"
    )
    source = overlay.add_mutually_exclusive_group()
    source.add_argument("--frame", type=existing_path, metavar="FILE", help="an image of the camera")
    source.add_argument("--frames", type=existing_path, metavar="DIR", help="frames that camera probe --save wrote")
    source.add_argument("--live", action="store_true", help="ask the camera now; the login is found as by probe")
    source.add_argument("--data", type=Path, metavar="DIR", help="the store of its newest capture (DATA_PATH)")
    overlay.add_argument("--no-login", action="store_true", help="with --live: the camera wants no login")
    return parser


# -- probe ------------------------------------------------------------------------------------


def _probe(bay: BayConfig, options: argparse.Namespace) -> int:
    if not bay.cameras:
        raise ConfigError(f"bay {bay.bay_id} has no cameras: add them to its file")
    save = None if options.save is None else _writable_folder(options.save)
    credentials = None if options.no_login else _login(bay)
    # What is logged of a camera stands in its row, and would break the table.
    logging.getLogger("capture_async").addHandler(logging.NullHandler())
    logging.getLogger("capture_async").propagate = False
    report = asyncio.run(_probe_live(bay, credentials, save, as_json=options.json))
    if options.json:
        print(report.to_json())
    return 0 if report.holds_quorum else FAILED


async def _probe_live(
    bay: BayConfig, credentials: Credentials | None, save: Path | None, *, as_json: bool
) -> "ProbeReport":
    from rich.live import Live

    from capture_async.probe import CameraReport, probe

    rows: dict[str, CameraReport] = {camera.name: CameraReport(camera.name, "") for camera in bay.cameras}

    def update_row(report: CameraReport) -> None:
        rows[report.name] = report

    console = output_console(stderr=as_json)  # with --json, stdout is the document's alone
    if not console.is_terminal:
        report = await probe(bay, credentials, save=save, on_update=update_row)
        if not as_json:
            console.print(_probe_view(bay, rows))
        return report
    with Live(console=console, refresh_per_second=8, get_renderable=lambda: _probe_view(bay, rows)) as live:
        live.refresh()
        return await probe(bay, credentials, save=save, on_update=update_row)


def _probe_view(bay: BayConfig, rows: "dict[str, CameraReport]") -> Group:
    """A row per camera, and below the table what to do about those that want something done."""
    reports = rows.values()
    done, frames = sum(report.done for report in reports), sum(report.has_frame for report in reports)
    title = f"{bay.bay_id}: {done} of {len(rows)} cameras asked, {frames} frames, the quorum is {bay.camera_quorum}"
    if done == len(rows):
        title += ": it holds" if frames >= bay.camera_quorum else ": it does NOT hold"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("camera", "address", "reachable", "login", "profile"):
        table.add_column(name, no_wrap=name not in ("address", "profile"), overflow="fold")  # those two may be broken
    for name in ("resolution", "latency", "clock", "brightness"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for report in reports:
        table.add_row(*_probe_row(bay, report))
    return Group(table, *_probe_notes(reports))


def _probe_row(bay: BayConfig, report: "CameraReport") -> list[Text | str]:
    from capture_async.probe import CLOCK_TOLERANCE_S

    reachable = {True: Text("yes", "green"), False: Text("no", "bold red"), None: Text("")}[report.reachable]
    login = report.authentication or ("none" if report.has_frame and report.reachable else "")
    clock, brightness = Text(""), Text("")
    if report.clock_offset_s is not None:
        style = "bold yellow" if abs(report.clock_offset_s) > CLOCK_TOLERANCE_S else ""
        clock = Text(f"{round(report.clock_offset_s):+d} s", style)
    if report.brightness is not None:
        style = "bold yellow" if report.brightness < bay.conditions.min_brightness else ""
        brightness = Text(f"{report.brightness:.0f}", style)
    resolution = "" if report.resolution is None else f"{report.resolution[0]} x {report.resolution[1]}"
    latency = "" if report.latency_s is None else f"{1000 * report.latency_s:.0f} ms"
    profile = report.profile or ""
    if not report.done:
        end = Text(f"{report.stage} ...", "dim")
    elif report.reason is not None:
        end = Text(str(report.reason), "bold red")
    else:
        end = Text("frame, saved" if report.saved else "frame", "green")
    return [report.name, report.address, reachable, login, profile, resolution, latency, clock, brightness, end]


def _probe_notes(reports: "Iterable[CameraReport]") -> list[Text]:
    """Each problem once, with all cameras that have it, in its own words for each, and what to do about it."""
    alike: dict[tuple[object, str], list[CameraReport]] = {}
    notes = []
    for report in reports:
        if report.reason is not None:
            alike.setdefault((report.reason, report.advice), []).append(report)
        elif report.remarks:
            remarks = ((f"  {remark}\n", "yellow") for remark in report.remarks)
            notes.append(Text.assemble((report.name, "bold"), *remarks))
    for (reason, advice), those in alike.items():
        width = max(len(report.name) for report in those) + 2
        details = [Text.assemble((report.name.ljust(width), "bold"), f"{report.detail}\n") for report in those]
        notes.append(Text.assemble((f"{reason}\n", "bold red"), *details, (f"{advice}\n", "yellow")))
    return notes


def _writable_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(f"--save {folder}: cannot be written to: {error.strerror or error}") from error
    return folder


def _login(bay: BayConfig) -> Credentials | None:
    from capture_async.providers.factory import ImageProviderFactory

    if not ImageProviderFactory.provider_class(bay.image_provider).needs_credentials:
        return None
    credentials = login_from_environment(bay.bay_id)
    if credentials is not None:
        return credentials
    if not sys.stdin.isatty():
        raise ConfigError(
            f"no login for the cameras of bay {bay.bay_id}: set CAMERA_USER and CAMERA_PASSWORD, or "
            f"AIRFLOW_CONN_ONVIF_{bay.bay_id.upper()}, or pass --no-login"
        )
    print(f"Login of the cameras of bay {bay.bay_id}: ", end="", file=sys.stderr, flush=True)
    username = sys.stdin.readline().strip()
    if not username:
        raise ConfigError("no login was given; for cameras that want none, pass --no-login")
    return Credentials(username, getpass.getpass("Password: "))


# -- health -----------------------------------------------------------------------------------


def _health(bay: BayConfig, options: argparse.Namespace) -> int:
    from capture_async.health import read_health

    health = read_health(options.data, bay.bay_id)
    if options.json:
        print(json.dumps(health.to_dict(), indent=2, ensure_ascii=False))
    elif health.last_slot is None:
        raise NotObservedError(f"no capture of bay {bay.bay_id} was recorded yet; is DATA_PATH that of its observer?")
    else:
        output_console().print(_health_table(bay, health))
    if health.last_slot is None:
        return CANNOT_TELL
    well = sum(camera.is_well for camera in health.cameras)
    return 0 if well >= bay.camera_quorum else FAILED


def _health_table(bay: BayConfig, health: "BayHealth") -> Table:
    well = sum(camera.is_well for camera in health.cameras)
    slot = "never" if health.last_slot is None else f"{health.last_slot.astimezone(bay.zone):%F %H:%M %Z}"
    table = Table(
        title=f"{bay.bay_id}: {well} of {len(health.cameras)} cameras well in slot {slot}, quorum {bay.camera_quorum}",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("camera", no_wrap=True)
    table.add_column("last frame", no_wrap=True)
    for name in ("failed in a row", "slots with a frame", "latency", "median"):
        table.add_column(name, justify="right")
    table.add_column("reason", ratio=1, min_width=30)
    now = datetime.now(UTC)
    for camera in sorted(health.cameras, key=lambda one: (one.is_well, -one.failures_in_row)):
        table.add_row(*_health_row(bay, camera, now))
    return table


def _health_row(bay: BayConfig, camera: "CameraHealth", now: datetime) -> list[Text | str]:
    last = Text("never", "bold red")
    if camera.last_success is not None:
        ago = int((now - camera.last_success).total_seconds() // 60)
        passed = f"{ago} min" if ago < 120 else f"{ago // 60} h" if ago < 2880 else f"{ago // 1440} days"
        last = Text(f"{camera.last_success.astimezone(bay.zone):%F %H:%M:%S} ({passed} ago)")
    share = "" if camera.share_of_frames is None else f"{100 * camera.share_of_frames:.0f} % of {len(camera.recent)}"
    failures = Text(str(camera.failures_in_row), "bold red" if camera.failures_in_row else "green")
    reason = Text("")
    if camera.reason is not None:
        reason = Text.assemble((str(camera.reason), "bold red"), f": {camera.detail}" if camera.detail else "")
    latencies = [_milliseconds(camera.latency_s), _milliseconds(camera.median_latency_s)]
    return [camera.camera_name, last, failures, share, *latencies, reason]


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.0f} ms"


# -- overlay ----------------------------------------------------------------------------------


def _overlay(bay: BayConfig, options: argparse.Namespace) -> int:
    if options.camera is None:
        return _overlays(bay, options)
    try:
        camera = bay.camera(options.camera)
    except KeyError:
        raise unknown_cameras(bay.bay_id, [options.camera], [one.name for one in bay.cameras]) from None
    frame, source = _overlaid_frame(bay, camera, options)
    return DONE if _drawn(bay, camera, frame, options.out, source) else FAILED


def _drawn(bay: BayConfig, camera: Camera, frame: bytes, path: Path, source: str) -> bool:
    """Draw one overlay and say so; whether anything of the bay shows."""
    drawn = draw_overlay(bay, camera, frame, path)
    print(f"{path}: {drawn.lines} lines over {source} of {camera.name}{drawn.remark}", flush=True)
    if not drawn.lines:
        print(f"nothing of the bay shows: by its file, {camera.name} looks elsewhere", file=sys.stderr)
    return drawn.lines > 0


def _overlays(bay: BayConfig, options: argparse.Namespace) -> int:
    """An overlay of each camera that has a frame, into a folder; 1 where one has none or shows nothing."""
    if options.frame is not None or options.live:
        raise ConfigError(f"{'--frame' if options.frame else '--live'} is of one camera: name it with --camera")
    if options.out.exists() and not options.out.is_dir():
        raise ConfigError(f"--out {options.out}: is a file: name a folder, or one camera with --camera")
    if not options.out.absolute().parent.is_dir():
        raise ConfigError(f"--out {options.out}: there is no folder {options.out.parent}")
    placed = [camera for camera in bay.cameras if camera.pose is not None and camera.intrinsics is not None]
    frames, source = _all_frames(bay, [camera.name for camera in placed], options)
    if not frames:
        raise NotObservedError(f"{source}: no frame of a camera of {bay.bay_id} that has a pose: give --frames DIR")
    options.out.mkdir(exist_ok=True)
    well = True
    for camera in placed:
        if camera.name in frames:
            well &= _drawn(bay, camera, frames[camera.name], options.out / f"{camera.name}.jpg", f"a frame in {source}")
    for camera in bay.cameras:
        if camera.name not in frames:
            why = "there is no frame of it" if camera in placed else "it has no pose or no intrinsics"
            print(f"{camera.name}: not drawn: {why}", file=sys.stderr)
            well = False
    return DONE if well else FAILED


def _all_frames(bay: BayConfig, names: list[str], options: argparse.Namespace) -> tuple[dict[str, bytes], str]:
    from capture_async.stored import frames_in_folder, newest_frames

    if options.frames is not None:
        found = frames_in_folder(options.frames, bay.bay_id, names)
        return {camera: frames[-1] for camera, frames in found.items()}, str(options.frames)
    from artifacts import ArtifactStore

    store = ArtifactStore(options.data)
    return newest_frames(store, bay.bay_id, names, bay.unmoved_since), str(store.location)


def _overlaid_frame(bay: BayConfig, camera: Camera, options: argparse.Namespace) -> tuple[bytes, str]:
    """The frame to draw on, and where it comes from."""
    if options.frame is not None:
        try:
            return options.frame.read_bytes(), f"{options.frame}, given as a frame"
        except OSError as error:
            raise ConfigError(f"--frame {options.frame}: cannot be read: {error.strerror or error}") from error
    if options.live:
        return asyncio.run(_live_frame(bay, camera, None if options.no_login else _login(bay))), "a live frame"
    found, source = _all_frames(bay, [camera.name], options)
    if camera.name not in found:
        raise NotObservedError(
            f"{source}: no capture of {bay.bay_id} with a frame of {camera.name}: give --live or --frame"
        )
    return found[camera.name], f"the newest frame in {source}"


async def _live_frame(bay: BayConfig, camera: Camera, credentials: Credentials | None) -> bytes:
    from capture_async.service import CaptureService

    alone = bay.model_copy(update={"cameras": (camera,), "camera_quorum": 1})
    async with CaptureService(alone, credentials=credentials) as service:
        batch = await service.capture(datetime.now(UTC))
    if batch.failures:
        failure = batch.failures[0]
        raise CaptureError(f"camera {camera.name} gave no frame: {failure.reason}: {failure.detail}")
    return bytes(batch.images[0].jpeg)


if __name__ == "__main__":
    run_command(main)
