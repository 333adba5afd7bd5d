"""A bay as a picture, before its cameras hang: areas, view cones, and by how many cameras each square metre is seen.

Drawn as SVG, HTML or PNG from the same shapes. x runs to the right and y upwards, in metres.
"""

import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bay_observation.errors import ConfigError
from bay_observation.files import write_atomically
from bays.camera_model import CameraModel
from bays.checking import CELL_M, FloorView, floor_view
from bays.models import BayConfig, Camera
from bays.unnamed_floor import gaps_between

_SCALE = 8.0  # pixels a metre
_MARGIN_M = 4.0
_HEADER_M = 6.6
_COLOURS = "red: seen by no camera, orange: by one, green: by two or more, the darker the more"
_BY_COUNT = ("#d84a3a", "#f2b84b", "#bfe0b5", "#8cc98a", "#58ab6a", "#2f8a55")  # seen by 0, 1, 2, ... cameras
_CLICK_PX = 2.0  # what an outline is off by, for the accuracy that is to be expected
_BORDER = 12  # points along each side of an image


@dataclass(frozen=True)
class Shape:
    """A polygon, or a text at a point; metres, y upwards."""

    points: tuple[tuple[float, float], ...]
    fill: str = "none"
    stroke: str = "none"
    opacity: float = 1.0
    text: str = ""
    clipped: bool = False


@dataclass(frozen=True)
class FloorFigures:
    """How well a floor is seen, by geometry.

    Attributes:
        blind_m2: tracked floor that no camera sees.
        alone_m2: that a single one does.
        tracked_m2: all of it.
        expected_cm: error of an outline on the floor to expect, in the median, where two cameras or more see it.
        areas: for each tracked area its share that no camera sees, and that a single one does.
    """

    blind_m2: float
    alone_m2: float
    tracked_m2: float
    expected_cm: float
    areas: dict[str, tuple[float, float]]


def figures(bay: BayConfig, view: FloorView) -> FloorFigures:
    """How well the tracked floor is seen."""
    x, y = view.centres[..., 0], view.centres[..., 1]
    tracked, areas = np.zeros(x.shape, dtype=bool), {}
    for name, area in bay.layout.areas.items():
        if area.tracked:
            inside = (x >= area.x[0]) & (x <= area.x[1]) & (y >= area.y[0]) & (y <= area.y[1])
            tracked |= inside
            if inside.any():
                areas[name] = (float((view.count[inside] == 0).mean()), float((view.count[inside] == 1).mean()))
    cell = CELL_M**2
    several = tracked & (view.count >= 2)
    best = np.min(np.where(view.seen, view.metres_per_pixel, np.inf), axis=0, initial=np.inf)[several]
    return FloorFigures(
        float((tracked & (view.count == 0)).sum() * cell),
        float((tracked & (view.count == 1)).sum() * cell),
        float(tracked.sum() * cell),
        float(np.median(best) * _CLICK_PX * 100) if several.any() else float("nan"),
        areas,
    )


def write_plan(bay: BayConfig, path: Path) -> FloorFigures:
    """Draw a bay, as the path's ending says: `.svg`, `.html` or `.png`.

    Raises:
        ConfigError: another ending.
    """
    writers: dict[str, Callable[[BayConfig, Sequence[Shape]], bytes]] = {".svg": _svg, ".html": _html, ".png": _png}
    if path.suffix not in writers:
        raise ConfigError(f"--out {path}: a plan is {', '.join(writers)}")
    if not path.parent.is_dir():
        raise ConfigError(f"--out {path}: there is no folder {path.parent}")
    view = floor_view(bay)
    found = figures(bay, view)
    write_atomically(path, writers[path.suffix](bay, list(_shapes(bay, view, found))))
    return found


def lines(bay: BayConfig, found: FloorFigures) -> Iterator[str]:
    """What the plan says, in words."""
    yield f"{bay.bay_id}: {found.tracked_m2:.0f} m² of tracked floor, {len(bay.cameras)} cameras"
    yield f"seen by no camera: {found.blind_m2:.0f} m²; by one alone: {found.alone_m2:.0f} m²"
    if np.isfinite(found.expected_cm):
        yield f"an outline is off by about {found.expected_cm:.0f} cm on the floor, where two cameras or more see it"
    for name, (blind, alone) in found.areas.items():
        if blind > 0 or alone > 0.5:
            yield f"area {name}: {blind:.0%} seen by no camera, {alone:.0%} by one"
    yield from map(str, gaps_between(bay.layout))


