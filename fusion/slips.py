"""Pixels that are written otherwise than the image has them: exchanged, from the other side, of another size."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from bay_observation.errors import CalibrationError
from bays import Camera, Intrinsics
from fusion.calibration import FloorPoint, calibrate_by_file, doubts

_USUAL_WIDTHS = (640, 1280, 1920, 2560, 2688, 3072, 3840)
_TURNED_DEG = 90.0

Pixel = tuple[float, float]


def slip(points: Sequence[FloorPoint], camera: Camera, lens: Intrinsics | tuple[int, int]) -> str | None:
    """What explains all of a camera's points that contradict one another, and the remedy; None where nothing does.

    Args:
        points: as for `calibrate_by_file`, which did not find a camera by them or doubts it.
        camera: as the bay's file has it.
        lens: as for `calibrate_by_file`.
    """
    width, height = (lens.width, lens.height) if isinstance(lens, Intrinsics) else lens
    found: list[tuple[bool, float, str]] = []
    for words, change in _changes(width, height):
        changed = []
        for point in points:
            u, v = change((point.u, point.v))
            changed.append(replace(point, u=u, v=v))
        if not all(0 <= point.u <= width and 0 <= point.v <= height for point in changed):
            continue
        try:
            result = calibrate_by_file(changed, camera, lens)
        except CalibrationError:
            continue
        if not result.without_say and not doubts(result):
            # An image that is mirrored the other way is one of a camera that hangs upside down.
            turned = camera.pose is not None and result.turned_deg(camera.pose) > _TURNED_DEG
            found.append((turned, result.rms_px, words))
    return min(found)[2] if found else None


def _changes(width: int, height: int) -> Iterator[tuple[str, Callable[[Pixel], Pixel]]]:
    yield "u and v are exchanged: write u, the column, first", lambda at: (at[1], at[0])
    yield "v is counted from below: it counts from the top", lambda at: (at[0], height - 1 - at[1])
    yield "u is counted from the right: it counts from the left", lambda at: (width - 1 - at[0], at[1])
    for other in _USUAL_WIDTHS:
        if other != width:
            words = f"the points are of an image {other} wide, and the file's is {width}: give the image with --frame"
            yield words, lambda at, scale=width / other: (at[0] * scale, at[1] * scale)  # type: ignore[misc]
