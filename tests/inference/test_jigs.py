"""Jigs by automatic masks, for a bay that asks for it; the frame is still embedded once."""

from dataclasses import replace
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from bays import Models
from capture_async.types import CaptureBatch, CapturedImage
from inference import InferenceService, load_models
from inference.jigs import SamAutomaticMaskGenerator, automatic_jigs
from inference.models import BayModels
from inference.segmentation import embed


@pytest.fixture(scope="module")
def models(checkpoints: Models) -> BayModels:
    loaded = load_models(checkpoints, device="cpu")
    return replace(loaded, jig_classifier=loaded.classifier)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What the mask generator finds: the test puts masks of SAM's input (360 x 640) in."""
    masks: list[np.ndarray] = []
    monkeypatch.setattr(
        SamAutomaticMaskGenerator,
        "generate",
        lambda *_: [{"segmentation": mask, "area": int(mask.sum())} for mask in masks],
    )
    return masks


def mask(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    inside = np.zeros((360, 640), bool)
    inside[top:bottom, left:right] = True
    return inside


def classified(monkeypatch: pytest.MonkeyPatch, *classes: tuple[str, float]) -> None:
    monkeypatch.setattr("inference.jigs.classify_jigs", lambda _, crops: list(classes)[: len(crops)])


@pytest.mark.slow(1)
def test_masks_of_jigs_are_drawn_to_the_frame(
    models: BayModels, picture: np.ndarray, found: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    found += [mask(40, 60, 120, 200), mask(200, 300, 280, 420), mask(10, 500, 60, 560)]
    classified(monkeypatch, ("pinjig", 0.9), ("floor", 0.99), ("flatjig", 0.01))
    [jig] = automatic_jigs(models, embed(models.segmenter, [picture])[0], picture)
    assert (jig.class_name, jig.confidence) == ("pinjig", 0.9)
    assert jig.box.tolist() == [45, 30, 150, 90]  # 480 pixels of the frame for 640 of SAM's
    assert jig.mask.window == (45, 30, 150, 90)
    assert jig.mask.inside.mean() > 0.97


@pytest.mark.slow(0.8)
def test_masks_of_the_whole_floor_and_of_specks_are_not_asked_about(
    models: BayModels, picture: np.ndarray, found: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    found += [mask(0, 0, 300, 600), mask(5, 5, 9, 9)]
    classified(monkeypatch, ("pinjig", 0.9), ("pinjig", 0.9))
    assert automatic_jigs(models, embed(models.segmenter, [picture])[0], picture) == []


def test_a_bay_that_does_not_ask_has_none(models: BayModels, picture: np.ndarray, found: list[np.ndarray]) -> None:
    found.append(mask(40, 60, 120, 200))
    plain = replace(models, jig_classifier=None)
    assert automatic_jigs(plain, embed(models.segmenter, [picture])[0], picture) == []


@pytest.mark.slow(8)
def test_the_real_generator_works_on_the_embedding_that_is_there(
    models: BayModels, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    [embedded] = embed(models.segmenter, [picture])

    def again(*_: object) -> None:
        raise AssertionError("the frame is embedded again")

    monkeypatch.setattr(models.segmenter.model.image_encoder, "forward", again)
    # A segmenter of random weights is sure of nothing: no mask passes the generator's thresholds.
    assert automatic_jigs(models, embedded, picture) == []


def test_jigs_are_objects_of_the_observation(
    models: BayModels, picture: np.ndarray, found: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    found.append(mask(40, 60, 120, 200))
    classified(monkeypatch, ("gridjig", 0.95))
    monkeypatch.setattr("inference.service.detect", lambda _, frames: [Nothing() for _ in frames])
    slot = datetime(2025, 7, 2, 16, 10, tzinfo=UTC)
    frame = CapturedImage("C_0", "yard", slot, cv2.imencode(".jpg", picture)[1].tobytes())
    batch = CaptureBatch("yard_20250702-161000", "yard", (frame,))
    [jig] = InferenceService(models).observe(batch).cameras[0].objects
    assert (jig.class_name, jig.stage) == ("gridjig", None)
    assert jig.polygon is not None
    assert np.abs(jig.polygon.min(axis=0) - [45, 30]).max() <= 2
    assert np.abs(jig.polygon.max(axis=0) - [150, 90]).max() <= 2


class Nothing:
    """Ultralytics' result for a frame without objects."""

    names: dict[int, str] = {}

    @property
    def boxes(self) -> "Nothing":
        return self

    def __getattr__(self, name: str) -> object:
        import torch

        return torch.zeros((0, 4) if name == "xyxy" else (0,))
