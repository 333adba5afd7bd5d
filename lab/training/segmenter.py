"""Train the segmenter: `vit_yard`, prompted with boxes as inexact as the detector's.

Most of the epochs see frames of half the size, at a quarter of the cost: the model is a
convolutional one but for a learned position, of which small frames use a part.
"""

import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bay_observation.errors import InferenceError
from bay_observation.files import write_atomically
from inference.checkpoints import open_checkpoint
from inference.loading import sam_type
from inference.segmentation import BOX_MARGIN
from inference.yard_sam import IMAGE_SIZE, MODEL_TYPE, STRIDE, build_sam_vit_yard
from lab.training.frames import Sample
from lab.training.hardware import Hardware, computes_in_bfloat16, cores

# Behind the modules above, which settle how torch is to run.
import torch  # isort: skip
from torch.nn import functional  # isort: skip

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

_CELL = 4  # pixels of SAM's input per cell of its mask grid
_EARLY_IMAGE_SIZE = IMAGE_SIZE // 2
_EARLY_SHARE = 0.67
# In a training this short, many small steps go farther than a few large ones; a GPU needs more at once.
_FRAMES_PER_STEP, _GPU_FRAMES_PER_STEP = 2, 8
_BOXES_PER_FRAME = 8
# Of a box's sides, as shares of the box: about what the detector is off by, a tenth and more
# where an object is hidden in part.
_JITTER, _MOST_JITTER = 0.05, 0.2
_REPORT_EVERY = 100
_KEPT = ("sam", "optimiser", "schedule", "average")


@dataclass(frozen=True)
class _Phase:
    """Epochs at one size of frame; `rate` is the peak of the learning rate, `kept` the file of the training's state."""

    image_size: int
    epochs: int
    rate: float
    frames_per_step: int
    kept: Path


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame at SAM's input size: RGB picture, (N, 4) boxes in pixels of it, (N, G, G) covered shares as bytes."""

    picture: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    covered: NDArray[np.uint8]


def train_segmenter(
    samples: list[Sample],
    validation: list[Sample],
    out: Path,
    *,
    epochs: int,
    seed: int,
    hardware: Hardware,
    start: Path | None = None,
) -> Path:
    """Train and return the state dict in half precision, at `out/segmenter.pth`.

    A training that was interrupted goes on after its last complete epoch. `start` is an earlier
    result to go on from; all epochs then see frames of full size.
    """
    torch.manual_seed(seed)
    if start is not None:
        check_start(start)
    sam = build_sam_vit_yard(start).to(hardware.device)
    early = round(epochs * _EARLY_SHARE) if start is None else 0
    shipped = out / "segmenter.pth"
    shipped.parent.mkdir(parents=True, exist_ok=True)
    phases = [
        _Phase(
            image_size,
            count,
            rate,
            _GPU_FRAMES_PER_STEP if hardware.on_gpu else _FRAMES_PER_STEP,
            out / f"{name}.state",
        )
        for name, image_size, count, rate in (
            ("segmenter_early", _EARLY_IMAGE_SIZE, early, 1.5e-3),
            ("segmenter_late", IMAGE_SIZE, epochs - early, 7e-4),
        )
        if count
    ]
    for phase in phases:
        if any(later.kept.exists() for later in phases[phases.index(phase) + 1 :]):
            continue  # the next phase has begun: its state holds the weights
        _set_image_size(sam, phase.image_size)
        frames, held_out = (_load_all(some, phase.image_size) for some in (samples, validation))
        if len(frames) < phase.frames_per_step:
            raise InferenceError(
                f"{len(frames)} frames have an outline to learn from; a step takes {phase.frames_per_step}"
            )
        sam.load_state_dict(_run(sam, phase, frames, held_out, np.random.default_rng(seed)).state_dict())
    state = sam.state_dict()
    torch.save(
        {name: (value.half() if value.is_floating_point() else value).cpu() for name, value in state.items()}, shipped
    )
    for phase in phases:
        phase.kept.unlink(missing_ok=True)
    return shipped


def _run(sam: "Sam", phase: _Phase, frames: list[_Frame], held_out: list[_Frame], rng: np.random.Generator) -> "Sam":
    """Train for one phase; returns the running average of the weights.

    After every epoch all that the training needs to go on is written to `phase.kept`.
    """
    training = _Training(sam, phase, len(frames))
    done = training.load(phase.kept, rng) if phase.kept.exists() else 0
    started, losses = time.monotonic(), []
    for epoch in range(done, phase.epochs):
        for some in _steps(frames, phase, rng):
            losses.append(training.step(some, rng))
            if len(losses) % _REPORT_EVERY == 0:
                spent = time.monotonic() - started
                recent = np.mean(losses[-_REPORT_EVERY:])
                print(f"epoch {epoch + 1}, step {len(losses)}: loss {recent:.4f}, {spent:.0f} s", flush=True)
        training.save(phase.kept, epoch + 1, rng)
        scores = _report(training.average.module, held_out[:24], rng)
        print(f"epoch {epoch + 1} of {phase.epochs}: {scores}", flush=True)
    print(_report(training.average.module, held_out, rng), flush=True)
    return training.average.module


