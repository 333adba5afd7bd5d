"""What fusion yields: blocks on the floor plan, and the floor that no camera saw."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from bays import slot_of

UNKNOWN_WORK = "unknown"  # in `FusedBlock.work`, beside the classes of equipment


@dataclass(frozen=True, eq=False)
class FusedBlock:
    """One block, panel or HP block as all cameras together saw it.

    Attributes:
        class_name: by the cameras' weighted vote.
        footprint: outline on the floor, metres, floor frame.
        height_m: top above the floor, metres.
        area: name of the area it stands in; None outside of every area.
        stage: assembly stage by weighted vote; None when no camera gave one.
        confidence: 0 to 1.
        cameras: names of the cameras that saw it.
        work: equipment on its deck, counted by class; {} for none. `UNKNOWN_WORK` counts pieces that may
            stand on it or elsewhere, and is 1 where the deck is hidden and nothing else is seen on it.
        position_std_m: standard deviation of the footprint's centre along x and y (root of the mean variance),
            metres: some 68 % of the errors lie within it.
        missed_by: working cameras that must have seen it and did not.
        stage_confidence: share of the vote that the stage got, 0 to 1.
        descriptors: its paint as each camera sees it, by the camera's name, (12,) float16 each
            (`inference.descriptors`); None where the observation has none.
        position_std_xy_m: the same as `position_std_m` for each axis: a block that frames cut is uncertain
            along one; None in results of before they were given.
        height_std_m: standard deviation of the height, metres.
        sides_std_m: of the longer and of the shorter side of the smallest enclosing rectangle, metres.
    """

    class_name: str
    footprint: Polygon
    height_m: float
    area: str | None
    stage: str | None
    confidence: float
    cameras: tuple[str, ...]
    work: Mapping[str, int] = field(default_factory=dict)
    position_std_m: float = 0.0
    missed_by: tuple[str, ...] = ()
    stage_confidence: float = 0.0
    descriptors: Mapping[str, NDArray[np.float16]] | None = None
    position_std_xy_m: tuple[float, float] | None = None
    height_std_m: float = 0.0
    sides_std_m: tuple[float, float] = (0.0, 0.0)

    @property
    def working(self) -> bool | None:
        """Whether equipment stands on it; None where that is not known."""
        if any(name != UNKNOWN_WORK for name in self.work):
            return True
        return None if self.work else False


@dataclass(frozen=True, eq=False, repr=False)
class FusionResult:
    """The floor plan of one slot.

    `unseen` is the floor (metres) that no working camera could see in this batch:
    outside of every view, or hidden. It proves nothing about what stands there.

    `missing_cameras` took no part: no frame, or among `out_of_pose`, which hang
    otherwise than the bay's file says (`bay-observation camera check-poses` says by how much).

    `captured_at` is when the frames that took part were taken (aware, the median); None without any, and in
    results of before it was given. The slot names the batch and is not when anything was seen.

    `pose_disagreement_deg` is by how much the cameras' silhouettes usually lie beside the blocks that they agree
    on, as an angle: large where many poses are wrong, though none stands out. None without any block, and in
    results of before it was given.
    """

    batch_id: str
    bay_id: str
    blocks: tuple[FusedBlock, ...]
    unseen: MultiPolygon
    cameras: tuple[str, ...] = ()
    missing_cameras: tuple[str, ...] = ()
    out_of_pose: tuple[str, ...] = ()
    captured_at: datetime | None = None
    pose_disagreement_deg: float | None = None

    def __repr__(self) -> str:
        return f"<FusionResult {self.batch_id}, {len(self.blocks)} blocks, {len(self.cameras)} cameras>"

    @property
    def slot(self) -> datetime:
        """The slot that the batch belongs to (aware, UTC)."""
        return slot_of(self.batch_id)
