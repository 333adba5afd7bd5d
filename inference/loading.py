"""Loading a bay's checkpoints: detector (YOLO), segmenter (SAM), stage and jig classifier (YOLO-cls)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bay_observation import settings
from bay_observation.errors import InferenceError
from bays import Models
from bays.models import CheckpointKey
from inference import runtime, yard_sam
from inference.checkpoints import Checkpoint, open_checkpoint
from inference.class_names import near_misses
from inference.models import BayModels, CallSizes, classify, classify_jigs, detect
from inference.openvino_detector import use_openvino
from inference.segmentation import embed, prompt
from inference.types import CLASSES, JIG_CLASSES, STAGES, TRACKED_CLASSES

runtime.prepare()

import torch  # noqa: E402
import ultralytics  # noqa: E402
from segment_anything import SamPredictor, sam_model_registry  # noqa: E402
from ultralytics import YOLO  # noqa: E402

# Classes of a checkpoint that an error lists.
_NAMES_SHOWN = 6
# OpenVINO's network is converted for the size of its pictures: that of most cameras' frames is made ready.
_USUAL_FRAME = (1080, 1920, 3)
# Types of segment-anything by the width of their image encoder.
_SAM_TYPES = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}


def load_models(models: Models, device: str | None = None) -> BayModels:
    """Load what the bay's `models` section names.

    Args:
        models: the section; relative paths start at `models_path()`.
        device: torch's name of a device; None takes the first GPU, or the CPU without one.

    Raises:
        InferenceError: a file is missing, is not a checkpoint, or is one of another kind or
            for other classes; the message names path and key.
    """
    device = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
    yard_sam.register()
    threads = torch.get_num_threads()
    loaded = BayModels(
        detector=_load_detector(models),
        segmenter=SamPredictor(_load_sam(models, device)),
        classifier=_load_stage_classifier(models),
        device=device,
        min_confidence=models.min_confidence,
        image_size=models.image_size,
        half=half_precision(device) if models.half_precision else None,
        sizes=CallSizes.for_device(device),
        jig_classifier=_load_jig_classifier(models) if models.jig_classification else None,
    )
    _warm_up(loaded)
    if models.openvino and torch.device(device).type == "cpu":
        use_openvino(loaded.detector, threads)
        detect(loaded, [np.zeros(_USUAL_FRAME, dtype=np.uint8)])
    # ultralytics takes "all cores but one" when it sets a model up; the process's own choice is restored.
    torch.set_num_threads(threads)
    return loaded


def load_checkpoint(models: Models, key: CheckpointKey, device: str = "cpu") -> Any:
    """One of the bay's checkpoints alone: an ultralytics model, or a SAM.

    Raises:
        InferenceError: as `load_models`.
    """
    if key == "sam_segmentation":
        yard_sam.register()
        return _load_sam(models, device)
    load = {
        "yolo_detection": _load_detector,
        "classification": _load_stage_classifier,
        "jig_classification": _load_jig_classifier,
    }[key]
    return load(models)


def own_names(models: Models, key: CheckpointKey) -> tuple[str, ...]:
    """Classes of a checkpoint of ultralytics, as it names them itself.

    Raises:
        InferenceError: as `load_models`.
    """
    task = "detect" if key == "yolo_detection" else "classify"
    names: dict[int, str] = _load_yolo(models.model_copy(update={"class_names": {}}), key, task).names
    return tuple(names.values())


def models_path() -> Path:
    """Where relative checkpoint paths start: `MODELS_PATH`, or the folder that holds the installed packages."""
    return settings.MODELS_PATH.read() or Path(__file__).resolve().parent.parent


def half_precision(device: str) -> torch.dtype | None:
    """What a device computes in at half precision: bfloat16 or float16 on a GPU, None on a CPU.

    A CPU stays with single precision: bfloat16 moves outlines by more than the tolerance of
    `lab.benchmarks.inference`, and few have it.
    """
    if torch.device(device).type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def sam_type(state: dict[str, torch.Tensor]) -> str | None:
    """Type of SAM that a state dict is of; None where its tensors do not show it."""
    if "image_encoder.stem.0.weight" in state:
        return yard_sam.MODEL_TYPE
    position = state.get("image_encoder.pos_embed")
    return None if position is None else _SAM_TYPES.get(position.shape[-1])


def _load_detector(models: Models) -> YOLO:
    model = _load_yolo(models, "yolo_detection", "detect")
    _check_names("yolo_detection", models, model, CLASSES)
    if not set(TRACKED_CLASSES) & set(model.names.values()):
        raise _other_classes("yolo_detection", models, model, f"at least one of {', '.join(TRACKED_CLASSES)}")
    return model


def _load_stage_classifier(models: Models) -> YOLO:
    model = _load_yolo(models, "classification", "classify")
    if set(CLASSES) & set(model.names.values()):
        raise _other_classes("classification", models, model, "assembly stages, not kinds of objects")
    _check_names("classification", models, model, models.stages or STAGES)
    if models.stages is not None and set(models.stages) != set(model.names.values()):
        raise _other_classes("classification", models, model, f"exactly models.stages: {', '.join(models.stages)}")
    return model


def _load_jig_classifier(models: Models) -> YOLO:
    model = _load_yolo(models, "jig_classification", "classify")
    _check_names("jig_classification", models, model, JIG_CLASSES)
    if not set(JIG_CLASSES) & set(model.names.values()):
        raise _other_classes("jig_classification", models, model, f"at least one of {', '.join(JIG_CLASSES)}")
    return model


def _check_names(key: CheckpointKey, models: Models, model: YOLO, known: Sequence[str]) -> None:
    """Refuse a class that is a known one in another spelling: its objects would silently not count."""
    names = [name for name in model.names.values() if name not in models.class_names.values()]
    if not (near := near_misses(names, known)):
        return
    pairs = ", ".join(f"{name!r} for {wanted!r}" for name, wanted in near.items())
    renamed = ", ".join(f"{name}: {wanted}" for name, wanted in near.items())
    raise InferenceError(
        f"models.{key}: {_file(models, key)}: has classes in another spelling: {pairs}; rename them in the bay's file,"
        f" `models.class_names: {{{renamed}}}`, or name a class after itself there if it is another one"
    )


def _other_classes(key: CheckpointKey, models: Models, model: YOLO, wanted: str) -> InferenceError:
    names = list(model.names.values())
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
    return InferenceError(f"models.{key}: {_file(models, key)}: its classes are {shown}; wanted are {wanted}")


def _load_yolo(models: Models, key: CheckpointKey, task: str) -> YOLO:
    checkpoint = _opened(models, key)
    where = f"models.{key}: {checkpoint.path}"
    if not checkpoint.is_ultralytics:
        raise InferenceError(f"{where}: holds {checkpoint.contents}; name a .pt file that `yolo {task} train` wrote")
    if checkpoint.path.suffix != ".pt":
        raise InferenceError(f"{where}: an ultralytics checkpoint ends in .pt: rename it")
    try:
        model = YOLO(checkpoint.path)
    except Exception as error:
        raise InferenceError(
            f"{where}: ultralytics {ultralytics.__version__} cannot load it ({_reason(error)}); name a .pt file that"
            f" `yolo {task} train` of this version wrote"
        ) from error
    if model.task != task:
        raise InferenceError(f"{where}: is a model of task {model.task!r} where {task!r} is wanted")
    if models.class_names:
        model.model.names = {index: models.class_names.get(name, name) for index, name in model.names.items()}
    return model


def _load_sam(models: Models, device: str) -> torch.nn.Module:
    kind = models.sam_model_type
    if kind not in sam_model_registry:
        known = ", ".join(sorted(sam_model_registry))
        raise InferenceError(f"models.sam_model_type: {kind!r} is unknown; known are {known}")
    checkpoint = _opened(models, "sam_segmentation")
    where = f"models.sam_segmentation: {checkpoint.path}"
    if not checkpoint.is_state_dict:
        raise InferenceError(
            f"{where}: is no state dict of a SAM {kind}: it holds {checkpoint.contents};"
            " name a checkpoint of segment-anything"
        )
    try:
        state = torch.load(checkpoint.path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InferenceError(f"{where}: torch cannot load it ({_reason(error)}); copy it again") from error
    sam: torch.nn.Module = sam_model_registry[kind]()
    if difference := _difference(state, sam, kind):
        raise InferenceError(f"{where}: is no state dict of a SAM {kind}: {difference}")
    sam.load_state_dict(state)
    if kind == yard_sam.MODEL_TYPE and torch.device(device).type == "cpu":
        sam.image_encoder.fuse()
    return sam.eval().to(device)


def _difference(state: Any, sam: torch.nn.Module, kind: str) -> str | None:
    """How the loaded content differs from the state dict of the model; None where it fits."""
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        keys = ", ".join(map(str, list(state)[:_NAMES_SHOWN])) if isinstance(state, dict) else type(state).__name__
        return f"it is the checkpoint of a training ({keys}); save the model's state_dict() alone"
    if (actual := sam_type(state)) not in (kind, None):
        return f"it is of a SAM {actual}; set models.sam_model_type: {actual}, or name another file"
    wanted = sam.state_dict()
    if missing := [name for name in wanted if name not in state]:
        return f"{len(missing)} of its {len(wanted)} tensors are missing (first: {missing[0]}); name another file"
    if spare := [name for name in state if name not in wanted]:
        return f"it has {len(spare)} tensors that a SAM {kind} does not have (first: {spare[0]}); name another file"
    for name, tensor in state.items():
        if tensor.shape != wanted[name].shape:
            return f"{name} is {tuple(tensor.shape)} where {tuple(wanted[name].shape)} is wanted; name another file"
    return None


def _opened(models: Models, key: CheckpointKey) -> Checkpoint:
    file = _file(models, key)
    if not file.is_file():
        relative = not getattr(models, key).is_absolute()
        start = f" (relative paths start at {models_path()}; MODELS_PATH changes that)" if relative else ""
        missing = "is a folder: name the file in it" if file.is_dir() else "there is no such file"
        raise InferenceError(f"models.{key}: {file}: {missing}{start}")
    try:
        return open_checkpoint(file, models.sha256.get(key))
    except InferenceError as error:
        raise InferenceError(f"models.{key}: {file}: {error}") from error


def _file(models: Models, key: CheckpointKey) -> Path:
    path: Path = getattr(models, key)
    return models_path() / path  # an absolute path stays itself


def _reason(error: Exception) -> str:
    """An error of a library in one line, without torch's advice to load code from the file."""
    line = _first_line(error)
    return (
        type(error).__name__ if "weights_only" in line or "Weights only" in line else f"{type(error).__name__}: {line}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]


def _warm_up(models: BayModels) -> None:
    """Run an empty picture through each model: builds the predictors, and finds a broken model now."""
    try:
        empty = np.zeros((models.image_size, models.image_size, 3), dtype=np.uint8)
        box = np.asarray([[8, 8, 56, 56]], dtype=np.float32)
        embedded = embed(models.segmenter, [empty], models.half)
        prompt(models.segmenter, embedded, box)
        detect(models, [empty])
        classify(models, [np.zeros((64, 64, 3), dtype=np.uint8)])
        if models.jig_classifier is not None:
            classify_jigs(models, [np.zeros((64, 64, 3), dtype=np.uint8)])
    except RuntimeError as error:
        raise InferenceError(f"the models do not run on {models.device}: {_first_line(error)}") from error
