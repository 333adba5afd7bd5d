"""The detector's network on a CPU through OpenVINO, for bays that ask for it (`models.openvino`).

Only the network is exchanged: frames are prepared and boxes are chosen by ultralytics as before.
The conversion runs in memory and takes some seconds when the models are loaded, which pays in the
warm server. `openvino.convert_model` would also report its use to the vendor; the frontend, which
is used here, does not.
"""

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from bay_observation.errors import InferenceError
from inference import runtime

runtime.prepare()

import torch  # noqa: E402

Network = Callable[[torch.Tensor], torch.Tensor]


def use_openvino(detector: Any, threads: int) -> None:
    """Let a detector that has predicted once run its network in OpenVINO from now on.

    The network is converted for each size of picture when the first of that size comes.

    Args:
        detector: ultralytics model of task `detect`, on the CPU.
        threads: how many OpenVINO may use.

    Raises:
        InferenceError: OpenVINO is not installed.
    """
    if importlib.util.find_spec("openvino") is None:
        raise InferenceError(
            "models.openvino: OpenVINO is not installed: pip install 'bay-observation[openvino]', or set it to false"
        )
    networks: dict[tuple[int, ...], Network] = {}

    def inference(pictures: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        size = tuple(pictures.shape[2:])
        if size not in networks:
            networks[size] = converted(detector.model, size, threads)
        return networks[size](pictures)

    detector.predictor.inference = inference


def converted(model: torch.nn.Module, size: tuple[int, ...], threads: int) -> Network:
    """The network for pictures of one size: (N, 3, *size) float32 to (N, 4 + classes, anchors) float32.

    Raises:
        InferenceError: OpenVINO does not know an operation of the network.
    """
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.zeros(1, 3, *size)
    try:
        # Torch warns that traces are deprecated, and that the size becomes a constant. OpenVINO's
        # frontend reads traces and not what is to take their place, and the size shall be one.
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            wrapped = _First(model).eval()
            wrapped(example)  # the anchors of this size are made here: the trace takes them as constants
            traced = torch.jit.trace(wrapped, example, check_trace=False)
        frontend = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced)  # held until the conversion is done: OpenVINO calls it
        graph = frontend.convert(frontend.load(decoder))
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(graph, "CPU", settings)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise InferenceError(
            f"models.openvino: the detector cannot be converted ({reason}): set it to false"
        ) from error

    def run(pictures: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.array(compiled(pictures.contiguous().numpy())[0]))

    return run


class _First(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A detection model without what it gives for training."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Boxes and scores alone."""
        found = self.model(pictures)
        return found[0] if isinstance(found, (list, tuple)) else found
