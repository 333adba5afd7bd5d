"""Overlap of outlines on the floor, and the one-to-one pairing that it suggests."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from shapely.geometry.base import BaseGeometry

Floats = NDArray[np.float64]


def iou_matrix(first: Sequence[BaseGeometry], second: Sequence[BaseGeometry]) -> Floats:
    """(len(first), len(second)): intersection over union of footprints."""
    if not first or not second:
        return np.zeros((len(first), len(second)))
    left, right = np.asarray(first, dtype=object)[:, None], np.asarray(second, dtype=object)[None, :]
    shared = shapely.area(shapely.intersection(left, right))
    union = shapely.area(left) + shapely.area(right) - shared
    return np.asarray(shared / np.maximum(union, 1e-12))


def pair_up(iou: Floats, min_iou: float) -> list[tuple[int, int]]:
    """Rows and columns paired one to one: as many as reach `min_iou`, with the greatest sum of overlap."""
    allowed = iou >= min_iou
    rows, columns = linear_sum_assignment(np.where(allowed, 1.0 + iou, 0.0), maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if allowed[row, column]]
