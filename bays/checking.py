"""What a bay's file says that is allowed and cannot be right, or is not what its author meant.

`load_bay` refuses what breaks a rule of the file. Here a bay is looked at as a hall with cameras in it, and beside the
other bays. An *error* will not work; a *warning* works, and is probably not meant.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
from croniter import croniter
from numpy.typing import NDArray

from bay_observation.commands import counted
from bays.camera_model import CameraModel
from bays.models import Area, BayConfig, Camera, DailyWindow
from bays.provider_configs import PROVIDER_CONFIGS, LiveConfig
from bays.unnamed_floor import gaps_between

Level = Literal["error", "warning"]
CELL_M = 1.0
"""Side of the squares in which the floor is looked at."""

_MOST_OFF_FLOOR_M = 10.0
LEAST_WITNESSES = 3
"""Kept of a camera, from which on it can be told whether it was knocked."""

LEAST_MARKS = 5
"""In a camera's view, from which on it can be calibrated by them: without a wrong one."""

ENOUGH_MARKS = 8
"""The same, where one of them may be wrong, and one lie too near the frame's edge."""
_MOST_OFF_MARK_M = 2.0  # a floor mark: a pillar's may stand behind the floor's edge
_SAME_MARK_M = 0.1
_AT_SIDE_M = 1.5  # of the hall: so far inside of it cameras hang on its columns
_SEVERAL = 3
_HEIGHTS_M = (2.0, 60.0)
_MOST_SQUEEZED = 2.5  # width over height of a pixel, or the other way: half of the lines of a picture are 2
_VIEWS_DEG = (8.0, 125.0)  # angle across the image: a telephoto lens, a very wide one
_LEAST_SEEN = 0.01  # of the floor, by one camera
_MOST_BLIND = 0.25  # of an area that is tracked
_MOST_ALONE = 0.5  # of all tracked floor, that a single camera sees
COARSE_M = 0.25  # of floor under one pixel
_MOST_GAPS = 3  # that are told
_MOST_UNNAMED = 0.1  # of the floor, in no area
_SMALL_AREA_M = 3.0
_FLOOR_M = (8.0, 400.0)
_DAY = 24 * 60


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or doubtful.

    Attributes:
        level: how bad it is.
        where: a key of the file.
        text: what it is, and what to do.
        line: of the file at which the key stands; None where it stands nowhere, or was not looked for.
    """

    level: Level
    where: str
    text: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.level}: {self.where}: {self.text}"


@dataclass(frozen=True)
class FloorView:
    """How the cameras see the floor, in squares of `CELL_M`.

    Attributes:
        centres: (rows, columns, 2) metres: y grows with the row, x with the column.
        cameras: names, of those that have a pose and a lens and take part in fusion.
        seen: (cameras, rows, columns): whether a camera sees the square's centre, with nothing in its way.
        metres_per_pixel: (cameras, rows, columns): floor under one pixel along the view, NaN where not seen.
    """

    centres: NDArray[np.float64]
    cameras: tuple[str, ...]
    seen: NDArray[np.bool_]
    metres_per_pixel: NDArray[np.float64]

    @property
    def count(self) -> NDArray[np.int64]:
        """(rows, columns) by how many cameras each square is seen."""
        return np.asarray(self.seen.sum(axis=0))


def check_bay(bay: BayConfig, others: Sequence[BayConfig] = ()) -> list[Finding]:
    """Everything about a bay that is wrong or doubtful, errors first.

    Args:
        bay: the bay.
        others: the other bays of the yard, which may claim the same hosts.
    """
    found = [
        *_of_others(bay, others),
        *_of_network(bay),
        *_of_times(bay),
        *_of_capture(bay),
        *_of_layout(bay),
        *_of_cameras(bay),
        *_of_floor(bay),
        *_of_witnesses(bay),
    ]
    return sorted(found, key=lambda one: one.level)


def floor_view(bay: BayConfig) -> FloorView:
    """Which camera sees which square of the floor, by geometry alone."""
    columns, rows = (max(1, math.ceil(side / CELL_M)) for side in (bay.layout.width, bay.layout.height))
    x, y = np.meshgrid((np.arange(columns) + 0.5) * CELL_M, (np.arange(rows) + 0.5) * CELL_M)
    centres = np.stack([x, y], axis=-1)
    places = np.concatenate([centres, np.zeros((rows, columns, 1))], axis=-1)
    cameras = [camera for camera in bay.cameras if camera.fusion and camera.pose and camera.intrinsics]
    seen = np.zeros((len(cameras), rows, columns), dtype=bool)
    scale = np.full((len(cameras), rows, columns), np.nan)
    for number, camera in enumerate(cameras):
        seen[number], scale[number] = seen_from(CameraModel.of(camera), places)
    return FloorView(centres, tuple(camera.name for camera in cameras), seen, scale)


def seen_from(model: CameraModel, places: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which places (..., 3) a camera sees, and metres of floor under one pixel there, NaN where it does not."""
    pixels, ahead = model.project(places)
    seen = ahead & model.inside(pixels)
    away = np.linalg.norm(places - model.position, axis=-1)
    # A pixel covers more of the floor the flatter the view is.
    along = away**2 / (model.intrinsics.focal_px * model.position[2])
    return seen, np.where(seen, along, np.nan)


