"""`python -m lab.evaluation.self_calibration`: how right a floor plan is once the bay has refined its own cameras.

Every camera really hangs off the bay's file: turned by a given angle about an axis of its own, moved by a few
centimetres, its lens a little otherwise. Over a day blocks come and go; the silhouettes of some batches
(`lab.evaluation.silhouette_yard`, which shares no geometry with fusion) are all that the refinement gets. Then
floor plans of other batches are scored with the file's cameras and with the refined ones.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.table import Table

from bay_observation.commands import DONE, FAILED, output_console, program, run_command
from bays import BayConfig, Camera, load_bay
from fusion import fuse
from fusion.refining import Refinement, refine_poses
from lab.bars import Bar, bars_table
from lab.evaluation.floor import NOTHING, FloorScore, score_floor
from lab.evaluation.from_silhouettes import HONEST, bars_of
from lab.evaluation.pose_check import turned
from lab.evaluation.silhouette_yard import (
    Degraded,
    SilhouetteYard,
    YardBlock,
    placed,
    random_blocks,
    without_distortion,
)

BARS_M = {0.25: 0.03, 0.5: 0.04, 1.0: 0.06}  # degrees that all cameras are off: centre error after a day
FIRST_SEED = 720
_BLOCKS, _CHANGED = 24, 5  # that stand there, and that others replace from one looked-at batch to the next
_PLACE_M, _FOCAL = 0.03, 0.001  # standard deviations of what else is off
_SCORED = 2  # batches


@dataclass(frozen=True)
class Refined:
    """One yard: floor plans by the file's cameras and by the refined ones, and the refinement."""

    seed: int
    before: FloorScore
    after: FloorScore
    result: Refinement


def hung(bay: BayConfig, degrees: float, seed: int) -> BayConfig:
    """The bay as its cameras really hang."""
    rng = np.random.default_rng([seed, 17])
    return bay.model_copy(update={"cameras": tuple(_hung(camera, degrees, rng) for camera in bay.cameras)})


def day(bay: BayConfig, seed: int, batches: int) -> list[tuple[YardBlock, ...]]:
    """Blocks of so many batches of a day, some replaced from one to the next."""
    rng = np.random.default_rng([seed, 19])
    floors = [random_blocks(bay, _BLOCKS, seed)]
    for number in range(1, batches):
        kept = [floors[-1][row] for row in rng.permutation(len(floors[-1]))[_CHANGED:]]
        for block in random_blocks(bay, _BLOCKS, seed + 10_000 * number):
            if len(kept) < _BLOCKS and all(block.footprint.distance(one.footprint) >= 1 for one in kept):
                kept.append(block)
        floors.append(tuple(replace(block, block_id=f"b{row:03d}") for row, block in enumerate(kept)))
    return floors


def run_day(bay: BayConfig, degrees: float, seed: int, batches: int, *, lens_is_known: bool = True) -> Refined:
    """Refine by so many batches of a day, and score others; the bay's file has the lenses' distortion, or none."""
    true = hung(bay, degrees, seed)
    if not lens_is_known:
        bay = without_distortion(bay)
    floors = day(bay, seed, batches + _SCORED)
    yards = [SilhouetteYard(true, blocks, seed=seed + row, degraded=Degraded()) for row, blocks in enumerate(floors)]
    seen = [yard.observe() for yard in yards]
    result = refine_poses(seen[:batches], bay)
    refined, scores = result.bay(bay), [NOTHING, NOTHING]
    for observation, blocks in zip(seen[batches:], floors[batches:], strict=True):
        for row, one in enumerate((bay, refined)):
            scores[row] = scores[row] + score_floor(fuse(observation, one).blocks, blocks)
    return Refined(seed, scores[0], scores[1], result)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when every bar holds, 1 when one does not."""
    options = make_parser().parse_args(arguments)
    bay, console, bars = load_bay(options.bay), output_console(), list[Bar]()
    for degrees in options.degrees:
        seeds = range(options.first_seed, options.first_seed + options.yards)
        known = not options.unmeasured
        results = [run_day(bay, degrees, seed, options.batches, lens_is_known=known) for seed in seeds]
        console.print(_table(degrees, results))
        bars += _bars(degrees, results) if degrees in BARS_M else []
    console.print(bars_table(bars))
    return DONE if all(bar.holds for bar in bars) else FAILED


def _bars(degrees: float, results: Sequence[Refined]) -> list[Bar]:
    name, noticed = f"all cameras off by {degrees:g}°", [one.result.all_off for one in results]
    bars = list(bars_of(name, (("centre_error_m", "<=", BARS_M[degrees]), *HONEST), [one.after for one in results]))
    return [*bars, Bar(f"{name}: noticed", sum(noticed) / len(noticed), ">=", 1.0)]


def _table(degrees: float, results: Sequence[Refined]) -> Table:
    """A row for each figure and a column for each yard, so that it fits a narrow terminal."""
    table = Table("yard", *(str(one.seed) for one in results), title=f"all cameras off by {degrees:g}°")
    table.title_justify = "left"
    for column in table.columns:
        column.no_wrap = True
    for name, of in _ROWS.items():
        table.add_row(name, *(of(one) for one in results))
    return table


def _median(result: Refinement, figure: str) -> str:
    return f"{np.median([getattr(camera, figure) for camera in result.cameras]):.3f}"


_ROWS: dict[str, Callable[[Refined], str]] = {
    "centre before, m": lambda one: f"{one.before.centre_error_m:.3f}",
    "centre after, m": lambda one: f"{one.after.centre_error_m:.3f}",
    "in 1 std before": lambda one: f"{one.before.within_one_std:.2f}",
    "in 1 std after": lambda one: f"{one.after.within_one_std:.2f}",
    "sizes in 1 std after": lambda one: f"{one.after.sizes_within_one_std:.2f}",
    "precision": lambda one: f"{one.after.precision:.3f}",
    "recall": lambda one: f"{one.after.recall:.3f}",
    "turned, °": lambda one: _median(one.result, "turn_deg"),
    "± said, °": lambda one: _median(one.result, "turn_std_deg"),
    "whole plan ± said, m": lambda one: f"{one.result.gauge_std_m:.3f}",
    "cameras off": lambda one: f"{sum(c.is_off for c in one.result.cameras)} of {len(one.result.cameras)}",
    "places": lambda one: str(one.result.places),
}


def _hung(camera: Camera, degrees: float, rng: np.random.Generator) -> Camera:
    axis = rng.normal(size=3)
    camera = turned(camera, degrees * axis / np.linalg.norm(axis))
    pose, lens = placed(camera)
    x, y, z = np.array([pose.x, pose.y, pose.z]) + rng.normal(0, _PLACE_M, 3)
    focal = lens.focal_px * (1 + rng.normal(0, _FOCAL))
    return camera.model_copy(
        update={
            "pose": pose.model_copy(update={"x": x, "y": y, "z": z}),
            "intrinsics": lens.with_focal(focal),
        }
    )


def make_parser() -> argparse.ArgumentParser:
    """The command and its arguments."""
    parser = argparse.ArgumentParser(
        prog=program("python -m lab.evaluation.self_calibration"), description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--bay", default="demo_bay")
    parser.add_argument("--degrees", type=float, nargs="+", default=list(BARS_M), help="that every camera is turned by")
    parser.add_argument("--yards", type=int, default=3, help="for each angle")
    parser.add_argument("--batches", type=int, default=8, help="of a day, that the refinement looks at")
    parser.add_argument("--unmeasured", action="store_true", help="the bay's file gives no distortion of the lenses")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    return parser


if __name__ == "__main__":
    run_command(main)
