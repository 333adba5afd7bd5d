"""The detector through OpenVINO computes what it computes through torch."""

import numpy as np
import pytest
import torch

from bay_observation.errors import InferenceError
from bays import Models
from inference import load_models, openvino_detector
from inference.models import detect
from inference.openvino_detector import converted, use_openvino

pytestmark = pytest.mark.slow(2)


@pytest.mark.parametrize("size", [(192, 320), (320, 320)])
def test_the_network_is_that_of_torch_for_any_number_of_pictures(checkpoints: Models, size: tuple[int, int]) -> None:
    model = load_models(checkpoints, device="cpu").detector.model.float().eval()
    network = converted(model, size, threads=1)
    for count in (1, 3):
        pictures = torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(count))
        with torch.inference_mode():
            by_torch = model(pictures)[0]
        by_openvino = network(pictures)
        assert by_openvino.shape == by_torch.shape
        assert (by_openvino[:, :4] - by_torch[:, :4]).abs().max() < 0.05  # pixels
        assert (by_openvino[:, 4:] - by_torch[:, 4:]).abs().max() < 1e-4  # confidences


def test_a_bay_that_asks_for_it_detects_through_openvino(
    checkpoints: Models, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, ...]] = []

    def nothing(model: torch.nn.Module, size: tuple[int, ...], threads: int) -> openvino_detector.Network:
        sizes.append(size)
        return lambda pictures: torch.zeros(len(pictures), 20, 99)

    monkeypatch.setattr(openvino_detector, "converted", nothing)
    models = load_models(checkpoints.model_copy(update={"openvino": True, "min_confidence": 0.001}), device="cpu")
    square = np.ascontiguousarray(picture[:, :270])
    for frames in ([picture, picture], [picture], [square]):
        assert [len(result.boxes) for result in detect(models, frames)] == [0] * len(frames)
    assert sizes == [(192, 320), (320, 320)]  # each once: the first, of 16:9, when the models are loaded


def test_without_openvino_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InferenceError, match=r"models\.openvino: .*bay-observation\[openvino\].*set it to false"):
        use_openvino(object(), 1)
