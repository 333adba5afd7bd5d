"""A bay's checkpoints, looked at one by one: what each is, which classes it knows, what is wrong with it."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from bay_observation.errors import InferenceError
from bays import Models
from bays.models import CheckpointKey
from inference.checkpoints import file_sha256
from inference.loading import load_checkpoint, models_path, own_names
from inference.types import CLASSES, EQUIPMENT_CLASSES, JIG_CLASSES, OCCLUDER_CLASSES, TRACKED_CLASSES

KINDS = {
    "tracked": TRACKED_CLASSES,
    "jig": JIG_CLASSES,
    "equipment": EQUIPMENT_CLASSES,
    "occluder": OCCLUDER_CLASSES,
}
OTHER = "not used by later stages"


@dataclass(frozen=True)
class ModelFinding:
    """What is wrong (`error`: the bay cannot be observed) or doubtful (`warning`) with a checkpoint."""

    severity: Literal["error", "warning"]
    text: str


@dataclass(frozen=True)
class CheckedModel:
    """One checkpoint of a bay.

    Attributes:
        key: of the bay's `models` section.
        path: the file.
        sha256: its digest; None where it could not be read.
        classes: what it can answer, with the kind of each (`tracked`, `jig`, `stage`, ...).
        findings: what is wrong with it.
    """

    key: CheckpointKey
    path: str
    sha256: str | None
    classes: dict[str, str]
    findings: tuple[ModelFinding, ...]


def check_models(models: Models) -> Iterator[CheckedModel]:
    """Load each checkpoint of a bay, as observing does; one that is refused keeps no other from being checked."""
    for key in get_args(CheckpointKey):
        if getattr(models, key) is not None:
            yield _check(models, key)


def kind_of(class_name: str) -> str:
    """What becomes of a class of the detector."""
    return next((kind for kind, names in KINDS.items() if class_name in names), OTHER)


def _check(models: Models, key: CheckpointKey) -> CheckedModel:
    path = models_path() / getattr(models, key)
    sha256 = file_sha256(path) if path.is_file() else None
    try:
        loaded = load_checkpoint(models, key)
    except InferenceError as error:
        return CheckedModel(key, str(path), sha256, {}, (ModelFinding("error", str(error)),))
    if key == "sam_segmentation":
        return CheckedModel(key, str(path), sha256, {}, ())
    names = list(loaded.names.values())
    if key == "classification":
        return CheckedModel(key, str(path), sha256, dict.fromkeys(names, "stage"), ())
    classes = {name: kind_of(name) for name in names}
    findings = (*_of_detector(names), *_of_renamed(models)) if key == "yolo_detection" else ()
    return CheckedModel(key, str(path), sha256, classes, findings)


def _of_renamed(models: Models) -> Iterator[ModelFinding]:
    """Names in `class_names` that no checkpoint has: they rename nothing. Nothing is said where one cannot be read."""
    if not models.class_names:
        return
    own: list[str] = []
    keys: tuple[CheckpointKey, ...] = ("yolo_detection", "classification", "jig_classification")
    for key in keys:
        if getattr(models, key) is not None:
            try:
                own += own_names(models, key)
            except InferenceError:
                return
    for name in models.class_names:
        if name not in own:
            near = difflib.get_close_matches(name, own, 1)
            meant = f"did you mean {near[0]}?" if near else f"they have {', '.join(dict.fromkeys(own))}"
            yield ModelFinding("warning", f"models.class_names.{name}: no checkpoint has this class: {meant}")


def _of_detector(names: Iterable[str]) -> Iterator[ModelFinding]:
    names = set(names)
    for kind, consequence in (
        ("tracked", "such objects are never found"),
        ("equipment", "work with it is not seen"),
        ("occluder", "what it hides counts as empty floor"),
    ):
        if missing := [name for name in KINDS[kind] if name not in names]:
            yield ModelFinding("warning", f"knows no {', '.join(missing)}: {consequence}")
    if others := sorted(names - set(CLASSES)):
        yield ModelFinding("warning", f"knows {', '.join(others)}, which later stages do not use")
