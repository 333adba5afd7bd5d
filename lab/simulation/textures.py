"""Painted surfaces: steel in four stages of assembly, jigs, equipment, the hall.

A texture is a (rows, columns, 3) uint8 BGR picture of a flat face, `PIXELS_PER_METRE`
to the metre, albedo only: light is put on by the renderer. Tops have the block's
width along the columns; sides have their upper edge in row 0.
"""

from collections.abc import Callable, Collection
from functools import lru_cache
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from bays import Layout
from lab.simulation.objects import Equipment, Jig, Person, SimulatedBlock

Picture = NDArray[np.uint8]
Colour = tuple[float, float, float]

PIXELS_PER_METRE = 36
FLOOR_PIXELS_PER_METRE = 32
MARK_M = 0.6
"""Side of a surveyed mark on the floor."""
FLOOR_MARGIN_M = 1.5  # floor beyond the bay's own, up to the walls
WALL_HEIGHT_M = 16.0

_GRAIN = 1024
_SHOP_PRIMER = ((98, 112, 104), (92, 104, 112), (108, 118, 100))
_RAW_STEEL = ((112, 112, 110), (124, 120, 112), (104, 108, 112))
_RED_OXIDE = ((52, 62, 142), (60, 72, 152), (46, 56, 126))
_PAINT = ((172, 182, 184), (120, 158, 112), (176, 148, 104), (142, 190, 206))
_RUST = (46, 78, 118)


def block_top(block: SimulatedBlock, rng: np.random.Generator) -> Picture:
    """The deck of a block as its stage and class show it."""
    size = _pixels(block.depth_m, block.width_m)
    top = _STAGE_TOPS[block.stage](size, block.class_name, rng)
    if block.class_name == "HP_block":
        _shell_edge(top, block.stage, rng)
    return _finish(top, rng)


def block_side(block: SimulatedBlock, length_m: float, rng: np.random.Generator) -> Picture:
    """One side of a block, `length_m` long."""
    size = _pixels(block.height_m, length_m)
    side = _STAGE_SIDES[block.stage](size, block.class_name, rng)
    if block.class_name == "HP_block":
        _shell_side(side, block.stage, rng)
    shade = np.linspace(1.08, 0.62, size[0], dtype=np.float32)[:, None, None]
    return _finish(side * shade, rng)


