"""Models of the real kinds with random weights: what they find means nothing, the way is the real one."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from bays import Models


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The `models` section of a bay whose three checkpoints have random weights, with absolute paths."""
    import torch

    from inference import runtime

    runtime.prepare()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ultralytics' own imports
        from ultralytics import YOLO

    from inference.types import CLASSES
    from inference.yard_sam import build_sam_vit_yard
    from lab.training.yolo import architecture, ship

    torch.manual_seed(3)
    folder: Path = tmp_path_factory.mktemp("checkpoints")
    detector = YOLO(architecture(folder, "yolo11", len(CLASSES))).model
    detector.names = dict(enumerate(CLASSES))
    classifier = YOLO(architecture(folder, "yolo11-cls", 4)).model
    classifier.names = dict(enumerate(("a", "b", "c", "d")))
    torch.save(build_sam_vit_yard().state_dict(), folder / "segmenter.pth")
    return Models(
        yolo_detection=ship(detector, "detect", folder / "detector.pt", 640),
        sam_segmentation=folder / "segmenter.pth",
        sam_model_type="vit_yard",
        classification=ship(classifier, "classify", folder / "stages.pt", 96),
        image_size=320,
        min_confidence=0.05,
    )


@pytest.fixture
def picture() -> np.ndarray:
    """A picture with something in it: (270, 480, 3) uint8, BGR."""
    import cv2

    canvas = np.full((270, 480, 3), 90, np.uint8)
    cv2.rectangle(canvas, (100, 80), (260, 200), (40, 80, 160), -1)
    cv2.rectangle(canvas, (300, 60), (420, 140), (160, 120, 60), -1)
    return canvas
