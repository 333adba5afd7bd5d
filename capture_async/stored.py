"""Frames that were captured before: of the newest captures in a store, or files of a folder."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bay_observation.errors import ConfigError
from bays import slot_of

if TYPE_CHECKING:
    from artifacts import ArtifactStore

_LOOKED_BACK = 20  # captures in which a camera's newest frame is looked for


def newest_frames(
    store: "ArtifactStore", bay_id: str, cameras: Iterable[str], since: datetime | None = None
) -> dict[str, bytes]:
    """Each camera's newest frame, as it was sent; a camera without one in the newest captures is left out.

    Args:
        store: the captures.
        bay_id: the bay.
        cameras: their names.
        since: of slots (aware) from this one on, as those since cameras were moved; all without it.

    Raises:
        ArtifactError: the store fails, or a capture is damaged.
    """
    missing, found = set(cameras), dict[str, bytes]()
    for batch in reversed(store.batch_ids("capture", bay_id)[-_LOOKED_BACK:]):
        if since is not None and slot_of(batch) < since:
            break
        for camera, frames in frames_of(store, bay_id, [batch]).items():
            if camera in missing:
                found[camera] = frames[0]
                missing.remove(camera)
        if not missing:
            break
    return found


def frames_of(store: "ArtifactStore", bay_id: str, batches: Iterable[str]) -> dict[str, list[bytes]]:
    """The frames of these batches by camera, in the batches' order.

    Raises:
        ArtifactError: the store fails, or a capture is damaged.
    """
    found: dict[str, list[bytes]] = {}
    for batch in batches:
        reference = store.find("capture", bay_id, batch)
        for image in store.load(reference).images if reference else ():
            found.setdefault(image.camera_name, []).append(bytes(image.jpeg))
    return found


def frames_in_folder(
    folder: Path, bay_id: str, cameras: Iterable[str], within: timedelta = timedelta()
) -> dict[str, list[bytes]]:
    """Each camera's newest file `{bay}_{camera}_{time}.jpg`, as `camera probe --save` and the file provider have them.

    Args:
        folder: holds the files, or folders of them.
        bay_id: the bay.
        cameras: their names; one without a file is left out.
        within: before the newest, older files too that are of a moment so near; the newest stands last.

    Raises:
        ConfigError: there is no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder")
    found = {}
    for camera in cameras:
        if paths := sorted(folder.rglob(f"{bay_id}_{camera}_*.jpg"), key=lambda path: path.name):
            newest = _moment_of(paths[-1])
            near = [path for path in paths[:-1] if newest and (of := _moment_of(path)) and newest - of <= within]
            found[camera] = [path.read_bytes() for path in [*near, paths[-1]]]
    if not found:
        raise ConfigError(f"{folder}: holds no file {bay_id}_CAMERA_TIME.jpg of a camera of {bay_id}")
    return found


def _moment_of(path: Path) -> datetime | None:
    try:
        return datetime.strptime(path.stem.rpartition("_")[2], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
