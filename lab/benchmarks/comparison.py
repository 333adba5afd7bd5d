"""Two observations of the same frames, object by object, matched by overlap.

Ways of computing the same thing round differently: two objects of nearly one confidence may swap
their places in a list, and a detection at the threshold may be there or not. So objects are paired
where they are, not by their position in the list.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from shapely import Polygon, make_valid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference import CameraObservation, DetectedObject, Observation

# Boxes that overlap less are two objects.
_SAME_BOX_IOU = 0.5


@dataclass(frozen=True)
class Comparison:
    """What differs between two observations.

    Attributes:
        objects: objects of both together, each pair counted once.
        unmatched: objects that only one of them has.
        other_class: pairs of two classes.
        other_stage: pairs of one class and two stages, or with an outline on one side only.
        least_iou: of two outlines of a pair; 1 without any.
        mean_iou: of the outlines of all pairs; 1 without any.
    """

    objects: int
    unmatched: int
    other_class: int
    other_stage: int
    least_iou: float
    mean_iou: float

    @property
    def different(self) -> int:
        """Objects that are not the same."""
        return self.unmatched + self.other_class + self.other_stage

    @property
    def share(self) -> float:
        """Share of all objects that are not the same."""
        return self.different / max(self.objects, 1)


def compare(one: "Observation", other: "Observation") -> Comparison:
    """Compare two observations of the same batch, camera by camera."""
    mine, theirs = ({camera.camera_name: camera for camera in observed.cameras} for observed in (one, other))
    pairs, objects = [], 0
    for name in mine.keys() | theirs.keys():
        objects += sum(len(side[name].objects) for side in (mine, theirs) if name in side)
        if name in mine and name in theirs:
            pairs += _pairs(mine[name], theirs[name])
    classes = [(found, wanted) for found, wanted in pairs if found.class_name != wanted.class_name]
    alike = [(found, wanted) for found, wanted in pairs if found.class_name == wanted.class_name]
    stages = [
        (found, wanted)
        for found, wanted in alike
        if (found.stage, found.polygon is None) != (wanted.stage, wanted.polygon is None)
    ]
    overlaps = [
        outline_iou(found.polygon, wanted.polygon)
        for found, wanted in alike
        if found.polygon is not None and wanted.polygon is not None
    ] or [1.0]
    return Comparison(
        objects=objects - len(pairs),
        unmatched=objects - 2 * len(pairs),
        other_class=len(classes),
        other_stage=len(stages),
        least_iou=min(overlaps),
        mean_iou=float(np.mean(overlaps)),
    )


def outline_iou(one: "NDArray[np.float32]", other: "NDArray[np.float32]") -> float:
    """Intersection over union of two outlines, each (N, 2)."""
    mine, theirs = make_valid(Polygon(one)), make_valid(Polygon(other))
    return float(mine.intersection(theirs).area / max(mine.union(theirs).area, 1e-9))


def _pairs(one: "CameraObservation", other: "CameraObservation") -> "list[tuple[DetectedObject, DetectedObject]]":
    """Objects that overlap, as many and as much as can be; those of one class first."""
    if not one.objects or not other.objects:
        return []
    overlap = _box_ious(
        np.stack([found.box for found in one.objects]), np.stack([found.box for found in other.objects])
    )
    same = np.array([[found.class_name == wanted.class_name for wanted in other.objects] for found in one.objects])
    usable = overlap >= _SAME_BOX_IOU
    rows, columns = linear_sum_assignment(np.where(usable, overlap + same, 0.0), maximize=True)
    return [(one.objects[i], other.objects[k]) for i, k in zip(rows, columns, strict=True) if usable[i, k]]


def _box_ious(one: "NDArray[np.float32]", other: "NDArray[np.float32]") -> "NDArray[np.float32]":
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, other)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9))
