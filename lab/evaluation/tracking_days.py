"""Days of a busy yard as fusion would report them, without a picture: for the tracker alone.

True footprints, spoilt as fusion spoils them. Its errors were measured on yards of
silhouettes (240 blocks, vertices 2 px off, 5 % of the silhouettes missed, poses 0.05
degrees off): centres 2 cm off at the median where 4 cm is claimed by four cameras, 10 cm
by two; sides 0.5 % and heights 3 cm off; 2 % of the blocks not found. `Spoilt` is worse
than that: sides are 1 % off, each stay of a block has a bias of its own (other cameras see
it), errors are larger or smaller than what is claimed by a factor, and some are outliers.
The stage classifier is right for 96 of 100 crops. How often equipment is overlooked is
assumed: the small models that stand in for the production ones read it too badly to go by.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon

from bays import BayConfig, batch_id
from bays.camera_model import CameraModel
from fusion.blocks import area_of
from fusion.scene import build_scene
from fusion.types import FusedBlock, FusionResult
from fusion.upright_box import Bools, Floats
from fusion.visibility import in_front, in_sight, unseen_floor
from inference.types import CameraObservation, Observation
from lab.evaluation.tracking_yard import Pace, yard_days
from lab.simulation.history import YardEvent
from lab.simulation.objects import BLOCK_CLASSES, EQUIPMENT_CLASSES, STAGES, SimulatedBlock
from lab.simulation.placement import DIMENSIONS
from lab.simulation.truth import BlockTruth

SLOT = timedelta(minutes=10)
START = datetime(2025, 7, 2, tzinfo=UTC)  # a Wednesday
_MUST_SEE = 0.4  # share of a silhouette in open view from which a camera finds the block
_IN_FRAME = 0.6  # share of a block's corners in a frame from which its camera finds it, where nothing hides it
_STD_M = {1: 0.2, 2: 0.1, 3: 0.065}  # claimed deviation of the centre, by number of cameras
_LEAST_STD_M = 0.045
_GHOST_ON_BLOCK = 0.2  # share of a false detection that may lie on a block: fusion parts what overlaps


@dataclass(frozen=True)
class Spoilt:
    """What fusion gets wrong.

    Attributes:
        missed: share of the visible blocks that are not found in a slot.
        runs, run_slots: share of the blocks for which a run of misses begins in a slot, and its mean length.
        false: false detections, as a share of the visible blocks.
        false_slots: mean number of slots for which a false detection stays.
        class_misread, stage_misread: share of the readings that are another one, by chance.
        work_missed: share of the pieces of equipment at a block that are not seen in a slot.
        work_false: share of the blocks at which a piece is seen that is not there.
        side: relative standard deviation of each side.
        height_m: standard deviation of the height.
        yaw_deg: standard deviation of the direction.
        bias_m: standard deviation of what a block's centre, sides and height are off for as long as it stands.
        claim: standard deviation of the logarithm of true over claimed deviation, drawn for each stay.
        outliers: share of the sightings that are four times as far off.
        partial: share of the sightings that show only a part of the block.
        off: names of cameras that are off.
        off_slots: from and to slot (excluded) in which they are.
        lost: share of the slots that have no result.
        told: whether the optional fields of `FusedBlock` and `FusionResult` are filled in.
    """

    missed: float = 0.02
    runs: float = 0.0
    run_slots: float = 3.0
    false: float = 0.005
    false_slots: float = 1.1
    class_misread: float = 0.03
    stage_misread: float = 0.04
    work_missed: float = 0.1
    work_false: float = 0.02
    side: float = 0.01
    height_m: float = 0.05
    yaw_deg: float = 0.5
    bias_m: float = 0.03
    claim: float = 0.4
    outliers: float = 0.01
    partial: float = 0.002
    off: tuple[str, ...] = ()
    off_slots: tuple[int, int] = (0, 0)
    lost: float = 0.0
    told: bool = True


@dataclass(frozen=True, eq=False)
class Day:
    """Days as they were, and as fusion reports them.

    Attributes:
        slots: in order (aware).
        truth: blocks by slot.
        events: what happened, as two slots beside each other show it.
        results: fusion's, in slot order; lost slots lack.
        hidden: by slot, ids of the blocks that no working camera could see.
    """

    slots: tuple[datetime, ...]
    truth: dict[datetime, list[BlockTruth]]
    events: list[YardEvent]
    results: tuple[FusionResult, ...]
    hidden: dict[datetime, frozenset[str]] = field(default_factory=dict)


class Sight:
    """What a bay's cameras can see, worked out once for each floor plan and set of cameras that are off."""

    def __init__(self, bay: BayConfig) -> None:
        self.bay = bay
        self._cameras = {camera.name: CameraModel.of(camera) for camera in bay.fusion_cameras}
        self._known: dict[tuple[object, ...], tuple[dict[str, tuple[str, ...]], MultiPolygon]] = {}
        self._framed: dict[tuple[object, ...], tuple[str, ...]] = {}

    def of(
        self, blocks: tuple[SimulatedBlock, ...], off: tuple[str, ...]
    ) -> tuple[dict[str, tuple[str, ...]], MultiPolygon]:
        """Cameras that can see each block, by its id, and the floor that none of those that work can.

        Only where cameras are off is it worked out what hides what; otherwise every block is seen by all
        cameras that have it in their frame, and every floor is.
        """
        if not off:
            return {block.block_id: self._in_frame(block) for block in blocks}, MultiPolygon()
        # A block's stage cannot be seen from its silhouette.
        key = (off, *((b.block_id, b.center, b.yaw_deg) for b in blocks))
        if key not in self._known:
            self._known[key] = _look(self.bay, blocks, off)
        return self._known[key]

    def _in_frame(self, block: SimulatedBlock) -> tuple[str, ...]:
        key = (block.block_id, block.center, block.yaw_deg)
        if key not in self._framed:
            corners = np.vstack([np.column_stack([block.ring, np.full(4, z)]) for z in (0.0, block.height_m)])
            self._framed[key] = tuple(
                name for name, model in self._cameras.items() if _share(model, corners) > _IN_FRAME
            )
        return self._framed[key]


