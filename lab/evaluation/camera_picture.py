"""A camera's frame with what the models saw in it and what fusion made of it. OpenCV is imported where it is used."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from bays import Camera
from bays.camera_model import CameraModel, Floats
from fusion.types import FusedBlock
from inference.types import TRACKED_CLASSES, CameraObservation, DetectedObject
from lab.evaluation.colours import NO_STAGE, short_id, spoken, stage_colours
from tracking.types import Track, TrackStatus

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]  # x and y of the top left, x and y of the bottom right, pixels

_WHITE: Colour = (255, 255, 255)
_DARK: Colour = (38, 32, 28)
_FAILURE: Colour = (40, 40, 198)
_OTHER: Colour = (225, 225, 225)
_EDGE_STEPS = 12  # pieces that an edge is drawn in: a lens bends it


def annotated_frame(
    picture: Picture,
    camera: Camera,
    observation: CameraObservation | None,
    blocks: Sequence[Track | FusedBlock] = (),
    *,
    title: str | None = None,
) -> Picture:
    """Draw masks with class and stage, and the boxes of fused blocks or tracks as this camera must see them.

    Args:
        picture: (H, W, 3) uint8, BGR; stays as it is.
        camera: its pose and intrinsics draw the boxes back.
        observation: of this camera in the slot; None draws the boxes alone.
        blocks: tracks (shown with their ids) or fused blocks; those out of view are left out.
        title: in the top left corner; the camera's name and the time of the frame when None.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    import cv2

    canvas = picture.copy()
    objects = observation.objects if observation is not None else ()
    colours = stage_colours([*(seen.stage for seen in objects), *(block.stage for block in blocks)])
    scale = picture.shape[1] / 1920
    taken: list[Box] = []
    tint = canvas.copy()
    for seen in objects:
        if seen.polygon is not None:
            cv2.fillPoly(tint, [np.rint(seen.polygon).astype(np.int32)], _bgr(colours, seen.stage))
    canvas = cv2.addWeighted(tint, 0.35, canvas, 0.65, 0)
    for seen in objects:
        _draw_outline(canvas, seen, colours, scale)
    if camera.pose is not None and camera.intrinsics is not None:
        model = CameraModel.of(camera)
        for block in blocks:
            _draw_block(canvas, model, block, scale, taken)
    for seen in objects:
        _write_object(canvas, seen, colours, scale, taken)
    if title is None:
        title = (
            camera.name if observation is None else f"{camera.name}   {observation.captured_at:%Y-%m-%d %H:%M:%S %Z}"
        )
    _write(canvas, title, (int(14 * scale), int(14 * scale)), size=1.0 * scale, colours=(_WHITE, _DARK), taken=[])
    return np.asarray(canvas, dtype=np.uint8)


