"""Is a camera that changed found, and is a healthy one left alone?

Two weeks of a simulated yard, a slot every two hours, twelve cameras of 960 x 540 pixels, through the shipped
models: the first week is the reference, the second is healthy. In the second week each camera in turn is changed
from some slot on, in one way, the other eleven stay: its light (dimmer, another colour), its focus, or its models
(another checkpoint looks at its frames: the shipped detector with each weight off a little). Found means: named
within twelve slots.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from bays import BayConfig, Models, batch_id, load_bay
from capture_async.types import CaptureBatch, CapturedImage
from fusion.calibration import resized
from inference.drift import WINDOW, Reference
from inference.types import CameraObservation, Observation
from lab.bars import Bar, progress
from lab.training.hardware import cores

if TYPE_CHECKING:
    from inference.service import InferenceService

SEED = 2901
_BAY = "demo_bay"
_SCALE = 0.5
_HOURS = 2
_WEEK = 7 * 24 // _HOURS
_BEGIN = datetime(2025, 3, 3, 0, 0)  # noqa: DTZ001 - bay-local, its zone is added
_BLOCKS = 22
_QUALITY = 90
_DISTURBED = 0.1
# Of the second week's slots, the first that a change shows: another for each camera.
_FIRST_CHANGE, _BETWEEN = 12, 5


def dimmer(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half of the lamps out."""
    return np.asarray(picture * 0.6, dtype=np.uint8)


