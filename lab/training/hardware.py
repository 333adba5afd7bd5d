"""What a training may use: a GPU where there is one, all cores, mixed precision where it pays."""

import os
from dataclasses import dataclass
from typing import Any

from inference import runtime

runtime.prepare()

import torch  # noqa: E402

# Batches per step: small ones on a CPU, where a step is dear; on a GPU the rate of learning of the
# measured training (docs of the weights: 48 frames a batch at 0.003).
_CPU_BATCH, _GPU_BATCH = 12, 48
_MOST_WORKERS = 8


@dataclass(frozen=True)
class Hardware:
    """A device for a training, and what suits it.

    Attributes:
        device: torch's name.
        batch: frames a step of the detector.
        workers: processes that prepare batches; 0 prepares them in the training's own.
        mixed_precision: whether the forward pass runs in half precision.
    """

    device: str
    batch: int
    workers: int
    mixed_precision: bool

    @classmethod
    def find(cls, device: str | None = None) -> "Hardware":
        """The named device, or the first GPU, or the CPU without one."""
        name = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
        if torch.device(name).type == "cpu":
            # On a CPU `yolo.faster_on_cpu` sees to bfloat16: ultralytics' amp is for GPUs.
            return cls(name, _CPU_BATCH, workers=0, mixed_precision=False)
        return cls(name, _GPU_BATCH, workers=min(cores(), _MOST_WORKERS), mixed_precision=True)

    @property
    def on_gpu(self) -> bool:
        """Whether the device is one."""
        return bool(torch.device(self.device).type != "cpu")

    def for_ultralytics(self) -> dict[str, Any]:
        """Arguments of `YOLO.train`."""
        device: object = torch.device(self.device).index or 0 if self.on_gpu else "cpu"
        return {"device": device, "workers": self.workers, "amp": self.mixed_precision}


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 in hardware: half the time of a step where it does.

    A CPU that does not takes loops without vector instructions for the gradients of convolutions,
    seven times slower than float32 (measured on one with AVX2 alone).
    """
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # "bf16" is ARM's
    return bool(torch.cuda.is_bf16_supported())


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