def contact_sheet(pictures: Mapping[str, Picture | None], *, columns: int = 3, width: int = 2400) -> Picture:
    """All cameras of a slot in one picture.

    Args:
        pictures: (H, W, 3) uint8, BGR, by camera name, in the order in which they are
            laid out; None for a camera that gave none.
        columns: pictures in a row.
        width: of the sheet, pixels.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    import cv2

    gap = 6
    tile_width = (width - (columns + 1) * gap) // columns
    shapes = [picture.shape for picture in pictures.values() if picture is not None]
    tile_height = round(tile_width * (shapes[0][0] / shapes[0][1] if shapes else 9 / 16))
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (tile_height + gap) + gap, width, 3), 24, dtype=np.uint8)
    for index, (name, picture) in enumerate(pictures.items()):
        top = gap + index // columns * (tile_height + gap)
        left = gap + index % columns * (tile_width + gap)
        tile = sheet[top : top + tile_height, left : left + tile_width]
        if picture is not None:
            tile[:] = cv2.resize(picture, (tile_width, tile_height), interpolation=cv2.INTER_AREA)
        else:
            tile[:] = 60
            where = (tile_width // 3, tile_height // 2 - 10)
            _write(tile, f"{name}: no picture", where, size=0.8, colours=(_WHITE, _FAILURE), taken=[])
    return sheet


def _draw_outline(canvas: Picture, seen: DetectedObject, colours: Mapping[str, str], scale: float) -> None:
    import cv2

    if seen.polygon is not None:
        points = [np.rint(seen.polygon).astype(np.int32)]
        cv2.polylines(canvas, points, True, _bgr(colours, seen.stage), max(1, round(2 * scale)), cv2.LINE_AA)
    else:
        x_from, y_from, x_to, y_to = (round(float(value)) for value in seen.box)
        cv2.rectangle(canvas, (x_from, y_from), (x_to, y_to), _OTHER, 1, cv2.LINE_AA)


def _write_object(
    canvas: Picture, seen: DetectedObject, colours: Mapping[str, str], scale: float, taken: list[Box]
) -> None:
    x_from, y_from, x_to, y_to = (float(value) for value in seen.box)
    if seen.class_name not in TRACKED_CLASSES:
        where = (round(x_from), round(y_from - 15 * scale))
        _write(canvas, spoken(seen.class_name), where, size=0.42 * scale, colours=(_DARK, _OTHER), taken=taken)
        return
    stage = f": {spoken(seen.stage)} {seen.stage_confidence:.0%}" if seen.stage else ""
    where = (round((x_from + x_to) / 2 - 90 * scale), round(y_to - 30 * scale))
    text = f"{spoken(seen.class_name)} {seen.confidence:.0%}{stage}"
    _write(canvas, text, where, size=0.5 * scale, colours=(_DARK, _bgr(colours, seen.stage)), taken=taken)


def _draw_block(canvas: Picture, model: CameraModel, block: Track | FusedBlock, scale: float, taken: list[Box]) -> None:
    """The edges of the upright prism over the block's footprint, and its name on the top."""
    import cv2

    base = shapely.get_coordinates(block.footprint.exterior)[:-1]
    low = np.column_stack([base, np.zeros(len(base))])
    high = np.column_stack([base, np.full(len(base), block.height_m)])
    edges = [*_ring(low), *_ring(high), *zip(low, high, strict=True)]
    lines = [_visible(model, start, end) for start, end in edges]
    if not any(model.inside(line).any() for line in lines):
        return
    for thickness, colour in ((max(2, round(4 * scale)), _DARK), (max(1, round(1.6 * scale)), _WHITE)):
        for line in lines:
            if len(line) > 1:
                cv2.polylines(canvas, [np.rint(line).astype(np.int32)], False, colour, thickness, cv2.LINE_AA)
    middle = np.append(shapely.get_coordinates(block.footprint.centroid)[0], block.height_m)
    pixel, valid = model.project(middle)
    if valid and model.inside(pixel):
        name = _name(block)
        where = (round(float(pixel[0]) - 24 * scale), round(float(pixel[1]) - 14 * scale))
        _write(
            canvas, f"{name}  {block.height_m:.1f} m", where, size=0.72 * scale, colours=(_WHITE, _DARK), taken=taken
        )


def _name(block: Track | FusedBlock) -> str:
    """The id of a track, with its status where the camera may well show nothing there; the class of a fused block."""
    if not isinstance(block, Track):
        return spoken(block.class_name)
    if block.status in (TrackStatus.PRESENT, TrackStatus.MOVED):
        return short_id(block.track_id)
    return f"{short_id(block.track_id)} {block.status}"


def _ring(corners: Floats) -> Iterable[tuple[Floats, Floats]]:
    return zip(corners, np.roll(corners, -1, axis=0), strict=True)


def _visible(model: CameraModel, start: Floats, end: Floats) -> Floats:
    """(N, 2) pixels along an edge, as far as the lens can see it at all and not far beyond the frame."""
    share = np.linspace(0, 1, _EDGE_STEPS + 1)[:, None]
    pixels, valid = model.project(start + share * (end - start))
    width, height = model.size
    near = np.abs(np.nan_to_num(pixels, nan=1e9) - [width / 2, height / 2]) < [width, height]
    return np.asarray(pixels[valid & near.all(axis=-1)])


def _write(
    canvas: Picture,
    text: str,
    where: tuple[int, int],
    *,
    size: float,
    colours: tuple[Colour, Colour],
    taken: list[Box],
) -> None:
    """Text on a plate, its top left at `where`, moved where it would lie on a plate in `taken` or leave the picture."""
    import cv2

    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(1.8 * size))
    (text_width, text_height), below = cv2.getTextSize(text, font, size, thickness)
    pad = max(2, round(7 * size))
    width, height = text_width + 2 * pad, text_height + below + 2 * pad
    x = int(np.clip(where[0], 0, max(0, canvas.shape[1] - width)))
    tries = [where[1] + step * (height + 1) for step in (0, 1, -1, 2, -2, 3, -3)]
    tops = [int(np.clip(top, 0, max(0, canvas.shape[0] - height))) for top in tries]
    y = next(
        (top for top in tops if not any(_overlap((x, top, x + width, top + height), box) for box in taken)), tops[0]
    )
    taken.append((x, y, x + width, y + height))
    colour, ground = colours
    cv2.rectangle(canvas, (x, y), (x + width, y + height), ground, cv2.FILLED)
    cv2.putText(canvas, text, (x + pad, y + pad + text_height), font, size, colour, thickness, cv2.LINE_AA)


def _overlap(first: Box, second: Box) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _bgr(colours: Mapping[str, str], stage: str | None) -> Colour:
    code = colours.get(stage, NO_STAGE) if stage is not None else NO_STAGE
    red, green, blue = (int(code[start : start + 2], 16) for start in (1, 3, 5))
    return blue, green, red
