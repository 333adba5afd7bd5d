"""Simulated days as fusion would report them, without a picture: for the tracker alone.

True footprints, spoilt as fusion spoils them. Its errors were measured on yards of
silhouettes (240 blocks, vertices 2 px off, 5 % of the silhouettes missed, poses 0.05
degrees off): centres 2 cm off at the median where 4 cm is claimed by four cameras, 10 cm
by two; sides 0.5 % and heights 3 cm off; 2 % of the blocks not found. `Spoilt` draws
from the claimed deviation, twice what was measured. The stage classifier is right for
96 of 100 crops (`shared/models.md`). How often equipment is overlooked is assumed:
the small models that stand in for the production ones read it too badly to go by.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon

from bays import BayConfig, batch_id
from fusion.blocks import area_of
from fusion.scene import build_scene
from fusion.types import FusedBlock, FusionResult
from fusion.upright_box import Bools, Floats
from fusion.visibility import in_front, in_sight, unseen_floor
from inference.types import CameraObservation, Observation
from lab.simulation.history import YardEvent
from lab.simulation.objects import BLOCK_CLASSES, EQUIPMENT_CLASSES, STAGES, SimulatedBlock
from lab.simulation.placement import DIMENSIONS
from lab.simulation.truth import BlockTruth, truth_at, work_events
from lab.simulation.yard import Yard

SLOT = timedelta(minutes=10)
SLOTS_A_DAY = 144
RUN_ON_SLOTS = 6  # the day goes on for an hour that is not scored, in which its last events can be confirmed
_MUST_SEE = 0.4  # share of a silhouette in open view from which a camera finds the block
_STD_M = {1: 0.2, 2: 0.1, 3: 0.065}  # claimed deviation of the centre, by number of cameras
_LEAST_STD_M = 0.045
_GHOST_ON_BLOCK = 0.2  # share of a false detection that may lie on a block: fusion parts what overlaps


@dataclass(frozen=True)
class Spoilt:
    """What fusion gets wrong.

    Attributes:
        missed: share of the visible blocks that are not found in a slot.
        false: false detections, as a share of the visible blocks.
        class_misread, stage_misread: share of the readings that are another one, by chance.
        work_missed: share of the pieces of equipment at a block that are not seen in a slot.
        work_false: share of the blocks at which a piece is seen that is not there.
        side: relative standard deviation of each side.
        height_m: standard deviation of the height.
        yaw_deg: standard deviation of the direction.
        off: names of cameras that are off.
        off_slots: from and to slot (excluded) in which they are.
        lost: share of the slots that have no result.
        told: whether the optional fields of `FusedBlock` and `FusionResult` are filled in.
    """

    missed: float = 0.02
    false: float = 0.005
    class_misread: float = 0.03
    stage_misread: float = 0.04
    work_missed: float = 0.1
    work_false: float = 0.02
    side: float = 0.01
    height_m: float = 0.05
    yaw_deg: float = 0.5
    off: tuple[str, ...] = ()
    off_slots: tuple[int, int] = (0, 0)
    lost: float = 0.0
    told: bool = True


@dataclass(frozen=True, eq=False)
class Day:
    """A day as it was, and as fusion reports it.

    Attributes:
        slots: of the day and of what runs on after it, in order (aware).
        last: the last slot that is scored. What happens later, and what is told of it, counts for nothing.
        truth: blocks by slot.
        events: what happened.
        results: fusion's, in slot order; lost slots lack.
        hidden: by slot, ids of the blocks that no working camera could see.
    """

    slots: tuple[datetime, ...]
    last: datetime
    truth: dict[datetime, list[BlockTruth]]
    events: list[YardEvent]
    results: tuple[FusionResult, ...]
    hidden: dict[datetime, frozenset[str]] = field(default_factory=dict)


class Sight:
    """What a bay's cameras can see, worked out once for each floor plan and set of cameras that are off."""

    def __init__(self, bay: BayConfig) -> None:
        self.bay = bay
        self._known: dict[tuple[object, ...], tuple[dict[str, tuple[str, ...]], MultiPolygon]] = {}

    def of(
        self, blocks: tuple[SimulatedBlock, ...], off: tuple[str, ...]
    ) -> tuple[dict[str, tuple[str, ...]], MultiPolygon]:
        """Cameras that can see each block, by its id, and the floor that none of those that work can."""
        # A block's stage cannot be seen from its silhouette.
        key = (off, *((b.block_id, b.center, b.yaw_deg) for b in blocks))
        if key not in self._known:
            self._known[key] = _look(self.bay, blocks, off)
        return self._known[key]


