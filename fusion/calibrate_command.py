"""`calibrate`: pose and lens of a camera, or of several, from points; and the bay's file with them."""

import argparse
import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from artifacts import ArtifactStore
from bay_observation.bay_files import unknown_cameras
from bay_observation.commands import CANNOT_TELL, DONE, FAILED, INTERRUPTED, counted, existing_path, output_console
from bay_observation.errors import ArtifactError, CalibrationError, ConfigError, UncertainCalibrationError
from bay_observation.files import read_regular_file
from bays import BayConfig, Camera, Intrinsics, load_bay
from bays.editing import read_text, write_calibrations
from bays.kept import keep_again, kept_by_another_pose
from bays.loading import bay_file
from capture_async.stored import frames_in_folder, newest_frames
from fusion.calibration import (
    Calibration,
    FloorPoint,
    calibrate_by_file,
    doubts,
    image_size,
    mistaken,
    resized,
)
from fusion.clicking import ClickingPage
from fusion.point_files import CameraPoints, SurveyPoint, read_camera_points, read_points, read_survey
from fusion.refine_command import add_since, since_of
from fusion.renaming import far_off, misnamed
from fusion.slips import slip

_LARGEST_FRAME = 100_000_000
_CORRECT = "correct the camera or the names of the marks in the file of points"
_UNITS = dict.fromkeys("xyz", "m") | dict.fromkeys(("pan", "tilt", "roll"), "deg")
_UNITS |= dict.fromkeys(("focal_px", "fy", "cx", "cy"), "px")


def add_calibrate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command's arguments."""
    calibration = commands.add_parser("calibrate", help="estimate cameras from points, and write the bay's file")
    calibration.add_argument("bay", help="a bay's id, as 3bay_north")
    calibration.add_argument(
        "--camera", metavar="NAME", help="as the bay's file names it; else each camera that the points name"
    )
    calibration.add_argument(
        "--points",
        required=True,
        type=Path,
        help="name,u,v,x,y,z as .csv or .json; x,y,z are left out for marks; a column camera for several cameras",
    )
    calibration.add_argument("--click", action="store_true", help="click the points on a page of this machine first")
    images = calibration.add_mutually_exclusive_group()
    images.add_argument(
        "--frame",
        type=existing_path,
        help="an image of the camera, which gives the size; default: the newest capture in the store",
    )
    images.add_argument("--frames", type=existing_path, metavar="DIR", help="frames that camera probe --save wrote")
    calibration.add_argument("--size", type=_size, metavar="WxH", help="of the image, where there is no frame of it")
    calibration.add_argument(
        "--survey",
        type=existing_path,
        help="the marks: name,x,y,z as .csv or .json; default: the witnesses of the bay's file",
    )
    calibration.add_argument("--port", type=int, default=0, help="of the page; default: a free one")
    calibration.add_argument("--focal", type=float, help="pixels, to start from; estimated without it")
    calibration.add_argument("--dry-run", action="store_true", help="print the change and write nothing")
    add_since(calibration)
    calibration.add_argument("--force", action="store_true", help="write a result above the limits too")
    calibration.add_argument("--data", type=Path, help="the store; default: DATA_PATH")
    calibration.set_defaults(run=calibrate_cameras)


def calibrate_cameras(options: argparse.Namespace, bay: BayConfig) -> int:
    """One camera with its whole report, or a line for each of several; what is sure is written.

    Returns:
        0 when all are written; 1 when one could not be calibrated; 3 when the points do not decide for one.
    """
    marks = _marks(options, bay)
    if options.click:
        if options.camera is None:
            raise ConfigError("--click is for one camera: name it with --camera")
        return _clicked_one(options, bay, _camera(bay, options.camera), marks)
    points = read_camera_points(options.points, marks, options.camera or "")
    if options.camera is None and "" in points:
        raise ConfigError(f"{options.points} does not say whose points they are: give --camera, or a column camera")
    by_camera = {_camera(bay, name, of_camera.where): of_camera for name, of_camera in points.items() if name}
    if options.camera is not None:
        camera = _camera(bay, options.camera)
        if points and camera.name not in points:
            raise ConfigError(f"{options.points} has no points of {camera.name}; it has those of {', '.join(points)}")
        return _one(options, bay, camera, points[camera.name].all() if points else [])
    if len(points) == 1:
        ((camera, of_camera),) = by_camera.items()
        return _one(options, bay, camera, of_camera.all())
    if not points:
        raise CalibrationError(f"{options.points}: holds no point")
    for option in ("frame", "focal"):
        if getattr(options, option) is not None:
            raise ConfigError(f"--{option} is of one camera: name it with --camera")
    return _several(options, bay, by_camera)


