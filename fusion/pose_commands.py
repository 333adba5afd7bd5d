"""`camera check-poses` and `camera keep-witnesses`: which camera was knocked, by blocks and by floor marks."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from rich.table import Table

from artifacts import ArtifactStore
from bay_observation.bay_files import unknown_cameras
from bay_observation.commands import CANNOT_TELL, DONE, FAILED, existing_path, output_console
from bay_observation.errors import CalibrationError, ConfigError, NotObservedError
from bays import BayConfig, slot_of
from bays.checking import LEAST_WITNESSES
from bays.loading import bay_file, witnesses_file
from capture_async.stored import frames_in_folder, frames_of
from fusion.pose_check import TOLERANCE_DEG, PoseCheck, PoseVerdict, check_poses, seen_batch
from fusion.witness_check import check_witnesses, with_witnesses
from fusion.witnesses import KeptMark, grey, keep_marks, read_witnesses, write_witnesses

_FRAMES_LOOKED_AT = 7  # newest ones of each camera in which witnesses are looked for: an hour
_KEPT_FROM = timedelta(hours=1)  # up to a camera's newest frame: what stands on a mark comes and goes


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands' arguments."""
    poses = commands.add_parser("check-poses", help="find a camera that was knocked out of its pose")
    poses.add_argument("bay", help="a bay's id, as 3bay_north")
    poses.add_argument("--batches", type=int, default=6, help="newest batches to look at")
    poses.add_argument("--tolerance", type=float, default=TOLERANCE_DEG, help="degrees that a camera may be turned")
    poses.add_argument("--json", action="store_true", help="one JSON document in place of the table")
    poses.add_argument("--data", type=Path, help="the store; default: DATA_PATH")
    poses.set_defaults(run=judge_poses)
    keep = commands.add_parser("keep-witnesses", help="keep how the bay's witnesses look, while its cameras hang right")
    keep.add_argument("bay", help="a bay's id, as 3bay_north")
    keep.add_argument("--camera", action="append", metavar="NAME", help="of this camera only; may be repeated")
    source = keep.add_mutually_exclusive_group()
    source.add_argument("--frames", type=existing_path, metavar="DIR", help="frames that camera probe --save wrote")
    source.add_argument("--data", type=Path, help="the store of the newest captures; default: DATA_PATH")
    keep.set_defaults(run=keep_witnesses)


def judge_poses(options: argparse.Namespace, bay: BayConfig) -> int:
    """Judge every camera by the newest batches, and print it."""
    if options.batches < 1 or not 0 < options.tolerance < 90:
        raise ConfigError("--batches must be at least 1, and --tolerance between 0 and 90 degrees")
    store = ArtifactStore(options.data)
    batches = _since(bay, store.batch_ids("observation", bay.bay_id))[-options.batches :]
    has_witnesses = bool(bay.witnesses) and witnesses_file(bay.bay_id).exists()
    captures = _since(bay, store.batch_ids("capture", bay.bay_id))[-_FRAMES_LOOKED_AT:] if has_witnesses else []
    if not batches and not captures:
        moved = f" since its cameras were moved, {bay.unmoved_since.isoformat()}" if bay.unmoved_since else ""
        raise NotObservedError(
            f"{store.location}: no observation of bay {bay.bay_id}{moved}: run its batches first, or give --data"
        )
    checks = with_witnesses(
        _by_blocks(store, bay, batches, options.tolerance), _by_witnesses(store, bay, captures, options.tolerance)
    )
    if options.json:
        document = {"bay_id": bay.bay_id, "batches": batches or captures, "cameras": [asdict(c) for c in checks]}
        print(json.dumps(document, indent=1))
    else:
        _print_checks(checks, batches or captures)
        if bay.witnesses and not has_witnesses:
            print(
                f"{witnesses_file(bay.bay_id)} is not there (a twin begins without it): how the bay's marks look is not"
                f" kept, and they judge nothing: run camera keep-witnesses {bay.bay_id}"
            )
    if any(check.verdict is PoseVerdict.OUT_OF_POSE for check in checks):
        return FAILED
    undecided = sum(check.verdict is PoseVerdict.UNDECIDED for check in checks)
    return CANNOT_TELL if 2 * undecided > len(checks) else DONE


def _since(bay: BayConfig, batches: Sequence[str]) -> list[str]:
    """The batches that the cameras saw from where they hang now."""
    moved = bay.unmoved_since
    return [batch for batch in batches if moved is None or slot_of(batch) >= moved]


