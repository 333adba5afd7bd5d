"""`python -m lab.training train` and `score`."""

import argparse
import os
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bay_observation.commands import failed, program, run_command
from bay_observation.errors import BayObservationError, InferenceError

_EPOCHS = {"detector": 14, "segmenter": 3, "classifier": 6}
_VALIDATION_SHARE = 0.08


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
    train = commands.add_parser("train", help="train on simulated yards; a training that was interrupted goes on")
    train.add_argument("model", choices=[*_EPOCHS, "all"], help="which model, or all of them")
    train.add_argument("--out", type=Path, default=Path("training_output"), help="folder of frames and results")
    train.add_argument("--frames", type=int, default=1320, help="frames to render, or to take if they are there")
    train.add_argument("--epochs", type=int, help=f"default: {_EPOCHS}")
    train.add_argument("--seed", type=int, default=0, help="of the yards and of the training")
    train.add_argument("--device", help="as cuda:1; default: the first GPU, or the CPU without one")
    train.add_argument("--start", type=Path, help="earlier result of the same model to go on from, not with all")
    score = commands.add_parser("score", help="score a bay's models on simulated yards")
    score.add_argument("--bay", default="demo_bay", help="a bay's id (demo_bay)")
    score.add_argument("--yards", default="500-505", help="seeds, from-to; training uses none below 1000")
    twins = commands.add_parser("twins", help="how well descriptors separate blocks of one class and size")
    twins.add_argument("--bay", default="demo_bay", help="a bay's id (demo_bay)")
    twins.add_argument("--yards", default="520-523", help="seeds, from-to")
    score.add_argument("--card", type=Path, help="Markdown file for the files' digests and the scores")
    score.add_argument("--pictures", type=Path, help="folder for annotated frames of the first yard")
    return parser


def _train(options: argparse.Namespace) -> None:
    os.environ.setdefault("YOLO_VERBOSE", "true")  # a training that says nothing for minutes looks dead
    from lab.training import classifier, detector, frames, hardware, segmenter

    if options.start and (options.model == "all" or not options.start.is_file()):
        raise InferenceError(f"--start {options.start}: name an existing result, and the one model that it is of")
    training = {
        "detector": detector.train_detector,
        "segmenter": segmenter.train_segmenter,
        "classifier": classifier.train_classifier,
    }
    samples = frames.make_frames(options.out / "frames", options.frames, options.seed)
    machine = hardware.Hardware.find(options.device)
    print(f"training on {machine.device}", flush=True)
    held_out = max(1, round(len(samples) * _VALIDATION_SHARE))
    for name in training if options.model == "all" else [options.model]:
        epochs = options.epochs or _EPOCHS[name]
        path = training[name](
            samples[:-held_out],
            samples[-held_out:],
            options.out,
            epochs=epochs,
            seed=options.seed,
            hardware=machine,
            start=options.start,
        )
        print(f"{name}: {path}, {path.stat().st_size / 1e6:.2f} MB")


def _score(options: argparse.Namespace) -> None:
    from lab.training import scores

    result = scores.score(options.bay, _seeds(options.yards), options.pictures)
    _print_table(f"{options.bay}, yards {options.yards}", result)
    if options.card:
        from lab.training.card import write_card

        write_card(options.card, options.bay, options.yards, result)


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
    Console().print(table)


_COMMANDS = {"train": _train, "score": _score, "twins": _twins}


if __name__ == "__main__":
    run_command(main)
