"""Jigs from SAM's automatic masks and a small classifier, for bays that name one."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference import runtime
from inference.crops import masked_crop
from inference.memory import in_chunks
from inference.models import BayModels, classify_jigs
from inference.segmentation import EmbeddedFrame, ObjectMask
from inference.types import JIG_CLASSES

runtime.prepare()

import torch  # noqa: E402
from segment_anything import SamAutomaticMaskGenerator, SamPredictor  # noqa: E402

# A mask that covers more of the frame is floor, one that covers less is a tool or a shadow.
_LARGEST_SHARE, _SMALLEST_SHARE = 0.25, 0.0005
_CROPS_PER_CALL = 64


@dataclass(frozen=True, eq=False)
class Jig:
    """A jig in a frame; `box` as in `DetectedObject`."""

    class_name: str
    confidence: float
    box: NDArray[np.float32]
    mask: ObjectMask


def automatic_jigs(models: BayModels, embedded: EmbeddedFrame, frame: NDArray[np.uint8]) -> list[Jig]:
    """Jigs of a frame; none where the bay has no jig classifier.

    The mask generator uses the embedding that the boxes use: a frame is embedded once. It works
    at the size of SAM's input, since it holds hundreds of masks at a time; those of jigs are
    drawn to the frame's pixels. Masks that the classifier does not call a jig with at least the
    bay's `min_confidence` are dropped.

    Args:
        models: the bay's.
        embedded: the frame, embedded by the bay's SAM.
        frame: (H, W, 3) uint8, BGR.

    Raises:
        torch.OutOfMemoryError: not even one crop fits.
    """
    if models.jig_classifier is None:
        return []
    generator = SamAutomaticMaskGenerator(models.segmenter.model)
    generator.predictor = _Embedded(models.segmenter, embedded)
    small = np.zeros((*embedded.input_size, 3), dtype=np.uint8)  # the generator reads its size alone
    pixels = small.shape[0] * small.shape[1]
    masks = [
        _in_frame(found["segmentation"], embedded)
        for found in generator.generate(small)
        if _SMALLEST_SHARE <= found["area"] / pixels <= _LARGEST_SHARE
    ]
    cut = [(mask, masked_crop(frame, mask.window, mask.inside)) for mask in masks]
    kept = [(mask, crop) for mask, crop in cut if crop is not None]
    classes = in_chunks(lambda crops: classify_jigs(models, crops), [crop for _, crop in kept], _CROPS_PER_CALL)
    jigs = []
    for (mask, _), found in zip(kept, classes, strict=True):
        if found is None:
            raise torch.OutOfMemoryError("one crop alone does not fit into the jig classifier")
        name, confidence = found
        if name in JIG_CLASSES and confidence >= models.min_confidence:
            jigs.append(Jig(name, confidence, np.asarray(mask.window, dtype=np.float32), mask))
    return jigs


class _Embedded(SamPredictor):  # type: ignore[misc]  # segment-anything is untyped
    """A predictor whose picture is embedded already."""

    def __init__(self, predictor: SamPredictor, embedded: EmbeddedFrame) -> None:
        super().__init__(predictor.model)
        self._embedded = embedded

    def set_image(self, image: NDArray[np.uint8], image_format: str = "RGB") -> None:
        """Use the embedding instead of the picture."""
        self.original_size = self.input_size = self._embedded.input_size
        self.features = self._embedded.features
        self.is_image_set = True


def _in_frame(mask: Any, embedded: EmbeddedFrame) -> ObjectMask:
    """A mask of SAM's input, in the pixels of the frame."""
    (height, width), (rows, columns) = embedded.frame_size, embedded.input_size
    x, y, wide, high = cv2.boundingRect(mask.astype(np.uint8))
    left, top = x * width // columns, y * height // rows
    right, bottom = -(-(x + wide) * width // columns), -(-(y + high) * height // rows)
    part = mask[y : y + high, x : x + wide].astype(np.float32)
    drawn = cv2.resize(part, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    return ObjectMask((left, top, right, bottom), np.asarray(drawn > 0.5))
