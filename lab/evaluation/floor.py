"""How right one floor plan is: fused blocks against the blocks that really stand there."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import shapely
from shapely import Polygon

from fusion.types import FusedBlock
from lab.evaluation.overlap import iou_matrix, pair_up
from lab.evaluation.truth import TruthBlock

FIGURES = (
    "truth_count",
    "fused_count",
    "precision",
    "recall",
    "mean_iou",
    "centre_error_m",
    "within_one_std",
    "sizes_within_one_std",
    "yaw_error_deg",
    "height_error_m",
    "class_accuracy",
    "area_accuracy",
    "stage_accuracy",
    "work_accuracy",
    "idle_called_worked",
    "work_unknown",
)
_NEARLY_SQUARE = 1.15  # long side over short side, below which a quarter turn cannot be told
_LEAST_STD_M = 1e-6  # where a block comes with no uncertainty
_ON_IGNORED = 0.3  # share of a fused footprint on a block that need not be found, from which it stands for it


@dataclass(frozen=True)
class FloorMatch:
    """A fused block and the true one that it overlaps.

    Attributes:
        block_id: of the true block.
        index: of the fused block among the slot's.
        iou: of the two footprints.
        centre_error_m: distance of their centres, metres.
        offset_std: (x, y) of the fused centre from the true one, in its own standard deviations.
        size_std: longer side, shorter side and height from the true ones, in their own standard deviations.
        yaw_error_deg: 0 to 90; a quarter turn of a nearly square footprint is none.
        height_error_m: without sign, metres.
        class_right, area_right, stage_right: whether the fused block says so.
        worked_on: whether equipment stands on it.
        working: what the fused block says of that; None where it does not know.
    """

    block_id: str
    index: int
    iou: float
    centre_error_m: float
    offset_std: tuple[float, float]
    size_std: tuple[float, float, float]
    yaw_error_deg: float
    height_error_m: float
    class_right: bool
    area_right: bool
    stage_right: bool
    worked_on: bool
    working: bool | None


@dataclass(frozen=True)
class FloorScore:
    """Matches of one floor plan, or of many: scores add up with `+`.

    Shares are NaN where there is nothing to take a share of.
    """

    truth_count: int
    fused_count: int
    matches: tuple[FloorMatch, ...]

    @property
    def precision(self) -> float:
        """Share of the fused blocks that are true."""
        return _share(len(self.matches), self.fused_count)

    @property
    def recall(self) -> float:
        """Share of the true blocks that were found."""
        return _share(len(self.matches), self.truth_count)

    @property
    def mean_iou(self) -> float:
        """Of the matches."""
        return _share(sum(match.iou for match in self.matches), len(self.matches))

    @property
    def centre_error_m(self) -> float:
        """Median over the matches, metres."""
        return _median(match.centre_error_m for match in self.matches)

    @property
    def within_one_std(self) -> float:
        """Share of the centres' errors, x and y apart, within the `position_std_m` that fusion gave; 0.68 is honest."""
        inside = [abs(offset) <= 1 for match in self.matches for offset in match.offset_std]
        return _share(sum(inside), len(inside))

    @property
    def sizes_within_one_std(self) -> float:
        """The same share of the errors of both sides and of the height."""
        inside = [abs(off) <= 1 for match in self.matches for off in match.size_std]
        return _share(sum(inside), len(inside))

    @property
    def yaw_error_deg(self) -> float:
        """Median over the matches, degrees."""
        return _median(match.yaw_error_deg for match in self.matches)

    @property
    def height_error_m(self) -> float:
        """Median over the matches, metres."""
        return _median(match.height_error_m for match in self.matches)

    @property
    def class_accuracy(self) -> float:
        """Share of the matches with the right class."""
        return _share(sum(match.class_right for match in self.matches), len(self.matches))

    @property
    def area_accuracy(self) -> float:
        """Share of the matches in the right area."""
        return _share(sum(match.area_right for match in self.matches), len(self.matches))

    @property
    def stage_accuracy(self) -> float:
        """Share of the matches with the right stage."""
        return _share(sum(match.stage_right for match in self.matches), len(self.matches))

    @property
    def work_accuracy(self) -> float:
        """Share of the matches said to be worked on or idle of which that is right."""
        said = [match for match in self.matches if match.working is not None]
        return _share(sum(match.working == match.worked_on for match in said), len(said))

    @property
    def idle_called_worked(self) -> float:
        """Share of the matched idle blocks that are said to be worked on."""
        idle = [match for match in self.matches if not match.worked_on]
        return _share(sum(bool(match.working) for match in idle), len(idle))

    @property
    def work_unknown(self) -> float:
        """Share of the matches of which it is not known whether they are worked on."""
        return _share(sum(match.working is None for match in self.matches), len(self.matches))

    def __add__(self, other: Self) -> "FloorScore":
        return FloorScore(
            self.truth_count + other.truth_count, self.fused_count + other.fused_count, self.matches + other.matches
        )

    def figures(self) -> dict[str, float]:
        """Everything by name; metres, degrees, shares of 1."""
        return {name: float(getattr(self, name)) for name in FIGURES}

    def rows(self) -> list[tuple[str, str]]:
        """Lines of a table: what, and how much with its unit."""
        return [
            ("true blocks", str(self.truth_count)),
            ("fused blocks", str(self.fused_count)),
            ("precision", percent(self.precision)),
            ("recall", percent(self.recall)),
            ("mean IoU", number(self.mean_iou, 3)),
            ("centre error, median", number(self.centre_error_m, 2, " m")),
            ("centre errors within 1 std", percent(self.within_one_std)),
            ("sizes within 1 std", percent(self.sizes_within_one_std)),
            ("yaw error, median", number(self.yaw_error_deg, 1, "°")),
            ("height error, median", number(self.height_error_m, 2, " m")),
            ("class accuracy", percent(self.class_accuracy)),
            ("area accuracy", percent(self.area_accuracy)),
            ("stage accuracy", percent(self.stage_accuracy)),
            ("work present or absent, right", percent(self.work_accuracy)),
            ("idle blocks called worked on", percent(self.idle_called_worked)),
            ("work unknown", percent(self.work_unknown)),
        ]


