"""Projection between a bay's floor frame (metres) and a camera's image (pixels).

The model is the pinhole with Brown-Conrady distortion that OpenCV documents
("Camera Calibration and 3D Reconstruction"), with this project's pose convention
(`bays.models.Pose`). Written on numpy alone, so that a processor needs no OpenCV.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bays.models import Camera, Intrinsics, Pose

Floats = NDArray[np.float64]

_NEAREST_DEPTH = 0.05  # metres in front of the camera; nearer points are not projected
_UNDISTORT_STEPS = 20
_STRAIGHT_DOWN = 1e-9  # level part of the viewing direction under which pan and roll are one turn


def rotation(pose: Pose) -> Floats:
    """(3, 3): rows are the camera's right, down and forward directions in the floor frame."""
    pan, tilt, roll = (math.radians(angle) for angle in (pose.pan, pose.tilt, pose.roll))
    forward = np.array([math.sin(pan) * math.cos(tilt), math.cos(pan) * math.cos(tilt), -math.sin(tilt)])
    level_right = np.array([math.cos(pan), -math.sin(pan), 0.0])
    level_down = np.cross(forward, level_right)
    right = math.cos(roll) * level_right + math.sin(roll) * level_down
    down = math.cos(roll) * level_down - math.sin(roll) * level_right
    return np.stack([right, down, forward])


def angles_of(rotation: Floats) -> tuple[float, float, float]:
    """Pan, tilt and roll in degrees of a (3, 3) rotation: the inverse of `rotation`.

    Looking straight down or up, pan and roll are one turn; it is reported as pan.
    """
    right, _, forward = rotation
    tilt = -math.asin(min(1.0, max(-1.0, forward[2])))
    if math.hypot(forward[0], forward[1]) < _STRAIGHT_DOWN:
        return math.degrees(math.atan2(-right[1], right[0])), math.degrees(tilt), 0.0
    pan = math.atan2(forward[0], forward[1])
    level_right = np.array([math.cos(pan), -math.sin(pan), 0.0])
    roll = math.atan2(float(right @ np.cross(forward, level_right)), float(right @ level_right))
    return math.degrees(pan), math.degrees(tilt), math.degrees(roll)


