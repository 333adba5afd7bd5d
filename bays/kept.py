"""Whose floor marks were kept, and where in the image: by which pose that was.

`fusion.witnesses` keeps them; this reads of its file what a bay's own checks need.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bays.camera_model import CameraModel
from bays.loading import witnesses_file
from bays.models import BayConfig

_APART_PX = 2.0  # in an image 1920 wide: a pose off by so little is as good, 0.1 degrees of the usual lens


def kept_by_another_pose(bay: BayConfig) -> list[str]:
    """Cameras whose marks, in the median, were kept where the pose of the bay's file does not have them."""
    kept = _kept_marks(bay.bay_id)
    found = []
    for camera in bay.cameras:
        if camera.pose is None or camera.intrinsics is None:
            continue
        rows = [
            row
            for row, (of, name) in enumerate(zip(kept.cameras, kept.names, strict=True))
            if of == camera.name and name in bay.witnesses
        ]
        if not rows:
            continue
        marks = [bay.witnesses[kept.names[row]] for row in rows]
        pixels, _ = CameraModel.of(camera).project([(mark.x, mark.y, mark.z) for mark in marks])
        off = np.nan_to_num(np.linalg.norm(pixels - kept.pixels[rows], axis=1), nan=np.inf)
        if float(np.median(off)) > _APART_PX * camera.intrinsics.width / 1920:
            found.append(camera.name)
    return found


def keep_again(bay_id: str, names: Sequence[str]) -> str:
    """What to do of cameras whose marks were kept by another pose, with the command."""
    those = "".join(f" --camera {name}" for name in names)
    return f"keep it again: bay-observation camera keep-witnesses {bay_id}{those}"


@dataclass(frozen=True)
class _KeptPlaces:
    """Of each kept mark the camera, its name and its (n, 2) pixel by the pose of then."""

    cameras: tuple[str, ...]
    names: tuple[str, ...]
    pixels: NDArray[np.float64]


def _kept_marks(bay_id: str) -> _KeptPlaces:
    """What is kept of a bay; nothing where no file is, or a damaged one, of which `check-poses` speaks."""
    try:
        with np.load(BytesIO(witnesses_file(bay_id).read_bytes()), allow_pickle=False) as content:
            cameras, names = (tuple(map(str, content[key])) for key in ("cameras", "names"))
            pixels = np.asarray(content["pixels"], dtype=np.float64).reshape(-1, 2)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return _KeptPlaces((), (), np.zeros((0, 2)))
    if not len(cameras) == len(names) == len(pixels):
        return _KeptPlaces((), (), np.zeros((0, 2)))
    return _KeptPlaces(cameras, names, pixels)
