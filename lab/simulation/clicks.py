"""The bay's floor marks as a person clicks them in simulated frames: what `calibrate` takes, with nothing to click."""

import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from bays import BayConfig
from bays.camera_model import CameraModel
from lab.simulation.objects import Crane, Equipment, Person, SimulatedBlock, YardState
from lab.simulation.scene import Scene, build_scene, draw

CLICK_STD_PX = 1.0
"""How far a click lies from the mark, along each axis, one standard deviation."""

_KINDS = {SimulatedBlock: "block", Equipment: "equipment", Crane: "crane", Person: "person"}


@dataclass(frozen=True)
class ClickedMarks:
    """The marks in one frame.

    Attributes:
        clicked: name and pixel of each that shows, with nothing before it.
        hidden: how many of those in view each kind of thing hides.
    """

    clicked: tuple[tuple[str, float, float], ...]
    hidden: Counter[str]

    def __str__(self) -> str:
        by = ", ".join(f"{count} by {kind}" for kind, count in sorted(self.hidden.items()))
        return f"{len(self.clicked)} marks show, {self.hidden.total()} are hidden{f' ({by})' if by else ''}"


def clicked_marks(bay: BayConfig, camera_name: str, state: YardState) -> ClickedMarks:
    """The bay's witnesses in the camera's frame: those that a person can click, and how many are hidden."""
    model = CameraModel.of(bay.camera(camera_name))
    scene = build_scene(state)
    ids = draw(scene, model).ids
    rng = np.random.default_rng(zlib.crc32(f"clicks {camera_name} {state.time.isoformat()}".encode()))
    found, hidden = [], Counter[str]()
    for name, mark in bay.witnesses.items():
        pixel, valid = model.project((mark.x, mark.y, mark.z))
        if not (valid and model.inside(pixel)):
            continue
        column, row = (int(value) for value in np.minimum(pixel, np.array(model.size) - 1))
        clicked = pixel + rng.normal(0, CLICK_STD_PX, 2)
        if ids[row, column] != 0:
            hidden[_kind(scene, int(ids[row, column]))] += 1
        elif model.inside(clicked):
            found.append((name, round(float(clicked[0]), 1), round(float(clicked[1]), 1)))
    return ClickedMarks(tuple(found), hidden)


def _kind(scene: Scene, face: int) -> str:
    """Of the thing whose face it is."""
    thing = next(one.thing for one in scene.objects if one.face_range[0] <= face <= one.face_range[1])
    return next((kind for of, kind in _KINDS.items() if isinstance(thing, of)), "jig")