def every_slot(bay: BayConfig, days: int = 1) -> tuple[datetime, ...]:
    """Ten-minute slots round the clock, from the bay's midnight."""
    return tuple(_midnight(bay) + number * SLOT for number in range(1, 144 * days + 1))


def open_slots(bay: BayConfig, days: int) -> tuple[datetime, ...]:
    """The slots of so many days in which the bay is open, by its own hours."""
    return tuple(slot for slot in every_slot(bay, days) if bay.closed(slot) is None)


def busy_days(
    bay: BayConfig,
    seed: int,
    slots: Sequence[datetime],
    pace: Pace,
    *,
    spoilt: Spoilt,
    sight: Sight | None = None,
) -> Day:
    """Days of 24 to 30 blocks: same arguments, same days.

    Args:
        bay: with pose and intrinsics of its cameras, which decide what can be seen.
        seed: of the yard and of the errors.
        slots: aware, in order.
        pace: how much happens.
        spoilt: what fusion gets wrong.
        sight: to be shared by days of one bay.
    """
    sight = sight or Sight(bay)
    yard = yard_days(bay, seed, slots, pace, population=24 + seed % 7)
    fusion = _Fusion(bay, seed, spoilt)
    results, hidden = [], {}
    for number, slot in enumerate(slots):
        off = spoilt.off if spoilt.off_slots[0] <= number < spoilt.off_slots[1] else ()
        seen_by, unseen = sight.of(yard.blocks[slot], off)
        hidden[slot] = frozenset(name for name, cameras in seen_by.items() if not cameras)
        result = fusion.result(slot, yard.blocks[slot], yard.truth[slot], seen_by, unseen=unseen, off=off)
        if result is not None:
            results.append(result)
    return Day(tuple(slots), dict(yard.truth), list(yard.events), tuple(results), hidden)


