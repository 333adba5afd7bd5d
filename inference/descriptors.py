"""Descriptors: what an object looks like to one camera, in a few numbers that can be compared.

SAM's image embedding is averaged over the cells of the object's mask, and projected on fixed
random directions (a Johnson-Lindenstrauss projection: angles between vectors are kept roughly).
The directions depend on the number of channels alone, so that descriptors of the same segmenter
compare, whatever process or host made them. The angle between two descriptors of one camera
says how unlike two objects look; descriptors of two cameras, or of two segmenters, do not compare.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from inference import runtime

runtime.prepare()

import torch  # noqa: E402
from torch.nn import functional  # noqa: E402

DESCRIPTOR_LENGTH = 32


def pooled(features: torch.Tensor, masks: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Mean of an image embedding over each mask.

    Args:
        features: (1, C, h, w), the embedding.
        masks: (N, H, W) bool, over the same square as the embedding.
        boxes: (N, 4), x and y of the top left, x and y of the bottom right, as shares of that square.

    Returns:
        (N, C) float32. Of a mask that has no cell inside its box, the mean over the box.
    """
    rows, columns = features.shape[2:]
    covered = functional.adaptive_avg_pool2d(masks[:, None].float(), (rows, columns))[:, 0]
    inside = _box_cells(boxes.float(), rows, columns)
    weights = covered * inside
    empty = weights.sum(dim=(1, 2), keepdim=True) == 0
    weights = torch.where(empty, inside, weights).flatten(1)
    return (weights @ features[0].float().flatten(1).T) / weights.sum(dim=1, keepdim=True).clamp(min=1e-6)


def _box_cells(boxes: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """(N, h, w): 1 where a cell reaches into the box, else 0."""
    x = torch.arange(columns, device=boxes.device)
    y = torch.arange(rows, device=boxes.device)
    left, top, right, bottom = (side[:, None] for side in boxes.unbind(dim=1))
    across = (x + 1 > left * columns) & (x < right * columns)
    down = (y + 1 > top * rows) & (y < bottom * rows)
    return (down[:, :, None] & across[:, None]).float()


def project(vectors: NDArray[np.float32]) -> NDArray[np.float16]:
    """(N, C) to (N, DESCRIPTOR_LENGTH) float16 of length 1."""
    projected = vectors @ _directions(vectors.shape[1])
    length = np.linalg.norm(projected, axis=1, keepdims=True)
    return np.asarray(projected / np.maximum(length, 1e-9), dtype=np.float16)


def unlikeness(one: NDArray[np.float16], other: NDArray[np.float16]) -> float:
    """1 less the cosine of two descriptors of one camera: 0 alike, 1 unrelated, 2 opposite."""
    return float(1.0 - np.dot(one.astype(np.float64), other.astype(np.float64)))


@cache
def _directions(channels: int) -> NDArray[np.float32]:
    # `RandomState` gives the same numbers in every version of numpy; `default_rng` does not promise that.
    drawn = np.random.RandomState(channels).standard_normal((channels, DESCRIPTOR_LENGTH))
    return np.asarray(drawn / np.sqrt(DESCRIPTOR_LENGTH), dtype=np.float32)
