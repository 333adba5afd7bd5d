"""Pictures of the simulated yard as its cameras take them.

Deferred shading on the CPU: `lab.simulation.scene` decides what every pixel shows,
then each visible face is textured through the homography between its plane and
the undistorted image, lens distortion included by looking up the ray of every
pixel. Light, shadows on the floor, vignetting, exposure, blur and sensor noise follow.
"""

import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from bay_observation.errors import SimulationError
from bays import BayConfig, Layout
from bays.camera_model import CameraModel
from lab.simulation import textures
from lab.simulation.objects import Crane, Equipment, Jig, Light, Person, SimulatedBlock, YardState
from lab.simulation.scene import (
    BOTTOM,
    SIDES,
    TOP,
    Drawing,
    Scene,
    Solid,
    build_scene,
    draw,
    face_corners,
    fill,
    project_quads,
    solid_and_side,
    window,
)
from lab.simulation.yard import Yard

Picture = NDArray[np.uint8]
Floats32 = NDArray[np.float32]
Value = TypeVar("Value")

_RAY_CELL = 8  # pixels between the rays that are kept; between them they are interpolated
_SHADOW_CELLS = 8  # per metre of floor
_LIGHT_SCALE = 1 / 128  # of the 8-bit floor light: 128 leaves the floor as it is painted
_NOISE_ROOM = 256
_MIDDLE_GREY = 118.0  # what the cameras' automatic exposure aims at
_TEXTURES_KEPT = 320
_SCENES_KEPT = 4
_FRAMES_KEPT = 48
_ARC_SHARE = 0.35  # of the welders at work whose arc burns in a frame
_NO_MIP_ABOVE = 0.4  # pixels of the image per pixel of the texture


