"""Floor marks as lasting witnesses of where a camera looks: how each looks in a frame is kept, and found again later.

A mark is a place of the bay's file (`witnesses`) that shows sharply and stays: a corner of painted lines, a survey
mark, the foot of a pillar. Its surroundings in a frame are compared with those that were kept by normalised
cross-correlation (Lewis, "Fast normalized cross-correlation", 1995), so that light does not matter.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter, maximum_filter, uniform_filter

from bay_observation.errors import CalibrationError, ConfigError
from bay_observation.files import write_atomically
from bay_observation.pictures import opened_picture
from bays import BayConfig, Camera
from bays.camera_model import CameraModel
from bays.loading import witnesses_file

Floats = NDArray[np.float64]
Picture = NDArray[np.float32]

PATCH_PX = 73  # side of what is kept around a mark
FARTHEST_DEG = 5.0  # of a turn that is looked for

_HALF = PATCH_PX // 2
_SMOOTH_PX = 1.0
_APART_PX = 6  # places nearer than this are the same
_LEAST_CONTRAST = 3.0  # grey levels (standard deviation) under which there is nothing to find again
_LEAST_ALIKE = 0.5  # correlation from which on two frames show the same at a mark
_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class KeptMark:
    """How a mark looks to a camera: its pixel, and (PATCH_PX, PATCH_PX) grey values around it."""

    camera: str
    name: str
    pixel: tuple[float, float]
    patch: NDArray[np.uint8]


@dataclass(frozen=True)
class Likeness:
    """How alike a mark is each place of a later frame, around where it was kept.

    Attributes:
        corner: pixel (u, v) of the first value.
        values: (rows, columns) correlation, -1 to 1.
    """

    corner: tuple[float, float]
    values: Picture

    def peaks(self, least: float, most: int) -> Floats:
        """(p, 2) pixels of the places that are most like it, the best first."""
        high = (self.values == maximum_filter(self.values, size=2 * _APART_PX + 1)) & (self.values >= least)
        places = np.argwhere(high)[np.argsort(-self.values[high], kind="stable")][:most]
        found = [self._between(row, column) for row, column in places]
        return np.array(found, dtype=float).reshape(-1, 2)

    def peak_near(self, pixel: Floats, near: float, least: float) -> Floats | None:
        """(2,) pixel most like the mark, at most `near` from a pixel along each axis; None where none is like it."""
        low = np.ceil(pixel - self.corner - near).astype(int)
        left, top = np.maximum(low, 0)
        right, bottom = np.maximum(np.floor(pixel - self.corner + near).astype(int) + 1, 0)
        window = self.values[top:bottom, left:right]
        if not window.size or window.max() < least:
            return None
        row, column = np.unravel_index(int(window.argmax()), window.shape)
        return np.array(self._between(top + int(row), left + int(column)))

    def _between(self, row: int, column: int) -> tuple[float, float]:
        down, across = _between(self.values, row, column)
        return self.corner[0] + across, self.corner[1] + down


def grey(frame: bytes) -> Picture:
    """(H, W) float32 of a JPEG or PNG.

    Raises:
        CalibrationError: it is no image.
    """
    try:
        with opened_picture(frame) as image:
            return np.asarray(image.convert("L"), dtype=np.float32)
    except OSError as error:
        raise CalibrationError(f"the frame is no image that can be read ({len(frame)} bytes)") from error


def keep_marks(bay: BayConfig, camera: Camera, pictures: Sequence[Picture]) -> tuple[list[KeptMark], dict[str, str]]:
    """The marks of a camera that can be found again, and why the others cannot.

    Each is kept as it looks in the frame that most others are like: what stood on a mark in a few of them is not kept.

    Args:
        bay: with the marks.
        camera: by whose pose they are where they are seen.
        pictures: frames of it, in grey; one will do where nothing lies on a mark.

    Raises:
        CalibrationError: a frame has another size than the camera's intrinsics.
    """
    for picture in pictures:
        _check_size(camera, picture)
    width, height = CameraModel.of(camera).size
    kept, refused = [], {}
    for name, pixel in _expected(bay, camera):
        column, row = (round(value) for value in pixel)
        window = np.s_[row - _HALF : row + _HALF + 1, column - _HALF : column + _HALF + 1]
        if not _HALF <= column < width - _HALF or not _HALF <= row < height - _HALF:
            refused[name] = "it lies at the frame's edge"
            continue
        patches = [patch for picture in pictures if (patch := picture[window]).std() >= _LEAST_CONTRAST]
        if not patches:
            refused[name] = "nothing shows there: is it hidden?"
        elif (usual := _usual(patches)) is None:
            refused[name] = "it looks otherwise in each frame: does something stand or move there?"
        else:
            kept.append(KeptMark(camera.name, name, pixel, usual.astype(np.uint8)))
    return kept, refused


def _usual(patches: Sequence[Picture]) -> Picture | None:
    """The one that most others are like; None where it is like no more than half of them, itself counted."""
    flat = np.array([gaussian_filter(patch, _SMOOTH_PX).ravel() for patch in patches])
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    alike = flat @ flat.T
    like = (alike >= _LEAST_ALIKE).sum(axis=1)
    best = int(np.lexsort((alike.sum(axis=1), like))[-1])
    return patches[best] if 2 * like[best] > len(patches) else None


def likeness(mark: KeptMark, picture: Picture, radius: int) -> Likeness | None:
    """How alike the mark are the places up to `radius` pixels from where it was; None where the frame has none."""
    column, row = (round(value) for value in mark.pixel)
    top, left = max(0, row - radius - _HALF), max(0, column - radius - _HALF)
    window = picture[top : row + radius + _HALF + 1, left : column + radius + _HALF + 1]
    if min(window.shape) < PATCH_PX:
        return None
    patch = gaussian_filter(mark.patch.astype(np.float32), _SMOOTH_PX)
    # The patch was cut around the pixel that is nearest to the mark.
    corner = left + _HALF + mark.pixel[0] - column, top + _HALF + mark.pixel[1] - row
    return Likeness(corner, _correlation(gaussian_filter(window, _SMOOTH_PX), patch))


def search_px(camera: Camera) -> int:
    """How far a mark moves in the image when its camera turns by `FARTHEST_DEG`, at most."""
    focal = CameraModel.of(camera).intrinsics.focal_px
    return int(np.ceil(focal * np.tan(np.radians(FARTHEST_DEG))))


def write_witnesses(bay_id: str, marks: Sequence[KeptMark]) -> Path:
    """Keep marks, in place of those of the same cameras that were kept before; the file's path."""
    path = witnesses_file(bay_id)
    renewed = {mark.camera for mark in marks}
    before = read_witnesses(bay_id) if path.exists() else {}
    everything = [mark for name, old in before.items() if name not in renewed for mark in old] + list(marks)
    content = BytesIO()
    np.savez_compressed(
        content,
        cameras=np.array([mark.camera for mark in everything], dtype=str),
        names=np.array([mark.name for mark in everything], dtype=str),
        pixels=np.array([mark.pixel for mark in everything], dtype=float).reshape(-1, 2),
        patches=np.array([mark.patch for mark in everything], dtype=np.uint8).reshape(-1, PATCH_PX, PATCH_PX),
    )
    write_atomically(path, content.getvalue())
    return path


