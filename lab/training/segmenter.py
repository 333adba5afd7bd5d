"""Train the segmenter: `vit_yard`, prompted with boxes as inexact as the detector's.

Most of the epochs see frames of half the size, at a quarter of the cost: the model is a
convolutional one but for a learned position, of which small frames use a part.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.segmentation import BOX_MARGIN
from inference.yard_sam import IMAGE_SIZE, STRIDE, build_sam_vit_yard
from lab.training.frames import Sample

# Behind the modules above, which settle how torch is to run.
import torch  # isort: skip
from torch.nn import functional  # isort: skip

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

_CELL = 4  # pixels of SAM's input per cell of its mask grid
_EARLY_IMAGE_SIZE = IMAGE_SIZE // 2
_EARLY_SHARE = 0.67
_FRAMES_PER_STEP = 2  # in a training this short, many small steps go farther than a few large ones
_BOXES_PER_FRAME = 8
# Of a box's sides, as shares of the box: about what the detector is off by, a tenth and more
# where an object is hidden in part.
_JITTER, _MOST_JITTER = 0.05, 0.2
_REPORT_EVERY = 100


@dataclass(frozen=True)
class _Phase:
    """Epochs at one size of frame; `rate` is the peak of the learning rate."""

    image_size: int
    epochs: int
    rate: float


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame at SAM's input size: RGB picture, (N, 4) boxes in pixels of it, (N, G, G) covered shares as bytes."""

    picture: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    covered: NDArray[np.uint8]


def train_segmenter(
    samples: list[Sample], validation: list[Sample], out: Path, *, epochs: int, seed: int, start: Path | None = None
) -> Path:
    """Train and return the state dict in half precision, at `out/segmenter.pth`.

    `start` is an earlier result to go on from; all epochs then see frames of full size.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    sam = build_sam_vit_yard(start)
    early = round(epochs * _EARLY_SHARE) if start is None else 0
    shipped = out / "segmenter.pth"
    shipped.parent.mkdir(parents=True, exist_ok=True)
    for phase in (
        _Phase(_EARLY_IMAGE_SIZE, early, rate=1.5e-3),
        _Phase(IMAGE_SIZE, epochs - early, rate=7e-4),
    ):
        if phase.epochs == 0:
            continue
        _set_image_size(sam, phase.image_size)
        frames = [frame for sample in samples if len((frame := _load(sample, phase.image_size)).boxes)]
        held_out = [frame for sample in validation if len((frame := _load(sample, phase.image_size)).boxes)]
        state = _run(sam, phase, frames, held_out, rng).state_dict()
        sam.load_state_dict(state)
        torch.save(
            {name: value.half() if value.is_floating_point() else value for name, value in state.items()}, shipped
        )
    return shipped


def _run(sam: "Sam", phase: _Phase, frames: list[_Frame], held_out: list[_Frame], rng: np.random.Generator) -> "Sam":
    """Train for one phase; returns the running average of the weights."""
    decayed = [parameter for parameter in sam.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in sam.parameters() if parameter.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}], fused=True
    )
    steps = phase.epochs * (len(frames) // _FRAMES_PER_STEP)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, phase.rate, total_steps=max(steps, 2), pct_start=0.1)
    average = torch.optim.swa_utils.AveragedModel(
        sam, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99), use_buffers=True
    )
    started, losses = time.monotonic(), []
    for step, some in enumerate(_steps(frames, phase, rng), start=1):
        sam.train()
        loss = _loss(sam, some, rng)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(sam.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(sam)
        losses.append(float(loss.detach()))
        if step % _REPORT_EVERY == 0 or step == steps:
            spent = time.monotonic() - started
            print(f"step {step} of {steps}: loss {np.mean(losses[-_REPORT_EVERY:]):.4f}, {spent:.0f} s", flush=True)
        if step % (_REPORT_EVERY * 4) == 0 and step < steps:
            print(_report(average.module, held_out[:24], rng), flush=True)
    print(_report(average.module, held_out, rng), flush=True)
    return average.module


def _set_image_size(sam: "Sam", size: int) -> None:
    """Let the model take frames of another size; its weights are the same for each."""
    grid = size // STRIDE
    sam.image_encoder.img_size = size
    sam.prompt_encoder.input_image_size = (size, size)
    sam.prompt_encoder.image_embedding_size = (grid, grid)


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
    for _ in range(phase.epochs):
        order = rng.permutation(len(frames))
        for start in range(0, len(order) - _FRAMES_PER_STEP + 1, _FRAMES_PER_STEP):
            yield [_augmented(frames[i], rng) for i in order[start : start + _FRAMES_PER_STEP]]


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
        [sam.preprocess(torch.from_numpy(frame.picture).permute(2, 0, 1).float()) for frame in frames]
    )
    all_boxes = [_jittered(frame, rng) for frame in frames]
    logits, quality, targets, weights = [], [], [], []
    # bfloat16 makes a step almost twice as fast where the CPU has it; the losses are taken in float32.
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=sam.training):
        for embedding, boxes in zip(sam.image_encoder(pictures), all_boxes, strict=True):
            sparse, dense = sam.prompt_encoder(points=None, boxes=torch.from_numpy(boxes), masks=None)
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
    return torch.cat(logits), torch.cat(quality), torch.cat(targets), torch.cat(weights)


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
    iou = torch.cat(found).numpy() if found else np.zeros(1)
    return f"held out: IoU mean {iou.mean():.3f}, median {np.median(iou):.3f}, worst tenth {np.quantile(iou, 0.1):.3f}"
