"""Checkpoints that are shipped hold the model and nothing of the machine that trained it."""

import pickletools
import zipfile
from pathlib import Path

import torch

from bays import Models


def test_a_shipped_checkpoint_names_no_path_and_no_date(checkpoints: Models) -> None:
    with zipfile.ZipFile(checkpoints.yolo_detection) as archive:
        pickle = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    texts = [argument for _, argument, _ in pickletools.genops(pickle) if isinstance(argument, str)]
    assert "detect" in texts
    assert not [text for text in texts if text.startswith("/") or ("20" in text[:2] and "-" in text[4:5])]


def test_a_shipped_checkpoint_is_in_half_precision(checkpoints: Models) -> None:
    content = torch.load(checkpoints.yolo_detection, map_location="cpu", weights_only=False)
    assert {parameter.dtype for parameter in content["model"].parameters()} == {torch.float16}
    assert content["train_args"] == {"task": "detect", "imgsz": 640}


def test_all_shipped_weights_stay_small() -> None:
    folder = Path(__file__).parents[3] / "inference" / "weights"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 6_500_000
