"""Today's practice, as the baseline: every mask projected to the floor, overlapping projections merged."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from bays import BayConfig
from bays.camera_model import CameraModel
from fusion.blocks import area_of
from fusion.types import FusedBlock
from inference.types import TRACKED_CLASSES, DetectedObject, Observation
from lab.evaluation.overlap import iou_matrix

_SAME_BLOCK_IOU = 0.3
_HORIZON = 0.05  # a ray flatter than this meets no floor


def merge_projections(observation: Observation, bay: BayConfig) -> tuple[FusedBlock, ...]:
    """Blocks as the union of the masks' projections to the floor that overlap by an IoU of 0.3.

    A mask knows no height: `height_m` is 0.
    """
    hall = shapely.box(0, 0, bay.layout.width, bay.layout.height)
    found: list[tuple[DetectedObject, str, BaseGeometry]] = []
    for seen in observation.cameras:
        model = CameraModel.of(bay.camera(seen.camera_name))
        for thing in seen.objects:
            if thing.class_name in TRACKED_CLASSES and thing.polygon is not None:
                projection = _on_floor(thing, model).intersection(hall)
                if projection.area > 0:
                    found.append((thing, seen.camera_name, projection))
    shapes = [projection for _, _, projection in found]
    row, column = np.nonzero(iou_matrix(shapes, shapes) >= _SAME_BLOCK_IOU)
    count, group = connected_components(coo_array((np.ones(len(row)), (row, column)), shape=(len(found),) * 2))
    groups = ([found[index] for index in np.flatnonzero(group == label)] for label in range(count))
    return tuple(_merged(one, bay) for one in groups)


def _on_floor(thing: DetectedObject, model: CameraModel) -> BaseGeometry:
    rays = model.rays(np.asarray(thing.polygon, dtype=float))
    rays = rays[np.isfinite(rays).all(axis=1) & (rays[:, 2] < -_HORIZON)]
    if len(rays) < 3:
        return Polygon()
    points = model.position[:2] - model.position[2] / rays[:, 2:] * rays[:, :2]
    return shapely.make_valid(Polygon(points))


def _merged(group: Sequence[tuple[DetectedObject, str, BaseGeometry]], bay: BayConfig) -> FusedBlock:
    union = shapely.union_all([projection for _, _, projection in group])
    parts = [part for part in shapely.get_parts(union) if isinstance(part, Polygon)]
    footprint = max(parts, key=lambda part: float(part.area))
    classes = Counter(thing.class_name for thing, _, _ in group)
    stages = Counter(thing.stage for thing, _, _ in group if thing.stage)
    return FusedBlock(
        class_name=classes.most_common(1)[0][0],
        footprint=footprint,
        height_m=0.0,
        area=area_of(footprint, bay),
        stage=stages.most_common(1)[0][0] if stages else None,
        confidence=max(thing.confidence for thing, _, _ in group),
        cameras=tuple(sorted({name for _, name, _ in group})),
    )
