"""The bay's floor marks as a person clicks them in simulated frames: what `calibrate` takes, with nothing to click."""

import zlib
from collections.abc import Iterator

import numpy as np

from bays import BayConfig
from bays.camera_model import CameraModel
from lab.simulation.objects import YardState
from lab.simulation.scene import build_scene, draw

CLICK_STD_PX = 1.0
"""How far a click lies from the mark, along each axis, one standard deviation."""


def clicked_marks(bay: BayConfig, camera_name: str, state: YardState) -> Iterator[tuple[str, float, float]]:
    """Name and pixel of each of the bay's witnesses that shows in the camera's frame, with nothing before it."""
    model = CameraModel.of(bay.camera(camera_name))
    ids = draw(build_scene(state), model).ids
    rng = np.random.default_rng(zlib.crc32(f"clicks {camera_name} {state.time.isoformat()}".encode()))
    for name, mark in bay.witnesses.items():
        pixel, valid = model.project((mark.x, mark.y, mark.z))
        if not (valid and model.inside(pixel)):
            continue
        column, row = (int(value) for value in np.minimum(pixel, np.array(model.size) - 1))
        clicked = pixel + rng.normal(0, CLICK_STD_PX, 2)
        if ids[row, column] == 0 and model.inside(clicked):
            yield name, round(float(clicked[0]), 1), round(float(clicked[1]), 1)
