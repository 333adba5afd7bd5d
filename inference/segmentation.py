"""Masks for boxes: one SAM embedding a frame, all its boxes in one call of the mask decoder."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inference import runtime
from inference.outlines import upsample

runtime.prepare()

import torch  # noqa: E402
from torch.nn import functional  # noqa: E402

if TYPE_CHECKING:
    from segment_anything import SamPredictor

# SAM may find an object to reach a little beyond its detected box: by this share of the box's size.
BOX_MARGIN = 0.06
_MIN_MARGIN_PX = 4


@dataclass(frozen=True, eq=False)
class ObjectMask:
    """A mask within its window of the frame.

    Attributes:
        window: left, top, right, bottom, whole pixels, right and bottom not included.
        inside: (bottom - top, right - left) bool.
    """

    window: tuple[int, int, int, int]
    inside: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class EmbeddedFrame:
    """A frame's SAM embedding, which any number of boxes can prompt.

    Attributes:
        features: the image embedding, (1, C, h, w).
        frame_size: height and width of the frame, pixels.
        input_size: height and width of the picture that was embedded, pixels.
    """

    features: Any
    frame_size: tuple[int, int]
    input_size: tuple[int, int]


def embed(predictor: "SamPredictor", frame: NDArray[np.uint8], dtype: torch.dtype | None = None) -> EmbeddedFrame:
    """Embed a frame.

    Args:
        predictor: a SAM of any size.
        frame: (H, W, 3) uint8, BGR.
        dtype: half precision for the encoder, None for single.
    """
    height, width = frame.shape[:2]
    side = predictor.model.image_encoder.img_size
    rows, columns = predictor.transform.get_preprocess_shape(height, width, side)
    # `ResizeLongestSide` of segment-anything takes a detour over PIL; this gives the same bytes in a tenth of the time.
    picture = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None]
    picture = functional.interpolate(picture, (rows, columns), mode="bilinear", antialias=True).flip(1)
    with torch.inference_mode(), _precision(predictor, dtype):
        features = predictor.model.image_encoder(predictor.model.preprocess(picture.to(predictor.device)))
    return EmbeddedFrame(features, (height, width), (rows, columns))


def segment(
    predictor: "SamPredictor",
    embedded: EmbeddedFrame,
    boxes: NDArray[np.float32],
    dtype: torch.dtype | None = None,
) -> list[ObjectMask]:
    """Segment what the boxes hold, all of them in one call of the mask decoder.

    The masks are drawn from the decoder's coarse grid straight into their windows; SAM's own
    `postprocess_masks` would draw every one over the whole frame, 2 million pixels each.

    Args:
        predictor: the SAM that embedded the frame.
        embedded: the frame.
        boxes: (N, 4) float32, pixels of the frame, x and y of the top left, x and y of the bottom right.
        dtype: half precision for the decoder, None for single.

    Returns:
        N masks in the order of the boxes. A mask ends at its box, widened by `BOX_MARGIN`.
    """
    if len(boxes) == 0:
        return []
    sam = predictor.model
    (height, width), (rows, columns) = embedded.frame_size, embedded.input_size
    with torch.inference_mode(), _precision(predictor, dtype):
        to_input = np.asarray([columns / width, rows / height] * 2, dtype=np.float32)
        prompts = torch.as_tensor(boxes * to_input, device=predictor.device)
        sparse, dense = sam.prompt_encoder(points=None, boxes=prompts, masks=None)
        logits, _ = sam.mask_decoder(
            image_embeddings=embedded.features,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
    grids = logits[:, 0].float().cpu().numpy()
    cell = sam.image_encoder.img_size / grids.shape[-1]
    windows = [box_window(box, width, height) for box in boxes]
    return [
        ObjectMask(window, _drawn(grid, cell, window, embedded) > sam.mask_threshold)
        for grid, window in zip(grids, windows, strict=True)
    ]


def _drawn(
    grid: NDArray[np.float32], cell: float, window: tuple[int, int, int, int], embedded: EmbeddedFrame
) -> NDArray[np.float32]:
    """Mask logits of a window of the frame, drawn as SAM does: to its input's pixels, then the frame's."""
    (height, width), (rows, columns) = embedded.frame_size, embedded.input_size
    scale = (width / columns, height / rows)
    inner = (
        max(int(window[0] / scale[0]) - 1, 0),
        max(int(window[1] / scale[1]) - 1, 0),
        min(int(window[2] / scale[0]) + 2, columns),
        min(int(window[3] / scale[1]) + 2, rows),
    )
    return upsample(upsample(grid, (cell, cell), inner), scale, window, inner[:2])


@contextmanager
def frame_threads(device: str) -> Iterator[Executor]:
    """Threads to embed and segment frames in: one frame at a time on a GPU, one for each thread of torch on a CPU.

    Each computes alone: torch's own threads would wait for one another after every operation.
    """
    threads = torch.get_num_threads()
    if torch.device(device).type != "cpu":
        with ThreadPoolExecutor(1) as pool:
            yield pool
        return
    try:
        with ThreadPoolExecutor(threads, "segment", lambda: torch.set_num_threads(1)) as pool:
            yield pool
    finally:
        # Set in a thread it is also the default of every thread to come.
        torch.set_num_threads(threads)


def box_window(box: NDArray[np.float32], width: int, height: int) -> tuple[int, int, int, int]:
    """Where in a frame of this size the mask of a box may lie: left, top, right, bottom, the last two not included."""
    left, top, right, bottom = (float(value) for value in box)
    wider = max(BOX_MARGIN * (right - left), _MIN_MARGIN_PX)
    higher = max(BOX_MARGIN * (bottom - top), _MIN_MARGIN_PX)
    return (
        int(np.clip(np.floor(left - wider), 0, width - 1)),
        int(np.clip(np.floor(top - higher), 0, height - 1)),
        int(np.clip(np.ceil(right + wider), 1, width)),
        int(np.clip(np.ceil(bottom + higher), 1, height)),
    )


def _precision(predictor: "SamPredictor", dtype: torch.dtype | None) -> torch.autocast:
    return torch.autocast(predictor.device.type, dtype=dtype, enabled=dtype is not None)
