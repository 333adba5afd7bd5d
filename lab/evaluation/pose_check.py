"""`python -m lab.evaluation.pose_check`: how often a knocked camera is found, and a good one accused.

On simulated yards one camera is turned by a known angle about an axis drawn at
random, and every camera is a little off, as after any survey. Silhouettes come from
the simulation's exact labels, spoilt by noise, missed and false detections.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import numpy as np
import shapely
from numpy.typing import NDArray
from rich.table import Table
from scipy.spatial.transform import Rotation

from bay_observation.commands import output_console, run_command
from bays import BayConfig, Camera, batch_id, load_bay
from bays.camera_model import CameraModel, angles_of
from fusion.pose_check import (
    BATCH_TOLERANCE_DEG,
    TOLERANCE_DEG,
    PoseCheck,
    PoseVerdict,
    check_poses,
    seen_batch,
)
from inference.types import CLASSES, TRACKED_CLASSES, CameraObservation, DetectedObject, Observation
from lab.simulation.labels import label_frame
from lab.simulation.yard import DEFAULT_START, Yard

_SLOT = timedelta(minutes=10)
_FIRST = timedelta(hours=3)
_SIMPLIFY_PX = 1.5
_VERTEX_EVERY_PX = 12.0
_LEAST_VISIBLE = 0.12  # of a silhouette, from which a detector finds it


@dataclass(frozen=True)
class Spoilt:
    """How silhouettes and poses differ from the truth.

    Attributes:
        noise_px: standard deviation of an outline's vertices.
        missed: share of objects without a detection.
        false: false detections, as a share of the objects.
        survey_deg: standard deviation of every camera's turn about each of its axes.
    """

    noise_px: float = 2.0
    missed: float = 0.03
    false: float = 0.01
    survey_deg: float = 0.03


@dataclass
class Rates:
    """Verdicts at one angle: of the cameras that were turned, and of those that were not."""

    angle_deg: float
    batches: int
    knocked: int = 0
    found: int = 0
    undecided: int = 0
    good: int = 0
    accused: int = 0
    good_undecided: int = 0
    error_deg: float = 0.0  # median difference of the estimated from the true angle

    def count(self, check: PoseCheck, turned: bool) -> None:
        """Add one camera's verdict."""
        out = check.verdict is PoseVerdict.OUT_OF_POSE
        unknown = check.verdict is PoseVerdict.UNDECIDED
        if turned:
            self.knocked += 1
            self.found += out
            self.undecided += unknown
        else:
            self.good += 1
            self.accused += out
            self.good_undecided += unknown


def turned(camera: Camera, vector_deg: NDArray[np.float64]) -> Camera:
    """The camera turned by (3,) degrees about its own right, down and forward axes."""
    model = CameraModel.of(camera)
    turn = Rotation.from_rotvec(np.radians(vector_deg)).as_matrix()
    pan, tilt, roll = angles_of(turn @ model.rotation)
    return camera.model_copy(
        update={"pose": model.pose.model_copy(update={"pan": pan % 360.0, "tilt": tilt, "roll": roll})}
    )


def observe(bay: BayConfig, yard: Yard, slot: datetime, spoilt: Spoilt, rng: np.random.Generator) -> Observation:
    """What detector and segmenter would say of one slot, cameras hanging as `bay` says."""
    state = yard.at(slot)
    cameras = []
    for camera in bay.fusion_cameras:
        size = CameraModel.of(camera).size
        objects = []
        for label in label_frame(bay, camera.name, state):
            if label.class_name not in CLASSES or label.visible_fraction < _LEAST_VISIBLE:
                continue
            if rng.random() < spoilt.missed:
                continue
            tracked = label.class_name in TRACKED_CLASSES
            outline = _noisy(label.polygon, spoilt.noise_px if tracked else 0.0, size, rng)
            objects.append(_detected(label.class_name, outline, rng.uniform(0.7, 0.98)))
        false = rng.binomial(len(objects), spoilt.false)
        objects += [_detected("block", _blob(size, rng), rng.uniform(0.3, 0.7)) for _ in range(false)]
        cameras.append(CameraObservation(camera.name, slot, size, tuple(objects)))
    return Observation(batch_id(bay.bay_id, slot), bay.bay_id, tuple(cameras))


