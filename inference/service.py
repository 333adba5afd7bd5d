"""One pass over a batch: decode, detect, segment, classify."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bay_observation.errors import CaptureError, InferenceError
from bays import BayConfig
from inference.crops import masked_crop
from inference.descriptors import describe
from inference.frame_look import FrameLook
from inference.jigs import Jig, automatic_jigs
from inference.loading import load_models, models_path
from inference.memory import in_chunks
from inference.models import BayModels, classify, detect
from inference.outlines import hull, outline
from inference.segmentation import EmbeddedFrame, ObjectMask, device_threads, draw, embed, prompt
from inference.types import (
    OCCLUDER_CLASSES,
    TRACKED_CLASSES,
    CameraObservation,
    DetectedObject,
    Observation,
)

if TYPE_CHECKING:
    from capture_async.types import CaptureBatch, CapturedImage

# Two tracked classes found at the same place are one object, of the class with more confidence.
SAME_OBJECT_IOU = 0.7
# The mean grey of a frame is taken of every eighth pixel.
_BRIGHTNESS_STEP = 8


class InferenceService:
    """Runs batches through a bay's models, which stay loaded.

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

        Bays with the same checkpoints and settings share one.

        Raises:
            InferenceError: a checkpoint cannot be used; the message names path and key.
        """
        key = (bay.models.model_dump_json(), str(models_path()), str(device))
        with cls._services_lock:
            if key not in cls._services:
                cls._services[key] = cls(load_models(bay.models, device))
            return cls._services[key]

    @classmethod
    def loaded(cls) -> int:
        """How many services this process has loaded the models of."""
        return len(cls._services)

    def observe(
        self,
        batch: "CaptureBatch",
        *,
        min_brightness: float = 0.0,
        check_abandoned: Callable[[], None] = lambda: None,
    ) -> Observation:
        """Find every object in every frame of the batch.

        The frames are detected a few at a time, every frame is embedded once and all its
        tracked objects and cranes are segmented together, the stages of all the batch's
        tracked objects are classified together. Where a GPU's memory does not hold that, it
        is done in halves. A frame that cannot be decoded, that is dark, or that does not fit
        into memory even alone is named in `failures`, as the cameras are that gave none; the
        others go on.

        Args:
            batch: the frames.
            min_brightness: mean grey (0 to 255) below which a frame is too dark; it is named in
                `failures`, so that its floor does not count as empty.
            check_abandoned: called before each model call; an exception that it raises ends the
                batch and is passed on.

        Returns:
            Objects in the order of their confidence, frame by frame in the batch's order;
            the same for the same batch on the same CPU.

        Raises:
            InferenceError: a model failed while it ran.
        """
        failures = {failure.camera_name: str(failure.reason) for failure in batch.failures}
        with self._busy:
            frames = self._decode(batch.images, min_brightness, failures)
            for what, step in (
                ("detector", self._detect),
                ("segmenter", self._segment),
                ("stage classifier", self._classify),
            ):
                with _named(batch.batch_id, what):
                    frames = _without_failed(step(frames, check_abandoned), frames, what, failures)
        return Observation(
            batch_id=batch.batch_id,
            bay_id=batch.bay_id,
            cameras=tuple(frame.observation() for frame in frames),
            failures=failures,
        )

    def _decode(
        self, images: "tuple[CapturedImage, ...]", min_brightness: float, failures: dict[str, str]
    ) -> "list[_Frame]":
        frames = []
        with ThreadPoolExecutor(self.models.sizes.drawing_threads, thread_name_prefix="decode") as pool:
            decoding = [(image, pool.submit(_decoded, image, min_brightness)) for image in images]
        for image, outcome in decoding:
            try:
                frames.append(outcome.result())
            except CaptureError as error:
                failures[image.camera_name] = str(error)
        return frames

    def _detect(self, frames: "list[_Frame]", check_abandoned: Callable[[], None]) -> "list[_Frame]":
        """Each step fills its part of the frames in, and returns those that did not fit into memory."""

        def call(some: "list[_Frame]") -> list[Any]:
            check_abandoned()
            return detect(self.models, [frame.picture for frame in some])

        failed = []
        for frame, result in zip(frames, in_chunks(call, frames, self.models.sizes.frames_per_detection), strict=True):
            if result is None:
                failed.append(frame)
                continue
            # x and y of two corners, confidence, class: in one copy from the device.
            found = result.boxes.data.reshape(-1, 6).float().cpu().numpy()
            boxes, scores = found[:, :4], found[:, 4]
            names = [result.names[int(index)] for index in found[:, 5]]
            frame.objects = [
                DetectedBox(names[i], float(scores[i]), boxes[i]) for i in one_per_place(boxes, scores, names)
            ]
        return failed

    def _segment(self, frames: "list[_Frame]", check_abandoned: Callable[[], None]) -> "list[_Frame]":
        sizes = self.models.sizes
        asked = [frame for frame in frames if frame.prompted() or self.models.jig_classifier is not None]
        groups = _groups(asked, sizes.frames_per_embedding)
        # Masks are drawn by threads of the CPU while the device goes on with the next frames.
        with device_threads(self.models.device) as device, ThreadPoolExecutor(sizes.drawing_threads, "draw") as pool:

            def segment_group(group: "list[_Frame]") -> "list[Future[None] | None]":
                return self._segment_group(group, pool, check_abandoned)

            drawn = [outcome for some in device.map(segment_group, groups) for outcome in some]
        for outcome in drawn:
            if outcome is not None:
                outcome.result()
        return [frame for frame, outcome in zip(asked, drawn, strict=True) if outcome is None]

    def _segment_group(
        self, group: "list[_Frame]", pool: Executor, check_abandoned: Callable[[], None]
    ) -> "list[Future[None] | None]":
        """The drawing of each frame; None for a frame that did not fit into memory."""

        def call(some: "list[_Frame]") -> list[EmbeddedFrame]:
            check_abandoned()
            return embed(self.models.segmenter, [frame.picture for frame in some], self.models.half)

        embedded = in_chunks(call, group, len(group))
        fitting = [(frame, one) for frame, one in zip(group, embedded, strict=True) if one is not None]
        fitting = [(frame, one) for frame, one in fitting if self._find_jigs(frame, one)]
        too_large = self._prompt(fitting)
        drawing = {frame: pool.submit(self._draw, frame, one) for frame, one in fitting if frame not in too_large}
        return [drawing.get(frame) for frame in group]

    def _find_jigs(self, frame: "_Frame", embedded: EmbeddedFrame) -> bool:
        """Add the frame's jigs to its objects; whether they fitted into memory."""
        [jigs] = in_chunks(lambda _: [automatic_jigs(self.models, embedded, frame.picture)], [frame], 1)
        if jigs is None:
            return False
        frame.objects = _with_jigs(frame.objects, jigs)
        return True

    def _prompt(self, frames: "list[tuple[_Frame, EmbeddedFrame]]") -> "set[_Frame]":
        """Prompt the segmenter with the boxes of all the frames; those that did not fit into memory."""
        wanted = [(frame, embedded, found) for frame, embedded in frames for found in frame.prompted()]

        def call(some: "list[tuple[_Frame, EmbeddedFrame, DetectedBox]]") -> list[NDArray[np.float32]]:
            boxes = np.stack([found.box for *_, found in some])
            return list(prompt(self.models.segmenter, [embedded for _, embedded, _ in some], boxes))

        too_large = set()
        for (frame, _, found), answer in zip(
            wanted, in_chunks(call, wanted, self.models.sizes.boxes_per_call), strict=True
        ):
            found.logits = answer
            if answer is None:
                too_large.add(frame)
        return too_large

    def _draw(self, frame: "_Frame", embedded: EmbeddedFrame) -> None:
        for found in frame.objects:
            if found.logits is not None:
                found.mask = draw(self.models.segmenter, embedded, found.box, found.logits)
                found.logits = None
            found.draw_outline()
            if found.mask is not None and found.class_name in TRACKED_CLASSES:
                found.crop = masked_crop(frame.picture, found.mask.window, found.mask.inside)
                found.descriptor = describe(frame.picture, found.mask.window, found.mask.inside)

    def _classify(self, frames: "list[_Frame]", check_abandoned: Callable[[], None]) -> "list[_Frame]":
        tracked = [(frame, found) for frame in frames for found in frame.objects if found.crop is not None]
        crops = [found.crop for _, found in tracked if found.crop is not None]

        def call(some: list[NDArray[np.uint8]]) -> list[tuple[str, float]]:
            check_abandoned()
            return classify(self.models, some)

        failed = []
        for (frame, found), stage in zip(
            tracked, in_chunks(call, crops, self.models.sizes.crops_per_call), strict=True
        ):
            if stage is None:
                failed.append(frame)
            else:
                found.stage, found.stage_confidence = stage
        return failed


