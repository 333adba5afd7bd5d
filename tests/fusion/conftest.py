"""Yards by independent geometry (`lab.evaluation.silhouette_yard`), ready for tests."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from shapely import Polygon

from bays import BayConfig, load_bay
from fusion.calibration import FloorPoint
from fusion.point_files import write_points
from lab.evaluation import silhouette_yard
from lab.evaluation.silhouette_yard import Degraded, SilhouetteYard, YardBlock, YardPiece


@dataclass(frozen=True)
class Scores:
    precision: float
    recall: float
    iou: float
    centre_error: float
    height_error: float


def score(
    found: list[Polygon], heights: list[float], blocks: tuple[YardBlock, ...], ignored: tuple[YardBlock, ...] = ()
) -> Scores:
    """Matched at IoU 0.5, best first; what lies on an `ignored` block is neither right nor wrong.

    Written apart from `lab.evaluation.floor`, so that neither's slip goes unseen.
    """
    overlaps = sorted(
        ((_iou(a, block.footprint), i, j) for i, a in enumerate(found) for j, block in enumerate(blocks)), reverse=True
    )
    pairs: dict[int, int] = {}
    for overlap, i, j in overlaps:
        if overlap >= 0.5 and i not in pairs and j not in pairs.values():
            pairs[i] = j
    excused = [
        i
        for i, a in enumerate(found)
        if i not in pairs and any(a.intersection(block.footprint).area > 0.3 * a.area for block in ignored)
    ]
    matched = [(found[i], heights[i], blocks[j]) for i, j in pairs.items()]
    return Scores(
        precision=len(pairs) / max(1, len(found) - len(excused)),
        recall=len(pairs) / max(1, len(blocks)),
        iou=float(np.mean([_iou(a, block.footprint) for a, _, block in matched])) if matched else 0.0,
        centre_error=float(
            np.median([a.centroid.distance(block.footprint.centroid) for a, _, block in matched]) if matched else np.inf
        ),
        height_error=float(np.median([abs(h - block.height) for _, h, block in matched]) if matched else np.inf),
    )


def _iou(a: Polygon, b: Polygon) -> float:
    inter = a.intersection(b).area
    return float(inter / (a.area + b.area - inter))


@pytest.fixture(scope="session")
def geometry() -> SimpleNamespace:
    """Functions and types for the tests: `geometry.Box`, `geometry.score`, ..."""
    return SimpleNamespace(
        Box=YardBlock,
        Piece=YardPiece,
        best_view=silhouette_yard.best_view,
        detected=silhouette_yard.detected,
        iou=_iou,
        project=silhouette_yard.project,
        random_boxes=silhouette_yard.random_blocks,
        score=score,
        silhouette=silhouette_yard.silhouette,
        visible_silhouettes=silhouette_yard.visible_silhouettes,
        with_focal=silhouette_yard.with_focal,
    )


@pytest.fixture(scope="session")
def demo_bay() -> BayConfig:
    return load_bay("demo_bay")


@pytest.fixture(scope="session")
def make_yard(demo_bay: BayConfig) -> Callable[..., SilhouetteYard]:
    """`make_yard(boxes=..., count=24, seed=0, **Degraded)`."""

    def make(
        boxes: tuple[YardBlock, ...] | None = None,
        count: int = 24,
        seed: int = 0,
        bay: BayConfig | None = None,
        cranes: tuple[YardBlock, ...] = (),
        equipment: tuple[YardPiece, ...] = (),
        plans: tuple[str, ...] = ("box",),
        **degraded: object,
    ) -> SilhouetteYard:
        bay = bay or demo_bay
        blocks = silhouette_yard.random_blocks(bay, count, seed, plans=plans) if boxes is None else boxes
        return SilhouetteYard(
            bay, tuple(blocks), tuple(cranes), tuple(equipment), seed, replace(Degraded(), **degraded)
        )

    return make


@pytest.fixture
def points(tmp_path, geometry, demo_bay):
    """A points file of camera C_4, ten exact points."""
    rng = np.random.default_rng(1)
    found = []
    while len(found) < 10:
        place = np.array([*rng.uniform((15, 0), (55, 32)), 0.0])
        ((u, v),) = geometry.project(demo_bay.camera("C_4"), place[None])
        if 0 <= u <= 1920 and 0 <= v <= 1080:
            found.append(FloorPoint(f"P{len(found)}", float(u), float(v), *map(float, place)))
    path = tmp_path / "points.csv"
    write_points(path, found)
    return path
