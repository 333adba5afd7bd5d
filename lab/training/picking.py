"""Which stored frames are worth a person's time to label.

Four things make a frame worth it: the cameras do not agree about it (a block that fusion says it must have
seen and did not, an object that the other cameras call by another class or stage), the models were unsure,
its light is rare among the frames, its camera drifted. What has been chosen makes further frames of the
same camera and light worth less, so that the choice is spread.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from artifacts import ArtifactStore
from bay_observation.errors import WrongArtifactError
from bays import BayConfig
from fusion.types import FusedBlock, FusionResult
from inference.datasets import LabelledFrame
from inference.datasets.stored import capture, labelled, observation
from inference.frame_look import FrameLook
from inference.stored_drift import compare_stored
from inference.types import TRACKED_CLASSES, CameraObservation, DetectedObject, Observation

_UNSURE_BELOW = 0.6
_SIMILAR = 0.5  # what is left of a frame's worth for each one that was chosen of its camera and light
_UNKNOWN_LIGHT = "unknown"


@dataclass(frozen=True)
class Candidate:
    """One stored frame and what speaks for it.

    Attributes:
        batch_id: of which slot.
        camera_name: of which camera.
        light: in words.
        points: by reason; more is more worth labelling.
        reasons: the same in words, the weightiest first.
    """

    batch_id: str
    camera_name: str
    light: str
    points: Mapping[str, float]
    reasons: tuple[str, ...]

    @property
    def worth(self) -> float:
        """All points together."""
        return sum(self.points.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "batch_id": self.batch_id,
            "camera": self.camera_name,
            "light": self.light,
            "worth": round(self.worth, 3),
            "points": {name: round(value, 3) for name, value in self.points.items()},
            "reasons": list(self.reasons),
        }


def candidates(
    store: ArtifactStore, bay: BayConfig, batches: Sequence[str], drifted: Mapping[str, float] | None = None
) -> list[Candidate]:
    """Every frame of these batches, in slot order.

    Args:
        store: of observations, and of floor plans where they are kept.
        bay: whose.
        batches: ids; one that was not observed has no candidate.
        drifted: how far each camera drifted, in units of what is allowed (`inference.drift`).
    """
    found = [(seen, _floor(store, bay, batch)) for batch in batches if (seen := observation(store, bay, batch))]
    lights = Counter(_light(camera) for seen, _ in found for camera in seen.cameras)
    return [
        _candidate(seen, camera, floor, lights, (drifted or {}).get(camera.camera_name, 0.0))
        for seen, floor in found
        for camera in seen.cameras
    ]


def choose(frames: Iterable[Candidate], count: int) -> list[Candidate]:
    """The frames that are worth most together, the worthiest first; those without any reason are left out."""
    left = [frame for frame in frames if frame.worth > 0]
    chosen: list[Candidate] = []
    taken = Counter[tuple[str, str]]()
    while left and len(chosen) < count:
        best = max(left, key=lambda frame: frame.worth * _SIMILAR ** taken[frame.camera_name, frame.light])
        left.remove(best)
        chosen.append(best)
        taken[best.camera_name, best.light] += 1
    return chosen


def drifted_cameras(store: ArtifactStore, bay: BayConfig, at: datetime) -> dict[str, float]:
    """How far each camera had drifted by then (aware), in units of what is allowed.

    Raises:
        NotObservedError: it cannot be said.
    """
    return {camera.camera_name: camera.ratio for camera in compare_stored(store, bay, at=at).cameras}


def picked_frames(store: ArtifactStore, bay: BayConfig, chosen: Iterable[Candidate]) -> Iterator[LabelledFrame]:
    """The chosen frames with what the models saw in them, slot by slot.

    Raises:
        DatasetError: a frame is not stored any longer.
    """
    by_batch: dict[str, set[str]] = {}
    for each in chosen:
        by_batch.setdefault(each.batch_id, set()).add(each.camera_name)
    for batch, cameras in sorted(by_batch.items()):
        seen = observation(store, bay, batch)
        frames = [] if seen is None else labelled(capture(store, bay, batch), seen)
        yield from (frame for frame in frames if frame.camera_name in cameras)


def _candidate(
    seen: Observation, camera: CameraObservation, floor: FusionResult | None, lights: Counter[str], drift: float
) -> Candidate:
    light = _light(camera)
    parts = {
        "disagreement": _disagreement(camera, floor.blocks if floor is not None else ()),
        "doubt": _doubt(camera),
        "light": _rarity(light, lights),
        "drift": (
            max(0.0, math.log(drift)) if drift > 1 else 0.0,
            f"the camera drifted, {drift:.1f} of what is allowed",
        ),
    }
    found = {name: (points, words) for name, (points, words) in parts.items() if points > 0}
    reasons = tuple(words for _, words in sorted(found.values(), key=lambda part: -part[0]))
    return Candidate(
        seen.batch_id, camera.camera_name, light, {name: points for name, (points, _) in found.items()}, reasons
    )


def _disagreement(camera: CameraObservation, blocks: Sequence[FusedBlock]) -> tuple[float, str]:
    """A point for each block that this camera missed or calls otherwise than the others do, half of one for a stage."""
    missed = sum(camera.camera_name in block.missed_by for block in blocks)
    pairs = list(_pairs(camera, blocks))
    classes = sum(thing.class_name != block.class_name for thing, block in pairs)
    stages = sum(
        thing.stage != block.stage
        for thing, block in pairs
        if thing.class_name == block.class_name and None not in (thing.stage, block.stage)
    )
    counts = ((missed, "missed"), (classes, "of another class"), (stages, "of another stage"))
    words = ", ".join(f"{count} {what}" for count, what in counts if count)
    return missed + classes + stages / 2, f"the cameras disagree: {words}"


def _pairs(camera: CameraObservation, blocks: Sequence[FusedBlock]) -> Iterator[tuple[DetectedObject, FusedBlock]]:
    """The camera's objects and the blocks that they became part of: a block keeps the paint that each camera saw."""
    paints = {
        block.descriptors[camera.camera_name].tobytes(): block
        for block in blocks
        if block.descriptors and camera.camera_name in block.descriptors
    }
    for thing in camera.objects:
        if thing.descriptor is not None and (block := paints.get(thing.descriptor.tobytes())) is not None:
            yield thing, block


