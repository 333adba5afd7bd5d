"""Fusion alone, on silhouettes of yards that nothing was tuned on: accuracy, honesty, time.

The yards and their silhouettes come from `lab.evaluation.silhouette_yard`, which shares no
geometry with fusion. Their seeds are the evaluation's own: fusion is developed on
seeds from 2000, the models are trained on seeds from 1000 to 1999.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bays import BayConfig, Layout, load_bay
from fusion import fuse
from fusion.types import FusedBlock
from lab.bars import Bar
from lab.evaluation.floor import NOTHING, FloorScore, score_floor
from lab.evaluation.naive_merge import merge_projections
from lab.evaluation.silhouette_yard import (
    PLANS,
    Degraded,
    SilhouetteYard,
    YardBlock,
    best_view,
    crowded_blocks,
    equipped,
    placed,
    random_yard,
    with_focal,
)

FIRST_SEED = 700
BAY = "demo_bay"
_IN_VIEW = 0.8  # share of the footprint in one camera's frame from which a block must be found
_SCALE_OF_TIMED = 0.5  # 96 blocks of full size do not fit on the floor of 12 cameras
# Blocks, cameras, and how many halls one behind the other: the last one crowds all of them into one.
_SIZES = ((24, 12, 1), (48, 12, 1), (96, 12, 1), (24, 48, 1), (96, 48, 4), (96, 48, 1))


@dataclass(frozen=True)
class Case:
    """One kind of yard.

    Attributes:
        name: in tables and in the JSON.
        bars: figure of `FloorScore`, relation, bar.
        focal: of all lenses, pixels; above the bay's own, only blocks in view count.
        off: cameras without a frame, drawn by chance.
        plans: of `silhouette_yard.PLANS`.
        crowded: small blocks close together (`silhouette_yard.crowded_blocks`).
        equipped: equipment on decks and on the floor (`silhouette_yard.equipped`).
    """

    name: str
    bars: tuple[tuple[str, str, float], ...] = ()
    degraded: Degraded = field(default_factory=Degraded)
    count: int = 24
    focal: float | None = None
    off: int = 0
    plans: tuple[str, ...] = ("box",)
    crowded: bool = False
    equipped: bool = False

    def yard(self, seed: int) -> SilhouetteYard:
        """The yard of this kind with that seed."""
        bay = load_bay(BAY) if self.focal is None else with_focal(load_bay(BAY), self.focal)
        degraded = self.degraded
        if self.off:
            names = [camera.name for camera in bay.fusion_cameras]
            chosen = np.random.default_rng([seed, 11]).choice(names, self.off, replace=False)
            degraded = replace(degraded, off=tuple(str(name) for name in chosen))
        if self.crowded:
            return SilhouetteYard(bay, crowded_blocks(bay, self.count, seed), seed=seed, degraded=degraded)
        yard = random_yard(bay, seed, count=self.count, degraded=degraded, plans=self.plans)
        return equipped(yard) if self.equipped else yard

    def counted(self, yard: SilhouetteYard) -> tuple[Sequence[YardBlock], Sequence[YardBlock]]:
        """The yard's blocks that must be found, and those that need not."""
        if self.focal is None:
            return yard.blocks, ()
        seen = [best_view(yard.bay, block) >= _IN_VIEW for block in yard.blocks]
        return (
            [block for block, enough in zip(yard.blocks, seen, strict=True) if enough],
            [block for block, enough in zip(yard.blocks, seen, strict=True) if not enough],
        )


# 68 % of normal errors lie within one standard deviation.
HONEST = tuple(
    (figure, relation, bar)
    for figure in ("within_one_std", "sizes_within_one_std")
    for relation, bar in ((">=", 0.62), ("<=", 0.74))
)


def _bars(
    precision: float, recall: float, iou: float | None = None, centre_m: float | None = None
) -> tuple[tuple[str, str, float], ...]:
    """Bars of one case; every case has to be honest about its errors."""
    bars = [("precision", ">=", precision), ("recall", ">=", recall)]
    bars += [("mean_iou", ">=", iou)] if iou is not None else []
    bars += [("centre_error_m", "<=", centre_m)] if centre_m is not None else []
    return (*bars, *HONEST)


_WORK_BARS = (("work_accuracy", ">=", 0.97), ("idle_called_worked", "<=", 0.02))
_PLAN_BARS = _bars(0.97, 0.97, 0.92, 0.08)

CASES = (
    Case("24 blocks", (*_bars(0.97, 0.97, 0.93, 0.06), ("height_error_m", "<=", 0.10))),
    Case("masks that lean", _bars(0.99, 0.99, 0.985, 0.02), Degraded(noise_px=1.0, smooth_px=2.0)),
    Case("two cameras off", HONEST, off=2),
    Case("5 px noise", HONEST, Degraded(noise_px=5.0)),
    Case("10 % missed, 5 % false", HONEST, Degraded(missed=0.10, false=0.05)),
    Case("40 blocks", HONEST, count=40),
    Case("poses wrong by 0.25°", HONEST, Degraded(pose_error_deg=0.25)),
    Case("poses wrong by 0.5°", HONEST, Degraded(pose_error_deg=0.5)),
    Case("poses wrong by 1°", HONEST, Degraded(pose_error_deg=1.0)),
    Case("f = 2500 px", _bars(0.985, 0.975, 0.93, 0.08), focal=2500.0),
    Case("f = 2500 px, 10 % missed", _bars(0.96, 0.96), Degraded(missed=0.10), focal=2500.0),
    Case("f = 2500 px, 5 px noise", _bars(0.96, 0.96), Degraded(noise_px=5.0), focal=2500.0),
    Case("f = 2500 px, poses wrong by 0.25°", _bars(0.96, 0.96), Degraded(pose_error_deg=0.25), focal=2500.0),
    *(Case(f"plan {plan}", _PLAN_BARS, plans=(plan,)) for plan in PLANS if plan != "box"),
    Case("65 blocks close together", _bars(0.97, 0.92), count=65, crowded=True),
    Case("equipment", _WORK_BARS, equipped=True),
    Case("equipment, two cameras off", _WORK_BARS, off=2, equipped=True),
    Case("equipment, poses wrong by 0.25°", _WORK_BARS, Degraded(pose_error_deg=0.25), equipped=True),
    Case("equipment, 25 % missed", _WORK_BARS, Degraded(piece_missed=0.25), equipped=True),
    Case("equipment, 40 blocks of any plan", _WORK_BARS, count=40, plans=PLANS, equipped=True),
)


