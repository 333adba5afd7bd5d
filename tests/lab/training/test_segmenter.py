"""A training of the segmenter that was interrupted goes on and ends with the same weights."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from lab.training import segmenter
from lab.training.frames import Label, Sample
from lab.training.hardware import Hardware

pytestmark = pytest.mark.slow(9)

CPU = Hardware("cpu", batch=2, workers=0, mixed_precision=False)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    rng = np.random.default_rng(0)
    made = []
    for number in range(4):
        path = tmp_path / f"{number:05d}.jpg"
        cv2.imwrite(str(path), rng.integers(0, 255, (90, 160, 3), dtype=np.uint8))
        numbers = np.zeros((180, 320), np.uint8)
        numbers[40:120, 60:200] = 1
        cv2.imwrite(str(path.with_suffix(".png")), numbers)
        made.append(Sample(path, (160, 90), (Label("block", (30, 20, 100, 60), "sub_assembly", 1),)))
    return made


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)  # type: ignore[no-any-return]


def test_an_interrupted_training_goes_on(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmenter, "IMAGE_SIZE", 64)
    monkeypatch.setattr(segmenter, "_EARLY_IMAGE_SIZE", 64)
    arguments = {"epochs": 3, "seed": 1, "hardware": CPU}
    whole = segmenter.train_segmenter(samples, samples[:1], tmp_path / "whole", **arguments)
    assert {value.dtype for value in weights(whole).values() if value.is_floating_point()} == {torch.float16}
    assert not list((tmp_path / "whole").glob("*.state"))

    save = segmenter._Training.save
    saved: list[int] = []

    def save_and_stop(self: object, path: Path, epochs: int, rng: np.random.Generator) -> None:
        save(self, path, epochs, rng)  # type: ignore[arg-type]
        saved.append(epochs)
        if len(saved) in (1, 2):
            raise KeyboardInterrupt

    monkeypatch.setattr(segmenter._Training, "save", save_and_stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            segmenter.train_segmenter(samples, samples[:1], tmp_path / "parts", **arguments)
    parts = segmenter.train_segmenter(samples, samples[:1], tmp_path / "parts", **arguments)
    assert saved == [1, 2, 1]  # two early epochs, one late: none twice
    for name, value in weights(whole).items():
        if value.is_floating_point():
            assert torch.allclose(value.float(), weights(parts)[name].float(), atol=0.05), name
