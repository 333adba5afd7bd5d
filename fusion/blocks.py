"""From chosen boxes to `FusedBlock`s: votes, areas, work, confidence, uncertainty."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from bays import BayConfig
from fusion.hypotheses import Hypotheses
from fusion.plans import Shapes
from fusion.scene import Scene
from fusion.types import FusedBlock
from fusion.upright_box import Bools, X, Y
from fusion.work import work_of
from inference.types import DetectedObject

HOLDS_MOST = 0.5  # share of a footprint from which a nested area holds it


@dataclass(frozen=True)
class Placed:
    """The chosen hypotheses, and where and how certainly each block stands.

    Attributes:
        found: one a row.
        missed: (h, cameras) the camera must have seen it and did not.
        shapes: footprints, heights and their doubts.
        shift_px: usual shift of a silhouette as a whole, pixels.
    """

    found: Hypotheses
    missed: Bools
    shapes: Shapes
    shift_px: float


def fused_blocks(placed: Placed, scene: Scene, bay: BayConfig) -> tuple[FusedBlock, ...]:
    """One `FusedBlock` per hypothesis, ordered by x, then y.

    Args:
        placed: the chosen hypotheses.
        scene: all silhouettes.
        bay: for the areas.
    """
    found, missed = placed.found, placed.missed
    shapes, heights, std = placed.shapes.plans, placed.shapes.heights, placed.shapes.doubts
    work = work_of(shapes, heights, scene)
    blocks = []
    for row in np.lexsort((found.boxes[:, Y], found.boxes[:, X])):
        cameras = np.flatnonzero(found.members[row] >= 0)
        voters = [_voters(scene, int(found.members[row, camera])) for camera in cameras]
        class_name, _ = _vote((o.class_name, o.confidence * size) for group in voters for o, size in group)
        stages = [(o.stage, o.confidence * o.stage_confidence * s) for group in voters for o, s in group if o.stage]
        stage, share = _vote(stages) if stages else (None, 0.0)
        doubts = [
            1 - scene.objects[found.members[row, camera]].confidence * found.agreement[row, camera]
            for camera in cameras
        ]
        seen_share = len(cameras) / (len(cameras) + int(missed[row].sum()))
        blocks.append(
            FusedBlock(
                class_name=class_name,
                footprint=shapes[row],
                height_m=float(heights[row]),
                area=area_of(shapes[row], bay),
                stage=stage,
                confidence=float((1 - np.prod(doubts)) * seen_share),
                cameras=tuple(scene.frames[camera].name for camera in cameras),
                work=work[row],
                position_std_m=float(std.typical[row]),
                position_std_xy_m=(float(std.position[row, 0]), float(std.position[row, 1])),
                height_std_m=float(std.height[row]),
                sides_std_m=(float(std.sides[row, 0]), float(std.sides[row, 1])),
                missed_by=tuple(scene.frames[camera].name for camera in np.flatnonzero(missed[row])),
                stage_confidence=share,
                descriptors=_descriptors(scene, found.members[row]),
            )
        )
    return tuple(blocks)


def area_of(footprint: Polygon, bay: BayConfig) -> str | None:
    """The area that holds most of the footprint; of nested ones the smallest that holds at least half of it.

    None when the footprint touches no area.
    """
    candidates = []
    for name, area in bay.layout.areas.items():
        rectangle = shapely.box(area.x[0], area.y[0], area.x[1], area.y[1])
        share = rectangle.intersection(footprint).area / footprint.area
        if share > 0:
            candidates.append((share, rectangle.area, name))
    holding = [(size, -share, name) for share, size, name in candidates if share >= HOLDS_MOST]
    if holding:
        return min(holding)[2]
    return max(candidates, key=lambda item: (item[0], -item[1], item[2]))[2] if candidates else None


def _voters(scene: Scene, silhouette: int) -> list[tuple[DetectedObject, float]]:
    """The detections behind a silhouette with their size in the image (square root of its area, pixels)."""
    size = float(np.sqrt(scene.polygons[silhouette].area))
    return [(found, size) for found in (scene.objects[silhouette], *scene.twins[silhouette])]


def _descriptors(scene: Scene, members: NDArray[np.integer]) -> dict[str, NDArray[np.float16]] | None:
    """Descriptors of the detections that a hypothesis joins, by camera; None without any."""
    seen = {
        frame.name: found.descriptor
        for frame, member in zip(scene.frames, members, strict=True)
        if member >= 0 and (found := scene.objects[member]).descriptor is not None
    }
    return seen or None


def _vote(ballots: Iterable[tuple[str, float]]) -> tuple[str, float]:
    """The heaviest of at least one choice, and its share of all weight."""
    weights: defaultdict[str, float] = defaultdict(float)
    for choice, weight in ballots:
        weights[choice] += weight
    winner = max(sorted(weights), key=weights.__getitem__)
    total = sum(weights.values())
    return winner, weights[winner] / total if total else 0.0