@dataclass(frozen=True)
class YardResult:
    """One yard, scored."""

    seed: int
    fused: FloorScore
    naive: FloorScore
    seconds: float


def run_case(case: Case, seeds: Iterable[int]) -> list[YardResult]:
    """Fuse and score the yards of these seeds; `seconds` is the CPU time of `fuse`."""
    results = []
    for seed in seeds:
        yard = case.yard(seed)
        observation = yard.observe()
        truth, ignored = case.counted(yard)
        seconds, blocks = cpu_time(lambda o=observation, b=yard.bay: fuse(o, b).blocks)  # type: ignore[misc]
        naive = score_floor(merge_projections(observation, yard.bay), truth, ignored=ignored)
        results.append(YardResult(seed, score_floor(blocks, truth, ignored=ignored), naive, seconds))
    return results


def pooled(scores: Iterable[FloorScore]) -> FloorScore:
    """All yards as one."""
    return sum(scores, NOTHING)


def bars_of(prefix: str, bars: Iterable[tuple[str, str, float]], scores: Sequence[FloorScore]) -> Iterator[Bar]:
    """The pooled figures beside their bars, with the range over the yards."""
    total = pooled(scores)
    for figure, relation, bar in bars:
        values = [float(getattr(score, figure)) for score in scores]
        spread = f"{min(values):.3f} to {max(values):.3f}"
        unit = "m" if figure.endswith("_m") else ""
        name = figure.removesuffix("_m").replace("_", " ")
        yield Bar(f"{prefix}: {name}", float(getattr(total, figure)), relation, bar, unit, spread)


@dataclass(frozen=True)
class Timed:
    """CPU seconds of `fuse` for a size of yard; `silhouettes` is how many there were to explain."""

    blocks: int
    cameras: int
    silhouettes: int
    seconds: float
    halls: int = 1


def run_times(seed: int, repeats: int = 2) -> list[Timed]:
    """Fuse yards of 24 to 96 blocks under 12 and 48 cameras, the least of `repeats` each."""
    results = []
    for count, cameras, halls in _SIZES:
        bay = longer(load_bay(BAY), halls) if halls > 1 else with_cameras(load_bay(BAY), cameras)
        observation = random_yard(bay, seed, count=count, scale=_SCALE_OF_TIMED).observe()
        seconds = min(cpu_time(lambda o=observation, b=bay: fuse(o, b).blocks)[0] for _ in range(repeats))  # type: ignore[misc]
        silhouettes = sum(len(camera.objects) for camera in observation.cameras)
        results.append(Timed(count, cameras, silhouettes, seconds, halls))
    return results


def growth(times: Sequence[Timed], by: Callable[[Timed], float]) -> float:
    """Exponent of the CPU time's growth, fitted through all sizes: 1 is linear."""
    slope, _ = np.polyfit(np.log([by(one) for one in times]), np.log([one.seconds for one in times]), 1)
    return float(slope)


def with_cameras(bay: BayConfig, count: int) -> BayConfig:
    """The bay with `count` cameras, a multiple of its own number: each one's copies are spread to its neighbour."""
    own = bay.fusion_cameras
    copies = count // len(own)
    gap = bay.layout.width / (len(own) / 2) / copies
    cameras = []
    for camera in own:
        pose = placed(camera)[0]
        for copy in range(copies):
            moved = pose.model_copy(update={"x": (pose.x + copy * gap) % bay.layout.width})
            cameras.append(camera.model_copy(update={"name": f"{camera.name}_{copy}", "pose": moved}))
    return bay.model_copy(update={"cameras": tuple(cameras)})


def longer(bay: BayConfig, times: int) -> BayConfig:
    """The bay with `times` its length and its cameras, one hall behind the other."""
    cameras = []
    for part in range(times):
        for camera in bay.fusion_cameras:
            pose = placed(camera)[0]
            moved = pose.model_copy(update={"x": pose.x + part * bay.layout.width})
            cameras.append(camera.model_copy(update={"name": f"{camera.name}_{part}", "pose": moved}))
    layout = Layout(width=bay.layout.width * times, height=bay.layout.height)
    return bay.model_copy(update={"cameras": tuple(cameras), "layout": layout})


def cpu_time(call: Callable[[], tuple[FusedBlock, ...]]) -> tuple[float, tuple[FusedBlock, ...]]:
    """CPU seconds of this process that the call takes, and what it returns."""
    began = time.process_time()
    result = call()
    return time.process_time() - began, result