@dataclass(eq=False)
class DetectedBox:
    """A detection while it passes through the models; what is None is not known yet, or never."""

    class_name: str
    confidence: float
    box: NDArray[np.float32]
    logits: NDArray[np.float32] | None = None
    mask: ObjectMask | None = None
    polygon: NDArray[np.float32] | None = None
    descriptor: NDArray[np.float16] | None = None
    crop: NDArray[np.uint8] | None = None
    stage: str | None = None
    stage_confidence: float = 0.0

    def draw_outline(self) -> None:
        """Fill the outline in, where there is a mask."""
        if self.mask is not None:
            draw = hull if self.class_name in OCCLUDER_CLASSES else outline
            self.polygon = draw(self.mask.inside, self.mask.window[:2])

    def detected(self) -> DetectedObject:
        """What leaves the service."""
        return DetectedObject(
            class_name=self.class_name,
            confidence=self.confidence,
            box=self.box,
            polygon=self.polygon,
            stage=self.stage,
            stage_confidence=self.stage_confidence,
            descriptor=self.descriptor,
        )


@dataclass(eq=False)
class _Frame:
    """A frame while it passes through the models."""

    image: "CapturedImage"
    picture: NDArray[np.uint8]
    look: FrameLook
    objects: list[DetectedBox] = field(default_factory=list)

    def prompted(self) -> list[DetectedBox]:
        """The objects that are segmented."""
        return [found for found in self.objects if found.class_name in TRACKED_CLASSES + OCCLUDER_CLASSES]

    def observation(self) -> CameraObservation:
        height, width = self.picture.shape[:2]
        return CameraObservation(
            camera_name=self.image.camera_name,
            captured_at=self.image.captured_at,
            image_size=(width, height),
            objects=tuple(found.detected() for found in self.objects),
            look=self.look.to_array(),
        )


