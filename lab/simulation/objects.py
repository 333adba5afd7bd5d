"""What stands, hangs and walks in the simulated yard.

Floor frame of the bay (`bays.models`): x along the bay, y across it, z up, metres.
Every thing is an upright box or made of upright boxes. `yaw_deg` turns a box
counter-clockwise seen from above; at 0 its width runs along x.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

BLOCK_CLASSES = ("panel", "block", "HP_block")
JIG_KINDS = ("pinjig", "hbeamjig", "gridjig", "flatjig")
JIG_CLASSES = JIG_KINDS + tuple(f"{kind}_empty" for kind in JIG_KINDS)
EQUIPMENT_CLASSES = ("grinder", "welder", "step_board", "pipe")
CRANE_CLASS = "crane"
LABEL_CLASSES = (*BLOCK_CLASSES, *JIG_CLASSES, *EQUIPMENT_CLASSES, CRANE_CLASS)

STAGES = ("sub_assembly", "unit_assembly", "grand_assembly", "pre_outfitting")


def rectangle(center: tuple[float, float], yaw_deg: float, width: float, depth: float) -> NDArray[np.float64]:
    """(4, 2) corners of a turned rectangle, metres, counter-clockwise seen from above."""
    angle = math.radians(yaw_deg)
    along = np.array([math.cos(angle), math.sin(angle)]) * width / 2
    across = np.array([-math.sin(angle), math.cos(angle)]) * depth / 2
    return np.asarray(np.array(center) + np.array([-along - across, along - across, along + across, -along + across]))


@dataclass(frozen=True)
class SimulatedBlock:
    """A panel, block or HP block: an upright box that stands on the floor.

    Attributes:
        block_id: never used again after the block has left.
        class_name: one of `BLOCK_CLASSES`.
        center: (x, y) of the footprint's centre, metres.
        yaw_deg: direction of the width.
        stage: one of `STAGES` (조립 단계).
        area: name of the area it stands in; None in a bay that has no areas.
        appeared_at: when it came to the bay (aware); before the start of the history for the first ones.
    """

    block_id: str
    class_name: str
    center: tuple[float, float]
    yaw_deg: float
    width_m: float
    depth_m: float
    height_m: float
    stage: str
    area: str | None
    appeared_at: datetime

    @cached_property
    def ring(self) -> NDArray[np.float64]:
        """(4, 2) corners of the footprint, metres, counter-clockwise."""
        return rectangle(self.center, self.yaw_deg, self.width_m, self.depth_m)

    @cached_property
    def footprint(self) -> Polygon:
        """Outline on the floor, metres."""
        return Polygon(self.ring)

    @property
    def number(self) -> int:
        """The block's running number, as its id spells it."""
        return int(self.block_id[1:])


@dataclass(frozen=True)
class Jig:
    """What a block is built on, flat on the floor; `block_id` is None for an empty one."""

    jig_id: str
    class_name: str
    center: tuple[float, float]
    yaw_deg: float
    width_m: float
    depth_m: float
    block_id: str | None = None

    @cached_property
    def ring(self) -> NDArray[np.float64]:
        """(4, 2) corners, metres, counter-clockwise."""
        return rectangle(self.center, self.yaw_deg, self.width_m, self.depth_m)


@dataclass(frozen=True)
class Equipment:
    """A tool that somebody works with.

    At a block it stands on the deck: `base_m` is the block's height, and the
    ground point (the bottom centre, `center`) lies on the block's footprint when
    it is looked up at that height. Elsewhere it stands on the floor, `base_m` 0.
    """

    equipment_id: str
    class_name: str
    center: tuple[float, float]
    yaw_deg: float
    width_m: float
    depth_m: float
    height_m: float
    base_m: float = 0.0
    block_id: str | None = None

    @cached_property
    def ring(self) -> NDArray[np.float64]:
        """(4, 2) corners, metres, counter-clockwise."""
        return rectangle(self.center, self.yaw_deg, self.width_m, self.depth_m)


@dataclass(frozen=True)
class Person:
    """Somebody on the floor: no class of the detector, but in the way."""

    center: tuple[float, float]
    yaw_deg: float
    height_m: float
    vest: int

    @cached_property
    def ring(self) -> NDArray[np.float64]:
        """(4, 2) corners, metres, counter-clockwise."""
        return rectangle(self.center, self.yaw_deg, 0.55, 0.4)


@dataclass(frozen=True)
class Crane:
    """A double-girder overhead crane across the hall, with a trolley and a hook.

    Attributes:
        x: middle of the bridge along the bay, metres.
        hook_y: where trolley and hook hang across the bay, metres.
        span: from y to y, metres.
        base_m: underside of the girders, metres above the floor.
        hook_m: underside of the hook block, metres above the floor.
    """

    crane_id: str
    x: float
    hook_y: float
    span: tuple[float, float]
    base_m: float
    hook_m: float


@dataclass(frozen=True)
class Light:
    """Light in the hall.

    Attributes:
        ambient: level that reaches every surface; 1 is a bright noon.
        sun: level of the directed part (daylight through roof and gates, or the lamps).
        direction: unit vector from the floor towards the light.
        lamps: 0 to 1, share of the hall lamps that are on.
        warmth: -1 (cold daylight) to 1 (warm lamps).
    """

    ambient: float
    sun: float
    direction: tuple[float, float, float]
    lamps: float
    warmth: float


@dataclass(frozen=True)
class YardState:
    """Everything in the yard at one moment."""

    time: datetime
    blocks: tuple[SimulatedBlock, ...]
    jigs: tuple[Jig, ...]
    equipment: tuple[Equipment, ...]
    cranes: tuple[Crane, ...]
    people: tuple[Person, ...]
    light: Light

    def block(self, block_id: str) -> SimulatedBlock:
        """The block of that id.

        Raises:
            KeyError: it is not in the yard at this moment.
        """
        for block in self.blocks:
            if block.block_id == block_id:
                return block
        raise KeyError(f"no block {block_id} in the yard at {self.time.isoformat()}")