def simulated_day(
    bay: BayConfig,
    seed: int,
    spoilt: Spoilt,
    slots: int = SLOTS_A_DAY,
    sight: Sight | None = None,
    *,
    run_on: int = RUN_ON_SLOTS,
) -> Day:
    """A day of 24 to 30 blocks in ten-minute slots: same arguments, same day.

    Args:
        bay: with pose and intrinsics of its cameras, which decide what can be seen.
        seed: of the yard and of the errors.
        spoilt: what fusion gets wrong.
        slots: how many are scored.
        run_on: how many follow.
        sight: to be shared by days of one bay and seed, since it takes most of the time.
    """
    sight = sight or Sight(bay)
    yard = Yard(bay, seed=seed, blocks=24 + seed % 7)
    times = tuple(yard.start + number * SLOT for number in range(1, slots + run_on + 1))
    dice = np.random.default_rng([seed, 11])
    work_dice = np.random.default_rng([seed, 12])
    truth = {time: truth_at(yard, time) for time in times}
    names = tuple(camera.name for camera in bay.fusion_cameras)
    results, hidden = [], {}
    for number, time in enumerate(times):
        blocks = yard.at(time).blocks
        off = spoilt.off if spoilt.off_slots[0] <= number < spoilt.off_slots[1] else ()
        seen_by, unseen = sight.of(blocks, off)
        hidden[time] = frozenset(block.block_id for block in blocks if not seen_by[block.block_id])
        found = _measured(bay, blocks, seen_by, spoilt, dice)
        work = {block.block_id: _work_seen(block, spoilt, work_dice) for block in truth[time]}
        blocks_seen = tuple(replace(one, work=work[block_id]) if block_id else one for block_id, one in found)
        if dice.random() < spoilt.lost:
            continue
        result = FusionResult(
            batch_id(bay.bay_id, time),
            bay.bay_id,
            blocks_seen,
            unseen,
            tuple(name for name in names if name not in off),
            tuple(sorted(off)),
        )
        results.append(result if spoilt.told else _untold(result))
    events = yard.events(times[0], times[-1]) + work_events(yard, times[0], times[-1])
    return Day(times, times[slots - 1], truth, events, tuple(results), hidden)


def _look(
    bay: BayConfig, blocks: Sequence[SimulatedBlock], off: Iterable[str]
) -> tuple[dict[str, tuple[str, ...]], MultiPolygon]:
    """By fusion's own rules: what lies in a frame and behind no block in front of it is seen."""
    taken = datetime.min.replace(tzinfo=UTC)
    frames = []
    for camera in bay.fusion_cameras:
        if camera.name not in off and camera.intrinsics is not None:
            size = (camera.intrinsics.width, camera.intrinsics.height)
            frames.append(CameraObservation(camera.name, taken, size, ()))
    scene = build_scene(Observation("", bay.bay_id, tuple(frames)), bay)
    boxes = np.array([_box(block) for block in blocks]).reshape(-1, 6)
    names = [frame.name for frame in scene.frames]
    seen_by: dict[str, list[str]] = {block.block_id: [] for block in blocks}
    rows, cameras, outlines = in_sight(boxes, scene)
    for row, camera, outline in zip(rows, cameras, outlines, strict=True):
        same = np.flatnonzero((cameras == camera) & (rows != row))
        nearer = same[_nearer(boxes, rows[same], row, scene.views.position[camera])]
        visible = outline.intersection(scene.frames[camera].outline).difference(shapely.union_all(outlines[nearer]))
        if visible.area > _MUST_SEE * outline.area:
            seen_by[blocks[row].block_id].append(names[camera])
    unseen = unseen_floor(scene, bay, boxes)
    dark = [block.footprint for block in blocks if not seen_by[block.block_id]]
    whole = shapely.union_all([unseen, *dark])
    parts = [part for part in shapely.get_parts(whole) if isinstance(part, Polygon)]
    return {name: tuple(cameras) for name, cameras in seen_by.items()}, MultiPolygon(parts)


def _nearer(boxes: Floats, rows: np.ndarray, than: int, eye: Floats) -> Bools:
    others = boxes[rows]
    return in_front(others, np.broadcast_to(boxes[than], others.shape), np.broadcast_to(eye, (len(others), 3)))


