"""`make bench-inference DEVICE=cuda`: what each step takes on a device, the encoder alone, and the results.

It needs nothing but the device, and takes less than five minutes on a GPU: the shipped models on
twelve rendered frames, their results beside the CPU's, and SAM ViT-H with random weights and
twelve boxes a frame. Random weights cost what trained ones do; what they find is not looked at.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bay_observation.commands import output_console, run_command
from bay_observation.errors import BayObservationError, InferenceError
from lab.bars import Bar, bars_table
from lab.benchmarks.comparison import compare
from lab.benchmarks.inference import LIBRARIES, RESULTS, step_seconds
from lab.machine import machine

if TYPE_CHECKING:
    from capture_async.types import CaptureBatch
    from inference import BayModels

# Tolerance of a device's results beside the CPU's, of objects matched by overlap.
MOST_DIFFERENT, LEAST_IOU = 0.015, 0.97
_BAY, _SEED, _HOUR = "demo_bay", 700, 11.0
_SHIPPED_BAR_S = 0.25
_ENCODER_FACTOR, _BESIDE_ENCODER_S = 1.25, 0.15
_BOXES_PER_FRAME = 12
_WARM_UPS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 0 when every bar holds, 1 when one does not, 2 when the measurement failed."""
    options = _parser().parse_args(arguments)
    try:
        results = measure(options.device, options.repeats, options.large)
    except BayObservationError as error:
        print(error, file=sys.stderr)
        return 2
    bars = bars_of(results)
    results["bars"] = [asdict(bar) | {"holds": bar.holds} for bar in bars]
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"device_{options.device.partition(':')[0]}.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    console = output_console()
    console.print(bars_table(bars, title=f"{results['device']}, {results['precision']}"))
    for name in ("shipped", "large"):
        if name in results:
            steps = ", ".join(f"{step} {1000 * seconds:.0f} ms" for step, seconds in results[name]["steps_s"].items())
            console.print(f"{name}: {steps}; encoder alone {1000 * results[name]['encoder_s']:.0f} ms")
    console.print(f"written to {path}")
    return 0 if all(bar.holds for bar in bars) else 1


def measure(device: str, repeats: int, large: str | None) -> dict[str, Any]:
    """Every figure, as one document of JSON types.

    Args:
        device: torch's name.
        repeats: passes through the same frames.
        large: type of a SAM to time with random weights (`vit_h`); None leaves it out.

    Raises:
        InferenceError: torch does not have the device.
    """
    import torch

    from bays import load_bay
    from inference import InferenceService, load_models
    from lab.training.scores import rendered_batch

    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise InferenceError(f"torch {torch.__version__} finds no GPU: install its CUDA build, or give --device cpu")
    bay = load_bay(_BAY)
    batch, _ = rendered_batch(bay, _SEED, _HOUR)
    models = load_models(bay.models, device)
    results: dict[str, Any] = {
        "machine": machine(LIBRARIES),
        "device": torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device,
        "precision": str(models.half or torch.float32).removeprefix("torch."),
        "shipped": _timed(InferenceService(models), batch, repeats),
        "tolerance": {"most_different": MOST_DIFFERENT, "least_iou": LEAST_IOU},
    }
    on_cpu = InferenceService(load_models(bay.models, "cpu")).observe(batch)
    results["beside_cpu"] = asdict(compare(on_cpu, InferenceService(models).observe(batch)))
    if large is not None:
        results["large"] = {"type": large} | _timed(_fixed_boxes(_with_random_sam(models, large)), batch, repeats)
    return json.loads(json.dumps(results))  # type: ignore[no-any-return]  # as it is when read back


