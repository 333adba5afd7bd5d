"""Which of the differences that a comparison names are really there, by what stood in the yard.

Between an old side that is nearly right and a tracker that errs, differences are the tracker's errors. Each kind is
looked up in the truth: who lay on the block by outline, when it stood, moved and changed. A difference that the
truth does not bear out is a false one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from lab.evaluation.overlap import iou_matrix, pair_up
from lab.evaluation.tracking_yard import YardDays
from lab.evaluation.tracks import MATCH_IOU
from lab.migration.planted import Day, World
from lab.simulation.objects import SimulatedBlock
from legacy.areas import footprint
from legacy.comparison import Difference, Kind
from legacy.records import FloorBlock

_MOSTLY = 2 / 3  # of the slots of a difference
_NEAR = 3  # slots around its begin in which a block moved, or changed its track
# Least that truth and tracker are apart; the old side, which the comparison looks at, is itself a little off.
_DISPLACED_M, _SIZE, _HEIGHT_M, _TURNED_DEG = 0.8, 0.12, 0.4, 12.0


def owners_of(yard: YardDays, day: Day) -> dict[datetime, dict[str, str]]:
    """By slot, which block of the yard each block of a side lies on, by outline."""
    found = {}
    for one in day:
        truth, blocks = yard.blocks[one.slot], one.blocks or ()
        iou = iou_matrix([block.footprint for block in truth], [footprint(block) for block in blocks])
        found[one.slot] = {blocks[column].block_id: truth[row].block_id for row, column in pair_up(iou, MATCH_IOU)}
    return found


@dataclass(frozen=True)
class _Slot:
    """A slot of a difference: the blocks of the yard, the new side's, and who of these lies on whom."""

    truth: dict[str, SimulatedBlock]
    tracks: dict[str, FloorBlock]
    owners: dict[str, str]

    def track_on(self, name: str) -> FloorBlock | None:
        return next((self.tracks[track] for track, block in self.owners.items() if block == name), None)