def _doubt(camera: CameraObservation) -> tuple[float, str]:
    """A point for a detection of which nothing is sure, less for a surer one."""
    unsure = [
        thing.confidence
        for thing in camera.objects
        if thing.class_name in TRACKED_CLASSES and thing.confidence < _UNSURE_BELOW
    ]
    points = sum(1 - confidence / _UNSURE_BELOW for confidence in unsure)
    return points, f"{len(unsure)} unsure detections, the least at {min(unsure, default=0):.2f}"


def _rarity(light: str, lights: Counter[str]) -> tuple[float, str]:
    """Nothing for a light that is as frequent as an even share; a point for each e-fold that it is rarer."""
    share = lights[light] / max(lights.total(), 1)
    rarer = max(0.0, -math.log(share * max(len(lights), 1)))
    return rarer, f"its light ({light}) is that of {share:.1%} of the frames"


def _light(camera: CameraObservation) -> str:
    if camera.look is None or not np.isfinite(camera.look).all():
        return _UNKNOWN_LIGHT
    return FrameLook.from_array(camera.look).light


def _floor(store: ArtifactStore, bay: BayConfig, batch: str) -> FusionResult | None:
    """The slot's floor plan; without it, frames are chosen by what else is known."""
    try:
        found = store.fetch("fusion", bay.bay_id, batch)
    except WrongArtifactError:
        return None
    return found if isinstance(found, FusionResult) else None