def _of_others(bay: BayConfig, others: Sequence[BayConfig]) -> Iterator[Finding]:
    for other in others:
        if other.bay_id == bay.bay_id:
            continue
        if bay.network.camera_subnet.overlaps(other.network.camera_subnet):
            yield Finding(
                "error",
                "network.camera_subnet",
                f"{bay.network.camera_subnet} overlaps that of bay {other.bay_id}: give each bay a network of its own",
            )
        if shared := sorted({str(c.host) for c in bay.cameras} & {str(c.host) for c in other.cameras}):
            more = f" and {len(shared) - 3} more" if len(shared) > 3 else ""
            yield Finding("error", "cameras", f"{', '.join(shared[:3])}{more} are cameras of bay {other.bay_id} too")
        if bay.network.observer_ip == other.network.observer_ip:
            yield Finding("error", "network.observer_ip", f"{bay.network.observer_ip} is bay {other.bay_id}'s observer")
        if bay.description == other.description:
            yield Finding("warning", "description", f"is that of bay {other.bay_id}: they look alike in Airflow")


def _of_network(bay: BayConfig) -> Iterator[Finding]:
    subnet, observer = bay.network.camera_subnet, bay.network.observer_ip
    if observer not in subnet:
        yield Finding("error", "network.observer_ip", f"{observer} lies outside {subnet}: it reaches no camera")
    reserved = {subnet.network_address, subnet.broadcast_address} if subnet.prefixlen < 31 else set()
    if observer in reserved:
        yield Finding("error", "network.observer_ip", f"{observer} is the network's own or its broadcast address")
    for camera in bay.cameras:
        where = f"cameras.{camera.name}.host"
        if camera.host == observer:
            yield Finding("error", where, f"{camera.host} is the observer's own address")
        if camera.host in reserved:
            yield Finding("error", where, f"{camera.host} is the network's own or its broadcast address")


def _of_times(bay: BayConfig) -> Iterator[Finding]:
    for name in ("operating_hours", "skip_times"):
        windows: tuple[DailyWindow, ...] = getattr(bay, name)
        for window in windows:
            if window.start == window.end:
                yield Finding("warning", name, f"{window} is one minute; write 00:00-23:59 for the whole day")
        for one, other in combinations(windows, 2):
            if _minutes(one) & _minutes(other):
                yield Finding("warning", name, f"{one} and {other} overlap")
    opened = set().union(*map(_minutes, bay.operating_hours)) if bay.operating_hours else set(range(_DAY))
    for window in bay.skip_times:
        if not _minutes(window) & opened:
            over = [str(one) for one in bay.operating_hours if one.start > one.end]
            nights = f"; {over[0]} crosses midnight: are its ends exchanged?" if over else ""
            yield Finding(
                "warning", "skip_times", f"{window} lies outside of the operating hours: it skips nothing{nights}"
            )
    if bay.schedule.observation is None:
        return
    slots = _slots(bay)
    if bay.cameras and all(bay.closed(slot) for slot in slots):
        unskipped = bay.model_copy(update={"skip_times": ()})
        skipped = [slot for slot in slots if not unskipped.closed(slot)]
        yield Finding(
            "error",
            "skip_times" if skipped else "operating_hours",
            f"it is never open at a slot of its schedule {bay.schedule.observation!r} (UTC): nothing is captured; "
            + (_first_skipped(bay, skipped) if skipped else _nearest_slot(bay, slots)),
        )


