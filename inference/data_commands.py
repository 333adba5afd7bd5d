"""`check`, `predict`, `export` and `import` of `python -m inference`: models and labels, in and out."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from rich.console import Console
from rich.progress import Progress

from bay_observation.commands import DONE, FAILED, existing_path, output_console
from bay_observation.errors import ConfigError, NotObservedError
from bays import BayConfig, Models, load_bay
from bays.models import CheckpointKey
from bays.zones import written_time
from inference.types import STAGES

if TYPE_CHECKING:
    from datetime import datetime

    from artifacts import ArtifactStore
    from inference.datasets import LabelledFrame
    from inference.service import InferenceService

_FORMATS = ("coco", "yolo", "cvat")  # as inference.datasets.FORMATS, which needs lxml


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The parsers of these commands; each sets `run`, which gives the exit status."""
    check = commands.add_parser("check", help="load a bay's models, and say which classes and stages they know")
    check.add_argument("bays", nargs="+", metavar="BAY", help="a bay's id, as 3bay_north")
    add_models(check)
    check.set_defaults(run=_check)
    predict = commands.add_parser("predict", help="a bay's models on pictures, folders or stored batches")
    predict.add_argument("bay", metavar="BAY", help="a bay's id: whose models")
    predict.add_argument("pictures", nargs="*", type=existing_path, metavar="PICTURE", help="files, or folders of them")
    add_period(predict)
    add_out(predict)
    add_models(predict)
    predict.add_argument("--device", help="as cuda:1; default: the first GPU, or the CPU without one")
    predict.add_argument("--min-confidence", type=float, metavar="SHARE", help="0 to 1, in place of the bay's")
    predict.add_argument("--drawn", type=Path, metavar="FOLDER", help="also the pictures with everything drawn in")
    predict.set_defaults(run=_predict)
    export = commands.add_parser("export", help="frames and what the models saw in them, for a labelling tool")
    export.add_argument("bay", nargs="?", metavar="BAY", help="a bay's id, with --from and --to")
    add_period(export)
    export.add_argument("--data", type=existing_path, metavar="FOLDER", help="a data set to write in another format")
    add_out(export)
    export.set_defaults(run=_export)
    take = commands.add_parser("import", help="labels of COCO, YOLO or CVAT, checked, as a data set to train on")
    take.add_argument(
        "source", type=existing_path, metavar="FOLDER", help="of pictures and labels, or the file of labels"
    )
    take.add_argument("--from-format", choices=_FORMATS, help="where the files do not show it")
    take.add_argument(
        "--rename", action="append", default=[], metavar="THEIRS=OURS", help="a class or stage; repeatable"
    )
    take.add_argument("--bay", metavar="BAY", help="whose stages the labels use")
    add_out(take)
    take.set_defaults(run=_import)
    drift = commands.add_parser("drift", help="whether a camera's light, focus or detections changed")
    drift.add_argument("bay", metavar="BAY", help="a bay's id, as 3bay_north")
    drift.add_argument("--at", metavar="TIME", help="the last slots up to then, bay-local; default: the newest")
    drift.add_argument("--from", dest="start", metavar="TIME", help="begin of the reference; default: 8 days before")
    drift.add_argument("--to", dest="end", metavar="TIME", help="end of the reference; default: one day before")
    drift.add_argument("--slots", type=int, default=12, help="how many last slots are looked at (12)")
    drift.add_argument("--classes", action="store_true", help="also each class of each camera")
    drift.set_defaults(run=_drift)
    for command in (check, predict, export, take, drift):
        command.add_argument("--json", action="store_true", help="one JSON document in place of lines")


def add_period(command: argparse.ArgumentParser) -> None:
    """`--from` and `--to`."""
    command.add_argument("--from", dest="start", metavar="TIME", help="begin of the stored batches, bay-local")
    command.add_argument("--to", dest="end", metavar="TIME", help="their end, not included")


def add_out(command: argparse.ArgumentParser, *, required: bool = True) -> None:
    """`--out` and `--format`."""
    command.add_argument("--out", type=Path, required=required, metavar="FOLDER", help="the data set; not there yet")
    command.add_argument("--format", choices=_FORMATS, default="coco", help="of the labels (coco)")


def add_models(command: argparse.ArgumentParser) -> None:
    """`--model`."""
    keys = ", ".join(get_args(CheckpointKey))
    command.add_argument(
        "--model", action="append", default=[], metavar="KEY=FILE", help=f"a checkpoint in place of the bay's: {keys}"
    )


