"""A bay's models on any pictures: files, folders, stored batches."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bay_observation.errors import DatasetError
from bays import BayConfig, batch_id
from capture_async.types import CaptureBatch, CapturedImage
from inference.datasets.stored import labelled
from inference.datasets.types import LabelledFrame, LabelledObject, identity
from inference.service import InferenceService
from inference.types import CameraObservation

_AT_ONCE = 12
_LARGEST_PICTURE = 512 * 1024**2


def predict_files(
    service: InferenceService, bay: BayConfig, files: Sequence[Path]
) -> Iterator[tuple[list[LabelledFrame], dict[str, str]]]:
    """What the models see in pictures, some at a time: the frames, and why others have none, by file."""
    for some in _some_at_a_time([_frame(path) for path in files]):
        found, failures = _observe(service, bay, some)
        named = {str(some[number].picture): why for number, why in failures.items()}
        yield [replace(some[number], size=s.image_size, objects=_objects(s)) for number, s in found.items()], named


def predict_frames(
    service: InferenceService, bay: BayConfig, frames: Sequence[LabelledFrame]
) -> Iterator[tuple[LabelledFrame, LabelledFrame]]:
    """Each labelled frame, and the same with what the models see in it.

    Raises:
        DatasetError: a picture cannot be read.
    """
    for some in _some_at_a_time(frames):
        found, failures = _observe(service, bay, some)
        for number, why in failures.items():
            raise DatasetError(f"{some[number].name}: {why}")
        for number, seen in found.items():
            yield some[number], replace(some[number], objects=_objects(seen))


def predict_batches(
    service: InferenceService, batches: Iterable[CaptureBatch]
) -> Iterator[tuple[list[LabelledFrame], dict[str, str]]]:
    """What the models see in batches, one at a time: the frames, and why others have none, by camera."""
    for batch in batches:
        seen = service.observe(batch)
        yield labelled(batch, seen), {f"{batch.batch_id} {name}": why for name, why in seen.failures.items()}


def _some_at_a_time(frames: Sequence[LabelledFrame]) -> Iterator[Sequence[LabelledFrame]]:
    return (frames[start : start + _AT_ONCE] for start in range(0, len(frames), _AT_ONCE))


def _observe(
    service: InferenceService, bay: BayConfig, frames: Sequence[LabelledFrame]
) -> tuple[dict[int, CameraObservation], dict[int, str]]:
    """What the models see in frames, and why others cannot be seen, by their places in the list."""
    moment = datetime.now(UTC)
    # To the models each picture is a camera: pictures of one camera have their own results.
    images = tuple(CapturedImage(str(i), bay.bay_id, moment, frame.content()) for i, frame in enumerate(frames))
    seen = service.observe(CaptureBatch(batch_id(bay.bay_id, moment), bay.bay_id, images))
    found = {int(camera.camera_name): camera for camera in seen.cameras}
    return found, {int(number): why for number, why in seen.failures.items()}


def _objects(seen: CameraObservation) -> tuple[LabelledObject, ...]:
    return tuple(LabelledObject.detected(found) for found in seen.objects)


def _frame(path: Path) -> LabelledFrame:
    if path.stat().st_size > _LARGEST_PICTURE:
        raise DatasetError(f"{path}: has more than 512 MiB")
    bay, camera, moment = identity(path.name)
    return LabelledFrame(path.name, (0, 0), (), path, camera, bay, moment)