def bars_of(results: dict[str, Any]) -> list[Bar]:
    """The figures that have a bar, of what was measured."""
    shipped, beside = results["shipped"], results["beside_cpu"]
    different = beside["unmatched"] + beside["other_class"] + beside["other_stage"]
    share = different / beside["objects"] if beside["objects"] else math.nan  # of nothing, nothing is known
    bars = [
        Bar(
            f"shipped models, {shipped['frames']} frames",
            statistics.median(shipped["service_s"]),
            "<=",
            _SHIPPED_BAR_S,
            "s",
            f"{min(shipped['service_s']):.4g} to {max(shipped['service_s']):.4g}",
        ),
        Bar("share of objects that differ from the CPU's", share, "<=", MOST_DIFFERENT),
        Bar("least IoU with the CPU's outline", beside["least_iou"], ">=", LEAST_IOU),
    ]
    if "large" in results:
        large = results["large"]
        allowed = _ENCODER_FACTOR * large["encoder_s"] + _BESIDE_ENCODER_S
        name = f"SAM {large['type']}, {large['frames']} frames with {_BOXES_PER_FRAME} boxes each: segment"
        bars.append(Bar(name, large["steps_s"]["segment"], "<=", allowed, "s"))
    return bars


def encoder_seconds(
    models: "BayModels", frames: Sequence["np.ndarray[Any, np.dtype[np.uint8]]"], repeats: int
) -> float:
    """Median seconds of the image encoder alone for all frames, as many a call as the service gives it."""
    import torch

    from inference.segmentation import precision

    sam, size = models.segmenter.model, models.sizes.frames_per_embedding
    rows, columns = models.segmenter.transform.get_preprocess_shape(*frames[0].shape[:2], sam.image_encoder.img_size)
    pictures = sam.preprocess(torch.full((size, 3, rows, columns), 90.0, device=models.segmenter.device))

    def encode() -> None:
        with torch.inference_mode(), precision(models.segmenter, models.half):
            for _ in range(-(-len(frames) // size)):
                sam.image_encoder(pictures)

    return statistics.median(_seconds(encode, models.device) for _ in range(_WARM_UPS + repeats))


def _timed(service: Any, batch: "CaptureBatch", repeats: int) -> dict[str, Any]:
    for _ in range(_WARM_UPS):
        service.observe(batch)
    seconds = [_seconds(lambda: service.observe(batch), service.models.device) for _ in range(repeats)]
    frames = [image.decode() for image in batch.images]
    return {
        "frames": len(frames),
        "service_s": seconds,
        "encoder_s": encoder_seconds(service.models, frames, repeats),
        "steps_s": step_seconds(service, batch),
    }


def _with_random_sam(models: "BayModels", kind: str) -> "BayModels":
    import torch
    from segment_anything import SamPredictor, sam_model_registry

    torch.manual_seed(0)
    sam = sam_model_registry[kind]().eval().to(models.device)
    return replace(models, segmenter=SamPredictor(sam))


def _fixed_boxes(models: "BayModels") -> Any:
    """A service that takes twelve boxes in each frame for detected."""
    from inference import InferenceService
    from inference.service import DetectedBox

    class FixedBoxes(InferenceService):
        def _detect(self, frames: Any, check_abandoned: Callable[[], None]) -> Any:
            check_abandoned()
            for frame in frames:
                height, width = frame.picture.shape[:2]
                frame.objects = [DetectedBox("block", 0.9, box) for box in _grid_of_boxes(width, height)]
            return []

    return FixedBoxes(models)


def _grid_of_boxes(width: int, height: int) -> list["np.ndarray[Any, np.dtype[np.float32]]"]:
    wide, high = width / 4, height / 3
    corners = [(column * wide, row * high) for row in range(3) for column in range(4)]
    return [np.asarray([x, y, x + 0.9 * wide, y + 0.9 * high], dtype=np.float32) for x, y in corners]


def _seconds(work: Callable[[], object], device: str) -> float:
    import torch

    began = time.perf_counter()
    work()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.benchmarks.device", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="torch's name of the device (cuda)")
    parser.add_argument("--repeats", type=int, default=9, help="passes through the same frames (9)")
    parser.add_argument("--large", default="vit_h", help="type of SAM to time with random weights (vit_h)")
    parser.add_argument("--no-large", dest="large", action="store_const", const=None, help="leave that out")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"folder for the results ({RESULTS})")
    return parser


if __name__ == "__main__":
    run_command(main)