@dataclass(frozen=True)
class CameraModel:
    """One camera's geometry, ready to project arrays of points."""

    pose: Pose
    intrinsics: Intrinsics
    rotation: Floats = field(init=False, repr=False)
    position: Floats = field(init=False, repr=False)
    largest_radius: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rotation", rotation(self.pose))
        object.__setattr__(self, "position", np.array([self.pose.x, self.pose.y, self.pose.z]))
        object.__setattr__(self, "largest_radius", _largest_radius(self.intrinsics))

    @classmethod
    def of(cls, camera: Camera) -> "CameraModel":
        """The model of a bay's camera.

        Raises:
            ValueError: the camera has no pose or no intrinsics.
        """
        if camera.pose is None or camera.intrinsics is None:
            raise ValueError(f"camera {camera.name} has no pose or no intrinsics")
        return cls(camera.pose, camera.intrinsics)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the image in pixels."""
        return self.intrinsics.width, self.intrinsics.height

    def project(self, points: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
        """Project floor-frame points.

        Args:
            points: (..., 3) metres.

        Returns:
            (..., 2) pixels, and (...) whether the point lies in front of the lens
            and within the angle for which the distortion holds. Pixels of points
            that do not are NaN; pixels may lie outside the image.
        """
        camera = (np.asarray(points, dtype=float) - self.position) @ self.rotation.T
        depth = camera[..., 2]
        valid = depth > _NEAREST_DEPTH
        safe = np.where(valid, depth, 1.0)
        x, y = camera[..., 0] / safe, camera[..., 1] / safe
        valid &= x * x + y * y < self.largest_radius**2
        pixels = self._to_pixels(x, y)
        pixels[~valid] = np.nan
        return pixels, valid

    def inside(self, pixels: ArrayLike, margin: float = 0.0) -> NDArray[np.bool_]:
        """Whether (..., 2) pixels lie in the image, at least `margin` from its edge."""
        uv = np.asarray(pixels, dtype=float)
        width, height = self.size
        with np.errstate(invalid="ignore"):
            return np.asarray(
                (uv[..., 0] >= margin)
                & (uv[..., 1] >= margin)
                & (uv[..., 0] <= width - margin)
                & (uv[..., 1] <= height - margin)
            )

    def rays(self, pixels: ArrayLike) -> Floats:
        """Unit directions (..., 3) in the floor frame of the rays through (..., 2) pixels."""
        normal = self.undistort(pixels)
        camera = np.concatenate([normal, np.ones_like(normal[..., :1])], axis=-1)
        camera /= np.linalg.norm(camera, axis=-1, keepdims=True)
        return np.asarray(camera @ self.rotation)

    def to_plane(self, pixels: ArrayLike, z: float = 0.0) -> Floats:
        """Where the rays through (..., 2) pixels meet the plane at height `z`: (..., 2) metres.

        NaN where the ray does not descend (or rise) to the plane.
        """
        directions = self.rays(pixels)
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = (z - self.position[2]) / directions[..., 2]
        reach = np.where(np.isfinite(reach) & (reach > 0), reach, np.nan)
        return np.asarray(self.position[:2] + reach[..., None] * directions[..., :2])

    def undistort(self, pixels: ArrayLike) -> Floats:
        """Normalised image coordinates (x/z, y/z) of (..., 2) pixels, distortion removed.

        Newton's method on the distortion equations; exact to 1e-9 within the image
        for lenses of the strength found in surveillance cameras.
        """
        uv = np.asarray(pixels, dtype=float)
        cx, cy = self.intrinsics.principal_point
        target: Floats = np.stack([uv[..., 0] - cx, uv[..., 1] - cy], axis=-1) / np.array(self.intrinsics.focal)
        if not any(self.intrinsics.distortion):
            return target
        estimate = target.copy()
        k1, k2, p1, p2, k3 = self.intrinsics.distortion
        for _ in range(_UNDISTORT_STEPS):
            x, y = estimate[..., 0], estimate[..., 1]
            r2 = x * x + y * y
            radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
            slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
            residual = self._distort(x, y) - target
            j_xx = radial + x * x * slope + 2 * p1 * y + 6 * p2 * x
            j_xy = x * y * slope + 2 * p1 * x + 2 * p2 * y
            j_yy = radial + y * y * slope + 6 * p1 * y + 2 * p2 * x
            determinant = j_xx * j_yy - j_xy * j_xy
            estimate = estimate - np.stack(
                [
                    (j_yy * residual[..., 0] - j_xy * residual[..., 1]) / determinant,
                    (j_xx * residual[..., 1] - j_xy * residual[..., 0]) / determinant,
                ],
                axis=-1,
            )
            if np.nanmax(np.abs(residual), initial=0.0) < 1e-12:
                break
        return estimate

    def _distort(self, x: Floats, y: Floats) -> Floats:
        k1, k2, p1, p2, k3 = self.intrinsics.distortion
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        return np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=-1,
        )

    def _to_pixels(self, x: Floats, y: Floats) -> Floats:
        focal, middle = np.array(self.intrinsics.focal), np.array(self.intrinsics.principal_point)
        return np.asarray(self._distort(x, y) * focal + middle)


def _largest_radius(intrinsics: Intrinsics) -> float:
    """Normalised radius up to which the radial distortion grows: beyond it the image folds over."""
    k1, k2, _, _, k3 = intrinsics.distortion
    # d/dr of r + k1 r^3 + k2 r^5 + k3 r^7, as a polynomial in r^2.
    roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])
    folds = [root.real for root in roots if abs(root.imag) < 1e-12 and root.real > 0]
    return math.sqrt(min(folds)) if folds else math.inf