class BorneOut:
    """Judges the differences of one world.

    Args:
        seen: whose old side is the truth but for small errors, with the yard's names behind an "O".
    """

    def __init__(self, seen: World) -> None:
        owners = owners_of(seen.yard, seen.new)
        self._move_m = seen.bay.tracking.move_m
        self._slots = {
            one.slot: _Slot(
                {block.block_id: block for block in seen.yard.blocks[one.slot]},
                {block.block_id: block for block in one.blocks or ()},
                owners[one.slot],
            )
            for one in seen.new
        }
        self._order = sorted(self._slots)

    def holds(self, difference: Difference) -> bool:
        """Whether the difference is there."""
        judge = _JUDGES.get(difference.kind)
        if judge is None or difference.since is None:
            return False
        begin = self._order.index(difference.since)
        return judge(self, difference.subject, begin, self._order[begin : begin + difference.slots])

    # -- of one block --------------------------------------------------------------------------------

    def _mostly(self, slots: list[datetime], holds: Callable[[_Slot], bool]) -> bool:
        return sum(holds(self._slots[slot]) for slot in slots) >= _MOSTLY * len(slots)

    def _missed(self, subject: str, _: int, slots: list[datetime]) -> bool:
        name = subject[1:]
        return self._mostly(slots, lambda one: name in one.truth and one.track_on(name) is None)

    def _extra(self, subject: str, _: int, slots: list[datetime]) -> bool:
        return self._mostly(slots, lambda one: subject in one.tracks and subject not in one.owners)

    def _alone(self, subject: str, begin: int, slots: list[datetime]) -> bool:
        """An arrival or an exit: one side has the block, the other not yet or no longer."""
        judge = self._missed if subject.startswith("O") else self._extra
        return judge(subject, begin, slots)

    def _unlike(self, attribute: str) -> Callable[[str, int, list[datetime]], bool]:
        def judge(subject: str, begin: int, slots: list[datetime]) -> bool:
            name = subject[1:]
            # Slots in which the new side does not have the block do not count: so many in which it does.
            having = [slot for slot in self._order[begin:] if self._slots[slot].track_on(name) is not None]

            def differs(one: _Slot) -> bool:
                return bool(getattr(one.track_on(name), attribute) != getattr(one.truth[name], attribute))

            return self._mostly(having[: len(slots)], differs)

        return judge

    def _stage(self, subject: str, begin: int, slots: list[datetime]) -> bool:
        return self._unlike("stage")(subject, begin, slots)

    def _class(self, subject: str, begin: int, slots: list[datetime]) -> bool:
        return self._unlike("class_name")(subject, begin, slots)

    def _shape(self, subject: str, _: int, slots: list[datetime]) -> bool:
        """Place, size, height or direction: the median of what truth and track are apart."""
        name = subject[1:]
        pairs = [(one.truth[name], one.track_on(name)) for slot in slots if name in (one := self._slots[slot]).truth]
        apart = [_apart(truth, track) for truth, track in pairs if track is not None]
        if len(apart) < _MOSTLY * len(slots):
            return self._missed(subject, 0, slots)  # so far off that the outlines do not meet
        return bool((np.median(apart, axis=0) > (_DISPLACED_M, _SIZE, _HEIGHT_M, _TURNED_DEG)).any())

    def _identity(self, subject: str, begin: int, slots: list[datetime]) -> bool:
        """The track on a block, or the block under a track, is another one than before."""

        def partners(of: list[datetime]) -> set[str]:
            pairs = [pair for slot in of for pair in self._slots[slot].owners.items()]
            if subject.startswith("O"):
                return {track for track, block in pairs if block == subject[1:]}
            return {block for track, block in pairs if track == subject}

        before, after = partners(self._order[:begin]), partners(slots)
        return bool(before and after and before != after)

    def _moved(self, subject: str, begin: int, slots: list[datetime]) -> bool:
        """A block of the yard, or the track that was on it, moved about then, and they do not meet."""
        name = subject[1:]
        around = self._order[max(0, begin - _NEAR) : begin + _NEAR]
        places = [self._slots[slot].truth[name].center for slot in around if name in self._slots[slot].truth]
        tracks = {t for slot in around for t, b in self._slots[slot].owners.items() if b == name}
        ways = [places] + [
            [(here.x, here.y) for slot in around if (here := self._slots[slot].tracks.get(track)) is not None]
            for track in tracks
        ]
        moved = any(way and float(np.hypot(*np.ptp(np.array(way), axis=0))) >= self._move_m for way in ways)
        return moved and self._missed(subject, begin, slots)


_JUDGES: dict[Kind, Callable[[BorneOut, str, int, list[datetime]], bool]] = {
    Kind.BLOCK_MISSED: BorneOut._missed,
    Kind.BLOCK_EXTRA: BorneOut._extra,
    Kind.BLOCK_DISPLACED: BorneOut._shape,
    Kind.BLOCK_SIZE: BorneOut._shape,
    Kind.BLOCK_HEIGHT: BorneOut._shape,
    Kind.BLOCK_TURNED: BorneOut._shape,
    Kind.BLOCK_CLASS: BorneOut._class,
    Kind.BLOCK_STAGE: BorneOut._stage,
    Kind.IDENTITY: BorneOut._identity,
    Kind.MOVE_MISSED: BorneOut._moved,
    Kind.MOVE_EXTRA: BorneOut._moved,
    Kind.MOVE_TIME: BorneOut._moved,
    Kind.MOVE_ELSEWHERE: BorneOut._moved,
    Kind.ARRIVAL_TIME: BorneOut._alone,
    Kind.EXIT_TIME: BorneOut._alone,
}


def _apart(truth: SimulatedBlock, track: FloorBlock) -> tuple[float, float, float, float]:
    sides = sorted((truth.width_m, truth.depth_m)), sorted((track.length, track.width))
    size = max(abs(a - b) / max(a, b) for a, b in zip(*sides, strict=True))
    long = truth.yaw_deg if truth.width_m >= truth.depth_m else truth.yaw_deg + 90
    turned = (long - (track.yaw if track.length >= track.width else track.yaw + 90)) % 180
    return (
        float(np.hypot(truth.center[0] - track.x, truth.center[1] - track.y)),
        size,
        abs(truth.height_m - track.height),
        min(turned, 180 - turned),
    )
