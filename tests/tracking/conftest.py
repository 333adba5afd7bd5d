"""A floor whose blocks are put where a test wants them, as fusion would report them."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely
from shapely import MultiPolygon, Polygon

from bays import BayConfig, TrackerParameters, batch_id, load_bay
from fusion.types import FusedBlock, FusionResult

START = datetime(2025, 7, 2, 0, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def bay() -> BayConfig:
    """Content with two readings, two empty slots and less certainty of an exit, so that the stories stay short."""
    return load_bay("demo_bay").model_copy(
        update={"tracking": TrackerParameters(doubt=1e-3, exit_slots=2, reading_slots=2, certain_gone=0.9)}
    )


@pytest.fixture(scope="session")
def block() -> Callable[..., FusedBlock]:
    """block("A25", x, y, length, width, ...): an upright box about (x, y)."""

    def make(
        area: str | None,
        x: float,
        y: float,
        length: float = 8.0,
        width: float = 6.0,
        height: float = 4.0,
        yaw: float = 0.0,
        **changes: object,
    ) -> FusedBlock:
        footprint = shapely.affinity.rotate(
            shapely.box(x - length / 2, y - width / 2, x + length / 2, y + width / 2), yaw
        )
        made = FusedBlock(
            class_name="block",
            footprint=footprint,
            height_m=height,
            area=area,
            stage="welding",
            confidence=0.9,
            cameras=("C_2", "D_2", "D_4"),
            position_std_m=0.05,
            stage_confidence=0.9,
        )
        return replace(made, **changes)

    return make


@pytest.fixture(scope="session")
def noisy() -> Callable[[FusedBlock, np.random.Generator], FusedBlock]:
    """The same block as a camera system would measure it another time: 5 cm, 1 degree, 10 cm of height."""

    def make(block: FusedBlock, random: np.random.Generator) -> FusedBlock:
        dx, dy = random.normal(0, 0.05, 2)
        turned = shapely.affinity.rotate(block.footprint, random.normal(0, 1.0))
        sized = shapely.affinity.scale(turned, *random.normal(1, 0.01, 2))
        return replace(
            block,
            footprint=shapely.affinity.translate(sized, dx, dy),
            height_m=block.height_m + random.normal(0, 0.1),
        )

    return make


@pytest.fixture(scope="session")
def fused() -> Callable[..., FusionResult]:
    """fused(slot number, blocks, unseen=polygon, missing=cameras)"""

    def make(
        number: int, blocks: Iterable[FusedBlock], unseen: Polygon | None = None, missing: Iterable[str] = ()
    ) -> FusionResult:
        return FusionResult(
            batch_id=batch_id("demo_bay", START + number * timedelta(minutes=10)),
            bay_id="demo_bay",
            blocks=tuple(blocks),
            unseen=MultiPolygon([unseen] if unseen is not None else []),
            missing_cameras=tuple(missing),
        )

    return make