def _box(block: SimulatedBlock) -> list[float]:
    return [*block.center, block.width_m, block.depth_m, float(np.radians(block.yaw_deg)), block.height_m]


def _measured(
    bay: BayConfig,
    blocks: Iterable[SimulatedBlock],
    seen_by: dict[str, tuple[str, ...]],
    spoilt: Spoilt,
    dice: np.random.Generator,
) -> list[tuple[str | None, FusedBlock]]:
    """What is found, each with the id of its true block; None for a false detection."""
    visible = [block for block in blocks if seen_by[block.block_id]]
    found: list[tuple[str | None, FusedBlock]] = [
        (block.block_id, _one(bay, block, seen_by[block.block_id], spoilt, dice))
        for block in visible
        if dice.random() >= spoilt.missed
    ]
    for _ in range(dice.binomial(len(visible), spoilt.false)):
        ghost = _ghost(bay, dice)
        shared = shapely.area(shapely.intersection(ghost.footprint, [block.footprint for block in visible]))
        if (shared <= _GHOST_ON_BLOCK * ghost.footprint.area).all():
            found.append((None, ghost))
    return [found[index] for index in dice.permutation(len(found))]


def _work_seen(block: BlockTruth, spoilt: Spoilt, dice: np.random.Generator) -> dict[str, int]:
    seen = Counter({name: int(dice.binomial(count, 1 - spoilt.work_missed)) for name, count in block.work.items()})
    if dice.random() < spoilt.work_false:
        seen[str(dice.choice(EQUIPMENT_CLASSES))] += 1
    return dict(sorted((+seen).items()))


def _one(
    bay: BayConfig, block: SimulatedBlock, cameras: tuple[str, ...], spoilt: Spoilt, dice: np.random.Generator
) -> FusedBlock:
    std = _STD_M.get(len(cameras), _LEAST_STD_M)
    width, depth = np.array([block.width_m, block.depth_m]) * dice.normal(1, spoilt.side, 2)
    center = tuple(np.array(block.center) + dice.normal(0, std / np.sqrt(2), 2))
    measured = replace(
        block, center=center, width_m=width, depth_m=depth, yaw_deg=block.yaw_deg + dice.normal(0, spoilt.yaw_deg)
    )
    wrong_stage = dice.random() < spoilt.stage_misread
    return FusedBlock(
        class_name=_other(BLOCK_CLASSES, block.class_name, dice)
        if dice.random() < spoilt.class_misread
        else block.class_name,
        footprint=measured.footprint,
        height_m=max(0.1, block.height_m + dice.normal(0, spoilt.height_m)),
        area=area_of(measured.footprint, bay),
        stage=_other(STAGES, block.stage, dice) if wrong_stage else block.stage,
        confidence=float(dice.uniform(0.6, 1.0)),
        cameras=cameras,
        position_std_m=std,
        stage_confidence=float(dice.uniform(0.4, 0.8) if wrong_stage else dice.uniform(0.6, 1.0)),
    )


def _ghost(bay: BayConfig, dice: np.random.Generator) -> FusedBlock:
    name = str(dice.choice(BLOCK_CLASSES))
    width, depth, height = (float(dice.uniform(*limits)) for limits in DIMENSIONS[name])
    x, y = dice.uniform(4, bay.layout.width - 4), dice.uniform(4, bay.layout.height - 4)
    footprint = shapely.affinity.rotate(
        shapely.box(x - width / 2, y - depth / 2, x + width / 2, y + depth / 2), dice.normal(0, 5)
    )
    cameras = tuple(sorted(dice.choice([camera.name for camera in bay.fusion_cameras], 2, replace=False).tolist()))
    return FusedBlock(
        name,
        footprint,
        height,
        area_of(footprint, bay),
        str(dice.choice(STAGES)),
        float(dice.uniform(0.3, 0.7)),
        cameras,
        position_std_m=_STD_M[2],
        stage_confidence=float(dice.uniform(0.4, 0.8)),
    )


def _other(choices: Sequence[str], than: str, dice: np.random.Generator) -> str:
    return str(dice.choice([choice for choice in choices if choice != than]))


def _untold(result: FusionResult) -> FusionResult:
    """As a fusion would report it that fills in what it must and no more; the unseen floor stays."""
    blocks = (
        FusedBlock(b.class_name, b.footprint, b.height_m, b.area, b.stage, b.confidence, ()) for b in result.blocks
    )
    return FusionResult(result.batch_id, result.bay_id, tuple(blocks), result.unseen)