def _camera(bay: BayConfig, name: str, where: str = "") -> Camera:
    try:
        return bay.camera(name)
    except KeyError:
        unknown = unknown_cameras(bay.bay_id, [name], [camera.name for camera in bay.cameras])
        raise ConfigError(f"{where}: {unknown}" if where else str(unknown)) from None


def _marks(options: argparse.Namespace, bay: BayConfig) -> list[SurveyPoint]:
    """Places that a point may name."""
    if options.survey is not None:
        return read_survey(options.survey)
    return [SurveyPoint(name, mark.x, mark.y, mark.z) for name, mark in bay.witnesses.items()]


def _one(options: argparse.Namespace, bay: BayConfig, camera: Camera, points: Sequence[FloorPoint]) -> int:
    frame = _frame(options, bay, camera)
    lens = _lens(camera, options, None if frame is None else image_size(frame))
    try:
        result = _calibrated(points, camera, lens)
    except CalibrationError as error:
        whose = "" if str(error).startswith(f"{options.points}:") else f"{options.points}: {camera.name}: "
        raise type(error)(f"{whose}{error}") from error
    return _written(options, bay, camera, result)


def _calibrated(points: Sequence[FloorPoint], camera: Camera, lens: Intrinsics | tuple[int, int]) -> Calibration:
    """By the points; where they do not tell, what is wrong with all of them alike is told."""
    try:
        result = calibrate_by_file(points, camera, lens)
    except CalibrationError as error:
        if (told := slip(points, camera, lens)) is None:
            raise
        raise type(error)(f"{error}; all of them agree if {told}") from error
    if doubts(result) and (told := slip(points, camera, lens)) is not None:
        return replace(result, notes=(*result.notes, f"all points agree if {told}"))
    return result


def _written(options: argparse.Namespace, bay: BayConfig, camera: Camera, result: Calibration) -> int:
    unsure, taken = doubts(result), _taken_for_others(options, bay, camera, result)
    reasons = unsure + taken
    is_written = options.force or not reasons
    if is_written:
        _write(options, bay, {camera.name: result})
    _print_report(camera, result)
    for reason in reasons + ([] if taken else far_off(result, camera)):
        print(f"DOUBT: {reason}")
    if not is_written:
        remedy = _CORRECT if taken else _more_points(again=result.without_say > 0)
        raise UncertainCalibrationError(
            f"{bay_file(bay.bay_id)}: not written: it cannot be told where {camera.name} hangs:"
            f" {'; '.join(reasons)}: {remedy}, or write it all the same with --force"
        )
    print(_outcome(options, bay, [camera.name]))
    return DONE


def _taken_for_others(options: argparse.Namespace, bay: BayConfig, camera: Camera, result: Calibration) -> list[str]:
    """That the points are another camera's, or other marks than they are named, in words."""
    marks = {mark.name: (mark.x, mark.y, mark.z) for mark in _marks(options, bay)}
    return mistaken(result, camera, bay) or misnamed(result, camera, marks)


def _more_points(*, again: bool) -> str:
    return f"{'click what is LEFT OUT again, or ' if again else ''}add points, spread over the image"


def _several(options: argparse.Namespace, bay: BayConfig, points: Mapping[Camera, CameraPoints]) -> int:
    """Each for itself: one that cannot be told keeps no other from being written."""
    table = Table("camera", "points", "left out", "px", "cm between the points", "moved", "turned", "")
    sure: dict[str, Calibration] = {}
    said: list[str] = []
    failed = untold = again = named = False
    for camera, of_camera in points.items():
        try:
            frame = _frame(options, bay, camera)
            lens = _lens(camera, options, None if frame is None else image_size(frame))
            result = _calibrated(of_camera.all(), camera, lens)
        except (CalibrationError, ConfigError) as error:
            doubtful = isinstance(error, UncertainCalibrationError)
            failed, untold = failed or not doubtful, untold or doubtful
            table.add_row(camera.name, str(len(of_camera.rows)), *["-"] * 5, "cannot be told" if doubtful else "failed")
            said.append(f"{camera.name}: not written: {error}")
            continue
        taken = _taken_for_others(options, bay, camera, result)
        unsure, away = doubts(result), [] if taken else far_off(result, camera)
        reasons = unsure + taken
        if options.force or not reasons:
            sure[camera.name] = result
        else:
            untold, again, named = True, again or result.without_say > 0, named or bool(taken)
        said += [f"{camera.name}: DOUBT: {reason}" for reason in reasons + away]
        said += [f"{camera.name}: {line}" for line in (*result.lines_of_left_out(), *(result.notes if reasons else ()))]
        table.add_row(*_row(camera, result), "doubtful" if reasons else "far off" if away else "sure")
    if sure:
        _write(options, bay, sure)
    output_console().print(table)
    if said:
        print("\n".join(said))
    if sure:
        print(_outcome(options, bay, list(sure)))
    if failed or untold:
        left = ", ".join(camera.name for camera in points if camera.name not in sure)
        print(
            f"{bay_file(bay.bay_id)}: not written for {left}: see each with --camera NAME;"
            f" {f'{_CORRECT}, or ' if named else ''}{_more_points(again=again)}",
            file=sys.stderr,
        )
    return FAILED if failed else CANNOT_TELL if untold else DONE


