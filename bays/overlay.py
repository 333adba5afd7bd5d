"""What the bay's file says, drawn over a camera's frame: areas, axes, verticals, witnesses.

Where lines lie beside what they stand for, the camera's pose or lens is wrong: the quickest check of a pose there is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bay_observation.errors import ConfigError
from bay_observation.files import write_atomically
from bay_observation.pictures import opened_picture
from bays.camera_model import CameraModel
from bays.models import BayConfig, Camera

Floats = NDArray[np.float64]

VERTICAL_M = 4.0
"""Height of the posts that are drawn at corners of areas."""

_USUAL_WIDTH = 1920  # of the frame that widths of lines are meant for
_TEXT_PX = 19.0  # in such a frame: to be read where the whole frame is shown half as large
_STEP_M = 0.5  # between the points of a line, so that it bends as the lens bends it
_AXIS_M = 5.0
_AREA, _FLOOR, _POST, _WITNESS = "#ffd23f", "#ffffff", "#3fd2ff", "#ff4fd8"
_AXES = ("#ff3b30", "#34c759", "#0a84ff")  # x, y, z
_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}


@dataclass(frozen=True)
class Line:
    """A line (n, 3) on or above the floor, metres; `text` stands at its first point.

    `width` is in pixels of a frame 1920 wide.
    """

    points: Floats
    colour: str
    width: int = 2
    text: str = ""


@dataclass(frozen=True)
class Drawn:
    """What was drawn: how many lines show, and what to know of the frame's size, empty where it is the file's."""

    lines: int
    remark: str = ""


def draw_overlay(bay: BayConfig, camera: Camera, frame: bytes, path: Path) -> Drawn:
    """Write the frame with the bay drawn over it.

    Args:
        bay: whose areas and witnesses are drawn.
        camera: that took the frame; with pose and intrinsics.
        frame: a JPEG or PNG, of the size of the intrinsics or of that shape.
        path: to write, `.png` or `.jpg`.

    Raises:
        ConfigError: another ending, no such folder, a camera without a pose, a frame that is no image or of another
            shape than the camera's intrinsics.
    """
    from PIL import ImageDraw, ImageFont

    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"--out {path}: an overlay is {', '.join(_FORMATS)}")
    if not path.parent.is_dir():
        raise ConfigError(f"--out {path}: there is no folder {path.parent}")
    model = _model(camera)
    try:
        with opened_picture(frame) as opened:
            image = opened.convert("RGB")
    except OSError as error:
        raise ConfigError(f"the frame of {camera.name} is no image that can be read ({len(frame)} bytes)") from error
    ratio = _ratio(camera, model, image.size)
    draw, scale = ImageDraw.Draw(image), image.width / _USUAL_WIDTH
    font = ImageFont.load_default(_TEXT_PX * scale)
    shown = 0
    for line in bay_lines(bay):
        pieces = [piece * ratio for piece in shown_pieces(model, line.points)]
        for piece in pieces:
            draw.line(
                [tuple(point) for point in piece], fill=line.colour, width=_pixels(line.width * scale), joint="curve"
            )
        if pieces and line.text:
            draw.text(
                tuple(pieces[0][0] + 3 * scale),
                line.text,
                fill=line.colour,
                font=font,
                stroke_width=_pixels(2 * scale),
                stroke_fill="#000000",
            )
        shown += bool(pieces)
    content = BytesIO()
    image.save(content, _FORMATS[path.suffix.lower()])
    write_atomically(path, content.getvalue())
    return Drawn(shown, "" if ratio == 1 else _remark(image.size, model))


def _pixels(wanted: float) -> int:
    """A width that can be drawn."""
    return max(1, round(wanted))


def _remark(size: tuple[int, int], model: CameraModel) -> str:
    return (
        f"; the frame is {size[0]} x {size[1]}, the file's intrinsics are of {model.size[0]} x {model.size[1]}: drawn"
        " as if the whole picture were scaled"
    )


def bay_lines(bay: BayConfig) -> Iterator[Line]:
    """Everything that is drawn, in the floor frame."""
    width, height = bay.layout.width, bay.layout.height
    yield Line(_ring((0, width), (0, height)), _FLOOR, 3)
    corners: set[tuple[float, float]] = set()
    for name, area in bay.layout.areas.items():
        yield Line(_ring(area.x, area.y), _AREA)
        middle = (sum(area.x) / 2, sum(area.y) / 2)
        yield Line(_straight((*middle, 0), (middle[0] + 0.1, middle[1], 0)), _AREA, text=name)
        corners |= {(x, y) for x in area.x for y in area.y}
    for x, y in sorted(corners):
        yield Line(_straight((x, y, 0), (x, y, VERTICAL_M)), _POST, text=f"{x:g}, {y:g}")
    for axis, colour in enumerate(_AXES):
        end = [0.0, 0.0, 0.0]
        end[axis] = _AXIS_M
        yield Line(_straight((0, 0, 0), (end[0], end[1], end[2])), colour, 5, text="xyz"[axis])
    for name, mark in bay.witnesses.items():
        for dx, dy in ((0.5, 0.0), (0.0, 0.5)):
            start = (mark.x - dx, mark.y - dy, mark.z)
            yield Line(_straight(start, (mark.x + dx, mark.y + dy, mark.z)), _WITNESS, 3, text=name if dx else "")


def shown_pieces(model: CameraModel, points: Floats) -> Iterator[Floats]:
    """The parts of a line (n, 3) that lie in the frame, as (m, 2) pixels."""
    pixels, valid = model.project(points)
    inside = valid & model.inside(pixels)
    # A piece goes on to the first point outside of the frame, where that can be projected.
    shown = valid & (inside | np.append(inside[1:], False) | np.append(False, inside[:-1]))
    for part in np.split(np.arange(len(points)), np.flatnonzero(np.diff(shown.astype(int))) + 1):
        if shown[part[0]] and len(part) > 1:
            yield pixels[part]


def _model(camera: Camera) -> CameraModel:
    try:
        return CameraModel.of(camera)
    except ValueError as error:
        raise ConfigError(f"{error}: calibrate it first, or write what is planned into the bay's file") from None


def _ratio(camera: Camera, model: CameraModel, size: tuple[int, int]) -> float:
    """Pixels of the frame per pixel of the intrinsics."""
    (width, height), ratio = size, size[0] / model.size[0]
    if abs(height - ratio * model.size[1]) > 1:
        raise ConfigError(
            f"the frame of {camera.name} is {width} x {height}, its intrinsics are of {model.size[0]} x"
            f" {model.size[1]}: calibrate it with this frame"
        )
    return ratio


def _ring(x: tuple[float, float], y: tuple[float, float]) -> Floats:
    corners = [(x[0], y[0], 0.0), (x[1], y[0], 0.0), (x[1], y[1], 0.0), (x[0], y[1], 0.0), (x[0], y[0], 0.0)]
    return np.concatenate([_straight(one, other) for one, other in pairwise(corners)])


def _straight(start: tuple[float, float, float], end: tuple[float, float, float]) -> Floats:
    first, last = np.array(start, dtype=float), np.array(end, dtype=float)
    steps = max(2, int(np.ceil(np.linalg.norm(last - first) / _STEP_M)) + 1)
    return np.asarray(first + (last - first) * np.linspace(0, 1, steps)[:, None])