class _Training:
    """Weights, their running average, and the optimiser of one phase."""

    def __init__(self, sam: "Sam", phase: _Phase, frames: int) -> None:
        decayed = [parameter for parameter in sam.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in sam.parameters() if parameter.ndim <= 1]
        self.sam = sam
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}], fused=True
        )
        steps = phase.epochs * (frames // phase.frames_per_step)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, phase.rate, total_steps=max(steps, 2), pct_start=0.1
        )
        self.average = torch.optim.swa_utils.AveragedModel(
            sam, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99), use_buffers=True
        )

    def step(self, frames: list[_Frame], rng: np.random.Generator) -> float:
        """One step; its loss."""
        self.sam.train()
        loss = _loss(self.sam, frames, rng)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.sam.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.average.update_parameters(self.sam)
        return float(loss.detach())

    def save(self, path: Path, epochs: int, rng: np.random.Generator) -> None:
        """Write what `load` needs, whole or not at all."""
        content = {name: getattr(self, name).state_dict() for name in _KEPT}
        content |= {"epochs": epochs, "rng": rng.bit_generator.state, "torch_rng": torch.get_rng_state()}
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_atomically(path, buffer.getvalue())

    def load(self, path: Path, rng: np.random.Generator) -> int:
        """Go on where `save` was; the epochs that are done."""
        content = torch.load(path, map_location="cpu", weights_only=True)
        for name in _KEPT:
            getattr(self, name).load_state_dict(content[name])
        rng.bit_generator.state = content["rng"]
        torch.set_rng_state(content["torch_rng"])
        return int(content["epochs"])


def check_start(path: Path) -> None:
    """Refuse what is no whole state dict of the small SAM: the large ones are not trained here.

    Raises:
        InferenceError: another file.
    """
    if (
        not open_checkpoint(path).is_state_dict
        or sam_type(torch.load(path, map_location="cpu", weights_only=True)) != MODEL_TYPE
    ):
        raise InferenceError(
            f"{path}: is no state dict of the small SAM ({MODEL_TYPE}): segment-anything's own (vit_b, vit_l, vit_h)"
            " are used as they are, and not trained here"
        )


def _set_image_size(sam: "Sam", size: int) -> None:
    """Let the model take frames of another size; its weights are the same for each."""
    grid = size // STRIDE
    sam.image_encoder.img_size = size
    sam.prompt_encoder.input_image_size = (size, size)
    sam.prompt_encoder.image_embedding_size = (grid, grid)


def _load_all(samples: list[Sample], image_size: int) -> list[_Frame]:
    """Frames with something to segment in them, loaded by all cores."""
    with ThreadPoolExecutor(cores()) as pool:
        loaded = list(pool.map(lambda sample: _load(sample, image_size), samples))
    return [frame for frame in loaded if len(frame.boxes)]