def measure(
    bay: BayConfig, seeds: Sequence[int], angles: Sequence[float], batches: int, spoilt: Spoilt
) -> Iterator[tuple[Rates, Rates]]:
    """For each angle the rates of the check within one batch, and of the command over several."""
    for angle in angles:
        single, several = Rates(angle, 1), Rates(angle, batches)
        errors: tuple[list[float], list[float]] = ([], [])
        for seed in seeds:
            rng = np.random.default_rng([seed, 11])
            knocked, true = _hung(bay, angle, spoilt.survey_deg, rng)
            yard = Yard(bay, seed)
            seen = [
                seen_batch(observe(true, yard, DEFAULT_START + _FIRST + slot * _SLOT, spoilt, rng), bay)
                for slot in range(batches)
            ]
            judge(single, check_poses(seen[:1], bay, BATCH_TOLERANCE_DEG), knocked, errors[0])
            judge(several, check_poses(seen, bay, TOLERANCE_DEG), knocked, errors[1])
        for rates, missed_by in zip((single, several), errors, strict=True):
            rates.error_deg = float(np.median(missed_by)) if missed_by else float("nan")
        yield single, several


def judge(rates: Rates, checks: Sequence[PoseCheck], knocked: str, errors: list[float]) -> None:
    """Count the verdicts of one yard."""
    for check in checks:
        rates.count(check, check.camera == knocked and rates.angle_deg > 0)
        if check.camera == knocked and check.angle_deg is not None:
            errors.append(abs(check.angle_deg - rates.angle_deg))


def _hung(bay: BayConfig, angle: float, survey_deg: float, rng: np.random.Generator) -> tuple[str, BayConfig]:
    """The camera that is knocked, and the bay as its cameras really hang."""
    knocked = str(rng.choice([camera.name for camera in bay.fusion_cameras]))
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    cameras = tuple(
        turned(camera, rng.normal(0, survey_deg, 3) + (angle * axis if camera.name == knocked else 0.0))
        for camera in bay.cameras
    )
    return knocked, bay.model_copy(update={"cameras": cameras})


def _noisy(
    polygon: NDArray[np.float32], sigma: float, size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    ring = shapely.get_coordinates(
        shapely.segmentize(shapely.simplify(shapely.LinearRing(polygon), _SIMPLIFY_PX), _VERTEX_EVERY_PX)
    )[:-1]
    return np.asarray(np.clip(ring + rng.normal(0, sigma, ring.shape), 0, size))


def _blob(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    centre, radii = rng.uniform((200, 150), (size[0] - 200, size[1] - 150)), rng.uniform(30, 140, 2)
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    return np.asarray(centre + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _detected(class_name: str, outline: NDArray[np.float64], confidence: float) -> DetectedObject:
    box = np.concatenate([outline.min(axis=0), outline.max(axis=0)]).astype(np.float32)
    return DetectedObject(class_name, confidence, box, outline.astype(np.float32))


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m lab.evaluation.pose_check", description=__doc__)
    parser.add_argument("--bay", default="demo_bay")
    parser.add_argument("--yards", default="2000-2011", help="seeds, from-to")
    parser.add_argument("--angles", default="0,0.2,0.5,1,3", help="degrees")
    parser.add_argument("--batches", type=int, default=3, help="that the command looks at")
    for name, value in asdict(Spoilt()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    first, _, last = options.yards.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    spoilt = Spoilt(options.noise_px, options.missed, options.false, options.survey_deg)
    angles = [float(angle) for angle in options.angles.split(",")]
    rates = list(measure(load_bay(options.bay), seeds, angles, options.batches, spoilt))
    if options.json:
        print(json.dumps([[asdict(one), asdict(many)] for one, many in rates], indent=1))
        return 0
    for column, title in enumerate(
        (
            f"fuse: one batch, {BATCH_TOLERANCE_DEG:g} deg",
            f"check-poses: {options.batches} batches, {TOLERANCE_DEG:g} deg",
        )
    ):
        table = Table("turned by", "found", "undecided", "angle off by", "good accused", "good undecided", title=title)
        for pair in rates:
            _add(table, pair[column])
        output_console().print(table)
    return 0


def _add(table: Table, rates: Rates) -> None:
    of = f" of {rates.knocked}"
    table.add_row(
        f"{rates.angle_deg:g}",
        f"{rates.found}{of}" if rates.knocked else "-",
        f"{rates.undecided}{of}" if rates.knocked else "-",
        f"{rates.error_deg:.2f}",
        f"{rates.accused} of {rates.good}",
        f"{rates.good_undecided} of {rates.good}",
    )


if __name__ == "__main__":
    run_command(main)
