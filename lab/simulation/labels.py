"""Exact labels of a frame: what the detector should see, from the geometry alone.

For training and evaluation. Nothing that runs at a yard may use it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from bays import BayConfig
from bays.camera_model import CameraModel
from lab.simulation.objects import Jig, SimulatedBlock, YardState
from lab.simulation.scene import (
    Drawing,
    Floats,
    Scene,
    SceneObject,
    Solid,
    build_scene,
    draw,
    fill,
    project_faces,
    window,
)

_LEAST_PIXELS = 16  # an object of which less is visible has no label
_BEND_PIXELS = 40.0  # more than any lens of these bends the edge of an object
_WIDE = 4.0  # how much wider than the frame the whole silhouette is looked for


class HasBay(Protocol):
    """Something that knows its bay, as a renderer does."""

    @property
    def bay(self) -> BayConfig:
        """The bay."""


@dataclass(frozen=True, eq=False)
class FrameLabel:
    """One object that a frame shows.

    Attributes:
        class_name: one of `lab.simulation.objects.LABEL_CLASSES`.
        object_id: of the block, jig, equipment or crane.
        box: (4,) float32, pixels: left, top, right, bottom of the visible part.
        mask: (h, w) bool, the visible pixels, cropped to the box.
        offset: (column, row) of the crop in the frame.
        polygon: (N, 2) float32, pixels: outline of the largest visible component.
        stage: of a block; None for others.
        visible_fraction: visible share of the whole silhouette.
        occluded_fraction: share of the silhouette's part within the frame that others hide.
        cut_fraction: share of the silhouette that lies outside of the frame.

    The whole silhouette of a jig with a block on it is the rim around the block:
    what its own block covers counts as neither occluded nor cut.
    """

    class_name: str
    object_id: str
    box: NDArray[np.float32]
    mask: NDArray[np.bool_]
    offset: tuple[int, int]
    polygon: NDArray[np.float32]
    stage: str | None
    visible_fraction: float
    occluded_fraction: float
    cut_fraction: float

    def full_mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """(height, width) bool, the visible pixels in a frame of that (width, height)."""
        frame = np.zeros((size[1], size[0]), dtype=bool)
        column, row = self.offset
        frame[row : row + self.mask.shape[0], column : column + self.mask.shape[1]] = self.mask
        return frame


def label_frame(of: HasBay | BayConfig, camera_name: str, state: YardState) -> list[FrameLabel]:
    """Labels of all objects of which a frame shows at least some pixels.

    Args:
        of: the bay, or a renderer of it.
        camera_name: a camera of the bay with pose and intrinsics.
        state: the yard at the moment of the frame.

    Raises:
        KeyError: the bay has no such camera.
        ValueError: the camera has no pose or no intrinsics.
    """
    bay = of if isinstance(of, BayConfig) else of.bay
    model = CameraModel.of(bay.camera(camera_name))
    scene = build_scene(state)
    drawing = draw(scene, model)
    found = (label_object(scene, drawing, model, candidate) for candidate in scene.objects)
    return [label for label in found if label is not None]


def label_object(scene: Scene, drawing: Drawing, model: CameraModel, target: SceneObject) -> FrameLabel | None:
    """The label of one object of a drawn scene; None where it has no class or is not to be seen."""
    if target.class_name is None:
        return None
    first, last = target.face_range
    outlines = [drawing.outlines[face] for face in range(first, last + 1) if face in drawing.outlines]
    crop = _crop(outlines, model.size)
    if crop is None:
        return None
    left, top, right, bottom = crop
    visible = np.asarray(cv2.inRange(drawing.ids[top:bottom, left:right], first, last))
    pixels = int(cv2.countNonZero(visible))
    if pixels < _LEAST_PIXELS:
        return None
    own_load = _load_of(scene, target)
    alone = np.zeros(visible.shape, dtype=np.uint8)
    for outline in outlines:
        fill(alone, outline, 255, (left, top))
    for outline in _outlines_of(own_load, drawing.outlines):
        fill(alone, outline, 0, (left, top))
    in_frame = max(int(cv2.countNonZero(alone)), pixels)
    # Within the frame the share is counted in pixels, so that an object that nothing hides has exactly 0.
    inside = _share_in_frame(scene, drawing, model, target, own_load)
    column, row, width, height = cv2.boundingRect(visible)
    mask = visible[row : row + height, column : column + width] > 0
    offset = (left + column, top + row)
    thing = target.thing
    return FrameLabel(
        class_name=target.class_name,
        object_id=target.object_id,
        box=np.array([*offset, offset[0] + width, offset[1] + height], dtype=np.float32),
        mask=mask,
        offset=offset,
        polygon=_largest_outline(mask, offset),
        stage=thing.stage if isinstance(thing, SimulatedBlock) else None,
        visible_fraction=inside * pixels / in_frame,
        occluded_fraction=1.0 - pixels / in_frame,
        cut_fraction=1.0 - inside,
    )


def _crop(outlines: list[Floats], size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) whole pixels that hold all outlines, cut to the frame."""
    if not outlines:
        return None
    points = np.concatenate(outlines)
    low = np.maximum(np.floor(points.min(axis=0)) - 1, 0).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0)) + 2, size).astype(int)
    return (int(low[0]), int(low[1]), int(high[0]), int(high[1])) if (low < high).all() else None


