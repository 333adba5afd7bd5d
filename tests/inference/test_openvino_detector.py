"""The detector through OpenVINO finds what it finds through torch."""

import numpy as np
import pytest

from bay_observation.errors import InferenceError
from bays import Models
from inference import load_models
from inference.models import detect
from inference.openvino_detector import use_openvino


def test_boxes_are_those_of_torch_for_every_size_of_frame(checkpoints: Models, picture: np.ndarray) -> None:
    square = np.ascontiguousarray(picture[:, :270])
    some = checkpoints.model_copy(update={"min_confidence": 0.001})
    by_torch = load_models(some, device="cpu")
    by_openvino = load_models(some.model_copy(update={"openvino": True}), device="cpu")
    for frames in ([picture], [picture, picture[:, ::-1].copy(), 255 - picture], [square]):
        for one, other in zip(detect(by_torch, frames), detect(by_openvino, frames), strict=True):
            assert len(one.boxes) == len(other.boxes) > 0
            assert np.allclose(one.boxes.xyxy, other.boxes.xyxy, atol=0.5)
            assert np.allclose(one.boxes.conf, other.boxes.conf, atol=1e-3)


def test_without_openvino_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InferenceError, match=r"models\.openvino: .*bay-observation\[openvino\].*set it to false"):
        use_openvino(object(), 1)