def _first_skipped(bay: BayConfig, slots: Sequence[datetime]) -> str:
    times = sorted({slot.astimezone(bay.zone).time() for slot in slots})
    return f"all {len(times)} slots of a day inside the hours are skipped, from {times[0]:%H:%M} ({bay.timezone}) on"


def _nearest_slot(bay: BayConfig, slots: Sequence[datetime]) -> str:
    """The slot to which the hours would have to reach, in words."""
    found = []
    for slot in slots:
        time = slot.astimezone(bay.zone).time()
        minute = time.hour * 60 + time.minute
        for window in bay.operating_hours:
            start, end = (edge.hour * 60 + edge.minute for edge in (window.start, window.end))
            found += [((start - minute) % _DAY, "before", time, window), ((minute - end) % _DAY, "after", time, window)]
    away, side, time, window = min(found, key=lambda one: one[0])
    return f"the nearest one is at {time:%H:%M} ({bay.timezone}), {counted(away, 'minute')} {side} {window}"


def _slots(bay: BayConfig) -> list[datetime]:
    """Slots of a week."""
    start = datetime(2025, 6, 2, tzinfo=UTC)
    ticks = croniter(bay.schedule.observation, start, ret_type=datetime)
    slots: list[datetime] = []
    while len(slots) < _DAY * 7 and (not slots or slots[-1] - start < timedelta(days=7)):
        slots.append(ticks.get_next())
    return slots


def _minutes(window: DailyWindow) -> set[int]:
    """Minutes of the day inside a window."""
    start, end = (time.hour * 60 + time.minute for time in (window.start, window.end))
    return set(range(start, end + 1)) if start <= end else set(range(start, _DAY)) | set(range(end + 1))


def _of_capture(bay: BayConfig) -> Iterator[Finding]:
    cameras = len(bay.cameras)
    if not cameras:
        return
    if bay.camera_quorum > cameras:
        yield Finding("error", "camera_quorum", f"{bay.camera_quorum} frames of {cameras} cameras: no capture succeeds")
    elif cameras >= 4 and bay.camera_quorum < cameras / 3:
        yield Finding(
            "warning",
            "camera_quorum",
            f"{bay.camera_quorum} of {cameras} cameras (1 where left out): a few frames count as the whole floor",
        )
    timeout = _timeout(bay)
    if timeout is not None and timeout > bay.capture_deadline:
        yield Finding(
            "warning",
            "image_provider_config.timeout" if "timeout" in bay.image_provider_config else "capture_deadline",
            f"one request may take {timeout:g} s, and all cameras together have {bay.capture_deadline:g} s"
            " (capture_deadline): a slow camera is never waited for; make the timeout shorter",
        )
    if bay.schedule.observation is None:
        return
    slots = _slots(bay)
    step = min((b - a for a, b in pairwise(slots)), default=timedelta(days=1)).total_seconds()
    if step < bay.capture_deadline + 60:
        yield Finding(
            "warning",
            "schedule.observation",
            f"a slot every {step:.0f} s, a capture may take {bay.capture_deadline:.0f} s: slots run into one another",
        )


def _timeout(bay: BayConfig) -> float | None:
    """Seconds for one request to a camera; None of a provider that asks none, or of another package's."""
    config = PROVIDER_CONFIGS.get(bay.image_provider)
    if config is None or not issubclass(config, LiveConfig):
        return None
    return config.model_validate(bay.image_provider_config).timeout


def _of_layout(bay: BayConfig) -> Iterator[Finding]:
    layout = bay.layout
    for name, side in (("width", layout.width), ("height", layout.height)):
        if not _FLOOR_M[0] <= side <= _FLOOR_M[1]:
            yield Finding("warning", f"factory_layout.{name}", f"{side:g} m is no hall: are these metres?")
    areas = layout.areas
    for (name, one), (other_name, other) in combinations(areas.items(), 2):
        if _overlap(one, other) and not (_holds(one, other) or _holds(other, one)):
            yield Finding(
                "warning",
                f"factory_layout.areas.{name}",
                f"overlaps {other_name} in part: nest or part them",
            )
    for name, area in areas.items():
        if min(area.x[1] - area.x[0], area.y[1] - area.y[0]) < _SMALL_AREA_M:
            yield Finding("warning", f"factory_layout.areas.{name}", "no block fits into it")
    if areas and not any(area.tracked for area in areas.values()):
        yield Finding("warning", "factory_layout.areas", "none is tracked: each is a turn-over area or an aisle")
    if areas:
        yield from _of_unnamed_floor(bay)