def jig_top(jig: Jig, rng: np.random.Generator) -> Picture:
    """A jig seen from above, with the floor between its parts."""
    rows, columns = _pixels(jig.depth_m, jig.width_m)
    kind = jig.class_name.removesuffix("_empty")
    if kind == "flatjig":
        picture = _plate((rows, columns), (84, 88, 86), rng, plate_m=2.0)
        _grid(picture, 2.0, 2.0, (54, 56, 56), 2)
        cv2.rectangle(picture, (2, 2), (columns - 3, rows - 3), (48, 50, 52), 5)
        return _finish(picture, rng)
    picture = _base((rows, columns), (88, 92, 94), rng, 7)
    if kind == "pinjig":
        step = _m(0.62)
        for y in range(step // 2, rows, step):
            for x in range(step // 2, columns, step):
                cv2.ellipse(picture, (x + 5, y + 5), (8, 6), 30, 0, 360, (42, 44, 46), -1, cv2.LINE_AA)
                cv2.circle(picture, (x, y), 5, (60, 176, 208), -1, cv2.LINE_AA)
                cv2.circle(picture, (x - 1, y - 1), 2, (150, 220, 236), -1, cv2.LINE_AA)
    elif kind == "hbeamjig":
        step = _m(1.35)
        for y in range(step // 3, rows, step):
            _beam(picture, (0, y), (columns - 1, y), (66, 92, 150))
        for x in range(_m(0.3), columns, _m(3.6)):
            _beam(picture, (x, 0), (x, rows - 1), (58, 80, 132))
    else:
        step = _m(0.8)
        for y in range(4, rows, step):
            _beam(picture, (0, y), (columns - 1, y), (148, 118, 62), 4)
        for x in range(4, columns, step):
            _beam(picture, (x, 0), (x, rows - 1), (160, 128, 70), 4)
    return _finish(picture, rng)


def equipment_face(item: Equipment, side: int, rng: np.random.Generator) -> Picture:
    """A side (0 to 3) or the top (4) of a piece of equipment."""
    length = item.width_m if side in (0, 2, 4) else item.depth_m
    rows, columns = _pixels(item.depth_m if side == 4 else item.height_m, length, at_least=12)
    return _finish(_EQUIPMENT[item.class_name]((rows, columns), side, rng), rng)


def person_face(person: Person, part: str) -> Picture:
    """Clothes of a person: one colour a part."""
    vest = ((40, 120, 235), (40, 200, 225), (150, 90, 40))[person.vest]
    colour = {"legs": (92, 66, 50), "vest": vest, "helmet": (225, 235, 238)}[part]
    return np.full((8, 8, 3), colour, dtype=np.uint8)


def crane_face(part: str, length_m: float, breadth_m: float, rng: np.random.Generator) -> Picture:
    """Paint of a part of the crane."""
    rows, columns = _pixels(breadth_m, length_m, at_least=6)
    if part == "rope":
        return np.full((6, 6, 3), (52, 54, 56), dtype=np.uint8)
    colour: Colour = {"girder": (34, 168, 216), "trolley": (66, 84, 96), "hook": (30, 150, 222)}[part]
    picture = _base((rows, columns), colour, rng, 6)
    if part == "girder":
        along = max(rows, columns)
        for position in range(0, along, _m(2.2)):
            _stripe(picture, position, 2, (24, 122, 160))
        picture[: max(1, rows // 12)] *= 0.72
        picture[:, : max(1, columns // 12)] *= 0.72
    if part == "hook":
        for position in range(-rows, columns, 18):
            cv2.line(picture, (position, rows), (position + rows, 0), (28, 30, 32), 7)
    return _finish(picture, rng)


def floor(layout: Layout, marks: Collection[tuple[float, float]], rng: np.random.Generator) -> Picture:
    """The hall's floor, `FLOOR_MARGIN_M` wider than the bay on every side; row 0 is the lowest y.

    Surveyed marks (x, y) are painted on it, but for those at a corner of an area: there the lines are the mark.
    """
    scale = FLOOR_PIXELS_PER_METRE
    rows = int((layout.height + 2 * FLOOR_MARGIN_M) * scale)
    columns = int((layout.width + 2 * FLOOR_MARGIN_M) * scale)
    picture = np.empty((rows, columns, 3), dtype=np.float32)
    picture[:] = (136, 142, 144)
    coarse = _grain(rng, (rows // 16 + 1, columns // 16 + 1))
    picture += cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)[..., None] * 13
    picture += _grain(rng, (rows, columns))[..., None] * 6
    for x in range(0, columns, 6 * scale):
        cv2.line(picture, (x, 0), (x, rows), (88, 92, 94), 2)
    for y in range(0, rows, 5 * scale):
        cv2.line(picture, (0, y), (columns, y), (88, 92, 94), 2)
    _stains(picture, rng, columns * rows // 160_000)
    _paint_areas(picture, layout, rng)
    corners = {(x, y) for area in layout.areas.values() for x in area.x for y in area.y}
    for mark in set(marks) - corners:
        _paint_mark(picture, mark)
    return _finish(picture, rng)


def wall(length_m: float, rng: np.random.Generator) -> Picture:
    """A wall of the hall, `WALL_HEIGHT_M` high: corrugated sheet, columns, a painted foot."""
    scale = FLOOR_PIXELS_PER_METRE // 2
    rows, columns = int(WALL_HEIGHT_M * scale), max(8, int(length_m * scale))
    picture = _base((rows, columns), (132, 138, 130), rng, 5)
    picture[:, ::5] *= 0.86
    for x in range(0, columns, 9 * scale):
        cv2.rectangle(picture, (x, 0), (x + scale // 2 + 3, rows), (86, 96, 108), -1)
        cv2.line(picture, (x + scale // 2 + 4, 0), (x + scale // 2 + 4, rows), (50, 54, 58), 3)
    picture[int(rows * 0.86) :] *= (0.62, 0.66, 0.72)
    for x in range(3 * scale, columns, 18 * scale):
        cv2.rectangle(picture, (x, rows - 4 * scale), (x + 3 * scale, rows), (72, 84, 92), -1)
    return _finish(picture, rng)


# --- tops -----------------------------------------------------------------------------


def _sub_assembly_top(size: tuple[int, int], class_name: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """An open grid of stiffeners on a plate, in shop primer."""
    colour = _pick(_SHOP_PRIMER, rng)
    picture = _plate(size, _scaled(colour, 0.62), rng, plate_m=2.6)
    _ribs(picture, colour, rng, spacing_m=0.68, web_m=None if class_name == "panel" else 2.3)
    return picture


def _unit_assembly_top(size: tuple[int, int], class_name: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Half closed in raw steel: some plates are on, between others the ribs still show."""
    steel = _pick(_RAW_STEEL, rng)
    picture = _plate(size, _scaled(steel, 0.48), rng, plate_m=3.0)
    _ribs(picture, _scaled(steel, 0.95), rng, spacing_m=0.68, web_m=2.3 if class_name != "panel" else 4.2)
    rows, columns = size
    plates = _plate(size, _scaled(steel, 1.22), rng, plate_m=3.0)
    burnt = _grain(rng, size)[..., None]
    plates += np.where(burnt > 0.8, (burnt - 0.8) * np.array([-14, -6, 16], dtype=np.float32), 0)
    across, down = max(2, round(columns / _m(3.2))), max(2, round(rows / _m(3.2)))
    closed = rng.permutation(across * down) < round(across * down * rng.uniform(0.45, 0.62))
    for index in np.flatnonzero(closed):
        r, c = divmod(int(index), across)
        y0, y1 = r * rows // down, (r + 1) * rows // down
        x0, x1 = c * columns // across, (c + 1) * columns // across
        picture[y0:y1, x0:x1] = plates[y0:y1, x0:x1]
        cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), (58, 66, 84), 3)
        picture[y1 : y1 + 7, x0:x1] *= 0.55  # the plate's shadow on what lies lower
        picture[y0:y1, x1 : x1 + 7] *= 0.55
    return picture


def _grand_assembly_top(size: tuple[int, int], class_name: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Closed all over, in red oxide, with weld seams, chalk marks and manholes."""
    colour = _pick(_RED_OXIDE, rng)
    picture = _plate(size, colour, rng, plate_m=3.0)
    rows, columns = size
    for y in range(_m(0.68), rows, _m(0.68)):
        picture[y : y + 2] *= 0.93  # frames show through the plate
    _grid(picture, 3.0, 2.4, _scaled(colour, 0.62), 3)
    _grid(picture, 3.0, 2.4, _scaled(colour, 1.35), 1, shift=2)
    for _ in range(int(rng.integers(2, 6))):
        x, y = int(rng.integers(columns)), int(rng.integers(rows))
        cv2.ellipse(picture, (x, y), (_m(0.42), _m(0.28)), 0, 0, 360, (26, 28, 40), -1, cv2.LINE_AA)
        cv2.ellipse(picture, (x, y), (_m(0.46), _m(0.32)), 0, 0, 360, _scaled(colour, 1.4), 2, cv2.LINE_AA)
    for _ in range(int(rng.integers(2, 5))):
        x, y = int(rng.integers(columns)), int(rng.integers(rows))
        cv2.line(
            picture, (x, y), (x + _m(rng.uniform(-2, 2)), y + _m(rng.uniform(-1, 1))), (196, 204, 214), 1, cv2.LINE_AA
        )
    return picture


def _pre_outfitting_top(size: tuple[int, int], class_name: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Painted, with pipes, railings, machine seats and markings."""
    colour = _pick(_PAINT, rng)
    picture = _plate(size, colour, rng, plate_m=4.5, spread=0.02)
    rows, columns = size
    for _ in range(int(rng.integers(3, 7))):  # machine seats and boxes with their shadows
        w, h = _m(rng.uniform(0.7, 1.8)), _m(rng.uniform(0.6, 1.4))
        x, y = int(rng.integers(max(1, columns - w))), int(rng.integers(max(1, rows - h)))
        cv2.rectangle(picture, (x + 6, y + 6), (x + w + 8, y + h + 8), _scaled(colour, 0.5), -1)
        box = ((70, 72, 74), (86, 120, 84), (128, 96, 60), (58, 96, 170))[int(rng.integers(4))]
        cv2.rectangle(picture, (x, y), (x + w, y + h), box, -1)
        cv2.rectangle(picture, (x, y), (x + w, y + h), _scaled(box, 1.4), 2)
    for _ in range(int(rng.integers(2, 4))):
        _pipe_run(picture, rng, colour)
    edge = _m(0.28)
    cv2.rectangle(picture, (edge, edge), (columns - edge, rows - edge), (36, 200, 232), 3)
    for x in range(edge, columns - edge, _m(1.2)):
        for y in (edge, rows - edge):
            cv2.circle(picture, (x, y), 4, (30, 160, 196), -1)
    for y in range(edge, rows - edge, _m(1.2)):
        for x in (edge, columns - edge):
            cv2.circle(picture, (x, y), 4, (30, 160, 196), -1)
    center = (int(rng.integers(columns // 4, 3 * columns // 4)), int(rng.integers(rows // 4, 3 * rows // 4)))
    cv2.circle(picture, center, _m(0.75), (60, 66, 72), -1, cv2.LINE_AA)
    cv2.circle(picture, center, _m(0.75), (228, 232, 234), 3, cv2.LINE_AA)
    text = f"{'ABCDEFGH'[int(rng.integers(8))]}{int(rng.integers(10, 99))}"
    _write(picture, text, (_m(0.9), rows - _m(0.9)), 2.0, 5)
    return picture


# --- sides ----------------------------------------------------------------------------


def _sub_assembly_side(size: tuple[int, int], class_name: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Open frames: one looks between the webs into the dark."""
    colour = _pick(_SHOP_PRIMER, rng)
    rows, columns = size
    picture = _base(size, _scaled(colour, 0.36), rng, 5)
    for x in range(0, columns, _m(0.68 if class_name == "panel" else 0.9)):
        picture[:, x : x + _m(0.13)] = colour
        picture[:, x + _m(0.13) : x + _m(0.20)] *= 0.6
    bands = (0.92,) if class_name == "panel" else (0.0, 0.34, 0.66, 0.93)
    for band in bands:
        y = int(band * rows)
        picture[y : y + _m(0.16)] = _scaled(colour, 1.12)
    return picture


def _unit_assembly_side(size: tuple[int, int], class_name: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Raw plates below, open frames above, here and there closed to the top."""
    steel = _pick(_RAW_STEEL, rng)
    rows, columns = size
    picture = _sub_assembly_side(size, class_name, rng)
    picture *= np.divide(steel, _SHOP_PRIMER[0], dtype=np.float32)
    plates = _plate(size, _scaled(steel, 1.12), rng, plate_m=2.5)
    edge = int(rows * 0.45)
    picture[edge:] = plates[edge:]
    x = 0
    while x < columns:
        wide = _m(rng.uniform(1.5, 3.0))
        if rng.random() < 0.4:
            picture[:, x : x + wide] = plates[:, x : x + wide]
            cv2.rectangle(picture, (x, 0), (x + wide, rows), (58, 66, 84), 2)
        x += wide
    cv2.line(picture, (0, edge), (columns, edge), (58, 66, 84), 3)
    return picture


def _grand_assembly_side(size: tuple[int, int], class_name: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Closed shell in red oxide with stiffeners and openings."""
    colour = _pick(_RED_OXIDE, rng)
    picture = _plate(size, colour, rng, plate_m=2.6)
    for x in range(_m(0.4), size[1], _m(1.7)):
        picture[:, x : x + 5] *= 1.22
        picture[:, x + 5 : x + 10] *= 0.68
    _openings(picture, rng, (24, 26, 38), class_name)
    return picture


def _pre_outfitting_side(size: tuple[int, int], class_name: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Painted, with a pipe along it, a ladder and a number."""
    colour = _pick(_PAINT, rng)
    picture = _plate(size, colour, rng, plate_m=4.0, spread=0.02)
    rows, columns = size
    _openings(picture, rng, (66, 70, 76), class_name)
    for share in (0.28, 0.34):
        y = int(rows * share)
        cv2.line(picture, (0, y), (columns, y), (188, 192, 196), 4)
        cv2.line(picture, (0, y + 4), (columns, y + 4), _scaled(colour, 0.5), 3)
    x = int(rng.integers(max(1, columns - _m(0.6))))
    for y in range(0, rows, _m(0.3)):
        cv2.line(picture, (x, y), (x + _m(0.5), y), (36, 200, 232), 2)
    cv2.rectangle(picture, (x, 0), (x + _m(0.5), rows), (36, 200, 232), 2)
    if rows > _m(1.5):
        _write(picture, str(int(rng.integers(100, 999))), (columns // 3, int(rows * 0.7)), 2.2, 6)
    picture[: max(2, rows // 40)] = (36, 200, 232)
    return picture


def _openings(picture: NDArray[np.float32], rng: np.random.Generator, colour: Colour, class_name: str) -> None:
    """Access holes through the side of a block; a panel is too low for them."""
    rows, columns = picture.shape[:2]
    if class_name != "block" or rows < _m(1.8):
        return
    for x in range(_m(1.2), columns - _m(1.0), _m(2.4)):
        if rng.random() < 0.75:
            cv2.ellipse(picture, (x, rows // 2), (_m(0.38), _m(0.6)), 0, 0, 360, colour, -1, cv2.LINE_AA)


# --- HP block -------------------------------------------------------------------------


def _shell_side(picture: NDArray[np.float32], stage: str, rng: np.random.Generator) -> None:
    """Hull plating on an HP block's side: the turn of the bilge, strakes and draught marks."""
    rows, columns = picture.shape[:2]
    lower = {
        "sub_assembly": (70, 78, 74),
        "unit_assembly": (80, 82, 84),
        "grand_assembly": (36, 40, 88),
        "pre_outfitting": (44, 44, 150),
    }[stage]
    flip = bool(rng.random() < 0.5)
    x = np.linspace(0, 1, 40)
    curve = 0.35 + 0.55 * (x if flip else 1 - x) ** 2.2
    line = np.column_stack([x * columns, curve * rows])
    hull = np.concatenate([line, [[columns, rows], [0, rows]]]).astype(np.int32)
    cv2.fillPoly(picture, [hull], lower, cv2.LINE_AA)
    for lift in (0.0, 0.16, 0.32, 0.48):
        strake = (line + np.array([0, lift * rows])).astype(np.int32)
        cv2.polylines(
            picture, [strake], False, _scaled(lower, 1.5 if lift else 2.0), 5 if lift == 0 else 3, cv2.LINE_AA
        )
    if stage in ("grand_assembly", "pre_outfitting"):
        at = int(columns * (0.15 if flip else 0.85))
        for y in range(_m(0.4), rows - _m(0.3), _m(0.5)):
            cv2.rectangle(picture, (at, y), (at + _m(0.35), y + _m(0.2)), (235, 238, 240), -1)


def _shell_edge(picture: NDArray[np.float32], stage: str, rng: np.random.Generator) -> None:
    """The curved shell along one long edge of an HP block's deck, with its arched frames."""
    rows, columns = picture.shape[:2]
    shell = {
        "sub_assembly": (58, 66, 62),
        "unit_assembly": (72, 74, 76),
        "grand_assembly": (34, 38, 84),
        "pre_outfitting": (44, 44, 148),
    }[stage]
    x = np.linspace(0, 1, 48)
    depth = 0.16 + 0.26 * np.abs(2 * x - 1) ** 2.4
    line = np.column_stack([x * columns, depth * rows])
    if rng.random() < 0.5:
        line = np.column_stack([line[:, 0], rows - line[:, 1]])
        corners = [[columns, rows], [0, rows]]
    else:
        corners = [[columns, 0], [0, 0]]
    cv2.fillPoly(picture, [np.concatenate([line, corners]).astype(np.int32)], shell, cv2.LINE_AA)
    cv2.polylines(picture, [line.astype(np.int32)], False, _scaled(shell, 2.1), 6, cv2.LINE_AA)
    edge = np.array(corners[0], dtype=float)[1]
    for index in range(2, 47, 4):
        start = line[index]
        cv2.line(picture, (int(start[0]), int(start[1])), (int(start[0]), int(edge)), _scaled(shell, 1.55), 3)


# --- equipment ------------------------------------------------------------------------


def _grinder(size: tuple[int, int], side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = size
    picture = _base(size, (176, 96, 36), rng, 5)
    if side == 4:
        cv2.circle(picture, (columns // 3, rows // 2), rows // 3, (48, 48, 50), -1, cv2.LINE_AA)
        cv2.circle(picture, (columns // 3, rows // 2), rows // 6, (190, 192, 194), -1, cv2.LINE_AA)
        cv2.rectangle(picture, (2 * columns // 3, rows // 4), (columns - 4, 3 * rows // 4), (216, 148, 70), -1)
    else:
        picture[2 * rows // 3 :] *= 0.4
    return picture


def _welder(size: tuple[int, int], side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = size
    picture = _base(size, (38, 66, 214), rng, 5)
    if side == 4:
        cv2.rectangle(picture, (columns // 8, rows // 6), (columns // 2, 5 * rows // 6), (36, 40, 66), -1)
        cv2.circle(picture, (3 * columns // 4, rows // 2), rows // 4, (230, 232, 234), -1, cv2.LINE_AA)
    else:
        for y in range(rows // 5, rows, max(4, rows // 7)):
            cv2.line(picture, (columns // 8, y), (7 * columns // 8, y), (24, 34, 96), 2)
        cv2.rectangle(picture, (columns // 4, rows // 8), (3 * columns // 4, rows // 3), (220, 224, 226), -1)
    return picture


def _step_board(size: tuple[int, int], side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = size
    if side == 4:
        picture = _base(size, (92, 152, 196), rng, 6)
        for x in range(0, columns, max(6, columns // 6)):
            cv2.line(picture, (x, 0), (x, rows), (34, 56, 78), 3)
        cv2.rectangle(picture, (0, 0), (columns - 1, rows - 1), (226, 230, 232), 3)
        return picture
    picture = _base(size, (44, 50, 56), rng, 4)
    for y in range(0, rows, max(6, rows // 4)):
        cv2.line(picture, (0, y), (columns, y), (206, 212, 216), 4)
    for x in (1, columns // 2, columns - 2):
        cv2.line(picture, (x, 0), (x, rows), (206, 212, 216), 4)
    cv2.line(picture, (0, rows), (columns // 2, 0), (206, 212, 216), 3)
    cv2.line(picture, (columns // 2, 0), (columns, rows), (206, 212, 216), 3)
    return picture


def _pipes(size: tuple[int, int], side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = size
    if side in (1, 3):
        picture = _base(size, (60, 62, 64), rng, 4)
        for x in range(columns // 8, columns, max(6, columns // 4)):
            cv2.circle(picture, (x, rows // 2), max(3, columns // 9), (22, 24, 26), -1, cv2.LINE_AA)
            cv2.circle(picture, (x, rows // 2), max(3, columns // 9), (214, 218, 220), 2, cv2.LINE_AA)
        return picture
    tubes = 4 if side == 4 else 2
    phase = (np.arange(rows) * tubes / rows) % 1.0
    round_shade = (0.35 + 0.75 * np.sin(np.pi * phase)).astype(np.float32)
    picture = _base(size, (196, 200, 202), rng, 4) * round_shade[:, None, None]
    for x in (columns // 5, 4 * columns // 5):
        cv2.line(picture, (x, 0), (x, rows), (40, 70, 120), 4)
    return picture


# --- parts ----------------------------------------------------------------------------


def _plate(
    size: tuple[int, int], colour: Colour, rng: np.random.Generator, plate_m: float, spread: float = 0.05
) -> NDArray[np.float32]:
    """Steel of several plates that differ a little, with seams and dirt."""
    picture = _base(size, colour, rng, 5)
    rows, columns = size
    across, down = max(1, round(columns / _m(plate_m))), max(1, round(rows / _m(plate_m * 0.8)))
    tone = rng.normal(1.0, spread, (down, across)).astype(np.float32)
    picture *= cv2.resize(tone, (columns, rows), interpolation=cv2.INTER_NEAREST)[..., None]
    _grid(picture, columns / across / PIXELS_PER_METRE, rows / down / PIXELS_PER_METRE, _scaled(colour, 0.7), 2)
    dirt = np.clip(_grain(rng, size) - 0.9, 0, 1.5)[..., None] * 0.28
    picture += (np.array(_RUST, dtype=np.float32) - picture) * dirt
    return picture


def _ribs(
    picture: NDArray[np.float32], colour: Colour, rng: np.random.Generator, spacing_m: float, web_m: float | None
) -> None:
    """Stiffeners along the columns with the shadows they cast, and deeper webs across."""
    rows, columns = picture.shape[:2]
    thick, shade = 4, _m(0.2)
    for y in range(_m(0.2), rows, _m(spacing_m)):
        picture[y + thick : y + thick + shade] *= 0.58
        picture[y : y + thick] = _scaled(colour, rng.uniform(1.35, 1.5))
    if web_m is not None:
        for x in range(_m(0.1), columns, _m(web_m)):
            picture[:, x + 7 : x + 7 + shade] *= 0.55
            picture[:, x : x + 7] = _scaled(colour, rng.uniform(1.4, 1.55))
    cv2.rectangle(picture, (1, 1), (columns - 2, rows - 2), _scaled(colour, 1.3), 4)


def _pipe_run(picture: NDArray[np.float32], rng: np.random.Generator, deck: Colour) -> None:
    rows, columns = picture.shape[:2]
    colour = ((190, 194, 198), (76, 150, 92), (60, 70, 190), (180, 150, 80))[int(rng.integers(4))]
    along = bool(rng.random() < 0.6)
    span, across = (columns, rows) if along else (rows, columns)
    start, bend = (
        int(rng.integers(across // 6, max(across // 6 + 1, 5 * across // 6))),
        int(rng.integers(span // 4, 3 * span // 4)),
    )
    other = int(np.clip(start + _m(rng.uniform(-2.0, 2.0)), 6, across - 6))
    for offset in range(0, _m(0.66), _m(0.22)):
        points = np.array([[0, start + offset], [bend, start + offset], [bend, other + offset], [span, other + offset]])
        points = points if along else points[:, ::-1]
        cv2.polylines(picture, [(points + 4).astype(np.int32)], False, _scaled(deck, 0.5), 6)
        cv2.polylines(picture, [points.astype(np.int32)], False, colour, 6)
        cv2.polylines(picture, [(points - 1).astype(np.int32)], False, _scaled(colour, 1.3), 2)


def _beam(
    picture: NDArray[np.float32], start: tuple[int, int], end: tuple[int, int], colour: Colour, half: int = 5
) -> None:
    shadow = (half, half)
    cv2.line(
        picture,
        (start[0] + shadow[0], start[1] + shadow[1]),
        (end[0] + shadow[0], end[1] + shadow[1]),
        (40, 42, 44),
        2 * half,
    )
    cv2.line(picture, start, end, colour, 2 * half)
    cv2.line(picture, start, end, _scaled(colour, 1.35), max(1, half // 2))


def _grid(
    picture: NDArray[np.float32], step_x_m: float, step_y_m: float, colour: Colour, thick: int, *, shift: int = 0
) -> None:
    rows, columns = picture.shape[:2]
    for x in np.arange(step_x_m, columns / PIXELS_PER_METRE, step_x_m):
        at = round(x * PIXELS_PER_METRE) + shift
        cv2.line(picture, (at, 0), (at, rows), colour, thick)
    for y in np.arange(step_y_m, rows / PIXELS_PER_METRE, step_y_m):
        at = round(y * PIXELS_PER_METRE) + shift
        cv2.line(picture, (0, at), (columns, at), colour, thick)


def _stripe(picture: NDArray[np.float32], position: int, thick: int, colour: Colour) -> None:
    """A line across the longer direction."""
    if picture.shape[0] > picture.shape[1]:
        picture[position : position + thick] = colour
    else:
        picture[:, position : position + thick] = colour


def _stains(picture: NDArray[np.float32], rng: np.random.Generator, count: int) -> None:
    """Oil, rust and tyre marks on the floor."""
    rows, columns = picture.shape[:2]
    dark = np.zeros((rows // 4, columns // 4), dtype=np.float32)
    for _ in range(count):
        x, y = int(rng.integers(columns // 4)), int(rng.integers(rows // 4))
        axes = (int(rng.integers(2, 14)), int(rng.integers(2, 9)))
        cv2.ellipse(dark, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, float(rng.uniform(0.1, 0.5)), -1)
    for _ in range(count // 8):
        x, y = int(rng.integers(columns // 4)), int(rng.integers(rows // 4))
        points = np.cumsum(np.vstack([[x, y], rng.normal((14, 0), (5, 2.5), (7, 2))]), axis=0)
        cv2.polylines(dark, [points.astype(np.int32)], False, float(rng.uniform(0.15, 0.35)), int(rng.integers(1, 3)))
    dark = cv2.resize(cv2.GaussianBlur(dark, (0, 0), 1.2), (columns, rows), interpolation=cv2.INTER_LINEAR)
    picture += (np.array((62, 70, 80), dtype=np.float32) - picture) * dark[..., None]


def _paint_areas(picture: NDArray[np.float32], layout: Layout, rng: np.random.Generator) -> None:
    """Worn lane and area markings, with the areas' names."""
    scale = FLOOR_PIXELS_PER_METRE
    paint = picture.copy()

    def at(x: float, y: float) -> tuple[int, int]:
        return round((x + FLOOR_MARGIN_M) * scale), round((y + FLOOR_MARGIN_M) * scale)

    for name, area in layout.areas.items():
        lane = area.kind != "work"
        colour = (52, 178, 214) if lane else (196, 202, 204)
        cv2.rectangle(paint, at(area.x[0], area.y[0]), at(area.x[1], area.y[1]), colour, 6 if lane else 4)
        if lane:
            for x in np.arange(area.x[0] + 1.0, area.x[1] - 0.5, 2.0):
                cv2.line(paint, at(x, area.y[0] + 0.3), at(x + 0.7, area.y[0] + 0.9), colour, 6)
                cv2.line(paint, at(x, area.y[1] - 0.9), at(x + 0.7, area.y[1] - 0.3), colour, 6)
        x, y = at(area.x[0] + 0.6, (area.y[0] + area.y[1]) / 2)
        # Rows run with y: written upside down, the name reads upright for who stands at y = 0.
        upright = paint[y : y + 2 * scale, x : x + 9 * scale][::-1]
        _write(upright, name, (4, upright.shape[0] - 8), 1.4, 4)
    worn = np.clip(0.62 + 0.3 * _grain(rng, picture.shape[:2]), 0.05, 0.95)[..., None]
    picture += (paint - picture) * worn


def _paint_mark(picture: NDArray[np.float32], mark: tuple[float, float]) -> None:
    """A surveyor's target: a square of four quarters, white and black by turns, that meet in the mark."""
    half = round(MARK_M / 2 * FLOOR_PIXELS_PER_METRE)
    column, row = (round((value + FLOOR_MARGIN_M) * FLOOR_PIXELS_PER_METRE) for value in mark)
    for up, left in product((0, half), repeat=2):
        rows, columns = (slice(max(0, start), max(0, start + half)) for start in (row - up, column - left))
        picture[rows, columns] = (26, 26, 28) if up == left else (232, 236, 238)


def _write(picture: NDArray[np.float32], text: str, at: tuple[int, int], size: float, thick: int) -> None:
    """White painted letters with their lower left corner at (column, row)."""
    letters = np.zeros(picture.shape[:2], dtype=np.uint8)  # OpenCV writes on 8-bit pictures only
    cv2.putText(letters, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, 255, thick, cv2.LINE_AA)
    picture += (np.array((236, 238, 240), dtype=np.float32) - picture) * (letters[..., None] / np.float32(255))


def _base(size: tuple[int, int], colour: Colour, rng: np.random.Generator, amount: float) -> NDArray[np.float32]:
    picture = np.empty((*size, 3), dtype=np.float32)
    picture[:] = colour
    picture += _grain(rng, size)[..., None] * amount
    return picture


def _grain(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    """A random piece of noise that has both fine and coarse parts, mean 0, deviation 1."""
    noise = _noise()
    row, column = rng.integers(_GRAIN, size=2)
    rows, columns = (np.arange(length) + start for length, start in zip(size, (row, column), strict=True))
    return np.asarray(noise[np.ix_(rows % _GRAIN, columns % _GRAIN)])


@lru_cache(maxsize=1)
def _noise() -> NDArray[np.float32]:
    rng = np.random.default_rng(20250702)
    total = np.zeros((_GRAIN, _GRAIN), dtype=np.float32)
    for cells, weight in ((8, 1.0), (32, 0.9), (128, 0.7), (512, 0.6), (1024, 0.5)):
        layer = rng.standard_normal((cells, cells)).astype(np.float32)
        wrapped = np.pad(layer, 2, mode="wrap")
        step = _GRAIN // cells
        large = cv2.resize(wrapped, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += weight * large[2 * step : 2 * step + _GRAIN, 2 * step : 2 * step + _GRAIN]
    return np.asarray((total - total.mean()) / total.std(), dtype=np.float32)


def _finish(picture: NDArray[np.float32], rng: np.random.Generator) -> Picture:
    noisy = picture + _grain(rng, (picture.shape[0], picture.shape[1]))[..., None] * 1.5
    return np.asarray(np.clip(noisy, 0, 255), dtype=np.uint8)


def _pixels(rows_m: float, columns_m: float, at_least: int = 8) -> tuple[int, int]:
    return max(at_least, round(rows_m * PIXELS_PER_METRE)), max(at_least, round(columns_m * PIXELS_PER_METRE))


def _m(metres: float) -> int:
    """Metres as pixels."""
    return round(metres * PIXELS_PER_METRE)


def _scaled(colour: Colour, factor: float) -> Colour:
    blue, green, red = (min(255.0, part * factor) for part in colour)
    return blue, green, red


def _pick(palette: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    colour = palette[int(rng.integers(len(palette)))]
    return _scaled(colour, float(rng.uniform(0.92, 1.08)))


_Painter = Callable[[tuple[int, int], str, np.random.Generator], NDArray[np.float32]]
_STAGE_TOPS: dict[str, _Painter] = {
    "sub_assembly": _sub_assembly_top,
    "unit_assembly": _unit_assembly_top,
    "grand_assembly": _grand_assembly_top,
    "pre_outfitting": _pre_outfitting_top,
}
_STAGE_SIDES: dict[str, _Painter] = {
    "sub_assembly": _sub_assembly_side,
    "unit_assembly": _unit_assembly_side,
    "grand_assembly": _grand_assembly_side,
    "pre_outfitting": _pre_outfitting_side,
}
_EQUIPMENT: dict[str, Callable[[tuple[int, int], int, np.random.Generator], NDArray[np.float32]]] = {
    "grinder": _grinder,
    "welder": _welder,
    "step_board": _step_board,
    "pipe": _pipes,
}