def with_models(bay: BayConfig, given: Iterable[str]) -> BayConfig:
    """The bay with the checkpoints of `--model` in place of its own.

    Raises:
        ConfigError: a text is no KEY=FILE.
    """
    changes: dict[str, Any] = {}
    for text in given:
        key, _, file = text.partition("=")
        if key not in get_args(CheckpointKey) or not file:
            raise ConfigError(f"--model {text}: write KEY=FILE; keys are {', '.join(get_args(CheckpointKey))}")
        changes[key] = Path(file).absolute()
    kept = {key: digest for key, digest in bay.models.sha256.items() if key not in changes}
    models = Models.model_validate(bay.models.model_dump() | changes | {"sha256": kept})
    return bay.model_copy(update={"models": models})


def period(bay: BayConfig, options: argparse.Namespace) -> "tuple[datetime, datetime]":
    """`--from` and `--to`, aware.

    Raises:
        ConfigError: one is missing or no time, or they are the wrong way round.
    """
    if options.start is None or options.end is None:
        raise ConfigError("--from and --to are both needed: they say which stored batches")
    start, end = written_time(options.start, bay.zone), written_time(options.end, bay.zone)
    if start >= end:
        raise ConfigError("--from must lie before --to")
    return start, end


@contextmanager
def counted(what: str, total: int) -> "Iterator[Any]":
    """A bar on the terminal's standard error; call what it gives with how many more are done."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda more: bar.advance(task, more)


def _check(options: argparse.Namespace) -> int:
    from inference.checking import check_models

    found = {name: list(check_models(with_models(load_bay(name), options.model).models)) for name in options.bays}
    if options.json:
        print(json.dumps({name: [asdict(one) for one in checked] for name, checked in found.items()}, indent=1))
    for name, checked in () if options.json else found.items():
        for one in checked:
            print(f"{name} {one.key}: {one.path}, sha256 {one.sha256 or 'unknown'}")
            for kind in dict.fromkeys(one.classes.values()):
                print(f"  {kind}: {', '.join(each for each, its in one.classes.items() if its == kind)}")
            for finding in one.findings:
                print(f"  {finding.severity}: {finding.text}")
    errors = [f for checked in found.values() for one in checked for f in one.findings if f.severity == "error"]
    return FAILED if errors else DONE


def _predict(options: argparse.Namespace) -> int:
    bay = with_models(load_bay(options.bay), options.model)
    if options.min_confidence is not None:
        if not 0 < options.min_confidence < 1:
            raise ConfigError("--min-confidence: write a share between 0 and 1")
        bay = bay.model_copy(
            update={"models": bay.models.model_copy(update={"min_confidence": options.min_confidence})}
        )
    _refuse_existing(options.out)
    if bool(options.pictures) == (options.start is not None):
        raise ConfigError("name pictures or folders, or stored batches by --from and --to")
    if options.pictures:
        from inference.datasets.files import picture_files

        files = picture_files(options.pictures)  # before the models are loaded: a wrong name is told at once
        from inference.predicting import predict_files

        service = _service(bay, options.device)
        return _write(options, predict_files(service, bay, files), len(files))
    from artifacts import ArtifactStore
    from inference.datasets.stored import capture, stored_batches

    store = ArtifactStore()
    batches = stored_batches(store, bay, *period(bay, options))
    from inference.predicting import predict_batches

    service = _service(bay, options.device)
    captures = (capture(store, bay, batch) for batch in batches)
    return _write(options, predict_batches(service, captures), len(batches) * max(1, len(bay.cameras)))


def _service(bay: BayConfig, device: str | None) -> "InferenceService":
    from inference.service import InferenceService

    return InferenceService.for_bay(bay, device)


def _write(
    options: argparse.Namespace, found: "Iterator[tuple[list[LabelledFrame], dict[str, str]]]", total: int
) -> int:
    """Write frames as they come; pictures that the models could not see are named, and fail the command."""
    from inference.datasets import write_dataset

    failures: dict[str, str] = {}

    def frames() -> "Iterator[LabelledFrame]":
        with counted("predicting", total) as done:
            for some, failed in found:
                failures.update(failed)
                done(len(some) + len(failed))
                yield from some

    written = write_dataset(options.out, frames(), options.format)
    if options.drawn:
        _draw(options.drawn, written)
    _report(options, written, {"failures": failures})
    for name, why in failures.items():
        print(f"{name}: {why}", file=sys.stderr)
    return FAILED if failures else DONE


def _draw(folder: Path, frames: "list[LabelledFrame]") -> None:
    import cv2

    from inference.drawing import drawn

    folder.mkdir(parents=True, exist_ok=True)
    for frame in frames:
        cv2.imwrite(str(folder / f"{Path(frame.name).stem}.jpg"), drawn(frame.decode(), frame.objects))


def _export(options: argparse.Namespace) -> int:
    from inference.datasets import read_dataset, write_dataset

    if (options.bay is None) == (options.data is None):
        raise ConfigError("name a bay with --from and --to, or a data set with --data")
    _refuse_existing(options.out)
    if options.data is not None:
        frames = read_dataset(options.data).frames
        _report(options, write_dataset(options.out, frames, options.format), {})
        return DONE
    from artifacts import ArtifactStore
    from inference.datasets.stored import stored_batches

    bay, store = load_bay(options.bay), ArtifactStore()
    batches = stored_batches(store, bay, *period(bay, options))
    unseen: list[str] = []
    written = write_dataset(options.out, _stored(store, bay, batches, unseen), options.format)
    _report(options, written, {"not_observed": unseen})
    if unseen and not options.json:
        print(f"{len(unseen)} batches were never observed and are left out: `models predict` does that")
    return DONE


def _stored(store: "ArtifactStore", bay: BayConfig, batches: list[str], unseen: list[str]) -> "Iterator[LabelledFrame]":
    from inference.datasets.stored import observed_frames

    with counted("reading", len(batches)) as done:
        for batch, frames in observed_frames(store, bay, batches):
            done(1)
            if frames is None:
                unseen.append(batch)
            yield from frames or ()
    if len(unseen) == len(batches):
        raise NotObservedError(f"none of the {len(batches)} batches was observed: `models predict` looks at frames")


def _import(options: argparse.Namespace) -> int:
    from inference.datasets import read_dataset, write_dataset
    from inference.datasets.findings import findings, renamed, within_frames

    names = _names(options.rename)
    _refuse_existing(options.out)
    stages = STAGES if options.bay is None else load_bay(options.bay).models.stages
    dataset = renamed(read_dataset(options.source, options.from_format), names)
    found = findings(dataset, stages)
    refused = any(one.severity == "error" for one in found)
    if not options.json:
        for one in found:
            print(f"{one.severity}: {one.text}")
    if refused:
        if options.json:
            print(json.dumps({"out": None, "findings": [asdict(one) for one in found]}, indent=1))
        print(f"{options.source}: not imported", file=sys.stderr)
        return FAILED
    written = write_dataset(options.out, within_frames(dataset).frames, options.format)
    _report(options, written, {"findings": [asdict(one) for one in found]})
    return DONE


def _drift(options: argparse.Namespace) -> int:
    from artifacts import ArtifactStore
    from inference.stored_drift import compare_stored

    if options.slots < 1:
        raise ConfigError(f"--slots {options.slots}: at least one")
    bay = load_bay(options.bay)
    at = None if options.at is None else written_time(options.at, bay.zone)
    reference = None if options.start is None and options.end is None else period(bay, options)
    found = compare_stored(ArtifactStore(), bay, at=at, reference=reference, window=options.slots)
    if options.json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        for table in found.tables(bay, classes=options.classes):
            output_console().print(table)
        for camera in found.cameras:
            if camera.drifted:
                print(f"{camera.camera_name}: drifted: {camera.reason}")
    return FAILED if any(camera.drifted for camera in found.cameras) else DONE


def _names(given: Iterable[str]) -> dict[str, str]:
    names = {}
    for text in given:
        theirs, _, ours = text.partition("=")
        if not (theirs and ours):
            raise ConfigError(f"--rename {text}: write THEIRS=OURS, as Panel=panel")
        names[theirs] = ours
    return names


def _refuse_existing(folder: Path) -> None:
    """Before minutes of work, what `write_dataset` refuses after them."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: is there already: name a new folder, or remove it")


def _report(options: argparse.Namespace, frames: "list[LabelledFrame]", more: dict[str, Any]) -> None:
    counts = Counter(thing.class_name for frame in frames for thing in frame.objects)
    if options.json:
        print(json.dumps({"out": str(options.out), "frames": len(frames), "objects": dict(counts), **more}, indent=1))
        return
    objects = ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "no objects"
    print(f"{options.out}: {len(frames)} frames ({options.format}), {objects}")
