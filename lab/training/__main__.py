"""`python -m lab.training train`, `score`, `pick` and `twins`."""

import argparse
import json
import os
import sys
from pathlib import Path

from rich.table import Table

from bay_observation.commands import (
    existing_path,
    failed,
    output_console,
    positive_number,
    program,
    run_command,
)
from bay_observation.errors import BayObservationError, ConfigError, DatasetError, InferenceError, NotObservedError
from bays import BayConfig, load_bay, slot_of
from inference.data_commands import add_models, add_out, add_period, period, with_models
from inference.types import CLASSES

_EPOCHS = {"detector": 14, "segmenter": 3, "classifier": 6}
_DATA_HELP = "own labels (COCO, YOLO or CVAT); repeatable"
_KEYS = {"detector": "yolo_detection", "segmenter": "sam_segmentation", "classifier": "classification"}
_FRAMES = 1320


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 1 when it could not be done."""
    options = make_parser().parse_args(arguments)
    try:
        _COMMANDS[options.command](options)
    except BayObservationError as error:
        return failed(error)
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(prog=program("python -m lab.training"), description="Train and score the models.")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser(
        "train", help="train on own labels, simulated yards or both; an interrupted one goes on"
    )
    train.add_argument("model", choices=[*_EPOCHS, "all"], help="which model, or all of them")
    train.add_argument("--out", type=Path, default=Path("training_output"), help="folder of frames and results")
    train.add_argument("--data", type=existing_path, action="append", default=[], metavar="FOLDER", help=_DATA_HELP)
    train.add_argument(
        "--frames", type=int, help=f"simulated frames, rendered once ({_FRAMES}; with --data none unless named)"
    )
    train.add_argument("--epochs", type=positive_number, help=f"default: {_EPOCHS}")
    train.add_argument("--seed", type=int, default=0, help="of the yards and of the training")
    train.add_argument("--device", help="as cuda:1; default: the first GPU, or the CPU without one")
    train.add_argument(
        "--start", type=existing_path, help="earlier result of the same model to go on from, not with all"
    )
    train.add_argument(
        "--batch", type=positive_number, help="frames a step of the detector; default: 12 on a CPU, 48 on a GPU"
    )
    train.add_argument("--image-size", type=positive_number, default=640, help="of the detector, longer side in pixels")
    score = commands.add_parser("score", help="score a bay's models on own labels, or on simulated yards")
    score.add_argument("--bay", default="demo_bay", help="a bay's id (demo_bay)")
    score.add_argument("--yards", default="500-505", help="seeds, from-to; training uses none below 1000")
    score.add_argument("--data", type=existing_path, metavar="FOLDER", help="own labels in place of simulated yards")
    add_models(score)
    score.add_argument("--device", help="as cuda:1; default: the first GPU, or the CPU without one")
    score.add_argument("--json", action="store_true", help="with --data: one JSON document in place of tables")
    pick = commands.add_parser("pick", help="which stored frames are worth labelling")
    pick.add_argument("bay", metavar="BAY", help="a bay's id, as 3bay_north")
    add_period(pick)
    pick.add_argument("--count", type=positive_number, default=60, help="how many frames (60)")
    pick.add_argument("--no-drift", action="store_true", help="do not ask which cameras drifted")
    add_out(pick, required=False)
    pick.add_argument("--json", action="store_true", help="one JSON document in place of the table")
    twins = commands.add_parser("twins", help="how well descriptors separate blocks of one class and size")
    twins.add_argument("--bay", default="demo_bay", help="a bay's id (demo_bay)")
    twins.add_argument("--yards", default="520-523", help="seeds, from-to")
    score.add_argument("--card", type=Path, help="Markdown file for the files' digests and the scores")
    score.add_argument("--pictures", type=Path, help="folder for annotated frames of the first yard")
    return parser


def _train(options: argparse.Namespace) -> None:
    os.environ.setdefault("YOLO_VERBOSE", "true")  # a training that says nothing for minutes looks dead
    from lab.training.runs import Run, train

    if options.start and (options.model == "all" or not options.start.is_file()):
        raise InferenceError(f"--start {options.start}: name an existing result, and the one model that it is of")
    simulated = options.frames
    if simulated is None:
        simulated = 0 if options.data else _FRAMES
    models = list(_EPOCHS) if options.model == "all" else [options.model]
    run = Run(
        out=options.out,
        data=tuple(options.data),
        simulated=simulated,
        seed=options.seed,
        epochs={name: options.epochs or _EPOCHS[name] for name in models},
        start=options.start,
        device=options.device,
        batch=options.batch,
        image_size=options.image_size,
    )
    for name, path in train(run):
        print(f"{name}: {path}, {path.stat().st_size / 1e6:.2f} MB")
        print(f"  try it: bay-observation models score --bay BAY --data LABELS --model {_KEYS[name]}={path}")


def _score(options: argparse.Namespace) -> None:
    bay = with_models(load_bay(options.bay), options.model)
    if options.data:
        _score_own(bay, options)
        return
    from lab.training import scores

    result = scores.score(bay, _seeds(options.yards), options.pictures, options.device)
    _print_table(f"{options.bay}, yards {options.yards}", result)
    if options.card:
        from lab.training.card import write_card

        write_card(options.card, bay, options.yards, result)


def _score_own(bay: BayConfig, options: argparse.Namespace) -> None:
    from inference.datasets import read_dataset
    from inference.datasets.findings import refuse_other_spellings

    if options.card:
        raise ConfigError("--card is of simulated yards: leave out --data")
    frames = read_dataset(options.data).frames  # before the models are loaded: a wrong folder is told at once
    refuse_other_spellings(frames, CLASSES)
    from inference.service import InferenceService
    from lab.training.own_scores import score_labels

    result = score_labels(InferenceService.for_bay(bay, options.device), bay, frames, options.pictures)
    if options.json:
        print(json.dumps(result.to_dict(), indent=1))
        return
    for table in result.tables(f"{options.data}: models of {bay.bay_id}"):
        output_console().print(table)


def _pick(options: argparse.Namespace) -> None:
    from artifacts import ArtifactStore
    from inference.datasets import write_dataset
    from inference.datasets.stored import stored_batches
    from lab.training.picking import candidates, choose, drifted_cameras, picked_frames

    bay, store = load_bay(options.bay), ArtifactStore()
    begin, end = period(bay, options)
    batches = stored_batches(store, bay, begin, end)
    drifted: dict[str, float] = {}
    if not options.no_drift:
        try:
            drifted = drifted_cameras(store, bay, end)
        except NotObservedError as error:
            print(f"chosen without drift: {error}", file=sys.stderr)
    chosen = choose(candidates(store, bay, batches, drifted), options.count)
    if not chosen:
        raise DatasetError("no frame of that time stands out: nothing is worth labelling")
    if options.out is not None:
        write_dataset(options.out, picked_frames(store, bay, chosen), options.format)
    if options.json:
        out = None if options.out is None else str(options.out)
        print(json.dumps({"out": out, "frames": [each.to_dict() for each in chosen]}, indent=1))
        return
    table = Table("slot", "camera", "light", "worth", "why", title=f"{bay.bay_id}: frames worth labelling")
    for each in chosen:
        slot = f"{slot_of(each.batch_id).astimezone(bay.zone):%Y-%m-%d %H:%M}"
        table.add_row(slot, each.camera_name, each.light, f"{each.worth:.2f}", "; ".join(each.reasons))
    output_console().print(table)
    if options.out is not None:
        print(f"{options.out}: {len(chosen)} frames with what the models saw ({options.format})")


def _twins(options: argparse.Namespace) -> None:
    from lab.training import twins

    figures = twins.figures(twins.twin_trials(options.bay, _seeds(options.yards)))
    _print_table(f"descriptors: {options.bay}, yards {options.yards}", figures)


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _print_table(title: str, figures: dict[str, str]) -> None:
    table = Table("score", "value", title=title)
    for name, value in figures.items():
        table.add_row(name, value)
    output_console().print(table)


_COMMANDS = {"train": _train, "score": _score, "pick": _pick, "twins": _twins}


if __name__ == "__main__":
    run_command(main)
