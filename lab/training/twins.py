"""How well descriptors separate twins: blocks of one class and size that differ in their paint.

In a simulated yard two blocks of a class are made equal in size; they swap their places, and an
hour passes. Every camera that detects both, before and after, gives two questions: the block that
stands here now, is it the one that stood here, or the one that stood there? A descriptor is right
when the block is more like itself elsewhere than like its twin in the same place: what a camera
sees of a place (the direction, the light, the jig) is against it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bays import BayConfig, batch_id, load_bay
from capture_async.types import CaptureBatch, CapturedImage
from inference.descriptors import unlikeness
from inference.service import InferenceService
from inference.types import TRACKED_CLASSES, DetectedObject
from lab.training.scores import box_iou

if TYPE_CHECKING:
    from lab.simulation.objects import SimulatedBlock, YardState
    from lab.simulation.rendering import Renderer

_HOUR = 2  # after the yard's start, which is in the morning of the demo bay
_LATER = timedelta(hours=1)
_MATCH_IOU = 0.6
_JPEG_QUALITY = 90

# Descriptors of a moment: by camera and block.
Seen = dict[tuple[str, str], NDArray[np.float16]]


@dataclass(frozen=True)
class TwinTrial:
    """One camera's answer about one block of a swapped pair.

    Attributes:
        same_paint: both are at one stage: the simulated yard paints by the stage.
        own: unlikeness to itself, elsewhere and an hour before.
        other: unlikeness to its twin, in the same place an hour before.
    """

    same_paint: bool
    own: float
    other: float

    @property
    def right(self) -> bool:
        """Whether the block is more like itself than like its twin."""
        return self.own < self.other


def twin_trials(bay_id: str, yards: Iterable[int]) -> list[TwinTrial]:
    """Swap twins in each yard, and ask the cameras."""
    from lab.simulation.rendering import Renderer

    bay = load_bay(bay_id)
    service, renderer = InferenceService.for_bay(bay), Renderer(bay)
    return [trial for seed in yards for trial in _trials(bay, seed, service, renderer)]


def figures(trials: list[TwinTrial]) -> dict[str, str]:
    """Names and values, ready to print."""
    result = {}
    for name, some in (
        ("all twins", trials),
        ("twins of one paint", [trial for trial in trials if trial.same_paint]),
        ("twins of two paints", [trial for trial in trials if not trial.same_paint]),
    ):
        if not some:
            continue
        result[f"{name}: questions"] = str(len(some))
        result[f"{name}: right"] = f"{np.mean([trial.right for trial in some]):.3f}"
        result[f"{name}: unlikeness to itself / its twin, medians"] = (
            f"{np.median([trial.own for trial in some]):.3f} / {np.median([trial.other for trial in some]):.3f}"
        )
    return result


def swapped(state: "YardState") -> tuple["YardState", "YardState", list[tuple[str, str]]]:
    """The yard with pairs of blocks made twins, the same with each pair swapped, and the pairs' ids.

    Neighbours in the order of their class are paired; both take the smaller of each measure.
    """
    before: dict[str, SimulatedBlock] = {block.block_id: block for block in state.blocks}
    after, pairs = dict(before), []
    for class_name in TRACKED_CLASSES:
        free = [block for block in state.blocks if block.class_name == class_name]
        for one, other in zip(free[::2], free[1::2], strict=False):
            size = {name: min(getattr(one, name), getattr(other, name)) for name in ("width_m", "depth_m", "height_m")}
            for block, there in ((one, other), (other, one)):
                before[block.block_id] = replace(block, **size)
                after[block.block_id] = replace(
                    block, **size, center=there.center, yaw_deg=there.yaw_deg, area=there.area
                )
            pairs.append((one.block_id, other.block_id))
    return replace(state, blocks=tuple(before.values())), replace(state, blocks=tuple(after.values())), pairs


def _trials(bay: BayConfig, seed: int, service: InferenceService, renderer: "Renderer") -> Iterator[TwinTrial]:
    from lab.simulation.yard import Yard

    yard = Yard(bay, seed=seed, blocks=24)
    time = yard.start + timedelta(hours=_HOUR)
    first, _, _ = swapped(yard.at(time))
    _, second, pairs = swapped(replace(yard.at(time), light=yard.at(time + _LATER).light, time=time + _LATER))
    stages = {block.block_id: block.stage for block in first.blocks}
    before, after = (_seen(bay, state, service, renderer) for state in (first, second))
    for one, other in pairs:
        for camera in (camera.name for camera in bay.cameras):
            keys = [(camera, one), (camera, other)]
            if not all(key in moment for key in keys for moment in (before, after)):
                continue
            for own, twin in (keys, keys[::-1]):
                yield TwinTrial(
                    same_paint=stages[one] == stages[other],
                    own=unlikeness(after[own], before[own]),
                    other=unlikeness(after[own], before[twin]),
                )


def _seen(bay: BayConfig, state: "YardState", service: InferenceService, renderer: "Renderer") -> Seen:
    from lab.simulation.labels import label_frame

    images = [
        CapturedImage(camera.name, bay.bay_id, state.time, renderer.jpeg(camera.name, state, _JPEG_QUALITY))
        for camera in bay.cameras
    ]
    observation = service.observe(CaptureBatch(batch_id(bay.bay_id, state.time), bay.bay_id, tuple(images)))
    found: Seen = {}
    for camera in observation.cameras:
        for label in label_frame(renderer, camera.camera_name, state):
            match = _match(label.box, camera.objects) if label.class_name in TRACKED_CLASSES else None
            if match is not None and match.descriptor is not None:
                found[camera.camera_name, label.object_id] = match.descriptor
    return found


def _match(box: NDArray[np.float32], objects: Iterable[DetectedObject]) -> DetectedObject | None:
    scored = [(box_iou(box, one.box), one) for one in objects if one.class_name in TRACKED_CLASSES]
    best = max(scored, key=lambda pair: pair[0], default=None)
    return best[1] if best is not None and best[0] >= _MATCH_IOU else None