def _shapes(bay: BayConfig, view: FloorView, found: FloorFigures) -> Iterator[Shape]:
    for row, counts in enumerate(view.count):
        yield from _runs(row, counts)
    for camera in bay.cameras:
        if camera.pose is not None and camera.intrinsics is not None:
            yield Shape(_cone(camera), stroke="#1f4e79", opacity=0.35, clipped=True)
    for name, area in bay.layout.areas.items():
        (x0, x1), (y0, y1) = area.x, area.y
        yield Shape(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), stroke="#333333")
        yield Shape((((x0 + x1) / 2, (y0 + y1) / 2),), fill="#222222", text=name)
    for camera in bay.cameras:
        if camera.pose is not None:
            x, y = camera.pose.x, camera.pose.y
            yield Shape(
                ((x - 0.7, y - 0.7), (x + 0.7, y - 0.7), (x + 0.7, y + 0.7), (x - 0.7, y + 0.7)), fill="#1f4e79"
            )
            outside = 2.0 if y > bay.layout.height / 2 else -2.0
            yield Shape(((x, y + outside),), fill="#1f4e79", text=camera.name)
    for number, line in enumerate([*list(lines(bay, found))[:3], _COLOURS]):
        yield Shape(
            ((bay.layout.width / 2, bay.layout.height + _MARGIN_M + 5.1 - 1.6 * number),), fill="#222222", text=line
        )


def _runs(row: int, counts: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Iterator[Shape]:
    """Squares of a row that are seen by as many cameras, as one rectangle."""
    begin = 0
    for column in range(1, len(counts) + 1):
        if column == len(counts) or counts[column] != counts[begin]:
            x0, x1, y0, y1 = begin * CELL_M, column * CELL_M, row * CELL_M, (row + 1) * CELL_M
            colour = _BY_COUNT[min(int(counts[begin]), len(_BY_COUNT) - 1)]
            yield Shape(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), fill=colour, clipped=True)
            begin = column


def _cone(camera: Camera) -> tuple[tuple[float, float], ...]:
    """Where the border of a camera's image meets the floor."""
    model = CameraModel.of(camera)
    width, height = model.size
    along = np.linspace(0, 1, _BORDER)
    sides = [(along, 0 * along), (1 + 0 * along, along), (along[::-1], 1 + 0 * along), (0 * along, along[::-1])]
    border = np.concatenate([np.stack([u * width, v * height], axis=1) for u, v in sides])
    met = model.to_plane(border)
    return tuple((float(x), float(y)) for x, y in met[np.isfinite(met).all(axis=1)])


def _size(bay: BayConfig) -> tuple[int, int]:
    width, height = bay.layout.width + 2 * _MARGIN_M, bay.layout.height + 2 * _MARGIN_M + _HEADER_M
    return round(width * _SCALE), round(height * _SCALE)


def _pixel(bay: BayConfig, point: tuple[float, float]) -> tuple[float, float]:
    x, y = point
    return (x + _MARGIN_M) * _SCALE, (bay.layout.height + _MARGIN_M + _HEADER_M - y) * _SCALE


def _svg(bay: BayConfig, shapes: Sequence[Shape]) -> bytes:
    width, height = _size(bay)
    (left, top), (right, bottom) = _pixel(bay, (0, bay.layout.height)), _pixel(bay, (bay.layout.width, 0))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f'<clipPath id="floor"><rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"/></clipPath>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for shape in shapes:
        if shape.text:
            x, y = _pixel(bay, shape.points[0])
            out.append(
                f'<text x="{x:.0f}" y="{y + 4:.0f}" font-family="sans-serif" font-size="12" text-anchor="middle"'
                f' fill="{shape.fill}">{html.escape(shape.text)}</text>'
            )
            continue
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_pixel(bay, point) for point in shape.points))
        clip = ' clip-path="url(#floor)"' if shape.clipped else ""
        out.append(
            f'<polygon points="{points}" fill="{shape.fill}" stroke="{shape.stroke}" opacity="{shape.opacity}"{clip}/>'
        )
    return ("\n".join([*out, "</svg>"]) + "\n").encode()


def _html(bay: BayConfig, shapes: Sequence[Shape]) -> bytes:
    title = html.escape(f"{bay.bay_id}: {bay.description}")
    keys = "".join(
        f'<span style="background:{colour};padding:2px 10px">{number}</span>' for number, colour in enumerate(_BY_COUNT)
    )
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
        f"<p>Floor by the number of cameras that see it, up to {len(_BY_COUNT) - 1} or more: {keys}</p>"
    )
    return page.encode() + _svg(bay, shapes) + b"</html>\n"


def _png(bay: BayConfig, shapes: Sequence[Shape]) -> bytes:
    from io import BytesIO

    from PIL import Image, ImageDraw

    image = Image.new("RGB", _size(bay), "#ffffff")
    draw = ImageDraw.Draw(image)
    (left, top), (right, bottom) = _pixel(bay, (0, bay.layout.height)), _pixel(bay, (bay.layout.width, 0))
    for shape in shapes:
        points = [_pixel(bay, point) for point in shape.points]
        if shape.text:
            # The font that is always there has no such sign.
            draw.text(points[0], shape.text.replace("²", "2"), fill=shape.fill, anchor="mm")
            continue
        if shape.clipped:
            points = [(min(max(x, left), right), min(max(y, top), bottom)) for x, y in points]
        fill = None if shape.fill == "none" else shape.fill
        draw.polygon(points, fill=fill, outline=None if shape.stroke == "none" else shape.stroke)
    content = BytesIO()
    image.save(content, "PNG")
    return content.getvalue()