def _load_of(scene: Scene, target: SceneObject) -> SceneObject | None:
    """The block that stands on a jig."""
    if not isinstance(target.thing, Jig) or target.thing.block_id is None:
        return None
    return scene.object(target.thing.block_id)


def _outlines_of(target: SceneObject | None, outlines: Mapping[int, Floats]) -> list[Floats]:
    if target is None:
        return []
    first, last = target.face_range
    return [outlines[face] for face in range(first, last + 1) if face in outlines]


def _share_in_frame(
    scene: Scene, drawing: Drawing, model: CameraModel, target: SceneObject, load: SceneObject | None
) -> float:
    """Share of the area, which the object would cover alone on an endless frame, that lies in the frame."""
    own = range(target.first, target.last + 1)
    loaded = range(load.first, load.last + 1) if load is not None else range(0)
    corners = np.concatenate([_corners(scene.solids[index]) for index in own])
    # Corners well inside: no edge can be bent out of the frame.
    pixels, valid = model.project(corners)
    if valid.all() and model.inside(pixels, _BEND_PIXELS).all():
        return 1.0
    outlines = project_faces(scene, model, window(model, _WIDE), [*own, *loaded])
    shape = _union(_outlines_of(target, outlines)).difference(_union(_outlines_of(load, outlines)))
    whole = float(shape.area)
    return min(1.0, float(shape.intersection(shapely.box(0, 0, *model.size)).area) / whole) if whole > 0 else 1.0


def _corners(solid: Solid) -> Floats:
    """(8, 3) metres."""
    return np.concatenate([np.column_stack([solid.ring, np.full(4, z)]) for z in (solid.z0, solid.z1)])


def _union(outlines: list[Floats]) -> BaseGeometry:
    return shapely.union_all([shapely.make_valid(shapely.Polygon(outline)) for outline in outlines])


def _largest_outline(mask: NDArray[np.bool_], offset: tuple[int, int]) -> NDArray[np.float32]:
    """(N, 2) outline of the largest component, through the middles of its border pixels."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1)
    largest = max(contours, key=cv2.contourArea)
    points = largest[:, 0, :].astype(np.float32) + np.array(offset, dtype=np.float32) + 0.5
    if len(points) >= 3:
        return np.asarray(points, dtype=np.float32)
    # A component of a pixel or a line of them: its box.
    left, top, width, height = cv2.boundingRect(largest)
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    return np.array(corners, dtype=np.float32) + np.array(offset, dtype=np.float32)