def _load(sample: Sample, image_size: int) -> _Frame:
    scale = image_size / max(sample.size)
    picture = cv2.cvtColor(sample.picture(), cv2.COLOR_BGR2RGB)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    labels = [label for label in sample.labels if label.number]
    boxes = np.array([label.box for label in labels], dtype=np.float32).reshape(-1, 4) * np.float32(scale)
    numbers = sample.numbers()
    grid = (round(small.shape[1] / _CELL), round(small.shape[0] / _CELL))
    covered = np.zeros((len(labels), image_size // _CELL, image_size // _CELL), dtype=np.uint8)
    for place, label in zip(covered, labels, strict=True):
        shown = (numbers == label.number).astype(np.uint8) * 255
        place[: grid[1], : grid[0]] = cv2.resize(shown, grid, interpolation=cv2.INTER_AREA)
    return _Frame(np.asarray(small, dtype=np.uint8), boxes, covered)


def _steps(frames: list[_Frame], phase: _Phase, rng: np.random.Generator) -> Iterator[list[_Frame]]:
    """The steps of one epoch."""
    order = rng.permutation(len(frames))
    for start in range(0, len(order) - phase.frames_per_step + 1, phase.frames_per_step):
        yield [_augmented(frames[i], rng) for i in order[start : start + phase.frames_per_step]]


def _augmented(frame: _Frame, rng: np.random.Generator) -> _Frame:
    picture, boxes, covered = frame.picture.astype(np.float32), frame.boxes, frame.covered
    width = picture.shape[1]
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
        covered = covered[:, :, ::-1]
    gain = rng.uniform(0.75, 1.25) * rng.uniform(0.93, 1.07, 3)
    picture = np.clip(picture * gain + rng.uniform(-12, 12), 0, 255)
    chosen = rng.permutation(len(boxes))[:_BOXES_PER_FRAME]
    return _Frame(picture.astype(np.uint8), boxes[chosen], covered[chosen])


def _loss(sam: "Sam", frames: list[_Frame], rng: np.random.Generator) -> torch.Tensor:
    """Binary cross-entropy and Dice loss within the boxes, every object with equal weight, and SAM's IoU loss."""
    logits, quality, targets, weights = _forward(sam, frames, rng)
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    area = weights.sum(dim=(1, 2)).clamp(min=1)
    entropy = (entropy * weights).sum(dim=(1, 2)) / area
    inside = torch.sigmoid(logits) * weights
    shared = (inside * targets).sum(dim=(1, 2))
    dice = 1 - (2 * shared + 1) / (inside.sum(dim=(1, 2)) + (targets * weights).sum(dim=(1, 2)) + 1)
    with torch.no_grad():
        iou = _iou(logits > 0, targets > 0.5, weights > 0)
    return (2 * entropy + dice + 0.2 * (quality - iou) ** 2).mean()


def _forward(
    sam: "Sam", frames: list[_Frame], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits (N, G, G), predicted IoU (N,), targets (N, G, G) as covered shares, weights (N, G, G): 1 in the box."""
    pictures = torch.stack(
        [sam.preprocess(torch.from_numpy(frame.picture).to(sam.device).permute(2, 0, 1).float()) for frame in frames]
    )
    all_boxes = [_jittered(frame, rng) for frame in frames]
    logits, quality, targets, weights = [], [], [], []
    # The losses are taken in float32.
    in_bfloat16 = sam.training and computes_in_bfloat16(sam.device)
    with torch.autocast(sam.device.type, dtype=torch.bfloat16, enabled=in_bfloat16):
        for embedding, boxes in zip(sam.image_encoder(pictures), all_boxes, strict=True):
            sparse, dense = sam.prompt_encoder(points=None, boxes=torch.from_numpy(boxes).to(sam.device), masks=None)
            masks, iou = sam.mask_decoder(
                image_embeddings=embedding[None],
                image_pe=sam.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=False,
            )
            logits.append(masks[:, 0].float())
            quality.append(iou[:, 0].float())
    for frame, boxes in zip(frames, all_boxes, strict=True):
        rows, columns = frame.picture.shape[:2]
        targets.append(torch.from_numpy(frame.covered.astype(np.float32) / 255))
        weights.append(torch.stack([_window(box, rows, columns, frame.covered.shape[1]) for box in boxes]))
    return torch.cat(logits), torch.cat(quality), torch.cat(targets).to(sam.device), torch.cat(weights).to(sam.device)


def _jittered(frame: _Frame, rng: np.random.Generator) -> NDArray[np.float32]:
    """(N, 4) the frame's boxes as a detector might give them: off, but never beyond the frame."""
    size = np.tile(frame.boxes[:, 2:] - frame.boxes[:, :2], 2)
    off = np.clip(rng.normal(0, _JITTER, size.shape), -_MOST_JITTER, _MOST_JITTER)
    rows, columns = frame.picture.shape[:2]
    return np.asarray(np.clip(frame.boxes + off * size, 0, (columns, rows, columns, rows)), dtype=np.float32)


def _window(box: NDArray[np.float32], rows: int, columns: int, grid: int) -> torch.Tensor:
    """The cells that the box, widened as at work, reaches: (G, G) float32."""
    left, top, right, bottom = box
    wider, higher = BOX_MARGIN * (right - left) + 2, BOX_MARGIN * (bottom - top) + 2
    weight = torch.zeros(grid, grid)
    columns_from, columns_to = int(max(left - wider, 0) // _CELL), int(np.ceil(min(right + wider, columns) / _CELL))
    rows_from, rows_to = int(max(top - higher, 0) // _CELL), int(np.ceil(min(bottom + higher, rows) / _CELL))
    weight[rows_from:rows_to, columns_from:columns_to] = 1
    return weight


def _iou(found: torch.Tensor, true: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    found, true = found & where, true & where
    return (found & true).sum(dim=(1, 2)) / (found | true).sum(dim=(1, 2)).clamp(min=1)


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is untyped here
def _report(sam: Any, frames: list[_Frame], rng: np.random.Generator) -> str:
    sam.eval()
    found = []
    for frame in frames:
        logits, _, targets, weights = _forward(sam, [frame], rng)
        found.append(_iou(logits > 0, targets > 0.5, weights > 0))
    iou = torch.cat(found).cpu().numpy() if found else np.zeros(1)
    return f"held out: IoU mean {iou.mean():.3f}, median {np.median(iou):.3f}, worst tenth {np.quantile(iou, 0.1):.3f}"
