"""A labelled frame, wherever it comes from: a batch, a labelling tool, a model."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bay_observation.errors import CaptureError, DatasetError
from bays import bay_ids
from capture_async.types import CapturedImage
from inference.types import CLASSES, CameraObservation, DetectedObject

_MOMENT = re.compile(r"_(\d{14})(?!\d)")
_LEAST_SIDE_PX = 1.0


@dataclass(frozen=True, eq=False)
class LabelledObject:
    """One object of a frame.

    Attributes:
        class_name: as the labels name it.
        box: (4,) float32, pixels: x and y of the top left, x and y of the bottom right.
        polygon: (N, 2) float32, pixels: its outline, N >= 3; None for what has none.
        stage: assembly stage of a tracked object; None where it is not labelled.
        confidence: of the model that found it; None for a person's label.
    """

    class_name: str
    box: NDArray[np.float32]
    polygon: NDArray[np.float32] | None = None
    stage: str | None = None
    confidence: float | None = None

    @classmethod
    def outlined(cls, class_name: str, polygon: NDArray[np.float32], stage: str | None = None) -> "LabelledObject":
        """An object whose box is its outline's."""
        return cls(class_name, box_of(polygon), polygon, stage)

    @classmethod
    def detected(cls, found: DetectedObject) -> "LabelledObject":
        """What a model found."""
        return cls(found.class_name, found.box, found.polygon, found.stage, found.confidence)

    def within(self, size: tuple[int, int]) -> "LabelledObject | None":
        """The object cut to a frame of that (width, height); None where nothing of it lies inside."""
        box = np.clip(self.box, 0, [*size, *size]).astype(np.float32)
        if min(box[2:] - box[:2]) < _LEAST_SIDE_PX:
            return None
        polygon = None if self.polygon is None else np.clip(self.polygon, 0, size).astype(np.float32)
        return LabelledObject(self.class_name, box, polygon, self.stage, self.confidence)


@dataclass(frozen=True, eq=False)
class LabelledFrame:
    """A picture and what is in it.

    Attributes:
        name: of its file, unique in its data set, without a folder.
        size: (width, height) in pixels.
        objects: what is in it; none for a frame in which nothing is.
        picture: the file, or the bytes of one.
        camera_name: which camera took it; None where it is not known.
        bay_id: of which bay.
        captured_at: when it was taken (aware).
    """

    name: str
    size: tuple[int, int]
    objects: tuple[LabelledObject, ...]
    picture: Path | bytes = field(repr=False)
    camera_name: str | None = None
    bay_id: str | None = None
    captured_at: datetime | None = None

    @classmethod
    def observed(cls, image: CapturedImage, seen: CameraObservation) -> "LabelledFrame":
        """A frame of a batch, and what the models saw in it."""
        objects = tuple(LabelledObject.detected(found) for found in seen.objects)
        return cls(
            f"{image.image_id}.jpg",
            seen.image_size,
            objects,
            image.jpeg,
            image.camera_name,
            image.bay_id,
            image.captured_at,
        )

    def content(self) -> bytes:
        """The picture's file.

        Raises:
            DatasetError: it cannot be read.
        """
        if isinstance(self.picture, bytes):
            return self.picture
        try:
            return self.picture.read_bytes()
        except OSError as error:
            raise DatasetError(f"{self.picture}: cannot be read: {error.strerror or error}") from error

    def decode(self) -> NDArray[np.uint8]:
        """The picture: (H, W, 3) uint8, BGR, without EXIF's orientation, as frames of cameras are read.

        Raises:
            DatasetError: it cannot be read.
        """
        image = CapturedImage(self.name, self.bay_id or "", datetime.now(UTC), self.content())
        try:
            return image.decode()
        except CaptureError as error:
            raise DatasetError(f"{self.name}: no readable picture") from error


@dataclass(frozen=True)
class Dataset:
    """Labelled frames of one folder.

    Attributes:
        frames: in the order of their names in the labels.
        remarks: what the labels hold and this product does not read, a sentence each.
    """

    frames: tuple[LabelledFrame, ...]
    remarks: tuple[str, ...] = ()

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The classes that occur: ours in our order, then the others."""
        return class_order(thing.class_name for frame in self.frames for thing in frame.objects)


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once: our classes in their order, then the others by their letters."""
    found = set(names)
    return (*(name for name in CLASSES if name in found), *sorted(found - set(CLASSES)))


def box_of(polygon: NDArray[np.float32]) -> NDArray[np.float32]:
    """(4,) float32: left, top, right, bottom of an outline (N, 2)."""
    return np.asarray([*polygon.min(axis=0), *polygon.max(axis=0)], dtype=np.float32)


def identity(name: str, bays: Sequence[str] | None = None) -> tuple[str | None, str | None, datetime | None]:
    """(bay, camera, moment) of a frame's name, as `3bay_north_C_4_20250702071000.jpg` has them (UTC).

    Args:
        name: of the file; one that is not of this form gives what it has.
        bays: ids of bays that may be named; those with a file, when left out.
    """
    stem = Path(name).stem
    found = _MOMENT.search(stem)
    if found is None:
        return None, None, None
    try:
        moment = datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None, None, None
    before = stem[: found.start()]
    known = bay_ids() if bays is None else bays
    bay = max((one for one in known if before.startswith(f"{one}_")), key=len, default=None)
    camera = before if bay is None else before[len(bay) + 1 :]
    return bay, camera or None, moment
