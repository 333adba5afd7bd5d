"""The whole way: rendered frames through the shipped models and fusion, on yards that training never saw.

`inference` with its models is imported where it is used.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bays import BayConfig, load_bay
from fusion import fuse
from fusion.types import FusionResult
from inference.types import Observation
from lab.bars import Bar
from lab.evaluation.floor import FloorScore, score_floor
from lab.evaluation.from_silhouettes import BAY, bars_of
from lab.evaluation.naive_merge import merge_projections
from lab.simulation.truth import BlockTruth

FIRST_SEED = 800
_HOURS = (10, 13, 16)  # bay-local, one per yard in turn
BARS = (
    ("precision", ">=", 0.98),
    ("recall", ">=", 0.98),
    ("mean_iou", ">=", 0.95),
    ("centre_error_m", "<=", 0.06),
    ("class_accuracy", ">=", 0.98),
    ("area_accuracy", ">=", 0.97),
    ("stage_accuracy", ">=", 0.95),
    ("work_accuracy", ">=", 0.97),
    ("idle_called_worked", "<=", 0.02),
)


@dataclass(frozen=True, eq=False)
class WholeWay:
    """One yard from frames to floor plan, scored; `inference_s` is wall time, models warm."""

    seed: int
    fused: FloorScore
    naive: FloorScore
    inference_s: float
    observation: Observation
    result: FusionResult


def run_frames(seeds: Iterable[int]) -> tuple[list[WholeWay], dict[str, float]]:
    """Render, observe, fuse and score a batch of each yard.

    Returns:
        The yards, and how right the models are on all their frames: detection AP50 by
        class and its mean, mask IoU, stage accuracy (see `lab.training.scores`).
    """
    from inference.service import InferenceService
    from lab.training.scores import Tally, simulated_slot

    bay = load_bay(BAY)
    service, tally = InferenceService.for_bay(bay), Tally()
    yards = []
    for number, seed in enumerate(seeds):
        slot = simulated_slot(bay, seed, _HOURS[number % len(_HOURS)])
        batch, seen = slot.render()
        began = time.perf_counter()
        observation = service.observe(batch)
        seconds = time.perf_counter() - began
        for camera in observation.cameras:
            tally.add(camera, seen[camera.camera_name])
        yards.append(_scored(seed, bay, observation, slot.blocks(), seconds))
    return yards, tally.figures()


def frame_bars(yards: list[WholeWay]) -> Iterator[Bar]:
    """The whole way's figures beside their bars."""
    return bars_of("from frames", BARS, [yard.fused for yard in yards])


def _scored(seed: int, bay: BayConfig, observation: Observation, truth: list[BlockTruth], seconds: float) -> WholeWay:
    result = fuse(observation, bay)
    naive = score_floor(merge_projections(observation, bay), truth)
    return WholeWay(seed, score_floor(result.blocks, truth), naive, seconds, observation, result)
