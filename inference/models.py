"""A bay's models, and one call of the detector or of a classifier."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference import runtime

runtime.prepare()

import torch  # noqa: E402
from segment_anything import SamPredictor  # noqa: E402
from ultralytics import YOLO  # noqa: E402

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
        jig_classifier: finds jigs among the automatic masks; None for a bay that names none.
    """

    detector: YOLO
    segmenter: SamPredictor
    classifier: YOLO
    device: str
    min_confidence: float
    image_size: int
    half: torch.dtype | None = None
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
    results = classifier.predict(crops, device=models.device, half=models.half is not None, verbose=False)
    return [(result.names[result.probs.top1], float(result.probs.top1conf)) for result in results]
