"""Results of the models: the one detection type that travels through the later stages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bay_observation.errors import InferenceError
from bays import slot_of

# Classes of the detector (domain: what the models say).
TRACKED_CLASSES = ("panel", "block", "HP_block")
JIG_CLASSES = (
    "pinjig",
    "hbeamjig",
    "gridjig",
    "flatjig",
    "pinjig_empty",
    "hbeamjig_empty",
    "gridjig_empty",
    "flatjig_empty",
)
EQUIPMENT_CLASSES = ("grinder", "welder", "step_board", "pipe")
OCCLUDER_CLASSES = ("crane",)
# Classes of the shipped stage classifier; a bay's own classifier may name others.
STAGES = ("sub_assembly", "unit_assembly", "grand_assembly", "pre_outfitting")
CLASSES = TRACKED_CLASSES + JIG_CLASSES + EQUIPMENT_CLASSES + OCCLUDER_CLASSES


@dataclass(frozen=True, eq=False)
class DetectedObject:
    """One object in one frame.

    Attributes:
        class_name: one of `CLASSES` for the shipped detector; a bay's own detector may name others.
        confidence: of the detection, 0 to 1.
        box: (4,) float32, pixels: x and y of the top left, x and y of the bottom right.
        polygon: (N, 2) float32, pixels: outline of the mask, N >= 3; None for what is not segmented.
        stage: assembly stage of a tracked object (조립 단계); None for others.
        stage_confidence: 0 to 1.
        descriptor: (12,) float16: the paint of a tracked object as this camera sees it
            (`inference.descriptors`); None for others, and in artifacts of earlier versions.
    """

    class_name: str
    confidence: float
    box: NDArray[np.float32]
    polygon: NDArray[np.float32] | None = None
    stage: str | None = None
    stage_confidence: float = 0.0
    descriptor: NDArray[np.float16] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", _shaped("box", self.box, (4,)))
        if self.polygon is not None:
            object.__setattr__(self, "polygon", _shaped("polygon", self.polygon, (None, 2)))
        if self.descriptor is not None:
            object.__setattr__(self, "descriptor", _numbers("descriptor", self.descriptor))


@dataclass(frozen=True, eq=False, repr=False)
class CameraObservation:
    """All objects of one camera's frame.

    Attributes:
        camera_name: whose frame.
        captured_at: when it was taken (aware).
        image_size: (width, height) in pixels.
        objects: what is in it.
        look: (5,) float16: light, colours and focus of the whole frame (`inference.frame_look`);
            None in artifacts of earlier versions.
    """

    camera_name: str
    captured_at: datetime
    image_size: tuple[int, int]
    objects: tuple[DetectedObject, ...]
    look: NDArray[np.float16] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "objects", tuple(self.objects))
        if self.look is not None:
            object.__setattr__(self, "look", _numbers("look", self.look))

    def __repr__(self) -> str:
        return f"<CameraObservation {self.camera_name}, {len(self.objects)} objects>"


@dataclass(frozen=True, eq=False, repr=False)
class Observation:
    """What all working cameras of a bay saw in one slot.

    A camera of the bay that is not in `cameras` saw nothing of the floor;
    `failures` says why, by camera name.
    """

    batch_id: str
    bay_id: str
    cameras: tuple[CameraObservation, ...]
    failures: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cameras", tuple(self.cameras))

    def __repr__(self) -> str:
        return f"<Observation {self.batch_id}, {len(self.cameras)} cameras, {len(self.failures)} failures>"

    @property
    def slot(self) -> datetime:
        """The slot that the batch belongs to (aware, UTC)."""
        return slot_of(self.batch_id)


def _numbers(what: str, value: ArrayLike) -> NDArray[np.float16]:
    array = np.asarray(value, dtype=np.float16)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InferenceError(f"{what}: shape {array.shape}, or a number that is not finite, where (N,) is wanted")
    return array


def _shaped(what: str, value: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    array = np.asarray(value, dtype=np.float32)
    fits = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits or (shape[0] is None and len(array) < 3):
        wanted = ", ".join("N >= 3" if size is None else str(size) for size in shape)
        raise InferenceError(f"{what}: shape {array.shape} where ({wanted}) is wanted, pixels")
    if not np.isfinite(array).all():
        raise InferenceError(f"{what}: holds a number that is not finite")
    return array