def _row(camera: Camera, result: Calibration) -> list[str]:
    moved = turned = "-"
    if camera.pose is not None:
        moved, turned = f"{100 * result.moved_m(camera.pose):.0f} cm", f"{result.turned_deg(camera.pose):.2f}°"
    return [
        camera.name,
        str(len(result.residuals) + len(result.outside) + len(result.above)),
        str(result.without_say),
        f"{result.rms_px:.1f}",
        f"± {result.floor_std_cm:.1f}",
        moved,
        turned,
    ]


def _write(options: argparse.Namespace, bay: BayConfig, results: Mapping[str, Calibration]) -> None:
    """Write the bay's file, and print the change: before all else, so that what is to be read stands below it."""
    path = bay_file(bay.bay_id)
    old = read_text(path)
    new = write_calibrations(
        bay.bay_id,
        {name: (result.pose, result.intrinsics) for name, result in results.items()},
        since=since_of(options, bay),
        dry_run=options.dry_run,
    )
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), str(path), str(path), lineterm="", n=1)
    print("\n".join(lines))


def _outcome(options: argparse.Namespace, bay: BayConfig, names: Sequence[str]) -> str:
    """The last line; above it, whose marks were kept by a pose that is gone."""
    if options.dry_run:
        return f"{bay_file(bay.bay_id)}: not written (--dry-run)"
    written = f"{bay_file(bay.bay_id)}: written"
    again = [name for name in kept_by_another_pose(load_bay(bay.bay_id)) if name in names]
    if not again:
        return written
    return (
        f"how the marks look to {', '.join(again)} was kept by an earlier pose:"
        f" {keep_again(bay.bay_id, again)}\n{written}"
    )


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
        return given.with_given_focal(options.focal) if options.focal else given
    if size is None:
        raise ConfigError(
            f"the size of {camera.name}'s image is not known: give a frame of it with --frame, or --size 2560x1440"
        )
    if options.focal is None:
        return (size[0], size[1])
    return Intrinsics(width=size[0], height=size[1], focal_px=options.focal)


def _clicked_one(options: argparse.Namespace, bay: BayConfig, camera: Camera, marks: Sequence[SurveyPoint]) -> int:
    """Let a person click, then calibrate; Ctrl-C ends it, and what was saved stays."""
    frame = _frame(options, bay, camera)
    if frame is None:
        raise CalibrationError(
            f"no capture of {bay.bay_id} has a frame of {camera.name}: take one with bay-observation camera probe"
            f" {bay.bay_id} --save frames, and give it with --frames frames"
        )
    lens = _lens(camera, options, image_size(frame))
    before = read_points(options.points, marks) if options.points.exists() else []

    def judge(points: Sequence[FloorPoint]) -> str:
        return "\n".join(_lines(calibrate_by_file(points, camera, lens)))

    with ClickingPage(
        camera.name,
        frame,
        (lens.width, lens.height) if isinstance(lens, Intrinsics) else lens,
        options.points,
        points=before,
        survey=marks,
        judge=judge,
        port=options.port,
    ) as page:
        print(f"open {page.url} in a browser on this machine; Ctrl-C ends without calibrating", flush=True)
        try:
            page.done.wait()
        except KeyboardInterrupt:
            count = len(page.points)
            kept = f"{counted(count, 'point')} in {options.points}" if count else "no point was saved"
            print(f"\nended without calibrating; {kept}", file=sys.stderr)
            return INTERRUPTED
        return _written(options, bay, camera, calibrate_by_file(page.points, camera, lens))


def _frame(options: argparse.Namespace, bay: BayConfig, camera: Camera) -> bytes | None:
    """The image that is named, else the camera's newest one in the store; None where there is none."""
    if options.frames:
        return frames_in_folder(options.frames, bay.bay_id, [camera.name])[camera.name][-1]
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
    lines += result.lines_of_left_out()
    lines += [f"held: {held.name} = {held.value:g}: {held}" for held in result.held]
    return [*lines, *result.notes]


def _print_report(camera: Camera, result: Calibration) -> None:
    console = output_console()
    table = Table("value", "estimate", "std", title=f"camera {camera.name}")
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
    if camera.pose is not None:
        moved, turned = 100 * result.moved_m(camera.pose), result.turned_deg(camera.pose)
        print(f"against the bay's file: moved {moved:.0f} cm, turned {turned:.2f}°")
    print("\n".join(_lines(result)))