class _Fusion:
    """What fusion makes of one slot after the other."""

    def __init__(self, bay: BayConfig, seed: int, spoilt: Spoilt) -> None:
        self._bay, self._spoilt = bay, spoilt
        self._dice = np.random.default_rng([seed, 42])
        self._names = tuple(camera.name for camera in bay.fusion_cameras)
        self._missing: dict[str, int] = {}  # block id -> slots for which it is still missed
        self._ghosts: list[tuple[FusedBlock, int]] = []
        self._biases: dict[tuple[object, ...], tuple[Floats, float]] = {}

    def result(
        self,
        slot: datetime,
        blocks: Sequence[SimulatedBlock],
        truth: Sequence[BlockTruth],
        seen_by: dict[str, tuple[str, ...]],
        *,
        unseen: MultiPolygon,
        off: tuple[str, ...],
    ) -> FusionResult | None:
        visible = [block for block in blocks if seen_by[block.block_id]]
        work = {block.block_id: block.work for block in truth}
        found = [
            self._measured(block, seen_by[block.block_id], work[block.block_id])
            for block in visible
            if not self._is_missed(block.block_id)
        ]
        found += self._false(visible)
        order = self._dice.permutation(len(found))
        if self._dice.random() < self._spoilt.lost:
            return None
        result = FusionResult(
            batch_id(self._bay.bay_id, slot),
            self._bay.bay_id,
            tuple(found[index] for index in order),
            unseen,
            tuple(name for name in self._names if name not in off),
            tuple(sorted(off)),
        )
        return result if self._spoilt.told else _untold(result)

    def _is_missed(self, name: str) -> bool:
        if self._dice.random() < self._spoilt.runs:
            self._missing[name] = int(self._dice.geometric(1 / self._spoilt.run_slots))
        left = self._missing.get(name, 0)
        self._missing[name] = max(0, left - 1)
        return left > 0 or bool(self._dice.random() < self._spoilt.missed)

    def _measured(self, block: SimulatedBlock, cameras: tuple[str, ...], work: Mapping[str, int]) -> FusedBlock:
        spoilt, dice = self._spoilt, self._dice
        std = _STD_M.get(len(cameras), _LEAST_STD_M)
        bias, factor = self._bias_of(block)
        scale = 4.0 if dice.random() < spoilt.outliers else 1.0
        shift = dice.normal(0, scale * factor * std / np.sqrt(2), 2) + bias[:2]
        sides = np.array([block.width_m, block.depth_m]) * dice.normal(1, scale * spoilt.side, 2) + bias[2:4]
        if dice.random() < spoilt.partial:
            cut = int(dice.integers(2))
            lost = sides[cut] * dice.uniform(0.1, 0.4)
            sides[cut] -= lost
            angle = np.radians(block.yaw_deg) + cut * np.pi / 2
            shift += np.array([np.cos(angle), np.sin(angle)]) * lost / 2
        height = max(0.1, block.height_m + dice.normal(0, scale * spoilt.height_m) + bias[4])
        measured = replace(
            block,
            center=(float(block.center[0] + shift[0]), float(block.center[1] + shift[1])),
            width_m=float(sides[0]),
            depth_m=float(sides[1]),
            yaw_deg=block.yaw_deg + dice.normal(0, spoilt.yaw_deg),
        )
        wrong_stage, wrong_class = dice.random() < spoilt.stage_misread, dice.random() < spoilt.class_misread
        return FusedBlock(
            class_name=_other(BLOCK_CLASSES, block.class_name, dice) if wrong_class else block.class_name,
            footprint=measured.footprint,
            height_m=float(height),
            area=area_of(measured.footprint, self._bay),
            stage=_other(STAGES, block.stage, dice) if wrong_stage else block.stage,
            confidence=float(dice.uniform(0.6, 1.0)),
            cameras=cameras,
            work=self._work_seen(work),
            position_std_m=std,
            stage_confidence=float(dice.uniform(0.4, 0.8) if wrong_stage else dice.uniform(0.6, 1.0)),
        )

    def _bias_of(self, block: SimulatedBlock) -> tuple[Floats, float]:
        key = (block.block_id, block.center, block.yaw_deg)
        if key not in self._biases:
            bias = self._dice.normal(0, self._spoilt.bias_m, 5)
            self._biases[key] = bias, float(np.exp(self._dice.normal(0, self._spoilt.claim)))
        return self._biases[key]

    def _work_seen(self, work: Mapping[str, int]) -> dict[str, int]:
        spoilt, dice = self._spoilt, self._dice
        seen = Counter({name: int(dice.binomial(count, 1 - spoilt.work_missed)) for name, count in work.items()})
        if dice.random() < spoilt.work_false:
            seen[str(dice.choice(EQUIPMENT_CLASSES))] += 1
        return dict(sorted((+seen).items()))

    def _false(self, visible: Sequence[SimulatedBlock]) -> list[FusedBlock]:
        """False detections: those that stay, seen much as before, and those that begin."""
        spoilt, dice = self._spoilt, self._dice
        stay = [(_again(ghost, self._bay, dice), left - 1) for ghost, left in self._ghosts if left > 1]
        begun = [
            (_ghost(self._bay, dice), int(dice.geometric(min(1.0, 1 / spoilt.false_slots))))
            for _ in range(dice.binomial(len(visible), spoilt.false))
        ]
        standing = [block.footprint for block in visible]
        self._ghosts = [
            (ghost, left)
            for ghost, left in (*stay, *begun)
            if (
                shapely.area(shapely.intersection(ghost.footprint, standing)) <= _GHOST_ON_BLOCK * ghost.footprint.area
            ).all()
        ]
        return [ghost for ghost, _ in self._ghosts]


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


def _share(model: CameraModel, points: Floats) -> float:
    """Share of (N, 3) floor points that lie in the camera's frame."""
    pixels, valid = model.project(points)
    return float(np.mean(valid & model.inside(pixels)))


def _midnight(bay: BayConfig) -> datetime:
    return START.astimezone(bay.zone).replace(hour=0, minute=0).astimezone(UTC)


def _again(ghost: FusedBlock, bay: BayConfig, dice: np.random.Generator) -> FusedBlock:
    """A false detection one slot later."""
    shift = dice.normal(0, 0.1, 2)
    footprint = shapely.affinity.translate(ghost.footprint, *shift)
    return replace(
        ghost, footprint=footprint, area=area_of(footprint, bay), height_m=ghost.height_m + dice.normal(0, 0.1)
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
