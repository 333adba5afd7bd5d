"""What the two ultralytics models share: their small architecture, and checkpoints fit to ship."""

from enum import Enum
from pathlib import Path
from typing import Any

import torch
import yaml

from bay_observation.errors import InferenceError
from inference import runtime
from inference.checkpoints import open_checkpoint
from lab.training.hardware import computes_in_bfloat16

runtime.prepare()

import ultralytics  # noqa: E402
from ultralytics import YOLO  # noqa: E402

# Depth, width and largest number of channels of YOLO11: half the width of its smallest, "n".
_SCALE = [0.50, 0.125, 512]


def architecture(folder: Path, name: str, classes: int) -> Path:
    """Write the small variant of ultralytics' `yolo11.yaml` or `yolo11-cls.yaml`.

    Args:
        folder: where to.
        name: `yolo11` or `yolo11-cls`.
        classes: number of classes.
    """
    original = Path(ultralytics.__file__).parent / "cfg" / "models" / "11" / f"{name}.yaml"
    model = yaml.safe_load(original.read_text(encoding="utf-8"))
    model["nc"], model["scales"] = classes, {"n": _SCALE}
    path = folder / f"{name.replace('yolo11', 'yolo11n')}.yaml"  # the letter chooses the scale
    path.write_text(yaml.safe_dump(model, sort_keys=False), encoding="utf-8")
    return path


def class_names(checkpoint: Path) -> tuple[str, ...]:
    """The classes of an ultralytics checkpoint, in its order.

    Raises:
        InferenceError: it is none, or is damaged.
    """
    names = _opened(checkpoint).names
    return tuple(names[index] for index in sorted(names))


def task_of(checkpoint: Path) -> str:
    """What an ultralytics checkpoint does: detect, classify, segment.

    Raises:
        InferenceError: as `class_names`.
    """
    return str(_opened(checkpoint).task)


def _opened(checkpoint: Path) -> YOLO:
    if not open_checkpoint(checkpoint).is_ultralytics:
        raise InferenceError(f"{checkpoint}: is no ultralytics checkpoint; name a .pt file of the model to train")
    return YOLO(checkpoint)


def faster_on_cpu(trainer: Any) -> None:
    """Callback `on_pretrain_routine_end`: half the time of a training step on a CPU that has bfloat16.

    The network runs in bfloat16 with channels last, the loss in float32 as ever. Only the
    model that is trained is wrapped; the averaged copy, which becomes the checkpoint, is not.
    """
    if trainer.device.type != "cpu" or not computes_in_bfloat16(trainer.device):
        return
    model = trainer.model.to(memory_format=torch.channels_last)
    forward = model.forward

    def in_bfloat16(batch: Any, *rest: Any, **named: Any) -> Any:
        if isinstance(batch, dict):  # pictures and labels: runs the network through here again, then the loss
            return forward(batch, *rest, **named)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = forward(batch.contiguous(memory_format=torch.channels_last), *rest, **named)
        return _in_float32(found)

    model.forward = in_bfloat16


def _in_float32(found: Any) -> Any:
    if isinstance(found, torch.Tensor):
        return found.float()
    if isinstance(found, dict):
        return {name: _in_float32(value) for name, value in found.items()}
    if isinstance(found, (list, tuple)):
        return type(found)(_in_float32(value) for value in found)
    return found


def train_phase(start: Path, folder: Path, name: str, settings: dict[str, Any]) -> Path:
    """Train a model, or go on with a training that was interrupted; one that is complete stands.

    Args:
        start: architecture or checkpoint to begin with.
        folder: of the training; it keeps its state in `folder/name/weights/last.pt` after each epoch.
        name: of the phase.
        settings: arguments of `YOLO.train`.

    Returns:
        The phase's last checkpoint.
    """
    last = folder / name / "weights" / "last.pt"
    state = progress(last)
    if state is Progress.COMPLETE:
        return last
    model = YOLO(last if state is Progress.INTERRUPTED else start)
    if model.task == "detect":
        model.add_callback("on_pretrain_routine_end", faster_on_cpu)
    if state is Progress.INTERRUPTED:
        model.train(resume=True, device=settings["device"], workers=settings["workers"])
    else:
        # ultralytics puts a relative folder into its own one.
        model.train(**settings, project=str(folder.resolve()), name=name, exist_ok=True)
    return last


class Progress(Enum):
    """How far a training came."""

    NONE = "none"
    INTERRUPTED = "interrupted"
    COMPLETE = "complete"


def progress(last: Path) -> Progress:
    """What a training left behind: ultralytics takes the optimiser out of the checkpoint of a complete one."""
    if not last.is_file():
        return Progress.NONE
    content = torch.load(last, map_location="cpu", weights_only=False)
    return Progress.COMPLETE if content.get("optimizer") is None else Progress.INTERRUPTED


def trained(checkpoint: Path) -> torch.nn.Module:
    """The model of a checkpoint that ultralytics' training wrote a moment ago."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=False)
    return content.get("ema") or content["model"]


def ship(model: torch.nn.Module, task: str, shipped: Path, image_size: int) -> Path:
    """Write a model as an ultralytics checkpoint without what only its training needed.

    No optimiser, paths, dates or results; weights in half precision, as ultralytics keeps them.
    """
    kept = {"task": task, "imgsz": image_size}
    model = model.half()
    model.args = dict(kept)
    model.yaml.pop("yaml_file", None)
    for name in ("criterion", "transforms", "pt_path"):
        if hasattr(model, name):
            delattr(model, name)
    for parameter in model.parameters():
        parameter.requires_grad = False
    shipped.parent.mkdir(parents=True, exist_ok=True)
    content = {"model": model, "ema": None, "train_args": kept, "version": ultralytics.__version__}
    torch.save(content | {"license": "AGPL-3.0 (ultralytics)"}, shipped)
    return shipped
