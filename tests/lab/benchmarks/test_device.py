"""The check of a device, run on the CPU with small models: a GPU runs the same lines."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from bays import Models, load_bay
from capture_async.types import CaptureBatch, CapturedImage
from inference import load_models
from lab.benchmarks import device
from lab.benchmarks.device import bars_of, encoder_seconds

SLOT = datetime(2025, 7, 2, 16, 10, tzinfo=UTC)
RESULTS = {
    "shipped": {"frames": 12, "service_s": [0.2, 0.22, 0.4], "encoder_s": 0.02, "steps_s": {"segment": 0.1}},
    "beside_cpu": {"objects": 300, "unmatched": 2, "other_class": 1, "other_stage": 1, "least_iou": 0.985},
    "large": {"type": "vit_h", "frames": 12, "encoder_s": 0.6, "steps_s": {"segment": 0.85}},
}


@pytest.fixture
def small_bay(checkpoints: Models, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    bay = load_bay("demo_bay").model_copy(update={"models": checkpoints})
    monkeypatch.setattr("bays.load_bay", lambda _: bay)
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    frames = CaptureBatch(
        "demo_bay_20250702-161000",
        "demo_bay",
        tuple(CapturedImage(f"C_{i}", "demo_bay", SLOT, jpeg) for i in range(3)),
    )
    monkeypatch.setattr("lab.training.scores.rendered_batch", lambda *_: (frames, {}))


@pytest.mark.slow(5)
@pytest.mark.usefixtures("small_bay")
def test_everything_is_measured_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_SHIPPED_BAR_S", 1e-6)
    arguments = ["--device", "cpu", "--repeats", "1", "--large", "vit_yard", "--out", str(tmp_path)]
    assert device.main(arguments) == 1  # the bar of no time at all fails
    results = json.loads((tmp_path / "device_cpu.json").read_text(encoding="utf-8"))
    assert results["precision"] == "float32"
    assert len(results["bars"]) == 4
    assert results["beside_cpu"]["least_iou"] == 1.0  # the CPU beside itself
    assert set(results["large"]["steps_s"]) == {"decode", "detect", "segment", "classify", "rest"}
    assert results["large"]["encoder_s"] > 0


def test_without_a_gpu_the_remedy_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert device.main(["--device", "cuda"]) == 2
    assert "finds no GPU: install its CUDA build, or give --device cpu" in capsys.readouterr().err


def test_bars_hold_where_they_do() -> None:
    assert [bar.holds for bar in bars_of(RESULTS)] == [True] * 4


@pytest.mark.parametrize(
    ("part", "changes", "failing"),
    [
        ("shipped", {"service_s": [0.26, 0.26, 0.2]}, 0),
        ("beside_cpu", {"other_stage": 3}, 1),
        ("beside_cpu", {"objects": 0, "unmatched": 0, "other_class": 0, "other_stage": 0}, 1),
        ("beside_cpu", {"least_iou": 0.9}, 2),
        ("large", {"steps_s": {"segment": 0.91}}, 3),
    ],
)
def test_each_bar_can_fail(part: str, changes: dict[str, object], failing: int) -> None:
    bars = bars_of(RESULTS | {part: RESULTS[part] | changes})
    assert [bar.holds for bar in bars] == [number != failing for number in range(4)]


@pytest.mark.slow(2)
def test_the_encoder_is_called_with_as_many_frames_as_the_service_gives_it(
    checkpoints: Models, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = load_models(checkpoints, device="cpu")
    models = replace(models, sizes=replace(models.sizes, frames_per_embedding=4))
    calls: list[int] = []
    encoder = models.segmenter.model.image_encoder
    forward = encoder.forward
    monkeypatch.setattr(encoder, "forward", lambda pictures: calls.append(len(pictures)) or forward(pictures))
    assert encoder_seconds(models, [picture] * 6, repeats=1) > 0
    assert calls == [4, 4] * 3
