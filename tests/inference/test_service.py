"""A batch through the models; the last test checks what the shipped weights find."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from bay_observation.errors import InferenceError
from bays import Models, load_bay
from capture_async.types import CameraFailure, CaptureBatch, CapturedImage, FailureReason
from inference import InferenceService, load_models
from inference.models import CallSizes
from inference.models import detect as models_detect
from inference.segmentation import embed as segmentation_embed
from inference.segmentation import prompt as segmentation_prompt
from inference.service import one_per_place
from inference.types import CLASSES, TRACKED_CLASSES, Observation

SLOT = datetime(2025, 7, 2, 16, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def service(checkpoints: Models) -> InferenceService:
    return InferenceService(load_models(checkpoints, device="cpu"))


def image(camera: str, picture: np.ndarray) -> CapturedImage:
    return CapturedImage(camera, "demo_bay", SLOT, cv2.imencode(".jpg", picture)[1].tobytes())


def batch(*images: CapturedImage, failures: tuple[CameraFailure, ...] = ()) -> CaptureBatch:
    return CaptureBatch("demo_bay_20250702-161000", "demo_bay", images, failures)


def results(frame: np.ndarray, boxes: dict[str, tuple[int, int, int, int]]) -> Any:
    """What ultralytics would say of a frame with one object of each of these classes, the surest first."""
    from ultralytics.engine.results import Results

    rows = [[*box, 0.9 - 0.1 * i, CLASSES.index(name)] for i, (name, box) in enumerate(boxes.items())]
    return Results(frame, path="", names=dict(enumerate(CLASSES)), boxes=torch.tensor(rows).reshape(-1, 6))


def exported(observation: Observation) -> list[object]:
    return [
        (
            camera.camera_name,
            found.class_name,
            found.confidence,
            found.box.tolist(),
            found.stage,
            None if found.polygon is None else found.polygon.tolist(),
        )
        for camera in observation.cameras
        for found in camera.objects
    ]


@pytest.mark.slow(1)
def test_every_frame_has_its_observation(service: InferenceService, picture: np.ndarray) -> None:
    observation = service.observe(batch(*(image(f"C_{i}", picture) for i in range(6))))
    assert [camera.camera_name for camera in observation.cameras] == [f"C_{i}" for i in range(6)]
    assert {camera.image_size for camera in observation.cameras} == {(480, 270)}
    assert observation.batch_id == "demo_bay_20250702-161000"
    assert observation.failures == {}


@pytest.mark.slow(1)
def test_a_frame_that_cannot_be_decoded_is_named_and_the_others_go_on(
    service: InferenceService, picture: np.ndarray
) -> None:
    broken = replace(image("C_1", picture), jpeg=b"<html>no picture</html>")
    observation = service.observe(batch(image("C_0", picture), broken, image("C_2", picture)))
    assert [camera.camera_name for camera in observation.cameras] == ["C_0", "C_2"]
    assert list(observation.failures) == ["C_1"]
    assert "no readable picture" in observation.failures["C_1"]


def test_failures_of_the_capture_travel_on(service: InferenceService, picture: np.ndarray) -> None:
    failures = (
        CameraFailure("C_8", FailureReason.TIMED_OUT, "no answer within 10 s"),
        CameraFailure("C_9", FailureReason.REFUSED_CREDENTIALS, "401"),
    )
    observation = service.observe(batch(image("C_0", picture), failures=failures))
    assert observation.failures == {"C_8": "timed out", "C_9": "refused credentials"}


def test_a_batch_without_any_frame_is_an_observation_without_cameras(service: InferenceService) -> None:
    failure = CameraFailure("C_8", FailureReason.UNREACHABLE, "no route")
    observation = service.observe(batch(failures=(failure,)))
    assert observation.cameras == ()
    assert observation.failures == {"C_8": "unreachable"}


def test_a_black_frame_is_a_failure_and_not_an_empty_floor(service: InferenceService, picture: np.ndarray) -> None:
    black = image("C_0", np.full_like(picture, 3))
    observation = service.observe(batch(black, image("C_1", picture)), min_brightness=12)
    assert [camera.camera_name for camera in observation.cameras] == ["C_1"]
    assert "dark, a mean grey of 3 where 12 is wanted" in observation.failures["C_0"]


def test_a_jpeg_that_ends_early_among_good_ones_has_an_outcome(service: InferenceService, picture: np.ndarray) -> None:
    whole = image("C_1", picture)
    observation = service.observe(batch(image("C_0", picture), replace(whole, jpeg=whole.jpeg[:200])))
    assert [camera.camera_name for camera in observation.cameras] == ["C_0"]
    assert "no readable picture" in observation.failures["C_1"]


def test_frames_without_any_detection_are_cameras_without_objects(
    service: InferenceService, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.service.detect", lambda _, frames: [results(frame, {}) for frame in frames])
    observation = service.observe(batch(*(image(f"C_{i}", picture) for i in range(3))))
    assert [camera.objects for camera in observation.cameras] == [(), (), ()]
    assert observation.failures == {}


def test_frames_of_different_sizes_share_a_batch(service: InferenceService, picture: np.ndarray) -> None:
    small = cv2.resize(picture, (320, 240))
    observation = service.observe(batch(image("C_0", picture), image("C_1", small)))
    assert [camera.image_size for camera in observation.cameras] == [(480, 270), (320, 240)]


def test_a_model_that_fails_names_batch_and_model(
    service: InferenceService, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("inference.service.detect", fail)
    with pytest.raises(InferenceError, match="demo_bay_20250702-161000: the detector failed: out of memory"):
        service.observe(batch(image("C_0", picture)))


def test_what_is_detected_is_segmented_and_classified_by_its_class(
    service: InferenceService, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = {"block": (100, 80, 260, 200), "crane": (300, 60, 420, 140), "welder": (10, 10, 40, 40)}
    monkeypatch.setattr("inference.service.detect", lambda _, frames: [results(frame, boxes) for frame in frames])
    # A segmenter of random weights may find nothing in a box; here it says "inside" of all of it.
    monkeypatch.setattr(service.models.segmenter.model, "mask_threshold", -1e9)
    block, crane, welder = service.observe(batch(image("C_0", picture))).cameras[0].objects
    assert [found.class_name for found in (block, crane, welder)] == ["block", "crane", "welder"]
    assert block.box.tolist() == [100, 80, 260, 200]
    assert block.polygon is not None
    assert (np.abs(block.polygon.min(axis=0) - [100, 80]) <= 12).all()
    assert (np.abs(block.polygon.max(axis=0) - [260, 200]) <= 12).all()
    assert block.stage in {"a", "b", "c", "d"}
    assert 0.25 <= block.stage_confidence <= 1
    assert crane.polygon is not None
    assert crane.stage is None
    assert welder.polygon is None
    assert welder.stage is None


BLOCKS = {"block": (100, 80, 260, 200), "panel": (300, 60, 420, 140)}
OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def small_device(monkeypatch: pytest.MonkeyPatch, name: str, room: int, work: Callable[..., list[Any]]) -> list[int]:
    """Stand in for a model call that has room for so many items; the sizes of its calls."""
    sizes: list[int] = []

    def call(*arguments: Any) -> list[Any]:
        sizes.append(len(arguments[-1]))
        if len(arguments[-1]) > room:
            raise OUT_OF_MEMORY
        return work(*arguments)

    monkeypatch.setattr(f"inference.service.{name}", call)
    return sizes


def test_a_detector_out_of_memory_takes_fewer_frames_and_finds_the_same(
    service: InferenceService, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = batch(*(image(f"C_{i}", picture) for i in range(5)))
    before = exported(service.observe(frames))
    sizes = small_device(monkeypatch, "detect", 1, models_detect)
    assert exported(service.observe(frames)) == before
    assert sizes == [4, 2, 1, 1, 1, 1, 1]


def test_a_frame_too_large_for_the_detector_is_a_failure_and_the_others_go_on(
    service: InferenceService, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(_: object, frames: list[np.ndarray]) -> list[Any]:
        if any(frame.shape[1] > 480 for frame in frames):
            raise OUT_OF_MEMORY
        return [results(frame, {}) for frame in frames]

    monkeypatch.setattr("inference.service.detect", call)
    large = cv2.resize(picture, (960, 540))
    observation = service.observe(batch(image("C_0", picture), image("C_1", large), image("C_2", picture)))
    assert [camera.camera_name for camera in observation.cameras] == ["C_0", "C_2"]
    assert "out of memory: one frame alone does not fit into the detector" in observation.failures["C_1"]


def test_a_frame_too_large_for_the_segmenter_is_a_failure_and_the_others_go_on(
    service: InferenceService, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.service.detect", lambda _, frames: [results(frame, BLOCKS) for frame in frames])

    def call(predictor: Any, frames: list[np.ndarray], dtype: Any) -> Any:
        if any(frame.shape[1] > 480 for frame in frames):
            raise OUT_OF_MEMORY
        return segmentation_embed(predictor, frames, dtype)

    monkeypatch.setattr("inference.service.embed", call)
    large = cv2.resize(picture, (960, 540))
    observation = service.observe(batch(image("C_0", large), image("C_1", picture)))
    assert [camera.camera_name for camera in observation.cameras] == ["C_1"]
    assert "does not fit into the segmenter" in observation.failures["C_0"]


def test_boxes_and_crops_are_halved_as_well(
    service: InferenceService, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.service.detect", lambda _, frames: [results(frame, BLOCKS) for frame in frames])
    monkeypatch.setattr(service.models.segmenter.model, "mask_threshold", -1e9)
    sized = replace(service.models, sizes=CallSizes(4, 1, crops_per_call=4))
    boxes_asked: list[int] = []

    def one_box(predictor: Any, embedded: Any, boxes: np.ndarray) -> Any:
        boxes_asked.append(len(boxes))
        if len(boxes) > 1:
            raise OUT_OF_MEMORY
        return segmentation_prompt(predictor, embedded, boxes)

    monkeypatch.setattr("inference.service.prompt", one_box)
    crops_asked = small_device(monkeypatch, "classify", 2, lambda _, crops: [("a", 0.5)] * len(crops))
    observation = InferenceService(sized).observe(batch(image("C_0", picture), image("C_1", picture)))
    assert sorted(boxes_asked) == [1, 1, 1, 1, 2, 2]  # the frames are segmented beside each other
    assert crops_asked == [4, 2, 2]
    assert {found.stage for camera in observation.cameras for found in camera.objects} == {"a"}
    assert observation.failures == {}


def test_a_crop_too_large_for_the_classifier_is_a_failure_of_its_camera(
    service: InferenceService, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.service.detect", lambda _, frames: [results(frame, BLOCKS) for frame in frames])
    monkeypatch.setattr(service.models.segmenter.model, "mask_threshold", -1e9)
    small_device(monkeypatch, "classify", 0, lambda *_: [])
    observation = service.observe(batch(image("C_0", picture)))
    assert observation.cameras == ()
    assert "does not fit into the stage classifier" in observation.failures["C_0"]


@pytest.mark.slow(1)
def test_frames_of_one_size_are_embedded_together(
    service: InferenceService, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.service.detect", lambda _, frames: [results(frame, BLOCKS) for frame in frames])
    frames = [image(f"C_{i}", picture) for i in range(5)] + [image("C_5", cv2.resize(picture, (960, 540)))]
    alone = exported(service.observe(batch(*frames)))
    asked: list[int] = []

    def call(predictor: Any, some: list[np.ndarray], dtype: Any) -> Any:
        asked.append(len(some))
        return segmentation_embed(predictor, some, dtype)

    monkeypatch.setattr("inference.service.embed", call)
    together = InferenceService(replace(service.models, sizes=CallSizes(12, 4)))
    found = exported(together.observe(batch(*frames)))
    assert sorted(asked) == [1, 1, 4]
    assert [one[:2] for one in found] == [one[:2] for one in alone]


def test_a_fault_in_a_drawing_thread_ends_the_batch(
    service: InferenceService, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.service.detect", lambda _, frames: [results(frame, BLOCKS) for frame in frames])

    def fail(*_: object) -> None:
        raise RuntimeError("no mask")

    monkeypatch.setattr("inference.service.draw", fail)
    with pytest.raises(InferenceError, match="the segmenter failed: no mask"):
        service.observe(batch(image("C_0", picture)))


def test_tracked_objects_alone_have_a_descriptor(
    service: InferenceService, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = BLOCKS | {"crane": (0, 0, 100, 100), "welder": (20, 20, 40, 40)}
    monkeypatch.setattr(service.models.segmenter.model, "mask_threshold", -1e9)
    monkeypatch.setattr("inference.service.detect", lambda _, frames: [results(frame, boxes) for frame in frames])
    objects = service.observe(batch(image("C_0", picture))).cameras[0].objects
    described = {found.class_name: found.descriptor is not None for found in objects}
    assert described == {"block": True, "panel": True, "crane": False, "welder": False}


def test_a_batch_can_be_ended_between_two_calls(service: InferenceService, picture: np.ndarray) -> None:
    asked = []

    def check_abandoned() -> None:
        asked.append(len(asked))
        if len(asked) == 2:
            raise InferenceError("the batch is abandoned")

    with pytest.raises(InferenceError, match="the batch is abandoned"):
        service.observe(batch(*(image(f"C_{i}", picture) for i in range(9))), check_abandoned=check_abandoned)
    assert len(asked) == 2


def test_two_tracked_classes_at_one_place_are_one_object() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9.5], [0, 0, 10, 10], [50, 0, 60, 10]], dtype=np.float32)
    scores = np.array([0.5, 0.9, 0.7, 0.3], dtype=np.float32)
    # A jig under the block stays, and so does a block elsewhere.
    assert one_per_place(boxes, scores, ["panel", "block", "pinjig", "panel"]) == [1, 2, 3]


@pytest.mark.slow(1)
def test_bays_of_the_same_models_share_a_service(checkpoints: Models) -> None:
    one = load_bay("demo_bay").model_copy(update={"models": checkpoints})
    other = load_bay("4bay").model_copy(update={"models": checkpoints.model_copy()})
    stricter = one.model_copy(update={"models": checkpoints.model_copy(update={"min_confidence": 0.5})})
    assert InferenceService.for_bay(one) is InferenceService.for_bay(other)
    assert InferenceService.for_bay(one) is not InferenceService.for_bay(stricter)


@pytest.mark.slow(15)
def test_shipped_weights_find_the_blocks_of_a_yard_that_training_never_saw() -> None:
    from lab.training.scores import Tally, rendered_batch

    bay = load_bay("demo_bay")
    service = InferenceService.for_bay(bay)
    frames, truth = rendered_batch(bay, seed=510, hour=11)
    observation = service.observe(frames)
    tally = Tally()
    for camera in observation.cameras:
        tally.add(camera, truth[camera.camera_name])
    true = sum(tally.true.values())
    assert true > 30
    assert 1 - tally.missed / true >= 0.8
    assert tally.false <= 0.15 * true
    assert np.median(tally.mask_iou) >= 0.88
    assert np.mean(tally.stages_right) >= 0.88
    assert all(
        found.polygon is not None and found.stage is not None
        for camera in observation.cameras
        for found in camera.objects
        if found.class_name in TRACKED_CLASSES
    )
    assert exported(service.observe(frames)) == exported(observation)