def keep_witnesses(options: argparse.Namespace, bay: BayConfig) -> int:
    """Write how the witnesses look in each camera's newest frames.

    Raises:
        CalibrationError: a camera shows too few; nothing is written.
    """
    if not bay.witnesses:
        raise ConfigError(f"bay {bay.bay_id} has no witnesses: add floor marks to its file, as M1: {{x: 29, y: 20}}")
    names = options.camera or [camera.name for camera in bay.fusion_cameras]
    if not set(names) <= {camera.name for camera in bay.cameras}:
        raise unknown_cameras(bay.bay_id, names, [camera.name for camera in bay.cameras])
    bare = [one.name for one in bay.cameras if one.name in names and not (one.pose and one.intrinsics)]
    if bare:
        raise ConfigError(f"{bay_file(bay.bay_id)}: {', '.join(bare)}: no pose or no intrinsics: calibrate it first")
    if options.frames:
        frames = frames_in_folder(options.frames, bay.bay_id, names, _KEPT_FROM)
    else:
        store = ArtifactStore(options.data)
        captures = _since(bay, store.batch_ids("capture", bay.bay_id))
        newest = [batch for batch in captures if slot_of(captures[-1]) - slot_of(batch) <= _KEPT_FROM]
        frames = frames_of(store, bay.bay_id, newest)
    marks: list[KeptMark] = []
    short = []
    for name in names:
        kept, refused = _kept(bay, name, frames.get(name, []))
        marks += kept
        if len(kept) < LEAST_WITNESSES:
            short.append(name)
        print(f"{name}: {len(kept)} witnesses show" + "".join(f"; {mark}: {why}" for mark, why in refused.items()))
    if short:
        others = "".join(f" --camera {name}" for name in names if name not in short)
        remedy = f", or keep those of the others:{others}" if others else ""
        raise CalibrationError(
            f"{witnesses_file(bay.bay_id)}: not written: {', '.join(short)}: fewer than {LEAST_WITNESSES} witnesses"
            f" show, which is too few to judge by: take another frame, add marks to the bay's file{remedy}"
        )
    print(f"{write_witnesses(bay.bay_id, marks)}: {len(marks)} witnesses of {len(names)} cameras written")
    return DONE


def _kept(bay: BayConfig, name: str, frames: Sequence[bytes]) -> tuple[list[KeptMark], dict[str, str]]:
    if not frames:
        return [], {"all": "there is no frame of it"}
    return keep_marks(bay, bay.camera(name), [grey(frame) for frame in frames])


def _by_blocks(store: ArtifactStore, bay: BayConfig, batches: Sequence[str], tolerance: float) -> Sequence[PoseCheck]:
    seen = []
    for batch in batches:
        observation = store.find("observation", bay.bay_id, batch)
        fused = store.find("fusion", bay.bay_id, batch)
        if observation is not None:
            seen.append(seen_batch(store.load(observation), bay, store.load(fused) if fused else None))
    return check_poses(seen, bay, tolerance) if seen else ()


def _by_witnesses(
    store: ArtifactStore, bay: BayConfig, captures: Sequence[str], tolerance: float
) -> Sequence[PoseCheck]:
    if not captures:
        return ()
    frames = frames_of(store, bay.bay_id, captures)
    pictures = {camera: [grey(frame) for frame in several] for camera, several in frames.items()}
    return check_witnesses(bay, read_witnesses(bay.bay_id), pictures, tolerance)


def _print_checks(checks: Sequence[PoseCheck], batches: Sequence[str]) -> None:
    table = Table("camera", "verdict", "blocks", "witnesses", "residual", "turned", "pan", "tilt", "roll")
    table.title = f"{len(batches)} batches, {batches[0]} to {batches[-1]}"
    for check in checks:
        table.add_row(
            check.camera,
            check.verdict.value,
            str(check.blocks),
            str(check.marks),
            *(_shown(value, " px") for value in (check.residual_px, check.turned_px)),
            *(_shown(value, "°", sign=True) for value in (check.pan_deg, check.tilt_deg, check.roll_deg)),
        )
    output_console().print(table)
    for check in checks:
        if check.verdict is not PoseVerdict.OK:
            print(f"{check.camera}: {check.verdict}: {check.reason}")


def _shown(value: float | None, unit: str, *, sign: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+.2f}{unit}" if sign else f"{value:.1f}{unit}"