def _of_unnamed_floor(bay: BayConfig) -> Iterator[Finding]:
    gaps = gaps_between(bay.layout)
    for gap in gaps[:_MOST_GAPS]:
        yield Finding(
            "warning",
            "factory_layout.areas",
            f"{gap}: blocks there are not tracked; move an edge, or name it, a way through with kind: aisle",
        )
    if gaps:
        return
    view = floor_view(bay.model_copy(update={"cameras": ()}))
    x, y = view.centres[..., 0], view.centres[..., 1]
    named = np.zeros(x.shape, dtype=bool)
    for area in bay.layout.areas.values():
        named |= (x >= area.x[0]) & (x <= area.x[1]) & (y >= area.y[0]) & (y <= area.y[1])
    if (~named).mean() > _MOST_UNNAMED:
        yield Finding(
            "warning",
            "factory_layout.areas",
            f"{(~named).mean():.0%} of the floor is in no area: blocks there are not tracked; a way through is an area"
            " with kind: aisle",
        )


def _of_cameras(bay: BayConfig) -> Iterator[Finding]:
    view = floor_view(bay)
    share = dict(zip(view.cameras, view.seen.mean(axis=(1, 2)), strict=True))
    for camera in bay.cameras:
        if camera.pose is None or camera.intrinsics is None:
            if camera.fusion and bay.enabled:
                yield Finding(
                    "error", f"cameras.{camera.name}", "no pose or no intrinsics: calibrate it, or fusion: false"
                )
            continue
        yield from _of_pose(bay, camera)
        if camera.earlier and camera.earlier[-1].until > datetime.now(UTC):
            until = camera.earlier[-1].until.isoformat()
            yield Finding("warning", f"cameras.{camera.name}.earlier", f"until {until} lies in the future")
        yield from _of_lens(camera)
        seen = share.get(camera.name)
        if seen is not None and seen < _LEAST_SEEN:
            level: Level = "error" if seen == 0 else "warning"
            pan = camera.pose.pan
            radians = f"; {pan:g} as radians are {math.degrees(pan):.0f}°" if 0 < abs(pan) <= 2 * math.pi else ""
            yield Finding(
                level,
                f"cameras.{camera.name}.pose",
                f"it sees {seen:.1%} of the floor: pan is clockwise from above, 0 towards +y; tilt downwards{radians}",
            )
    for one, other in combinations([c for c in bay.cameras if c.pose is not None], 2):
        if one.pose == other.pose:
            yield Finding("warning", f"cameras.{other.name}.pose", f"is exactly that of {one.name}: was it copied?")
    yield from _of_sides(bay)
    yield from _of_sizes(bay)


def _of_sizes(bay: BayConfig) -> Iterator[Finding]:
    """Cameras with the focal length of others and another image size: pixels of one image are not those of another."""
    alike: dict[tuple[float, float], list[Camera]] = {}
    for camera in bay.cameras:
        if camera.intrinsics is not None:
            alike.setdefault(camera.intrinsics.focal, []).append(camera)
    for (focal, _), cameras in alike.items():
        sizes = [(one.intrinsics.width, one.intrinsics.height) for one in cameras if one.intrinsics is not None]
        (width, height), _ = Counter(sizes).most_common(1)[0]
        others = [one.name for one, size in zip(cameras, sizes, strict=True) if size == (width, height)]
        for camera, size in zip(cameras, sizes, strict=True):
            if size != (width, height):
                more = f" and {len(others) - 1} more" if len(others) > 1 else ""
                yield Finding(
                    "warning",
                    f"cameras.{camera.name}.intrinsics",
                    f"focal_px {focal:g} is that of {others[0]}{more}, whose images are {width} x {height}, and this"
                    f" one is {size[0]} x {size[1]}: of the same lens it is {focal * size[0] / width:.0f}",
                )