def read_witnesses(bay_id: str) -> Mapping[str, list[KeptMark]]:
    """The kept marks by camera.

    Raises:
        ConfigError: there are none, or the file is damaged.
    """
    path = witnesses_file(bay_id)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is larger than any such file")
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as content:
            cameras, names, pixels, patches = (content[key] for key in ("cameras", "names", "pixels", "patches"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: is not there: run bay-observation camera keep-witnesses {bay_id} while all cameras hang right"
        ) from None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ConfigError(f"{path}: cannot be read ({error}): write it again with camera keep-witnesses") from error
    count = len(cameras)
    if names.shape != (count,) or pixels.shape != (count, 2) or patches.shape != (count, PATCH_PX, PATCH_PX):
        raise ConfigError(f"{path}: its parts do not belong together: write it again with camera keep-witnesses")
    found: dict[str, list[KeptMark]] = {}
    for camera, name, (u, v), patch in zip(cameras, names, pixels, patches, strict=True):
        mark = KeptMark(str(camera), str(name), (float(u), float(v)), patch.astype(np.uint8))
        found.setdefault(mark.camera, []).append(mark)
    return found


def _check_size(camera: Camera, picture: Picture) -> None:
    width, height = CameraModel.of(camera).size
    if picture.shape != (height, width):
        raise CalibrationError(
            f"the frame of {camera.name} is {picture.shape[1]} x {picture.shape[0]}, the file's intrinsics are of"
            f" {width} x {height}: calibrate the camera with this frame first"
        )


def _expected(bay: BayConfig, camera: Camera) -> Iterator[tuple[str, tuple[float, float]]]:
    """Pixels of the marks that the camera sees by its pose."""
    model = CameraModel.of(camera)
    for name, mark in bay.witnesses.items():
        pixel, valid = model.project((mark.x, mark.y, mark.z))
        if valid and model.inside(pixel):
            yield name, (float(pixel[0]), float(pixel[1]))


def _correlation(window: Picture, patch: Picture) -> Picture:
    """Normalised cross-correlation of the patch at each place of the window that holds it whole."""
    patch = patch - patch.mean()
    shape = [next_fast_len(size, real=True) for size in window.shape]
    flat = window - window.mean()
    product = irfft2(rfft2(flat, shape) * np.conj(rfft2(patch, shape)), shape)
    rows, columns = window.shape[0] - PATCH_PX + 1, window.shape[1] - PATCH_PX + 1
    inside = np.s_[_HALF : _HALF + rows, _HALF : _HALF + columns]
    mean = uniform_filter(flat, PATCH_PX)[inside]
    spread = np.sqrt(np.maximum(uniform_filter(flat**2, PATCH_PX)[inside] - mean**2, 1e-3))
    likeness = product[:rows, :columns] / (spread * np.sqrt((patch**2).mean()) * PATCH_PX**2)
    return np.asarray(likeness, dtype=np.float32)


def _between(likeness: Picture, row: int, column: int) -> tuple[float, float]:
    """The peak between the pixels, by a parabola along each axis."""

    def along(before: float, at: float, after: float) -> float:
        bend = before - 2 * at + after
        return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0

    rows, columns = likeness.shape
    down = along(*likeness[row - 1 : row + 2, column]) if 0 < row < rows - 1 else 0.0
    across = along(*likeness[row, column - 1 : column + 2]) if 0 < column < columns - 1 else 0.0
    return row + down, column + across
