"""The bay files of a cluster: those of the project, with what this machine can bear."""

import contextlib
import ipaddress
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bay_observation.bay_files import unknown_bays
from bay_observation.errors import ClusterError
from bays import BayConfig, load_bay

PROJECT = Path(__file__).resolve().parents[2]
_SURVEYED = "3bay_north"  # lends its hall and cameras to a bay that is announced and not surveyed yet
_TRAINED = "demo_bay"  # names the models that were trained on the simulated yard


def write_bays(
    folder: Path, bay_ids: Sequence[str], *, cameras: int, frame_scale: float, changes: Mapping[str, Any]
) -> dict[str, BayConfig]:
    """Write one file per bay into `folder` and read them back.

    A bay keeps its own network, observer and camera addresses. It works around the clock, with the
    models of the simulated yard, with its first cameras, and its frames are smaller.

    Args:
        folder: for the files (`BAYS_PATH`).
        bay_ids: of `bays/*.yaml`.
        cameras: how many of each bay's.
        frame_scale: size of a frame, as a part of the camera's.
        changes: keys of a bay file that are set in each.

    Raises:
        ConfigError: there is no such bay, or what is written is none.
        ClusterError: a bay has fewer cameras than that.
    """
    contents = {bay_id: _content(bay_id) for bay_id in bay_ids}
    folder.mkdir(parents=True, exist_ok=True)
    models = _content(_TRAINED)["models"]
    for bay_id, content in contents.items():
        if not content["cameras"]:
            surveyed = _content(_SURVEYED)
            content |= {"factory_layout": surveyed["factory_layout"]}
            content["cameras"] = _moved(surveyed["cameras"], content["network"]["camera_subnet"])
        if not 1 <= cameras <= len(content["cameras"]):
            raise ClusterError(f"{cameras} cameras: bay {bay_id} has 1 to {len(content['cameras'])}")
        content["cameras"] = [_smaller(camera, frame_scale) for camera in content["cameras"][:cameras]]
        content |= {"enabled": True, "operating_hours": [], "skip_times": [], "models": models}
        content |= {"camera_quorum": cameras, **changes}
        (folder / f"{bay_id}.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    with _bays_path(folder):
        return {bay_id: load_bay(bay_id) for bay_id in bay_ids}


@contextlib.contextmanager
def _bays_path(folder: Path) -> Iterator[None]:
    before = os.environ.get("BAYS_PATH")
    os.environ["BAYS_PATH"] = str(folder)
    try:
        yield
    finally:
        del os.environ["BAYS_PATH"]
        if before is not None:
            os.environ["BAYS_PATH"] = before


def _content(bay_id: str) -> dict[str, Any]:
    path = PROJECT / "bays" / f"{bay_id}.yaml"
    if not path.is_file():
        raise unknown_bays([bay_id], sorted(one.stem for one in path.parent.glob("*.yaml")), path)
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def _moved(cameras: Sequence[dict[str, Any]], subnet: str) -> list[dict[str, Any]]:
    """The same cameras in another subnet: the last byte of each address stays."""
    first = int(ipaddress.ip_network(subnet).network_address)
    return [{**c, "host": str(ipaddress.ip_address(first + int(c["host"].rpartition(".")[2])))} for c in cameras]


def _smaller(camera: dict[str, Any], scale: float) -> dict[str, Any]:
    intrinsics = camera["intrinsics"]
    width, height = intrinsics.get("width", 1920), intrinsics.get("height", 1080)
    pixels = {key: intrinsics[key] * scale for key in ("focal_px", "fx", "fy", "cx", "cy") if key in intrinsics}
    size = {"width": round(width * scale), "height": round(height * scale)}
    return {**camera, "intrinsics": {**intrinsics, **pixels, **size}}
