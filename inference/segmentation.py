"""Masks for boxes: one SAM embedding a frame, all its boxes in one call of the mask decoder."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inference import runtime
from inference.outlines import upsample

runtime.prepare()

import torch  # noqa: E402

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


def segment(predictor: "SamPredictor", frame: NDArray[np.uint8], boxes: NDArray[np.float32]) -> list[ObjectMask]:
    """Segment what the boxes hold.

    Args:
        predictor: a SAM of any size.
        frame: (H, W, 3) uint8, BGR.
        boxes: (N, 4) float32, pixels, x and y of the top left, x and y of the bottom right.

    Returns:
        N masks in the order of the boxes. A mask ends at its box, widened by `BOX_MARGIN`.
    """
    if len(boxes) == 0:
        return []
    height, width = frame.shape[:2]
    picture = predictor.transform.apply_image(np.ascontiguousarray(frame[..., ::-1]))
    rows, columns = picture.shape[:2]
    tensor = torch.as_tensor(picture, device=predictor.device).permute(2, 0, 1)[None].contiguous()
    # The predictor is told that the frame is as small as SAM's input: at full size, it would draw every
    # mask over the whole frame (2 million pixels each). They are drawn here instead, in their boxes only.
    predictor.set_torch_image(tensor, (rows, columns))
    try:
        prompts = torch.as_tensor(boxes * np.float32(columns / width), device=predictor.device)
        _, _, logits = predictor.predict_torch(None, None, boxes=prompts, multimask_output=False)
    finally:
        predictor.reset_image()
    grids = logits[:, 0].float().cpu().numpy()
    cell = predictor.model.image_encoder.img_size / grids.shape[-1]
    scale = (cell * width / columns, cell * height / rows)
    windows = [_window(box, width, height) for box in boxes]
    return [
        ObjectMask(window, upsample(grid, scale, window) > predictor.model.mask_threshold)
        for grid, window in zip(grids, windows, strict=True)
    ]


def _window(box: NDArray[np.float32], width: int, height: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = (float(value) for value in box)
    wider = max(BOX_MARGIN * (right - left), _MIN_MARGIN_PX)
    higher = max(BOX_MARGIN * (bottom - top), _MIN_MARGIN_PX)
    return (
        int(np.clip(np.floor(left - wider), 0, width - 1)),
        int(np.clip(np.floor(top - higher), 0, height - 1)),
        int(np.clip(np.ceil(right + wider), 1, width)),
        int(np.clip(np.ceil(bottom + higher), 1, height)),
    )
