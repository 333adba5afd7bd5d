"""A bay whose cameras hang a little otherwise than its file says, as those of a real hall do."""

import numpy as np
from scipy.spatial.transform import Rotation

from bay_observation.errors import ConfigError
from bays import BayConfig, Camera
from bays.camera_model import angles_of, rotation

MOST_DEG = 10.0
"""The farthest that cameras are hung off."""

_MOVED_M = 0.05  # for each degree


def hung_off(bay: BayConfig, degrees: float, seed: int) -> BayConfig:
    """The bay as its cameras hang: each turned by so many degrees about an axis of its own, and moved a little.

    Args:
        bay: as its file says.
        degrees: of each camera's turn; it is moved by 5 cm for each of them.
        seed: of axes and directions; a camera's own do not depend on the others.

    Raises:
        ConfigError: the degrees are out of range.
    """
    if not 0 <= degrees <= MOST_DEG:
        raise ConfigError(f"--hang-off {degrees:g}: give 0 to {MOST_DEG:g} degrees")
    cameras = (_hung(camera, degrees, np.random.default_rng([seed, *camera.name.encode()])) for camera in bay.cameras)
    return bay.model_copy(update={"cameras": tuple(cameras)}) if degrees else bay


def _hung(camera: Camera, degrees: float, rng: np.random.Generator) -> Camera:
    if camera.pose is None:
        return camera
    axis, way = (vector / np.linalg.norm(vector) for vector in rng.normal(size=(2, 3)))
    x, y, z = np.array([camera.pose.x, camera.pose.y, camera.pose.z]) + _MOVED_M * degrees * way
    turn = Rotation.from_rotvec(np.radians(degrees) * axis).as_matrix()
    pan, tilt, roll = angles_of(turn @ rotation(camera.pose))
    pose = camera.pose.model_copy(
        update={"x": float(x), "y": float(y), "z": float(z), "pan": pan % 360, "tilt": tilt, "roll": roll}
    )
    return camera.model_copy(update={"pose": pose})
