"""One pass over a batch: decode, detect, segment, classify."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bay_observation.errors import CaptureError, InferenceError
from bays import BayConfig
from inference.crops import masked_crop
from inference.models import BayModels, classify, detect, load_models, models_path
from inference.outlines import hull, outline
from inference.segmentation import ObjectMask, segment
from inference.types import (
    OCCLUDER_CLASSES,
    TRACKED_CLASSES,
    CameraObservation,
    DetectedObject,
    Observation,
)

if TYPE_CHECKING:
    from capture_async.types import CaptureBatch, CapturedImage

# Four frames a call are faster on a CPU than one or twelve.
FRAMES_PER_CALL = 4
CROPS_PER_CALL = 64
# Two tracked classes found at the same place are one object, of the class with more confidence.
SAME_OBJECT_IOU = 0.7
_DECODING_THREADS = 4


class InferenceService:
    """A bay's models, kept warm, and the way of a batch through them.

    One batch at a time: a second thread waits.
    """

    _services: "dict[tuple[str, ...], InferenceService]" = {}  # noqa: RUF012  (per process, guarded by _services_lock)
    _services_lock = threading.Lock()

    def __init__(self, models: BayModels) -> None:
        self.models = models
        self._busy = threading.Lock()

    @classmethod
    def for_bay(cls, bay: BayConfig, device: str | None = None) -> "InferenceService":
        """The process's service for the bay's models, loaded at the first call.

        Bays that name the same checkpoints and settings share one.

        Raises:
            InferenceError: a checkpoint cannot be used; the message names path and key.
        """
        key = (bay.models.model_dump_json(), str(models_path()), str(device))
        with cls._services_lock:
            if key not in cls._services:
                cls._services[key] = cls(load_models(bay.models, device))
            return cls._services[key]

    def observe(self, batch: "CaptureBatch") -> Observation:
        """Find every object in every frame of the batch.

        The frames are detected a few at a time, every frame is embedded once and all its
        tracked objects and cranes are segmented together, the stages of all the batch's
        tracked objects are classified together. A frame that cannot be decoded is named
        in `failures`, as the cameras are that gave none; the others go on.

        Returns:
            Objects in the order of their confidence, frame by frame in the batch's order;
            the same for the same batch on the same CPU.

        Raises:
            InferenceError: a model failed while it ran.
        """
        failures = {failure.camera_name: str(failure.reason) for failure in batch.failures}
        with self._busy:
            frames = self._decode(batch.images, failures)
            with _named(batch.batch_id, "detector"):
                self._detect(frames)
            with _named(batch.batch_id, "segmenter"):
                self._segment(frames)
            with _named(batch.batch_id, "stage classifier"):
                self._classify(frames)
        return Observation(
            batch_id=batch.batch_id,
            bay_id=batch.bay_id,
            cameras=tuple(frame.observation() for frame in frames),
            failures=failures,
        )

    def _decode(self, images: "tuple[CapturedImage, ...]", failures: dict[str, str]) -> "list[_Frame]":
        frames = []
        with ThreadPoolExecutor(_DECODING_THREADS, thread_name_prefix="decode") as pool:
            decoding = [(image, pool.submit(image.decode)) for image in images]
        for image, outcome in decoding:
            try:
                frames.append(_Frame(image, outcome.result()))
            except CaptureError as error:
                failures[image.camera_name] = str(error)
        return frames

    def _detect(self, frames: "list[_Frame]") -> None:
        for start in range(0, len(frames), FRAMES_PER_CALL):
            some = frames[start : start + FRAMES_PER_CALL]
            results = detect(self.models, [frame.picture for frame in some])
            for frame, result in zip(some, results, strict=True):
                boxes = result.boxes.xyxy.float().cpu().numpy()
                scores = result.boxes.conf.float().cpu().numpy()
                names = [result.names[int(index)] for index in result.boxes.cls.cpu().numpy()]
                frame.objects = [
                    _Object(names[i], float(scores[i]), boxes[i]) for i in _one_per_place(boxes, scores, names)
                ]

    def _segment(self, frames: "list[_Frame]") -> None:
        wanted = TRACKED_CLASSES + OCCLUDER_CLASSES
        for frame in frames:
            objects = [found for found in frame.objects if found.class_name in wanted]
            if not objects:
                continue
            masks = segment(self.models.segmenter, frame.picture, np.stack([found.box for found in objects]))
            for found, mask in zip(objects, masks, strict=True):
                found.mask = mask

    def _classify(self, frames: "list[_Frame]") -> None:
        objects, crops = [], []
        for frame in frames:
            for found in frame.objects:
                if found.class_name not in TRACKED_CLASSES or found.mask is None:
                    continue
                crop = masked_crop(frame.picture, found.mask.window, found.mask.inside)
                if crop is not None:
                    objects.append(found)
                    crops.append(crop)
        for start in range(0, len(crops), CROPS_PER_CALL):
            stages = classify(self.models, crops[start : start + CROPS_PER_CALL])
            for found, (stage, confidence) in zip(objects[start : start + CROPS_PER_CALL], stages, strict=True):
                found.stage, found.stage_confidence = stage, confidence


@dataclass(eq=False)
class _Object:
    """A detection while it passes through the models."""

    class_name: str
    confidence: float
    box: NDArray[np.float32]
    mask: ObjectMask | None = None
    stage: str | None = None
    stage_confidence: float = 0.0

    def detected(self) -> DetectedObject:
        polygon = None
        if self.mask is not None:
            draw = hull if self.class_name in OCCLUDER_CLASSES else outline
            polygon = draw(self.mask.inside, self.mask.window[:2])
        return DetectedObject(
            class_name=self.class_name,
            confidence=self.confidence,
            box=self.box,
            polygon=polygon,
            stage=self.stage,
            stage_confidence=self.stage_confidence,
        )


@dataclass(eq=False)
class _Frame:
    """A frame while it passes through the models."""

    image: "CapturedImage"
    picture: NDArray[np.uint8]
    objects: list[_Object] = field(default_factory=list)

    def observation(self) -> CameraObservation:
        height, width = self.picture.shape[:2]
        return CameraObservation(
            camera_name=self.image.camera_name,
            captured_at=self.image.captured_at,
            image_size=(width, height),
            objects=tuple(found.detected() for found in self.objects),
        )


def _one_per_place(boxes: NDArray[np.float32], scores: NDArray[np.float32], names: list[str]) -> list[int]:
    """Indices that stay, best first, when tracked objects of two classes at one place count once."""
    stay: list[int] = []
    for i in (int(index) for index in np.argsort(-scores, kind="stable")):
        rivals = [k for k in stay if names[k] in TRACKED_CLASSES] if names[i] in TRACKED_CLASSES else []
        if all(_iou(boxes[i], boxes[k]) <= SAME_OBJECT_IOU for k in rivals):
            stay.append(i)
    return stay


def _iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    size = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(size, 0)))
    return shared / max(float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared, 1e-9)


@contextmanager
def _named(batch_id: str, what: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # torch's own, out of memory included
        raise InferenceError(f"batch {batch_id}: the {what} failed: {error}") from error