def _of_sides(bay: BayConfig) -> Iterator[Finding]:
    """Cameras that hang amid the floor and would hang at a side, as all others do, were x and y exchanged."""
    poses = {camera.name: camera.pose for camera in bay.cameras if camera.pose is not None}
    amid = [name for name, pose in poses.items() if not _at_side(bay, pose.x, pose.y)]
    if len(poses) < _SEVERAL or not all(_at_side(bay, poses[name].y, poses[name].x) for name in amid):
        return
    for name in amid:
        x, y = poses[name].x, poses[name].y
        if off_floor_m(bay, x, y) <= _MOST_OFF_FLOOR_M:  # else that is told
            yield Finding(
                "warning",
                f"cameras.{name}.pose",
                f"({x:g}, {y:g}) lies amid the floor, and the other cameras hang at its sides: are x and y exchanged?",
            )


def _at_side(bay: BayConfig, x: float, y: float) -> bool:
    return -_MOST_OFF_FLOOR_M <= -off_floor_m(bay, x, y) <= _AT_SIDE_M


def _of_pose(bay: BayConfig, camera: Camera) -> Iterator[Finding]:
    pose = camera.pose
    assert pose is not None  # noqa: S101 - the caller looked
    where = f"cameras.{camera.name}.pose"
    if off_floor_m(bay, pose.x, pose.y) > _MOST_OFF_FLOOR_M:
        yield Finding("warning", where, _outside(bay, pose.x, pose.y))
    if not _HEIGHTS_M[0] <= pose.z <= _HEIGHTS_M[1]:
        yield Finding("warning", where, f"z {pose.z:g} m is no height of a camera in a hall")
    if abs(pose.roll) > 45:
        lies = "is upside down" if abs(pose.roll) > 135 else "lies on its side"
        yield Finding(
            "warning",
            where,
            f"roll {pose.roll:g}°: the image {lies}: where it shows the hall upright, leave roll out; where it does"
            " not, let the camera turn its image",
        )
    if pose.tilt <= 0:
        yield Finding("error", where, f"tilt {pose.tilt:g}°: it looks at the horizon or above; tilt counts downwards")
    elif pose.tilt <= math.pi / 2:
        degrees = math.degrees(pose.tilt)
        yield Finding(
            "warning",
            where,
            f"tilt {pose.tilt:g}°: it looks at the horizon: are these radians? write degrees, as {degrees:.0f}",
        )


def _of_lens(camera: Camera) -> Iterator[Finding]:
    lens = camera.intrinsics
    assert lens is not None  # noqa: S101 - the caller looked
    where = f"cameras.{camera.name}.intrinsics"
    angle = math.degrees(2 * math.atan(lens.width / 2 / lens.focal_px))
    if not _VIEWS_DEG[0] <= angle <= _VIEWS_DEG[1]:
        yield Finding(
            "warning",
            where,
            f"focal_px {lens.focal_px:g} of {lens.width} px is a view of {angle:.0f}°: are these pixels?",
        )
    squeezed = lens.focal[1] / lens.focal[0]
    if not 1 / _MOST_SQUEEZED <= squeezed <= _MOST_SQUEEZED:
        yield Finding("warning", where, f"pixels {squeezed:.2f} times as wide as high: are fx and fy of this image?")
    cx, cy = lens.principal_point
    if not (0 < cx < lens.width and 0 < cy < lens.height):
        yield Finding("error", where, f"the principal point ({cx:g}, {cy:g}) lies outside of the image")
    elif abs(cx - lens.width / 2) > lens.width / 5 or abs(cy - lens.height / 2) > lens.height / 5:
        yield Finding("warning", where, f"the principal point ({cx:g}, {cy:g}) is far from the image's middle")
    if lens.width < 640 or lens.width < lens.height:
        yield Finding("warning", where, f"{lens.width} x {lens.height} px are few, or width and height are exchanged")
    pose = camera.pose
    if pose is None:
        return
    corner = math.hypot(lens.width, lens.height) / 2 / lens.focal_px
    if CameraModel(pose, lens).largest_radius < 0.9 * corner:
        yield Finding("warning", where, "the distortion folds the image over before its corners: check k1, k2, k3")


