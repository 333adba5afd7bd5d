"""A bay's models, and one call of the detector or of a classifier."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inference import runtime

runtime.prepare()

import torch  # noqa: E402
from segment_anything import SamPredictor  # noqa: E402
from torch.nn import functional  # noqa: E402
from ultralytics import YOLO  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class CallSizes:
    """How much goes into one call of a model; calls that run out of memory are halved.

    Attributes:
        frames_per_detection: frames a call of the detector.
        frames_per_embedding: frames a call of SAM's image encoder.
        boxes_per_call: boxes a call of SAM's mask decoder.
        crops_per_call: crops a call of a classifier.
        drawing_threads: threads that decode frames and draw masks.
    """

    frames_per_detection: int
    frames_per_embedding: int
    boxes_per_call: int = 64
    crops_per_call: int = 64
    drawing_threads: int = 2

    @classmethod
    def for_device(cls, device: str) -> "CallSizes":
        """Sizes that were measured to be the fastest.

        A GPU takes a batch of twelve frames at once, and is four frames a call within a tenth of
        its best rate with SAM ViT-H. On a CPU frames are embedded one a thread beside each other.
        """
        cores = len(os.sched_getaffinity(0))
        if torch.device(device).type == "cpu":
            return cls(frames_per_detection=4, frames_per_embedding=1, drawing_threads=cores)
        return cls(frames_per_detection=12, frames_per_embedding=4, drawing_threads=cores)


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
        sizes: how much goes into one call.
        jig_classifier: finds jigs among the automatic masks; None for a bay that names none.
    """

    detector: YOLO
    segmenter: SamPredictor
    classifier: YOLO
    device: str
    min_confidence: float
    image_size: int
    half: torch.dtype | None = None
    sizes: CallSizes = CallSizes(4, 1)
    jig_classifier: YOLO | None = None


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
    if not crops:
        return []
    pictures = as_pictures(crops, _trained_size(classifier), models.device)
    results = classifier.predict(pictures, device=models.device, half=models.half is not None, verbose=False)
    return [(result.names[result.probs.top1], float(result.probs.top1conf)) for result in results]


def as_pictures(crops: "list[NDArray[np.uint8]]", size: int, device: str) -> torch.Tensor:
    """What ultralytics' transforms make of square crops of one size, for all of them at once.

    Args:
        crops: each (S, S, 3) uint8, BGR.
        size: side of the classifier's input, pixels.
        device: torch's name of a device.

    Returns:
        (N, 3, size, size) float32, RGB, 0 to 1, on the device.
    """
    pictures = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).flip(1)
    if pictures.shape[-1] != size:
        pictures = functional.interpolate(pictures, (size, size), mode="bilinear", antialias=True)
    return pictures.to(device).float() / 255


def _trained_size(classifier: Any) -> int:
    """Side of a classifier's input, pixels, as its checkpoint has it; ultralytics' own default without one."""
    size = classifier.overrides.get("imgsz", 224)
    return int(max(size) if isinstance(size, (list, tuple)) else size)
