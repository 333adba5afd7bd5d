"""`python -m fusion calibrate BAY --camera NAME`, `check-poses`, `refine-poses` and `keep-witnesses BAY`."""

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from artifacts import ArtifactStore
from bay_observation.commands import existing_path, failed, output_console, program, run_command
from bay_observation.errors import (
    ArtifactError,
    BayObservationError,
    CalibrationError,
    ConfigError,
    UncertainCalibrationError,
)
from bay_observation.files import read_regular_file
from bays import BayConfig, Camera, Intrinsics, load_bay
from bays.editing import read_text, write_calibration
from bays.loading import bay_file
from capture_async.stored import newest_frames
from fusion.calibration import (
    FOCAL_STD,
    Calibration,
    FloorPoint,
    calibrate,
    calibrate_without_lens,
    doubts,
    image_size,
    mistaken,
    resized,
)
from fusion.clicking import ClickingPage
from fusion.point_files import read_points, read_survey
from fusion.pose_commands import add_commands
from fusion.refine_command import add_refine, add_since, since_of

_LARGEST_FRAME = 100_000_000
_DATA_SHEET_STD = 0.05  # of a focal length that a person gives, as a share of it
_UNITS = dict.fromkeys("xyz", "m") | dict.fromkeys(("pan", "tilt", "roll"), "deg")
_UNITS |= dict.fromkeys(("focal_px", "fy", "cx", "cy"), "px")


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
    calibration = commands.add_parser("calibrate", help="estimate a camera from points, and write the bay's file")
    calibration.add_argument("bay", help="a bay's id, as 3bay_north")
    calibration.add_argument("--camera", required=True, metavar="NAME", help="as the bay's file names it")
    calibration.add_argument("--points", required=True, type=Path, help="name,u,v,x,y,z as .csv or .json")
    calibration.add_argument("--click", action="store_true", help="click the points on a page of this machine first")
    calibration.add_argument(
        "--frame",
        type=existing_path,
        help="an image of the camera, which gives the size; default: the newest capture in the store",
    )
    calibration.add_argument("--size", type=_size, metavar="WxH", help="of the image, where there is no frame of it")
    calibration.add_argument(
        "--survey", type=existing_path, help="named points to click on: name,x,y,z as .csv or .json"
    )
    calibration.add_argument("--port", type=int, default=0, help="of the page; default: a free one")
    calibration.add_argument("--focal", type=float, help="pixels, to start from; estimated without it")
    calibration.add_argument("--dry-run", action="store_true", help="print the change and write nothing")
    add_since(calibration)
    calibration.add_argument("--force", action="store_true", help="write a result above the limits too")
    calibration.add_argument("--data", type=Path, help="the store; default: DATA_PATH")
    calibration.set_defaults(run=_calibrate)
    add_commands(commands)
    add_refine(commands)
    return parser


def _calibrate(options: argparse.Namespace, bay: BayConfig) -> int:
    try:
        camera = bay.camera(options.camera)
    except KeyError:
        names = ", ".join(camera.name for camera in bay.cameras) or "none"
        raise ConfigError(f"bay {bay.bay_id} has no camera {options.camera}; it has: {names}") from None
    frame = _frame(options, bay, camera)
    if options.click and frame is None:
        raise CalibrationError(f"no capture of {bay.bay_id} with a frame of {camera.name}: give an image with --frame")
    lens = _lens(camera, options, None if frame is None else image_size(frame))
    points = _clicked(options, camera, lens, frame) if options.click and frame else read_points(options.points)
    result = _estimated(points, lens, camera)
    _print_report(camera.name, result)
    of_another = mistaken(result, camera, bay)
    if reasons := doubts(result) + of_another:
        print("\n".join(f"DOUBT: {reason}" for reason in reasons))
        if not options.force:
            again = "click what is LEFT OUT again, or " if result.left_out else ""
            remedy = (
                "calibrate the camera that they are of" if of_another else f"{again}add points, spread over the image"
            )
            raise UncertainCalibrationError(
                f"{bay_file(bay.bay_id)}: not written: it cannot be told where {camera.name} hangs:"
                f" {'; '.join(reasons)}: {remedy}, or write it all the same with --force"
            )
    path = bay_file(bay.bay_id)
    old = read_text(path)
    new = write_calibration(
        bay.bay_id,
        camera.name,
        result.pose,
        result.intrinsics,
        since=since_of(options, bay),
        dry_run=options.dry_run,
    )
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), str(path), str(path), lineterm="", n=1)
    print("\n".join(lines))
    print(f"{path}: {'not written (--dry-run)' if options.dry_run else 'written'}")
    return 0