def _groups(frames: list[_Frame], size: int) -> list[list[_Frame]]:
    """Neighbouring frames of one size, at most so many a group."""
    groups: list[list[_Frame]] = []
    for frame in frames:
        if groups and len(groups[-1]) < size and groups[-1][0].picture.shape == frame.picture.shape:
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return groups


def _decoded(image: "CapturedImage", min_brightness: float) -> _Frame:
    """The frame.

    Raises:
        CaptureError: it cannot be decoded, or is dark.
    """
    picture = image.decode()
    grey = float(cv2.cvtColor(picture[::_BRIGHTNESS_STEP, ::_BRIGHTNESS_STEP], cv2.COLOR_BGR2GRAY).mean())
    if grey < min_brightness:
        raise CaptureError(
            f"frame {image.image_id}: dark, a mean grey of {grey:.0f} where {min_brightness:g} is wanted"
        )
    return _Frame(image, picture, FrameLook.of(picture))


def _without_failed(failed: list[_Frame], frames: list[_Frame], what: str, failures: dict[str, str]) -> list[_Frame]:
    for frame in failed:
        failures[frame.image.camera_name] = (
            f"out of memory: one frame alone does not fit into the {what};"
            " lower models.image_size, name a smaller model, or free the device"
        )
    return [frame for frame in frames if frame not in failed]


def _with_jigs(objects: list[DetectedBox], jigs: "list[Jig]") -> list[DetectedBox]:
    """All objects by confidence; a jig that is one of the detected objects already is not counted again."""
    new = [
        DetectedBox(jig.class_name, jig.confidence, jig.box, mask=jig.mask)
        for jig in jigs
        if all(_iou(jig.box, found.box) <= SAME_OBJECT_IOU for found in objects)
    ]
    return sorted(objects + new, key=lambda found: -found.confidence)


def one_per_place(boxes: NDArray[np.float32], scores: NDArray[np.float32], names: list[str]) -> list[int]:
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
