"""Masks for boxes: one SAM embedding a frame, the boxes of all frames at hand in one call of the mask decoder.

`embed` and `prompt` run on the device, `draw` in any thread.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inference import runtime
from inference.outlines import cells_of, upsample

runtime.prepare()

import torch  # noqa: E402
from torch.nn import functional  # noqa: E402

from inference.yard_sam import YardMaskDecoder  # noqa: E402

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
        features: the image embedding, (1, C, h, w) float32.
        frame_size: height and width of the frame, pixels.
        input_size: height and width of the picture that was embedded, pixels.
    """

    features: Any
    frame_size: tuple[int, int]
    input_size: tuple[int, int]


def embed(
    predictor: "SamPredictor", frames: Sequence[NDArray[np.uint8]], dtype: torch.dtype | None = None
) -> list[EmbeddedFrame]:
    """Embed frames of one size in one call of the image encoder.

    Frames go to the device as they are and are resized there.

    Args:
        predictor: a SAM of any size.
        frames: each (H, W, 3) uint8, BGR.
        dtype: half precision for the encoder, None for single.

    Returns:
        One embedding for each frame.
    """
    height, width = frames[0].shape[:2]
    side = predictor.model.image_encoder.img_size
    size = predictor.transform.get_preprocess_shape(height, width, side)
    pictures = torch.cat([_resized(frame, size, predictor.device) for frame in frames]).flip(1)
    with torch.inference_mode(), precision(predictor, dtype):
        features = predictor.model.image_encoder(predictor.model.preprocess(pictures)).float()
    return [EmbeddedFrame(one, (height, width), size) for one in features.split(1)]


def _resized(frame: NDArray[np.uint8], size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """A frame at SAM's input size, (1, 3, rows, columns), whole grey levels, on the device.

    `ResizeLongestSide` of segment-anything takes a detour over PIL; on a CPU this gives the same
    bytes in a tenth of the time. On a GPU, where torch resizes no bytes, they differ by a grey
    level at most.
    """
    picture = torch.from_numpy(np.ascontiguousarray(frame)).to(device, non_blocking=True).permute(2, 0, 1)[None]
    if device.type == "cpu":
        return functional.interpolate(picture, size, mode="bilinear", antialias=True)
    return functional.interpolate(picture.float(), size, mode="bilinear", antialias=True).round_().clamp_(0, 255)


def prompt(
    predictor: "SamPredictor", embedded: Sequence[EmbeddedFrame], boxes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Mask logits of what the boxes hold, in one call of the mask decoder.

    The decoder computes in single precision, whatever the encoder does: it is small, and in half
    precision it moves outlines by more than the encoder does.

    Args:
        predictor: the SAM that embedded the frames.
        embedded: the frame of each box, all of one size.
        boxes: (N, 4) float32, N >= 1, pixels of the frame, x and y of the top left, x and y of the bottom right.

    Returns:
        (N, h, w) float32, on SAM's coarse grid.
    """
    sam = predictor.model
    (height, width), (rows, columns) = embedded[0].frame_size, embedded[0].input_size
    to_input = np.asarray([columns / width, rows / height] * 2, dtype=np.float32)
    prompts = torch.as_tensor(boxes * to_input, device=predictor.device)
    with torch.inference_mode():
        sparse, dense = sam.prompt_encoder(points=None, boxes=prompts, masks=None)
        features = embedded[0].features
        if any(frame is not embedded[0] for frame in embedded):
            features = torch.cat([frame.features for frame in embedded])
            if not isinstance(sam.mask_decoder, YardMaskDecoder):
                # segment-anything's own decoder adds the features of one frame to each box's dense embedding.
                features, dense = torch.zeros_like(features[:1]), features + dense
        logits, _ = sam.mask_decoder(
            image_embeddings=features,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
    return np.asarray(logits[:, 0].cpu().numpy())


def draw(
    predictor: "SamPredictor", embedded: EmbeddedFrame, box: NDArray[np.float32], logits: NDArray[np.float32]
) -> ObjectMask:
    """Draw a mask from the decoder's coarse grid straight into its window; needs no device.

    SAM's own `postprocess_masks` would draw every mask over the whole frame, 2 million pixels each.

    Args:
        predictor: the SAM that gave the logits.
        embedded: the frame.
        box: (4,) float32, the prompt, pixels of the frame.
        logits: (h, w) float32, of one box, from `prompt`.

    Returns:
        The mask. It ends at its box, widened by `BOX_MARGIN`.
    """
    sam = predictor.model
    height, width = embedded.frame_size
    window = box_window(box, width, height)
    return ObjectMask(window, _drawn(logits, sam.image_encoder.img_size, window, embedded) > sam.mask_threshold)


def _drawn(
    logits: NDArray[np.float32], side: int, window: tuple[int, int, int, int], embedded: EmbeddedFrame
) -> NDArray[np.float32]:
    """Mask logits of a window of the frame, drawn as SAM does: to its input's pixels, then the frame's."""
    frame, picture = embedded.frame_size[::-1], embedded.input_size[::-1]
    padded, grid = (side, side), logits.shape[::-1]
    pixels = cells_of(window, frame, picture)
    left, top, right, bottom = cells = cells_of(pixels, padded, grid)
    of_picture = upsample(logits[top:bottom, left:right], cells, grid, padded, pixels)
    return upsample(of_picture, pixels, picture, frame, window)


@contextmanager
def device_threads(device: str) -> Iterator[Executor]:
    """Threads that drive the device: one for a GPU, on a CPU one for each thread of torch.

    On a CPU each computes alone: torch's own threads would wait for one another after every operation.
    """
    threads = torch.get_num_threads()
    if torch.device(device).type != "cpu":
        with ThreadPoolExecutor(1, "device") as pool:
            yield pool
        return
    try:
        with ThreadPoolExecutor(threads, "device", lambda: torch.set_num_threads(1)) as pool:
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


def precision(predictor: "SamPredictor", dtype: torch.dtype | None) -> torch.autocast:
    """The context in which a SAM computes at half precision, or at single for None."""
    return torch.autocast(predictor.device.type, dtype=dtype, enabled=dtype is not None)
