"""Small truths and results, so that every score can be worked out by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import shapely
from shapely import MultiPolygon, Polygon

from bays import BayConfig, TrackerParameters, batch_id, load_bay
from fusion.types import FusedBlock, FusionResult

START = datetime(2025, 7, 2, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class TrueBlock:
    block_id: str
    footprint: Polygon
    class_name: str = "block"
    height_m: float = 4.0
    area: str | None = "A25"
    stage: str | None = "unit_assembly"
    work: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TrueEvent:
    kind: str
    block_id: str
    time: datetime
    from_area: str | None = None
    to_area: str | None = None


@pytest.fixture(scope="session")
def bay() -> BayConfig:
    """Content with two empty slots and two readings, one less than the default, so that the stories stay short."""
    return load_bay("demo_bay").model_copy(
        update={"tracking": TrackerParameters(doubt=1e-3, exit_slots=2, reading_slots=2, certain_gone=0.9)}
    )


@pytest.fixture(scope="session")
def slot():
    return lambda number: START + number * timedelta(minutes=10)


@pytest.fixture(scope="session")
def true():
    """true("a", x, ...): a block of 10 x 5 m whose lower left corner is (x, 2)."""
    return lambda name, x=3.0, **changes: TrueBlock(name, shapely.box(x, 2, x + 10, 7), **changes)


@pytest.fixture(scope="session")
def happened(slot):
    """happened("moved", "a", 2.5): between slots 2 and 3."""
    return lambda kind, name, number, *areas: TrueEvent(kind, name, slot(number), *areas)


@pytest.fixture(scope="session")
def fused():
    def make(x: float = 3.0, **changes) -> FusedBlock:
        values = {
            "class_name": "block",
            "footprint": shapely.box(x, 2, x + 10, 7),
            "height_m": 4.0,
            "area": "A25",
            "stage": "unit_assembly",
            "confidence": 0.9,
            "cameras": ("C_2", "D_2"),
            "position_std_m": 0.05,
            "stage_confidence": 0.9,
        }
        return FusedBlock(**{**values, **changes})

    return make


@pytest.fixture(scope="session")
def plan(slot):
    def make(number: int, blocks, unseen: Polygon | None = None, missing=()) -> FusionResult:
        return FusionResult(
            batch_id("demo_bay", slot(number)),
            "demo_bay",
            tuple(blocks),
            MultiPolygon([unseen] if unseen is not None else []),
            missing_cameras=tuple(missing),
        )

    return make
