"""Floors of both sides: which block is which, and whether both use one frame of reference."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bays import BayConfig
from legacy.comparison.kinds import Difference, Kind
from legacy.records import FloorBlock

Floor = tuple[FloorBlock, ...]
Floors = Mapping[datetime, Floor]
Pairs = dict[datetime, list[tuple[FloorBlock, FloorBlock]]]

_AGREE, _DO_NOT = 0.7, 0.5  # shares of the blocks that are matched
_SCALES = {"mm": 1000.0, "cm": 100.0, "ft": 1 / 0.3048, "m where ours are mm": 0.001, "m where ours are cm": 0.01}
_VOTE_M = 1.0
_LEAST_BLOCKS = 4
_SAMPLES = 40


@dataclass(frozen=True)
class Aligned:
    """The old floors in our frame of reference, and what had to be turned for that."""

    floors: Floors
    differences: list[Difference]


def matched(old: Floor, new: Floor, gate_m: float) -> list[tuple[FloorBlock, FloorBlock]]:
    """Blocks of both sides at one place: the assignment of least distance, none beyond the gate."""
    if not old or not new:
        return []
    distance = np.hypot(*(_centres(old)[:, None, :] - _centres(new)[None, :, :]).transpose(2, 0, 1))
    # Beyond the gate all are alike, so that one far pair does not pull near ones apart.
    rows, columns = linear_sum_assignment(np.minimum(distance, 2 * gate_m))
    return [
        (old[row], new[column]) for row, column in zip(rows, columns, strict=True) if distance[row, column] <= gate_m
    ]


def aligned(old: Floors, new: Floors, bay: BayConfig, gate_m: float, offset_m: float) -> Aligned:
    """The old floors, turned into our frame of reference where another one explains them better."""
    common = sorted(old.keys() & new.keys())
    sample = common[:: max(1, len(common) // _SAMPLES)]
    if not sample or sum(len(old[slot]) for slot in sample) < _LEAST_BLOCKS:
        return Aligned(old, [])
    found: list[Difference] = []
    if _agreement(old, new, sample, gate_m) < _DO_NOT:
        for kind, text, turn in _turns(old, new, bay, sample):
            turned = {slot: tuple(map(turn, floor)) for slot, floor in old.items()}
            if _agreement(turned, new, sample, gate_m) > _AGREE:
                old, found = turned, [Difference(kind, "", None, len(common), text)]
                break
    shift = _common_shift(old, new, common, gate_m)
    if shift is not None and math.hypot(*shift) > offset_m:
        text = (
            f"the old floor lies {shift[0]:+.2f} m along and {shift[1]:+.2f} m across from ours: bays, floor, origin_m"
        )
        moved = {slot: tuple(_shifted(-shift)(block) for block in floor) for slot, floor in old.items()}
        if not any(one.kind is Kind.FLOOR_SHIFTED for one in found):
            found.append(Difference(Kind.FLOOR_SHIFTED, "", None, len(common), text))
        old = moved
    return Aligned(old, found)


def _turns(
    old: Floors, new: Floors, bay: BayConfig, sample: Sequence[datetime]
) -> list[tuple[Kind, str, Callable[[FloorBlock], FloorBlock]]]:
    width, height = bay.layout.width, bay.layout.height
    turns: list[tuple[Kind, str, Callable[[FloorBlock], FloorBlock]]] = [
        (
            Kind.FLOOR_MIRRORED,
            "the old floor counts x from the other end: bays, floor, along: -x",
            _mirrored(width, None),
        ),
        (
            Kind.FLOOR_MIRRORED,
            "the old floor counts y from the other side: bays, floor, across: -y",
            _mirrored(None, height),
        ),
        (
            Kind.FLOOR_MIRRORED,
            "the old floor is turned by 180 degrees: bays, floor, along: -x, across: -y",
            _mirrored(width, height),
        ),
        (Kind.FLOOR_MIRRORED, "the old floor has x and y exchanged: bays, floor, along: +y, across: +x", _exchanged),
    ]
    turns += [
        (Kind.FLOOR_SCALED, f"the old floor is in {unit}: units.length", _scaled(1 / factor))
        for unit, factor in _SCALES.items()
    ]
    vote = _voted_shift(old, new, sample)
    if vote is not None:
        text = f"the old floor lies {vote[0]:+.1f} m along and {vote[1]:+.1f} m across from ours: bays, floor, origin_m"
        turns.append((Kind.FLOOR_SHIFTED, text, _shifted(-vote)))
    return turns


def _agreement(old: Floors, new: Floors, slots: Sequence[datetime], gate_m: float) -> float:
    pairs = sum(len(matched(old[slot], new[slot], gate_m)) for slot in slots)
    blocks = sum(len(old[slot]) + len(new[slot]) for slot in slots)
    return 2 * pairs / blocks if blocks else 1.0


def _common_shift(old: Floors, new: Floors, slots: Sequence[datetime], gate_m: float) -> NDArray[np.float64] | None:
    """The median displacement of matched blocks, where most blocks share it; None where they do not."""
    by_block: dict[str, list[tuple[float, float]]] = {}
    for slot in slots:
        for ours, theirs in matched(old[slot], new[slot], gate_m):
            by_block.setdefault(ours.block_id, []).append((ours.x - theirs.x, ours.y - theirs.y))
    if len(by_block) < _LEAST_BLOCKS:
        return None
    medians = np.array([np.median(np.array(one), axis=0) for one in by_block.values()])
    shift = np.median(medians, axis=0)
    near = np.hypot(*(medians - shift).T) <= max(0.3, 0.3 * float(np.hypot(*shift)))
    return shift if near.mean() > _AGREE else None


def _voted_shift(old: Floors, new: Floors, slots: Sequence[datetime]) -> NDArray[np.float64] | None:
    votes: dict[tuple[int, int], list[NDArray[np.float64]]] = {}
    for slot in slots[:10]:
        if old[slot] and new[slot]:
            for difference in (_centres(old[slot])[:, None, :] - _centres(new[slot])[None, :, :]).reshape(-1, 2):
                votes.setdefault((round(difference[0] / _VOTE_M), round(difference[1] / _VOTE_M)), []).append(
                    difference
                )
    if not votes:
        return None
    best = max(votes, key=lambda key: len(votes[key]))
    around = [one for a in (-1, 0, 1) for b in (-1, 0, 1) for one in votes.get((best[0] + a, best[1] + b), ())]
    return np.asarray(np.median(np.array(around), axis=0))


def _mirrored(width: float | None, height: float | None) -> Callable[[FloorBlock], FloorBlock]:
    turned_back = (width is None) != (height is None)

    def turn(block: FloorBlock) -> FloorBlock:
        x = block.x if width is None else width - block.x
        y = block.y if height is None else height - block.y
        return replace(block, x=x, y=y, yaw=-block.yaw if turned_back else block.yaw)

    return turn


def _exchanged(block: FloorBlock) -> FloorBlock:
    return replace(block, x=block.y, y=block.x, yaw=90 - block.yaw)


def _scaled(factor: float) -> Callable[[FloorBlock], FloorBlock]:
    return lambda block: replace(
        block,
        x=block.x * factor,
        y=block.y * factor,
        length=block.length * factor,
        width=block.width * factor,
        height=block.height * factor,
    )


def _shifted(by: NDArray[np.float64]) -> Callable[[FloorBlock], FloorBlock]:
    return lambda block: replace(block, x=block.x + float(by[0]), y=block.y + float(by[1]))


def _centres(floor: Floor) -> NDArray[np.float64]:
    return np.array([(block.x, block.y) for block in floor]).reshape(-1, 2)