def sodium(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lamps of another colour."""
    return np.asarray(picture * np.array([0.7, 0.95, 1.0]), dtype=np.uint8)


def blurred(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A lens out of focus: a blur of 2.5 pixels in a frame of 1080 lines."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 2.5 * picture.shape[0] / 1080), dtype=np.uint8)


CHANGES: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "light": dimmer,
    "colour": sodium,
    "focus": blurred,
    "model": lambda picture: picture,
}


@dataclass(frozen=True)
class Planted:
    """What was found of one changed camera: after how many slots, None for never; and other cameras that were named."""

    camera: str
    change: str
    after: int | None
    others: int


def measure(seed: int = SEED) -> list[Bar]:
    """Both bars."""
    bay = small_bay()
    weeks = observe_weeks(bay, seed)
    reference, healthy = Reference([slot.healthy for slot in weeks[:_WEEK]]), weeks[_WEEK:]
    false = false_alarms(reference, healthy)
    found = list(planted(reference, healthy))
    in_time = [one for one in found if one.after is not None]
    missed = ", ".join(f"{one.camera} {one.change}" for one in found if one.after is None) or "none missed"
    slowest = max((one.after or 0 for one in in_time), default=0)
    return [
        Bar(
            f"of {len(found)} changed cameras, named within {WINDOW} slots", len(in_time), ">=", len(found), "", missed
        ),
        Bar("slots until a change is named, the slowest", slowest, "<=", WINDOW),
        Bar("false alarms in a healthy week", false + sum(one.others for one in found), "<=", 0),
    ]


def small_bay() -> BayConfig:
    """The demo bay with cameras of half the resolution: a fourth of the time."""
    bay = load_bay(_BAY)
    cameras = []
    for camera in bay.cameras:
        lens = camera.intrinsics
        if lens is None:
            raise ValueError(f"{camera.name} has no intrinsics")
        half = resized(lens, (int(lens.width * _SCALE), int(lens.height * _SCALE)))
        cameras.append(camera.model_copy(update={"intrinsics": half}))
    return bay.model_copy(update={"cameras": tuple(cameras)})


@dataclass(frozen=True)
class Slot:
    """One slot as it is, and each changed frame of it by (camera, change)."""

    healthy: Observation
    changed: dict[tuple[str, str], CameraObservation]


def observe_weeks(bay: BayConfig, seed: int) -> list[Slot]:
    """Render and observe both weeks, by all cores."""
    names = [camera.name for camera in bay.cameras]
    jobs = [(bay, seed, range(first, first + WINDOW)) for first in range(0, 2 * _WEEK, WINDOW)]
    slots: list[Slot] = []
    progress(f"{2 * _WEEK} slots of {len(names)} cameras")
    with ProcessPoolExecutor(cores(), mp_context=get_context("spawn")) as pool:
        for some in pool.map(_observe, jobs):
            slots += some
            progress(f"{len(slots)} of {2 * _WEEK} slots")
    return slots


def false_alarms(reference: Reference, healthy: list[Slot]) -> int:
    """How many (slot, camera) of a healthy week are named."""
    seen = [slot.healthy for slot in healthy]
    windows = (seen[max(0, end - WINDOW) : end] for end in range(1, len(seen) + 1))
    return sum(camera.drifted for recent in windows for camera in reference.compare(recent))


def planted(reference: Reference, healthy: list[Slot]) -> Iterator[Planted]:
    """Each change of each camera, followed slot by slot."""
    for place, camera in enumerate(reference.cameras):
        first = first_change(place)
        for change in CHANGES:
            seen = [
                slot.healthy if number < first else _with(slot.healthy, slot.changed[camera, change])
                for number, slot in enumerate(healthy[: first + WINDOW])
            ]
            yield _follow(reference, seen, first, camera, change)


def first_change(place: int) -> int:
    """The slot of the second week from which the camera at that place is changed."""
    return _FIRST_CHANGE + _BETWEEN * place


def _follow(reference: Reference, seen: list[Observation], first: int, camera: str, change: str) -> Planted:
    after, others = None, 0
    for end in range(first + 1, len(seen) + 1):
        named = {one.camera_name for one in reference.compare(seen[max(0, end - WINDOW) : end]) if one.drifted}
        if camera in named and after is None:
            after = end - first
        others += len(named - {camera})
    return Planted(camera, change, after, others)


def _with(seen: Observation, changed: CameraObservation) -> Observation:
    cameras = (changed if camera.camera_name == changed.camera_name else camera for camera in seen.cameras)
    return replace(seen, cameras=tuple(cameras))


def _observe(job: tuple[BayConfig, int, range]) -> list[Slot]:
    """Some slots of the two weeks, in a process of its own."""
    import torch

    from inference.loading import load_models
    from inference.service import InferenceService
    from lab.simulation.rendering import Renderer
    from lab.simulation.yard import Yard

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    bay, seed, numbers = job
    begin = _BEGIN.replace(tzinfo=bay.zone)
    yard, renderer = Yard(bay, seed=seed, blocks=_BLOCKS, start=begin - timedelta(hours=12)), Renderer(bay)
    service = InferenceService(load_models(bay.models, "cpu"))
    with TemporaryDirectory() as folder:
        changed_models = bay.models.model_copy(update={"yolo_detection": another_detector(bay.models, Path(folder))})
        other = InferenceService(load_models(changed_models, "cpu"))
    names = sorted(camera.name for camera in bay.cameras)
    slots = []
    for number in numbers:
        moment = begin + number * timedelta(hours=_HOURS)
        state = yard.at(moment)
        pictures = {camera.name: renderer.render(camera.name, state) for camera in bay.cameras}
        healthy = _seen(service, bay, moment, pictures)
        due = [c for place, c in enumerate(names) if 0 <= number - _WEEK - first_change(place) < WINDOW]
        changed = {
            (camera, change): _seen(
                other if change == "model" else service, bay, moment, {camera: alter(pictures[camera])}
            ).cameras[0]
            for camera in due
            for change, alter in CHANGES.items()
        }
        slots.append(Slot(healthy, changed))
    return slots


def another_detector(models: Models, folder: Path) -> Path:
    """A checkpoint in that folder: the bay's detector, each weight off by a share of its layer's deviation."""
    import torch

    from inference.loading import load_checkpoint

    detector = load_checkpoint(models, "yolo_detection")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in detector.model.parameters():
            if parameter.ndim == 4:
                noise = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
                parameter.add_(_DISTURBED * parameter.std() * noise)
    path = folder / "other.pt"
    detector.save(path)
    return path


def _seen(
    service: "InferenceService", bay: BayConfig, moment: datetime, pictures: dict[str, NDArray[np.uint8]]
) -> Observation:
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    images = tuple(
        CapturedImage(name, bay.bay_id, moment, cv2.imencode(".jpg", picture, quality)[1].tobytes())
        for name, picture in pictures.items()
    )
    return service.observe(CaptureBatch(batch_id(bay.bay_id, moment), bay.bay_id, images))