class Renderer:
    """Draws any camera of a bay at any state of its yard. Thread-safe.

    What stays the same for a camera (the empty hall) or a block (its textures)
    is made once and kept; the first frame of a camera takes longer.
    """

    def __init__(self, bay: BayConfig) -> None:
        self._bay = bay
        self._views: _Cache[_View] = _Cache(len(bay.cameras) or 1)
        self._textures: _Cache[Picture] = _Cache(_TEXTURES_KEPT)
        self._scenes: _Cache[_LitScene] = _Cache(_SCENES_KEPT)
        self._hall: _Cache[list[tuple[NDArray[np.float64], Picture]]] = _Cache(1)
        self._noise: _Cache[NDArray[np.int16]] = _Cache(2)

    @property
    def bay(self) -> BayConfig:
        """The bay whose cameras are drawn."""
        return self._bay

    def render(self, camera_name: str, state: YardState, *, noise_seed: int | None = None) -> Picture:
        """One frame: (H, W, 3) uint8, BGR.

        Args:
            camera_name: a camera of the bay with pose and intrinsics.
            state: the yard at the moment of the frame.
            noise_seed: of exposure and sensor noise; by default it follows from
                camera and time, so that the same frame is the same picture.

        Raises:
            SimulationError: no such camera, or one without pose or intrinsics.
        """
        view = self._view(camera_name)
        # Kept by the state's id; the state is kept beside it, so that its id stays its own.
        lit = self._scenes.get(id(state), lambda: _LitScene(state, self._bay.layout, self._texture))
        drawing = draw(lit.scene, view.model)
        image = view.lit_hall(lit.floor_light, state.light)
        rays = view.rays()
        for face in drawing.faces:
            _shade(image, rays, drawing, lit, face=face, model=view.model)
        if noise_seed is None:
            noise_seed = zlib.crc32(f"{camera_name} {state.time.isoformat()}".encode())
        rng = np.random.default_rng(noise_seed)
        _add_arcs(image, drawing, lit.scene, view.model, rng)
        return self._develop(image, view, state.light, rng)

    def jpeg(self, camera_name: str, state: YardState, quality: int = 88) -> bytes:
        """The frame as a JPEG file.

        Raises:
            SimulationError: as for `render`.
        """
        done, encoded = cv2.imencode(".jpg", self.render(camera_name, state), [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not done:
            raise SimulationError(f"camera {camera_name}: OpenCV could not encode the frame as JPEG")
        return bytes(encoded.tobytes())

    def prepare(self) -> None:
        """Draw the empty hall for every camera that has a pose, so that no first frame takes longer.

        About half a second a camera.
        """
        for camera in self._bay.cameras:
            if camera.pose is not None and camera.intrinsics is not None:
                self._view(camera.name)

    def _view(self, camera_name: str) -> "_View":
        return self._views.get(camera_name, lambda: self._make_view(camera_name))

    def _make_view(self, camera_name: str) -> "_View":
        try:
            model = CameraModel.of(self._bay.camera(camera_name))
        except (KeyError, ValueError) as error:
            raise SimulationError(f"bay {self._bay.bay_id} cannot be drawn: {error.args[0]}") from error
        hall = self._hall.get("hall", lambda: _hall(self._bay))
        return _View(model, self._bay.layout, hall)

    def _texture(self, solid: Solid, side: int) -> Picture:
        key, paint = _painter(solid, side)
        return self._textures.get(key, paint)

    def _develop(self, image: Picture, view: "_View", light: Light, rng: np.random.Generator) -> Picture:
        """Lens and sensor: vignetting, automatic exposure, white balance, blur, noise."""
        thumbnail = cv2.resize(image, (96, 54), interpolation=cv2.INTER_AREA)
        exposure = (_MIDDLE_GREY / max(8.0, float(thumbnail.mean()))) ** 0.75 * float(rng.uniform(0.88, 1.12))
        exposure = min(exposure, 2.6)
        # Three quarters of the lamps' colour are balanced away.
        balance = np.array([1 - 0.07 * light.warmth, 1.0, 1 + 0.06 * light.warmth]) * rng.uniform(0.98, 1.02, 3)
        image = cv2.multiply(image, view.vignette, scale=1 / 255)
        image = cv2.LUT(image, _tone_curve(exposure, balance))
        image = cv2.GaussianBlur(image, (3, 3), 0.55 + 0.25 * float(rng.random()))
        noise = self._noise.get(view.model.size, lambda: _noise_field(*view.model.size))
        row, column = rng.integers(_NOISE_ROOM, size=2)
        height, width = image.shape[:2]
        field = noise[row : row + height, column : column + width]
        # Little light asks for more gain, and the gain lifts the noise too.
        strength = float(np.clip(0.35 + 0.5 * (exposure - 0.9), 0.35, 1.0))
        return np.asarray(cv2.addWeighted(image, 1.0, field, strength, 0.0, dtype=cv2.CV_8U), dtype=np.uint8)


class FrameSource:
    """Frames of a yard's cameras as JPEG files, by camera and time. Thread-safe.

    The latest frames are kept; two who ask for the same frame share one rendering.
    """

    def __init__(self, yard: Yard, renderer: Renderer | None = None, quality: int = 88) -> None:
        self._yard, self._quality = yard, quality
        self._renderer = renderer or Renderer(yard.bay)
        self._frames: _Cache[bytes] = _Cache(_FRAMES_KEPT)

    def prepare(self) -> None:
        """Make what all frames share (see `Renderer.prepare`)."""
        self._renderer.prepare()

    def __call__(self, camera_name: str, time: datetime) -> bytes:
        """The JPEG file of that camera at that moment.

        Raises:
            SimulationError: no such camera, or a time before the yard's start.
        """
        return self._frames.get(
            (camera_name, time), lambda: self._renderer.jpeg(camera_name, self._yard.at(time), self._quality)
        )


@dataclass
class _View:
    """What of one camera's frames never changes: the empty hall, the rays of the pixels, the vignette."""

    model: CameraModel
    layout: Layout
    hall: list[tuple[NDArray[np.float64], Picture]]

    def __post_init__(self) -> None:
        width, height = self.model.size
        self._grid = _ray_grid(self.model)
        self._background, floor = self._draw_hall()
        # Where each second pixel's ray meets the floor, as cells of the shadow map.
        self._cells = self._floor_cells()
        self._floor = cv2.resize(floor, (width, height))
        u, v = np.meshgrid(np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32))
        fall_off = 255 * (1 - 0.20 * (u * u + 0.6 * v * v))
        self.vignette = cv2.merge([fall_off.astype(np.uint8)] * 3)

    def rays(self) -> Floats32:
        """(H, W, 2) float32, normalised coordinates of the middle of every pixel, distortion removed."""
        return _upsample(self._grid, self.model.size)

    def lit_hall(self, floor_light: Floats32, light: Light) -> Picture:
        """The empty hall under the light, with the shadows on its floor; a new array."""
        width, height = self.model.size
        small = cv2.remap(floor_light, self._cells, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        shade = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        walls = (light.ambient * 0.85 + light.sun * 0.25) / _LIGHT_SCALE
        level = np.where(self._floor > 0, shade, np.float32(walls)).astype(np.uint8)
        return np.asarray(cv2.multiply(self._background, cv2.merge([level] * 3), scale=_LIGHT_SCALE), dtype=np.uint8)

    def _draw_hall(self) -> tuple[Picture, Picture]:
        """The hall without light, and a mask of its floor. Four samples a pixel keep thin lines smooth."""
        width, height = self.model.size
        bounds = window(self.model)
        hall = np.full((height, width, 3), 22, dtype=np.uint8)
        floor = np.zeros((height, width), dtype=np.uint8)
        rays = self.rays()
        step = np.float32(0.25 / self.model.intrinsics.focal_px)
        for index, (corners, texture) in enumerate(self.hall):
            if _behind(corners, self.model.position):
                continue
            outline = project_quads(corners[None], self.model, bounds, steps=128)[0]
            if outline is None:
                continue
            mask = np.zeros((height, width), dtype=np.uint8)
            fill(mask, outline, 255)
            floor[mask > 0] = 255 if index == 0 else 0
            column, row, wide, high = cv2.boundingRect(mask)
            region = np.s_[row : row + high, column : column + wide]
            samples = [
                _sample(texture, rays[region] + np.array([du, dv], dtype=np.float32) * step, self.model, corners)
                for du, dv in ((-1, -1), (1, -1), (-1, 1), (1, 1))
                if wide and high
            ]
            if samples:
                mean = np.mean(samples, axis=0, dtype=np.float32).astype(np.uint8)
                cv2.copyTo(mean, mask[region], hall[region])
        return hall, floor

    def _floor_cells(self) -> Floats32:
        width, height = self.model.size
        rays = cv2.resize(self.rays(), (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        margin = textures.FLOOR_MARGIN_M
        low, x, y = (
            np.array([-margin, -margin, 0.0]),
            np.array([1.0, 0.0, 0.0]),
            np.array([0.0, 1.0, 0.0]),
        )
        return _plane_coordinates(rays, self.model, low, x, y) * np.float32(_SHADOW_CELLS) - np.float32(0.5)


class _LitScene:
    """A state as solids with the shadows that they throw, the same for all cameras. Thread-safe."""

    def __init__(self, state: YardState, layout: Layout, texture: Callable[[Solid, int], Picture]) -> None:
        self.state = state
        self.scene = build_scene(state)
        self.floor_light = _floor_light(self.scene, state.light, layout)
        self._texture = texture
        self._shadowed: _Cache[Picture] = _Cache(len(self.scene.solids) or 1)

    def texture(self, index: int, side: int) -> Picture:
        """Paint of a face; on a block's deck with the shadows of what stands on it or beside it."""
        solid = self.scene.solids[index]
        if side != TOP or not isinstance(solid.thing, SimulatedBlock):
            return self._texture(solid, side)
        return self._shadowed.get(index, lambda: self._with_shadows(solid))

    def _with_shadows(self, deck: Solid) -> Picture:
        texture = self._texture(deck, TOP)
        hulls = [
            hull for hull in (_shadow_on(deck, other, self.state.light) for other in self.scene.solids) if len(hull)
        ]
        if not hulls:
            return texture
        rows, columns = texture.shape[:2]
        shade = np.zeros((max(1, rows // 3), max(1, columns // 3)), dtype=np.uint8)
        corners = face_corners(deck, TOP)[:, :2]
        axes = np.column_stack([corners[1] - corners[0], corners[3] - corners[0]])
        for hull in hulls:
            cells = np.linalg.solve(axes, (hull - corners[0]).T).T * (shade.shape[1], shade.shape[0])
            cv2.fillConvexPoly(shade, cv2.convexHull((cells * 16).astype(np.int32)), 255, shift=4)
        light = self.state.light
        depth = 0.85 * light.sun * light.direction[2] / (light.ambient + light.sun * light.direction[2])
        soft = cv2.GaussianBlur(shade, (0, 0), 1.6).astype(np.float32) * -depth + 255
        level = cv2.resize(soft.astype(np.uint8), (columns, rows), interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.multiply(texture, cv2.merge([level] * 3), scale=1 / 255), dtype=np.uint8)


class _Cache(Generic[Value]):
    """The latest values by key; a value that several threads ask for is made once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Future[Value]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        with self._lock:
            future = self._values.get(key)
            mine = future is None
            if future is None:
                future = self._values[key] = Future()
                while len(self._values) > self._size:
                    self._values.popitem(last=False)
            self._values.move_to_end(key)
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:  # noqa: BLE001 - handed on to every waiting caller
                with self._lock:
                    if self._values.get(key) is future:
                        del self._values[key]
                future.set_exception(error)
        return future.result()


def _hall(bay: BayConfig) -> list[tuple[NDArray[np.float64], Picture]]:
    """Floor and walls as (4, 3) corners, in the order of `face_corners`, and their textures."""
    rng, layout = np.random.default_rng(7), bay.layout
    marks = [(mark.x, mark.y) for mark in bay.witnesses.values() if mark.z == 0]
    margin, top = textures.FLOOR_MARGIN_M, textures.WALL_HEIGHT_M
    x0, y0, x1, y1 = -margin, -margin, layout.width + margin, layout.height + margin
    ground = np.array([[x0, y0, 0.0], [x1, y0, 0.0], [x1, y1, 0.0], [x0, y1, 0.0]])
    surfaces = [(ground, textures.floor(layout, marks, rng))]
    # Seen from inside, each wall runs from left to right.
    for start, end in (((x1, y0), (x0, y0)), ((x0, y1), (x1, y1)), ((x0, y0), (x0, y1)), ((x1, y1), (x1, y0))):
        corners = np.array([[*start, top], [*end, top], [*end, 0.0], [*start, 0.0]])
        length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
        surfaces.append((corners, textures.wall(length, rng)))
    return surfaces


def _behind(corners: NDArray[np.float64], eye: NDArray[np.float64]) -> bool:
    """Whether the eye is on the back of a surface of the hall: then it is not drawn."""
    # Columns run to the right and rows down, seen from the front; the floor is seen from above.
    normal = np.cross(corners[3] - corners[0], corners[1] - corners[0])
    if abs(normal[2]) > 0:
        normal = np.array([0.0, 0.0, 1.0])
    return bool(normal @ (eye - corners[0]) <= 0)


def _shade(image: Picture, rays: Floats32, drawing: Drawing, lit: _LitScene, *, face: int, model: CameraModel) -> None:
    """Texture and light for the pixels that show one face."""
    height, width = drawing.ids.shape
    outline = drawing.outlines[face]
    left, top = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 2, (width, height))
    if left >= right or top >= bottom:
        return
    mask = cv2.inRange(drawing.ids[top:bottom, left:right], face, face)
    column, row, wide, high = cv2.boundingRect(mask)
    if wide == 0 or high == 0:
        return
    mask = mask[row : row + high, column : column + wide]
    region = np.s_[top + row : top + row + high, left + column : left + column + wide]
    index, side = solid_and_side(face)
    solid = lit.scene.solids[index]
    texture = _mip(lit.texture(index, side), float(cv2.contourArea(outline.astype(np.float32))))
    sample = _sample(texture, rays[region], model, face_corners(solid, side))
    cv2.copyTo(cv2.convertScaleAbs(sample, alpha=_face_light(solid, side, lit.state.light)), mask, image[region])


def _add_arcs(image: Picture, drawing: Drawing, scene: Scene, model: CameraModel, rng: np.random.Generator) -> None:
    """Glare of welding arcs, now and then, where a welder is at work and in sight."""
    height, width = image.shape[:2]
    for index, solid in enumerate(scene.solids):
        thing = solid.thing
        if not isinstance(thing, Equipment) or thing.class_name != "welder" or thing.block_id is None:
            continue
        burning, reach = rng.random() < _ARC_SHARE, float(rng.uniform(14, 34))
        pixel, valid = model.project(np.array([*solid.ring.mean(axis=0), solid.z1]))
        if not burning or not valid or not model.inside(pixel, 1.0):
            continue
        column, row = int(pixel[0]), int(pixel[1])
        if solid_and_side(max(1, int(drawing.ids[row, column])))[0] != index:
            continue
        size = int(reach * 3)
        top, left = max(0, row - size), max(0, column - size)
        part = image[top : min(height, row + size), left : min(width, column + size)]
        y, x = np.ogrid[: part.shape[0], : part.shape[1]]
        square = ((y + top - row) ** 2 + (x + left - column) ** 2).astype(np.float32)
        glow = 60 * np.exp(-square / (2 * reach**2)) + 320 * np.exp(-square / (2 * (reach / 5) ** 2))
        part[:] = cv2.add(part, cv2.merge([glow, glow * 0.93, glow * 0.85]), dtype=cv2.CV_8U)


def _shadow_on(deck: Solid, other: Solid, light: Light) -> NDArray[np.float64]:
    """(8, 2) corners of the shadow of another box on a deck, floor metres; empty where it throws none."""
    height = deck.z1
    if other is deck or other.z1 <= height + 0.02 or other.z0 > height + 5:
        return np.empty((0, 2))
    slope = _shadow_slope(light)
    low = max(other.z0 - height, 0.0)
    shadow = np.concatenate([other.ring + slope * low, other.ring + slope * (other.z1 - height)])
    apart = (shadow.max(axis=0) < deck.ring.min(axis=0)) | (shadow.min(axis=0) > deck.ring.max(axis=0))
    return np.empty((0, 2)) if apart.any() else shadow


def _shadow_slope(light: Light) -> NDArray[np.float64]:
    """Metres that a shadow reaches along x and y for each metre of height."""
    return np.asarray(-np.array(light.direction[:2]) / max(light.direction[2], 0.2))


def _floor_light(scene: Scene, light: Light, layout: Layout) -> Floats32:
    """Light on the floor in cells of the shadow map, scaled for `_LIGHT_SCALE`; row 0 is the lowest y."""
    margin = textures.FLOOR_MARGIN_M
    rows = int((layout.height + 2 * margin) * _SHADOW_CELLS)
    columns = int((layout.width + 2 * margin) * _SHADOW_CELLS)
    cast, high, contact = (np.zeros((rows, columns), dtype=np.uint8) for _ in range(3))
    slope = _shadow_slope(light)
    for solid in scene.solids:
        if solid.z1 <= solid.z0:
            continue
        shadow = np.concatenate([solid.ring + slope * solid.z0, solid.ring + slope * solid.z1]) + margin
        hull = cv2.convexHull((shadow * _SHADOW_CELLS * 16).astype(np.int32))
        # What hangs high throws a wide and pale shadow.
        cv2.fillConvexPoly(high if solid.z0 > 5 else cast, hull, 255, shift=4)
        if solid.z0 == 0:
            ring = ((solid.ring + margin) * _SHADOW_CELLS * 16).astype(np.int32)
            cv2.fillConvexPoly(contact, ring, 255, shift=4)
    dark = cv2.GaussianBlur(cast, (0, 0), 2.2).astype(np.float32) / 255
    pale = cv2.GaussianBlur(high, (0, 0), 9.0).astype(np.float32) / 255
    near = cv2.GaussianBlur(contact, (0, 0), 6.0).astype(np.float32) / 255
    direct = light.sun * light.direction[2] * (1 - 0.88 * dark) * (1 - 0.45 * pale)
    return np.asarray(np.clip((light.ambient * (1 - 0.55 * near) + direct) / _LIGHT_SCALE, 0, 255), dtype=np.float32)


def _face_light(solid: Solid, side: int, light: Light) -> float:
    """Level of light on a face, 1 being its painted colour."""
    if side in SIDES:
        edge = solid.ring[(side + 1) % 4] - solid.ring[side]
        normal = np.array([edge[1], -edge[0], 0.0]) / np.linalg.norm(edge)
        sky = 0.74  # a side sees half of the roof
    else:
        normal = np.array([0.0, 0.0, 1.0 if side == TOP else -1.0])
        sky = 1.0 if side == TOP else 0.45
    facing = max(0.0, float(normal @ np.array(light.direction)))
    return float(light.ambient * sky + light.sun * (facing + (0.12 if side != BOTTOM else 0.0)))


def _painter(solid: Solid, side: int) -> tuple[Hashable, Callable[[], Picture]]:
    """Key of a face's texture, and what paints it when it is not kept."""
    thing = solid.thing
    match thing:
        case SimulatedBlock():
            key: Hashable = (thing.block_id, thing.class_name, thing.stage, side, thing.width_m, thing.depth_m)
            length = thing.width_m if side in (0, 2) else thing.depth_m
            # The same draws for all faces of a block: they begin with the choice of its paint.
            seed = zlib.crc32(f"{thing.block_id} {thing.stage} {thing.width_m}".encode())
            if side == TOP:
                return key, lambda: textures.block_top(thing, np.random.default_rng(seed))
            return key, lambda: textures.block_side(thing, length, np.random.default_rng(seed))
        case Jig():
            key = (thing.jig_id, thing.class_name, round(thing.width_m, 2), round(thing.depth_m, 2))
            return key, lambda: textures.jig_top(thing, np.random.default_rng(zlib.crc32(thing.jig_id.encode())))
        case Equipment():
            key = (thing.class_name, min(side, TOP))
            return key, lambda: textures.equipment_face(thing, min(side, TOP), np.random.default_rng(5))
        case Person():
            return (thing.vest, solid.part), lambda: textures.person_face(thing, solid.part)
        case Crane():
            corners = face_corners(solid, side)
            length, breadth = (float(np.linalg.norm(corners[end] - corners[0])) for end in (1, 3))
            key = (thing.crane_id, solid.part, side)
            return key, lambda: textures.crane_face(solid.part, length, breadth, np.random.default_rng(6))


def _mip(texture: Picture, area: float) -> Picture:
    """The texture, halved where the image shows it much smaller, so that it does not shimmer."""
    share = area / (texture.shape[0] * texture.shape[1])
    if share < _NO_MIP_ABOVE and min(texture.shape[:2]) >= 16:
        return np.asarray(cv2.resize(texture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return texture


def _sample(
    texture: Picture,
    rays: Floats32,
    model: CameraModel,
    corners: NDArray[np.float64],
) -> Picture:
    """The texture as the pixels with these rays see it on the plane of a face."""
    rows, columns = texture.shape[:2]
    across, down = (corners[1] - corners[0]) / columns, (corners[3] - corners[0]) / rows
    cells = _plane_coordinates(rays, model, corners[0], across, down) - np.float32(0.5)
    return np.asarray(
        cv2.remap(texture, cells, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8
    )


def _plane_coordinates(
    rays: Floats32,
    model: CameraModel,
    origin: NDArray[np.float64],
    across: NDArray[np.float64],
    down: NDArray[np.float64],
) -> Floats32:
    """(H, W, 2) float32: (s, t) at which the rays meet the plane origin + s * across + t * down."""
    to_camera = model.rotation @ np.column_stack([across, down, origin - model.position])
    # OpenCV gives 0 for a ray that never meets the plane; no pixel that shows the plane has one.
    return np.asarray(cv2.perspectiveTransform(rays, np.linalg.inv(to_camera)), dtype=np.float32)


def _ray_grid(model: CameraModel) -> Floats32:
    """Normalised coordinates at the middles of cells of `_RAY_CELL` pixels, one cell beyond each edge."""
    width, height = model.size
    u = (np.arange(-1, -(-width // _RAY_CELL) + 1) + 0.5) * _RAY_CELL
    v = (np.arange(-1, -(-height // _RAY_CELL) + 1) + 0.5) * _RAY_CELL
    return np.asarray(model.undistort(np.stack(np.meshgrid(u, v), axis=-1)), dtype=np.float32)


def _upsample(grid: Floats32, size: tuple[int, int]) -> Floats32:
    large = cv2.resize(grid, None, fx=_RAY_CELL, fy=_RAY_CELL, interpolation=cv2.INTER_LINEAR)
    return np.asarray(large[_RAY_CELL : _RAY_CELL + size[1], _RAY_CELL : _RAY_CELL + size[0]])


def _tone_curve(exposure: float, balance: NDArray[np.float64]) -> Picture:
    """(1, 256, 3) look-up table: gain per colour with a soft shoulder at the bright end."""
    level = np.arange(256)[None, :, None] / 255 * exposure * balance
    return np.asarray(np.clip(255 * level / (1 + 0.22 * level**2) * 1.06, 0, 255), dtype=np.uint8)


def _noise_field(width: int, height: int) -> NDArray[np.int16]:
    """Sensor noise to cut frames from: fine, a little correlated, as after a camera's own filter."""
    rng = np.random.default_rng(11)
    shape = (height + _NOISE_ROOM, width + _NOISE_ROOM, 3)
    noise = rng.standard_normal(shape, dtype=np.float32) * 4.2
    return np.asarray(cv2.GaussianBlur(noise, (3, 3), 0.5).round(), dtype=np.int16)