def _size(text: str) -> tuple[int, int]:
    """For argparse."""
    width, times, height = text.lower().partition("x")
    if not (times and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write it as 2560x1440")
    return int(width), int(height)


def _lens(camera: Camera, options: argparse.Namespace, frame: tuple[int, int] | None) -> Intrinsics | tuple[int, int]:
    """The lens to start from, for the image's own size; the size alone where no lens is known."""
    size = options.size or frame
    if size and frame and size != frame:
        raise ConfigError(f"--size {size[0]}x{size[1]}: the frame of {camera.name} is {frame[0]} x {frame[1]}")
    if camera.intrinsics is not None:
        given = camera.intrinsics if size is None else resized(camera.intrinsics, size)
        return given.with_focal(options.focal) if options.focal else given
    if size is None:
        raise ConfigError(
            f"the size of {camera.name}'s image is not known: give a frame of it with --frame, or --size 2560x1440"
        )
    if options.focal is None:
        return (size[0], size[1])
    return Intrinsics(width=size[0], height=size[1], focal_px=options.focal)


def _estimated(points: Sequence[FloorPoint], lens: Intrinsics | tuple[int, int], camera: Camera) -> Calibration:
    if isinstance(lens, Intrinsics):
        of_the_file = camera.intrinsics is not None
        return calibrate(points, lens, camera.pose, FOCAL_STD if of_the_file else _DATA_SHEET_STD)
    return calibrate_without_lens(points, lens, camera.pose)


def _clicked(
    options: argparse.Namespace, camera: Camera, lens: Intrinsics | tuple[int, int], frame: bytes
) -> list[FloorPoint]:
    survey = read_survey(options.survey) if options.survey else []
    before = read_points(options.points) if options.points.exists() else []

    def judge(points: Sequence[FloorPoint]) -> str:
        return "\n".join(_lines(_estimated(points, lens, camera)))

    with ClickingPage(
        camera.name,
        frame,
        (lens.width, lens.height) if isinstance(lens, Intrinsics) else lens,
        options.points,
        points=before,
        survey=survey,
        judge=judge,
        port=options.port,
    ) as page:
        print(f"open {page.url} in a browser on this machine; Ctrl-C ends without calibrating", flush=True)
        try:
            page.done.wait()
        except KeyboardInterrupt:
            raise CalibrationError(f"ended; {len(page.points)} points are in {options.points}") from None
        return page.points


def _frame(options: argparse.Namespace, bay: BayConfig, camera: Camera) -> bytes | None:
    """The image that is named, else the camera's newest one in the store; None where there is none."""
    if options.frame:
        try:
            frame = read_regular_file(options.frame, _LARGEST_FRAME)
            image_size(frame)
        except ArtifactError as error:  # no regular file, or too large a one
            raise ConfigError(str(error)) from error
        except CalibrationError as error:
            raise ConfigError(f"--frame {options.frame}: {error}") from error
        except OSError as error:
            raise ConfigError(f"--frame {options.frame}: cannot be read: {error.strerror or error}") from error
        return frame
    if options.size and not options.click:
        return None
    return newest_frames(ArtifactStore(options.data), bay.bay_id, [camera.name]).get(camera.name)


def _lines(result: Calibration) -> list[str]:
    """The summary, a line a fact."""
    lines = [f"reprojection {result.rms_px:.2f} px, on the floor {result.rms_cm:.1f} cm (root mean square)"]
    if result.unseen_cm is not None:
        lines.append(f"at points that were not used: {result.unseen_cm:.1f} cm on the floor")
    lines.append(f"a place between the points is known to ± {result.floor_std_cm:.1f} cm (one standard deviation)")
    lines += [
        f"LEFT OUT: {error.point.name} is {error.pixels:.0f} px off what the other points say: mis-clicked, or wrong "
        "coordinates?"
        for error in result.left_out
    ]
    lines += [f"held: {held.name} = {held.value:g}: {held}" for held in result.held]
    return [*lines, *result.notes]


def _print_report(name: str, result: Calibration) -> None:
    console = output_console()
    table = Table("value", "estimate", "std", title=f"camera {name}")
    for key, value in result.values.items():
        std = f"± {result.std[key]:.2g}" if key in result.std else "held"
        table.add_row(key, f"{value:.6g} {_UNITS.get(key, '')}", std)
    console.print(table)
    residuals = Table("point", "u, v", "X, Y, Z", "px", "cm", "cm, not used")
    for residual in result.residuals:
        point = residual.point
        residuals.add_row(
            f"{point.name} (left out)" if residual.left_out else point.name,
            f"{point.u:.1f}, {point.v:.1f}",
            f"{point.x:g}, {point.y:g}, {point.z:g}",
            f"{residual.pixels:.2f}",
            f"{residual.floor_cm:.1f}",
            "-" if residual.unseen_cm is None else f"{residual.unseen_cm:.1f}",
        )
    console.print(residuals)
    print("\n".join(_lines(result)))


if __name__ == "__main__":
    run_command(main)