NOTHING = FloorScore(0, 0, ())


def score_floor(
    blocks: Sequence[FusedBlock],
    truth: Sequence[TruthBlock],
    min_iou: float = 0.5,
    ignored: Sequence[TruthBlock] = (),
) -> FloorScore:
    """Compare the floor plan of one slot with the truth of that slot.

    Args:
        blocks: of fusion.
        truth: the blocks that really stand there.
        min_iou: of two footprints that count as the same block.
        ignored: further blocks that really stand there and need not be found: a fused block
            that stands for one of them is neither right nor wrong.
    """
    iou = iou_matrix([block.footprint for block in truth], [block.footprint for block in blocks])
    matches = tuple(
        _compare(truth[row], blocks[column], column, float(iou[row, column])) for row, column in pair_up(iou, min_iou)
    )
    matched = {match.index for match in matches}
    excused = [
        index
        for index, block in enumerate(blocks)
        if index not in matched and any(_stands_for(block.footprint, one.footprint) for one in ignored)
    ]
    return FloorScore(len(truth), len(blocks) - len(excused), matches)


def _stands_for(found: Polygon, ignored: Polygon) -> bool:
    """Whether a footprint lies on a block whose own may have been cut short by the frame."""
    return bool(found.intersection(ignored).area > _ON_IGNORED * found.area)


def percent(share: float) -> str:
    """`97.5 %`, or a dash where there is nothing to take a share of."""
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"


def number(value: float, decimals: int, unit: str = "") -> str:
    """`0.12 m`, or a dash."""
    return "–" if math.isnan(value) else f"{value:.{decimals}f}{unit}"


def _compare(true: TruthBlock, fused: FusedBlock, index: int, iou: float) -> FloorMatch:
    fused_centre, true_centre = fused.footprint.centroid, true.footprint.centroid
    std = [max(one, _LEAST_STD_M) for one in fused.position_std_xy_m or (fused.position_std_m,) * 2]
    return FloorMatch(
        block_id=true.block_id,
        index=index,
        iou=iou,
        centre_error_m=float(true_centre.distance(fused_centre)),
        offset_std=((fused_centre.x - true_centre.x) / std[0], (fused_centre.y - true_centre.y) / std[1]),
        size_std=_sizes_off(true, fused),
        yaw_error_deg=_yaw_error(true.footprint, fused.footprint),
        height_error_m=abs(float(fused.height_m) - true.height_m),
        class_right=fused.class_name == true.class_name,
        area_right=fused.area == true.area,
        stage_right=fused.stage == true.stage,
        worked_on=bool(true.work),
        working=fused.working,
    )


def _sizes_off(true: TruthBlock, fused: FusedBlock) -> tuple[float, float, float]:
    (long, short), (true_long, true_short) = _sides(fused.footprint), _sides(true.footprint)
    std = [max(one, _LEAST_STD_M) for one in (*fused.sides_std_m, fused.height_std_m)]
    return (long - true_long) / std[0], (short - true_short) / std[1], (fused.height_m - true.height_m) / std[2]


def _sides(footprint: Polygon) -> tuple[float, float]:
    """Longer and shorter side of the smallest enclosing rectangle, metres."""
    corners = shapely.get_coordinates(shapely.oriented_envelope(footprint))[:3]
    lengths = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    return float(lengths.max()), float(lengths.min())


def _yaw_error(true: Polygon, fused: Polygon) -> float:
    (true_yaw, true_ratio), (fused_yaw, fused_ratio) = _long_side(true), _long_side(fused)
    period = 90.0 if min(true_ratio, fused_ratio) < _NEARLY_SQUARE else 180.0
    difference = abs(true_yaw - fused_yaw) % period
    return min(difference, period - difference)


def _long_side(footprint: Polygon) -> tuple[float, float]:
    """Direction of the long side in degrees, and long over short side, of the smallest enclosing rectangle."""
    corners = shapely.get_coordinates(shapely.oriented_envelope(footprint))[:3]
    sides = np.diff(corners, axis=0)
    lengths = np.linalg.norm(sides, axis=1)
    along = sides[int(np.argmax(lengths))]
    return math.degrees(math.atan2(along[1], along[0])), float(lengths.max() / max(lengths.min(), 1e-9))


def _share(part: float, whole: int) -> float:
    return part / whole if whole else math.nan


def _median(values: Iterable[float]) -> float:
    collected = list(values)
    return float(np.median(collected)) if collected else math.nan
