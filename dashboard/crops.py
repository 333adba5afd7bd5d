"""Where in a frame a block is, and which camera shows it best."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from bays import BayConfig
from bays.camera_model import CameraModel
from tracking.history import Stay

_AROUND = 0.15  # of the block's size in the picture, on each side
_LEAST_VISIBLE = 0.6
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Crop:
    """A part of a frame that shows a place.

    Attributes:
        slot: of the frame.
        camera: its name.
        box: left, top, right, bottom, pixels of the whole frame.
    """

    slot: datetime
    camera: str
    box: Box


def best_crop(bay: BayConfig, slot: datetime, stay: Stay, cameras: Collection[str]) -> Crop | None:
    """The largest picture of a block's place that one of some cameras has; None where none has most of it.

    Args:
        bay: with pose and intrinsics of its cameras.
        slot: of the frames.
        stay: outline and height say where the block is.
        cameras: that gave a frame in the slot.
    """
    found = [
        (area, Crop(slot, camera.name, box))
        for camera in bay.at(slot).cameras
        if camera.name in cameras and camera.pose is not None and camera.intrinsics is not None
        for area, box in _seen(CameraModel.of(camera), stay)
    ]
    return max(found, key=lambda one: one[0])[1] if found else None


def thinned(slots: Sequence[datetime], stays: Sequence[Stay], limit: int) -> list[datetime]:
    """At most so many of the slots: the first of each stay as far as there is room, the others evenly over the time."""
    if len(slots) <= limit:
        return list(slots)
    firsts = {next((slot for slot in slots if slot >= stay.since), slots[-1]) for stay in stays}
    chosen = set(sorted(firsts)[-limit // 2 :])
    for index in np.linspace(0, len(slots) - 1, limit - len(chosen)).round().astype(int):
        chosen.add(slots[index])
    return sorted(chosen)


def _seen(model: CameraModel, stay: Stay) -> list[tuple[float, Box]]:
    """Area in the picture and box of a block that is mostly in the frame: one, or none."""
    ring = np.asarray(stay.footprint.exterior.coords)[:-1, :2]
    solid = np.concatenate([np.column_stack([ring, np.full(len(ring), height)]) for height in (0.0, stay.height_m)])
    pixels, in_front = model.project(solid)
    if not in_front.all():
        return []
    (left, top), (right, bottom) = pixels.min(axis=0), pixels.max(axis=0)
    around = _AROUND * max(right - left, bottom - top)
    width, height = model.size
    box = (
        max(0, int(left - around)),
        max(0, int(top - around)),
        min(width, int(right + around)),
        min(height, int(bottom + around)),
    )
    inside = max(0.0, min(right, width) - max(left, 0)) * max(0.0, min(bottom, height) - max(top, 0))
    whole = (right - left) * (bottom - top)
    return [(inside, box)] if whole > 0 and inside >= _LEAST_VISIBLE * whole else []
