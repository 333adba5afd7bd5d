"""A bay's twin that can be tried on this machine: the same hall, areas and cameras, at loopback addresses.

The cameras are simulated, so the twin has the models that are trained on the simulated yard, is open around the clock,
and sends no notice to anybody.
"""

from pathlib import Path
from typing import Any

import yaml

import bays
from bay_observation.errors import SimulationError
from bay_observation.files import write_atomically
from bays import BayConfig
from bays.editing import read_text
from bays.loading import bay_file, parse_bay

_SUBNET, _OBSERVER, _FIRST_HOST, _PORT = "127.61.0.0/24", "127.61.0.1", 10, 8080
_MOST_CAMERAS = 240
_OF_A_CAMERA = ("name", "pose", "intrinsics", "fusion")
# What belongs to the real hall: its network, its hours, its recipients, its old system.
_LEFT_OUT = ("operating_hours", "skip_times", "notifications", "migration", "image_provider_config")


def is_on_this_machine(bay: BayConfig) -> bool:
    """Whether all its cameras have loopback addresses, so that they can be simulated as they are."""
    return all(camera.host.is_loopback for camera in bay.cameras)


def write_twin(bay: BayConfig, folder: Path) -> Path:
    """Write the twin's file, of the same id, into a folder of bays.

    Raises:
        SimulationError: a camera has no pose or no intrinsics, or there are none.
        ConfigError: the bay's file cannot be read.
        OSError: the folder cannot be written.
    """
    if not bay.cameras or len(bay.cameras) > _MOST_CAMERAS:
        raise SimulationError(f"bay {bay.bay_id} has {len(bay.cameras)} cameras: give it 1 to {_MOST_CAMERAS}")
    if unknown := [camera.name for camera in bay.cameras if camera.pose is None or camera.intrinsics is None]:
        raise SimulationError(
            f"bay {bay.bay_id}: {', '.join(unknown)} cannot be drawn: write the planned pose and intrinsics into its"
            " file"
        )
    text = yaml.safe_dump(_content(bay.bay_id), sort_keys=False, allow_unicode=True, default_flow_style=None)
    path = folder / f"{bay.bay_id}.yaml"
    parse_bay(path, text, bay.bay_id)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
    return path


def _content(bay_id: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(read_text(bay_file(bay_id)))
    shipped = yaml.safe_load(Path(bays.__file__).with_name("demo_bay.yaml").read_text(encoding="utf-8"))
    for key in _LEFT_OUT:
        content.pop(key, None)
    cameras = [
        {key: camera[key] for key in _OF_A_CAMERA if key in camera}
        | {"host": f"{_SUBNET.rpartition('.')[0]}.{number}", "port": _PORT}
        for number, camera in enumerate(content["cameras"], start=_FIRST_HOST)
    ]
    return content | {
        "enabled": True,
        "network": {"camera_subnet": _SUBNET, "observer_ip": _OBSERVER},
        "image_provider": "onvif",
        "image_provider_config": {"timeout": 10},
        "models": shipped["models"],
        "cameras": cameras,
    }
