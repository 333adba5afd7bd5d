"""Loading a bay's checkpoints: detector (YOLO), segmenter (SAM), stage and jig classifier (YOLO-cls)."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bay_observation import settings
from bay_observation.errors import InferenceError
from bays import Models
from inference import runtime, yard_sam
from inference.types import CLASSES, JIG_CLASSES, TRACKED_CLASSES

runtime.prepare()

import torch  # noqa: E402
from segment_anything import SamPredictor, sam_model_registry  # noqa: E402
from ultralytics import YOLO  # noqa: E402

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


# Of a checkpoint's classes, in an error.
_NAMES_TOLD = 6


@dataclass(frozen=True)
class BayModels:
    """The models of a bay on one device, warm.

    Attributes:
        detector: ultralytics model of task `detect`.
        segmenter: a SAM, wrapped in its predictor.
        classifier: ultralytics model of task `classify`; its classes are the assembly stages.
        min_confidence: detections below it are dropped.
        image_size: length of the frame's longer side for the detector, pixels.
        half: what the models compute in where the device has half precision; None for single precision.
        jig_classifier: tells which automatic masks are jigs; None for a bay that does not ask for them.
    """

    detector: YOLO
    segmenter: SamPredictor
    classifier: YOLO
    device: str
    min_confidence: float
    image_size: int
    half: torch.dtype | None = None
    jig_classifier: YOLO | None = None


def load_models(models: Models, device: str | None = None) -> BayModels:
    """Load what the bay's `models` section names.

    Args:
        models: the section; relative paths start at `models_path()`.
        device: torch's name of a device; None takes the first GPU, or the CPU without one.

    Raises:
        InferenceError: a file is missing, is no checkpoint, is one of another kind or for
            other classes; the message names path and key.
    """
    device = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
    yard_sam.register()
    threads = torch.get_num_threads()
    loaded = BayModels(
        detector=_load_detector(models.yolo_detection),
        segmenter=SamPredictor(_load_sam(models).to(device)),
        classifier=_load_stage_classifier(models.classification),
        device=device,
        min_confidence=models.min_confidence,
        image_size=models.image_size,
        half=half_precision(device) if models.half_precision else None,
        jig_classifier=_load_jig_classifier(models.jig_classification) if models.jig_classification else None,
    )
    _warm_up(loaded)
    # ultralytics takes "all cores but one" when it sets a model up; the process's own choice stands.
    torch.set_num_threads(threads)
    return loaded


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


def detect(models: BayModels, frames: "list[NDArray[np.uint8]]") -> list[Any]:
    """Ultralytics' results for BGR frames, one `Results` a frame."""
    results: list[Any] = models.detector.predict(
        frames,
        imgsz=models.image_size,
        conf=models.min_confidence,
        device=models.device,
        half=models.half is not None,
        verbose=False,
    )
    return results


def classify(models: BayModels, crops: "list[NDArray[np.uint8]]") -> list[tuple[str, float]]:
    """(stage, confidence) of each square BGR crop; the checkpoint itself says at which size it was trained."""
    return _classified(models, models.classifier, crops)


def classify_jigs(models: BayModels, crops: "list[NDArray[np.uint8]]") -> list[tuple[str, float]]:
    """(class, confidence) of each square BGR crop by the jig classifier, for a bay that has one."""
    return _classified(models, models.jig_classifier, crops)


def _classified(models: BayModels, classifier: Any, crops: "list[NDArray[np.uint8]]") -> list[tuple[str, float]]:
    results = classifier.predict(crops, device=models.device, half=models.half is not None, verbose=False)
    return [(result.names[result.probs.top1], float(result.probs.top1conf)) for result in results]


def _load_detector(path: Path) -> YOLO:
    model = _load_yolo("yolo_detection", path, "detect")
    if not set(TRACKED_CLASSES) & set(model.names.values()):
        raise _other_classes("yolo_detection", path, model, f"at least one of {', '.join(TRACKED_CLASSES)}")
    return model


def _load_stage_classifier(path: Path) -> YOLO:
    model = _load_yolo("classification", path, "classify")
    if set(CLASSES) & set(model.names.values()):
        raise _other_classes("classification", path, model, "assembly stages, not kinds of objects")
    return model


def _load_jig_classifier(path: Path) -> YOLO:
    model = _load_yolo("jig_classification", path, "classify")
    if not set(JIG_CLASSES) & set(model.names.values()):
        raise _other_classes("jig_classification", path, model, f"at least one of {', '.join(JIG_CLASSES)}")
    return model


def _other_classes(key: str, path: Path, model: YOLO, wanted: str) -> InferenceError:
    names = list(model.names.values())
    told = ", ".join(names[:_NAMES_TOLD]) + (", …" if len(names) > _NAMES_TOLD else "")
    return InferenceError(f"models.{key}: {models_path() / path}: its classes are {told}; wanted are {wanted}")


def _load_yolo(key: str, path: Path, task: str) -> YOLO:
    file = _existing(key, path)
    if file.suffix != ".pt":
        raise InferenceError(f"models.{key}: {file}: an ultralytics checkpoint ends in .pt")
    try:
        model = YOLO(file)
    except Exception as error:
        raise InferenceError(
            f"models.{key}: {file}: is no checkpoint that ultralytics can load ({type(error).__name__}: "
            f"{_first_line(error)}); name a .pt file that `yolo {task} train` wrote"
        ) from error
    if model.task != task:
        raise InferenceError(f"models.{key}: {file}: is a model of task {model.task!r} where {task!r} is wanted")
    return model


def _load_sam(models: Models) -> torch.nn.Module:
    key, kind = "sam_segmentation", models.sam_model_type
    if kind not in sam_model_registry:
        known = ", ".join(sorted(sam_model_registry))
        raise InferenceError(f"models.sam_model_type: {kind!r} is unknown; known are {known}")
    file = _existing(key, models.sam_segmentation)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        sam: torch.nn.Module = sam_model_registry[kind]()
        sam.load_state_dict(state)
    except Exception as error:
        raise InferenceError(
            f"models.{key}: {file}: is no state dict of a SAM {kind} "
            f"({type(error).__name__}: {_first_line(error)}); check sam_model_type beside it"
        ) from error
    return sam.eval()


def _existing(key: str, path: Path) -> Path:
    file = models_path() / path  # an absolute path stays itself
    if not file.is_file():
        start = "" if path.is_absolute() else f" (relative paths start at {models_path()}; MODELS_PATH changes that)"
        raise InferenceError(f"models.{key}: {file}: there is no such file{start}")
    return file


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]


def _warm_up(models: BayModels) -> None:
    """One empty picture through each model: builds the predictors, and finds a broken model now."""
    import numpy as np

    from inference.segmentation import embed, segment

    try:
        empty = np.zeros((models.image_size, models.image_size, 3), dtype=np.uint8)
        box = np.asarray([[8, 8, 56, 56]], dtype=np.float32)
        segment(models.segmenter, embed(models.segmenter, empty, models.half), box, models.half)
        detect(models, [empty])
        classify(models, [np.zeros((64, 64, 3), dtype=np.uint8)])
        if models.jig_classifier is not None:
            classify_jigs(models, [np.zeros((64, 64, 3), dtype=np.uint8)])
    except RuntimeError as error:
        raise InferenceError(f"the models do not run on {models.device}: {_first_line(error)}") from error
