"""Checkpoints that are shipped hold the model and nothing of the machine that trained it."""

import pickletools
import zipfile
from pathlib import Path

import pytest
import torch

from bays import Models

WEIGHTS = Path(__file__).parents[3] / "inference" / "weights"


@pytest.mark.parametrize("name", ["detector.pt", "stages.pt", "segmenter.pth"])
def test_a_shipped_checkpoint_names_no_path_and_no_date(name: str) -> None:
    with zipfile.ZipFile(WEIGHTS / name) as archive:
        pickle = archive.read(next(entry for entry in archive.namelist() if entry.endswith("data.pkl")))
    texts = [argument for _, argument, _ in pickletools.genops(pickle) if isinstance(argument, str)]
    assert len(texts) > 50
    assert not [text for text in texts if text.startswith("/") or (text[:2] == "20" and text[4:5] == "-")]


def test_a_shipped_checkpoint_is_in_half_precision(checkpoints: Models) -> None:
    content = torch.load(checkpoints.yolo_detection, map_location="cpu", weights_only=False)
    assert {parameter.dtype for parameter in content["model"].parameters()} == {torch.float16}
    assert content["train_args"] == {"task": "detect", "imgsz": 640}


def test_all_shipped_weights_stay_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= 6_000_000