def _of_floor(bay: BayConfig) -> Iterator[Finding]:
    view = floor_view(bay)
    if not view.cameras:
        return
    x, y = view.centres[..., 0], view.centres[..., 1]
    tracked = np.zeros(x.shape, dtype=bool)
    for name, area in bay.layout.areas.items():
        if not area.tracked:
            continue
        inside = (x >= area.x[0]) & (x <= area.x[1]) & (y >= area.y[0]) & (y <= area.y[1])
        tracked |= inside
        blind = float((view.count[inside] == 0).mean()) if inside.any() else 0.0
        if blind > _MOST_BLIND:
            yield Finding("warning", f"factory_layout.areas.{name}", f"no camera sees {blind:.0%} of it")
    if not tracked.any():
        return
    alone = float((view.count[tracked] == 1).mean())
    if alone > _MOST_ALONE:
        yield Finding(
            "warning", "cameras", f"one camera alone sees {alone:.0%} of the tracked floor: heights stay unsure"
        )
    best = np.nanmin(np.where(view.seen, view.metres_per_pixel, np.inf), axis=0)[tracked]
    coarse = float((np.isfinite(best) & (best > COARSE_M)).mean())
    if coarse > _MOST_BLIND:
        yield Finding(
            "warning", "cameras", f"a pixel covers more than {COARSE_M:g} m on {coarse:.0%} of the tracked floor"
        )


def _of_witnesses(bay: BayConfig) -> Iterator[Finding]:
    if not bay.witnesses:
        return
    for name, mark in bay.witnesses.items():
        if off_floor_m(bay, mark.x, mark.y) > _MOST_OFF_MARK_M:
            yield Finding("warning", f"witnesses.{name}", _outside(bay, mark.x, mark.y))
    for (one, mark), (name, other) in combinations(bay.witnesses.items(), 2):
        if math.dist((mark.x, mark.y, mark.z), (other.x, other.y, other.z)) < _SAME_MARK_M:
            yield Finding("warning", f"witnesses.{name}", f"lies where {one} lies: leave one out, or correct its place")
    places = np.array([(mark.x, mark.y, mark.z) for mark in bay.witnesses.values()])
    few = []
    for camera in bay.cameras:
        if camera.pose is not None and camera.intrinsics is not None:
            count = int(seen_from(CameraModel.of(camera), places)[0].sum())
            if LEAST_MARKS <= count < ENOUGH_MARKS and not any(camera.intrinsics.distortion):
                few.append(f"{camera.name} ({count})")
            if count < LEAST_MARKS:
                yield Finding(
                    "warning",
                    "witnesses",
                    f"{count} of them are in {camera.name}'s view: {LEAST_MARKS} are the fewest to calibrate it by, and"
                    f" {ENOUGH_MARKS} leave room for a wrong one",
                )
    if few:
        yield Finding(
            "warning",
            "witnesses",
            f"fewer than {ENOUGH_MARKS} are in the view of {', '.join(few)}: where the lens's distortion is not known,"
            " they may not decide how such a camera hangs: add marks, or its k1",
        )


def _outside(bay: BayConfig, x: float, y: float) -> str:
    off, exchanged = off_floor_m(bay, x, y), off_floor_m(bay, y, x) <= _AT_SIDE_M
    hint = f": are x and y exchanged? ({y:g}, {x:g}) lies in it" if exchanged else ""
    return f"({x:g}, {y:g}) lies {off:.0f} m outside of the hall{hint}"


def off_floor_m(bay: BayConfig, x: float, y: float) -> float:
    """How far a place lies outside of the hall, along the axis on which it is farther; negative within."""
    return max(-x, x - bay.layout.width, -y, y - bay.layout.height)


def _overlap(one: Area, other: Area) -> bool:
    return one.x[0] < other.x[1] and other.x[0] < one.x[1] and one.y[0] < other.y[1] and other.y[0] < one.y[1]


def _holds(outer: Area, inner: Area) -> bool:
    x, y = outer.x[0] <= inner.x[0] and inner.x[1] <= outer.x[1], outer.y[0] <= inner.y[0] and inner.y[1] <= outer.y[1]
    return x and y


def worst(findings: Iterable[Finding]) -> Level | None:
    """The worst level among findings; None where there are none."""
    levels = {one.level for one in findings}
    return "error" if "error" in levels else ("warning" if levels else None)
