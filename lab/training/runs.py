"""A training from its data to its checkpoints: own labels, simulated yards, or both."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bay_observation.errors import InferenceError
from bay_observation.files import write_atomically
from inference.checkpoints import file_sha256
from inference.types import CLASSES
from lab.training.classifier import train_classifier
from lab.training.detector import train_detector
from lab.training.frames import Sample, make_frames
from lab.training.hardware import Hardware
from lab.training.own_frames import own_frames
from lab.training.segmenter import check_start, train_segmenter
from lab.training.yolo import class_names, task_of

_HELD_OUT = 0.08


@dataclass(frozen=True)
class Run:
    """What is trained, on what.

    Attributes:
        out: folder of frames, states and results.
        data: folders of own labels.
        simulated: frames of simulated yards beside them.
        seed: of the yards, of what is held out, and of the training.
        epochs: of each model that is trained, by its name.
        start: an earlier result of the one model to go on from; None to begin with random weights.
        device: torch's name; None for the first GPU, or the CPU without one.
        batch: frames a step of the detector; None for what suits the device.
        image_size: of the detector, pixels on the longer side.
    """

    out: Path
    data: tuple[Path, ...]
    simulated: int
    seed: int
    epochs: Mapping[str, int]
    start: Path | None = None
    device: str | None = None
    batch: int | None = None
    image_size: int = 640


def train(run: Run) -> Iterator[tuple[str, Path]]:
    """Train one model after the other: (name, checkpoint) of each, as it is done.

    An interrupted training goes on where it stopped when the same run is made again.

    Raises:
        InferenceError: the folder holds another training, or there is nothing to train on.
        DatasetError: own labels cannot be read.
    """
    if run.start is not None:
        (model,) = run.epochs  # a result is of one model
        _check(run.start, model)
    own, samples = _own(run)
    if run.simulated:
        samples += _split(make_frames(run.out / "frames", run.simulated, run.seed), run.seed, shuffle=False)
    if not samples:
        raise InferenceError("nothing to train on: name --data, or --frames of simulated yards")
    training = [sample for sample, held_out in samples if not held_out]
    held_out = [sample for sample, held_out in samples if held_out]
    machine = Hardware.find(run.device)
    if run.batch is not None:
        machine = replace(machine, batch=run.batch)
    print(f"training on {machine.device}: {len(training)} frames, {len(held_out)} held out", flush=True)
    for name, epochs in run.epochs.items():
        _same_plan(run.out / f"{name}.plan.json", _plan(run, epochs, own))
        settings: dict[str, Any] = {"epochs": epochs, "seed": run.seed, "hardware": machine, "start": run.start}
        if name == "detector":
            settings["image_size"] = run.image_size
        yield name, _TRAINERS[name](training, held_out, run.out, **settings)


_TASKS = {"detector": "detect", "classifier": "classify"}
_TRAINERS = {"detector": train_detector, "segmenter": train_segmenter, "classifier": train_classifier}


def _own(run: Run) -> "tuple[str | None, list[tuple[Sample, bool]]]":
    """Digest of the own labels and their frames, each with whether it is held out."""
    if not run.data:
        return None, []
    classes = class_names(run.start) if run.start is not None and "detector" in run.epochs else CLASSES
    found = own_frames(run.out / "own_frames", run.data, classes)
    for name, count in found.left_out.items():
        print(f"left out: {count} objects of class {name!r}, which the model does not know", flush=True)
    return found.digest, _split(found.samples, run.seed, shuffle=True)


def _split(samples: list[Sample], seed: int, *, shuffle: bool) -> "list[tuple[Sample, bool]]":
    """Each sample with whether it is held out: the last yards of simulated ones, a draw of others."""
    count = max(1, round(len(samples) * _HELD_OUT)) if len(samples) > 1 else 0
    order = np.random.default_rng(seed).permutation(len(samples)) if shuffle else np.arange(len(samples))
    held_out = set(order[len(samples) - count :].tolist())
    return [(sample, number in held_out) for number, sample in enumerate(samples)]


def _plan(run: Run, epochs: int, own: str | None) -> dict[str, Any]:
    return {
        "epochs": epochs,
        "seed": run.seed,
        "simulated": run.simulated,
        "own": own,
        "start": None if run.start is None else file_sha256(run.start),
        "image_size": run.image_size,
    }


def _same_plan(path: Path, plan: dict[str, Any]) -> None:
    """Go on only with the training that the folder holds: another one's result would be taken for this one's.

    Raises:
        InferenceError: it holds another one.
    """
    if not path.exists():
        write_atomically(path, json.dumps(plan, indent=1).encode())
        return
    stored = json.loads(path.read_text(encoding="utf-8"))
    if differing := [
        f"{key}: {stored.get(key)}, now {value}" for key, value in plan.items() if stored.get(key) != value
    ]:
        raise InferenceError(
            f"{path.parent}: holds another training ({'; '.join(differing)}); name another --out, or remove it"
        )


def _check(start: Path, model: str) -> None:
    """Before anything is written: another model's result cannot be gone on from."""
    try:
        if model == "segmenter":
            check_start(start)
        elif (task := task_of(start)) != _TASKS[model]:
            raise InferenceError(
                f"is a model of task {task!r} where {_TASKS[model]!r} is wanted: name the result of a {model}"
            )
    except InferenceError as error:
        raise InferenceError(f"--start {start}: {error}") from error
