"""Blocks of both sides through time: who is who, where they differ, and when they moved, came and went."""

import math
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import numpy as np

from legacy.areas import TrackedFloor
from legacy.comparison.floors import Floors, Pairs, matched
from legacy.comparison.kinds import Difference, Kind
from legacy.comparison.slots import LASTING, runs
from legacy.records import FloorBlock

_SIZE, _TALLER_M, _TURNED_DEG, _LONG = 0.15, 0.6, 15.0, 1.25
_RENAMED, _FEW_RENAMED = 0.9, 3
_NEAR_SLOTS = 2

Life = dict[datetime, FloorBlock]


@dataclass
class Sides:
    """Both sides' blocks by slot and by id, and the pairs of each slot.

    `old_partner` and `new_partner` are, by slot, the id of the block of the other side at its place.
    """

    slots: list[datetime]
    old: dict[str, Life]
    new: dict[str, Life]
    pairs: Pairs
    old_partner: dict[str, dict[datetime, str]] = field(default_factory=lambda: defaultdict(dict))
    new_partner: dict[str, dict[datetime, str]] = field(default_factory=lambda: defaultdict(dict))

    @classmethod
    def of(cls, old: Floors, new: Floors, gate_m: float, tracked: TrackedFloor) -> "Sides":
        """Match every slot that both sides have a floor of.

        A block on floor that tracking ignores counts where both sides have it, and is nobody's fault where one has.
        """
        slots = sorted(old.keys() & new.keys())
        pairs = {slot: matched(old[slot], new[slot], gate_m) for slot in slots}
        sides = cls(slots, _lives(old, pairs, 0, tracked), _lives(new, pairs, 1, tracked), pairs)
        for slot in slots:
            for theirs, ours in pairs[slot]:
                sides.old_partner[theirs.block_id][slot] = ours.block_id
                sides.new_partner[ours.block_id][slot] = theirs.block_id
        return sides


def attribute_differences(sides: Sides, offset_m: float) -> Iterator[Difference]:
    """Matched blocks whose place, shape, class or stage differ."""
    yield from _renamed(sides, "class_name", Kind.CLASS_RENAMED)
    yield from _renamed(sides, "stage", Kind.STAGE_RENAMED)
    classes, stages = _translation(sides, "class_name"), _translation(sides, "stage")
    for name, pairs in _of_pairs(sides).items():
        if len(pairs) < LASTING:
            continue
        slots = [slot for slot, _, _ in pairs]
        yield from _shape(name, slots, [(theirs, ours) for _, theirs, ours in pairs], 2 * offset_m)
        for kind, attribute, renamed in (
            (Kind.BLOCK_CLASS, "class_name", classes),
            (Kind.BLOCK_STAGE, "stage", stages),
        ):
            values = {slot: (getattr(theirs, attribute), getattr(ours, attribute)) for slot, theirs, ours in pairs}
            unlike = {slot for slot, pair in values.items() if _differ(*pair, renamed)}
            for run in runs(slots, unlike.__contains__):
                if len(run) >= LASTING:
                    theirs, ours = Counter(values[slot] for slot in run).most_common(1)[0][0]
                    yield Difference(kind, name, run[0], len(run), f"old {theirs}, new {ours}")


def life_differences(sides: Sides, move_m: float, gate_m: float) -> Iterator[Difference]:
    """Blocks that one side does not have, or has elsewhere: missed, moved, come, gone, mistaken."""
    moves = {name: moves_of(life, move_m) for name, life in (*sides.old.items(), *sides.new.items())}
    explained: dict[str, set[datetime]] = defaultdict(set)
    yield from _identities(sides)
    for name, life in sides.old.items():
        for run in _alone(life, sides.old_partner[name]):
            partner = _partner(sides.old_partner[name], run)
            other = sides.new.get(partner or "", {})
            there = [slot for slot in run if slot in other]
            if partner is not None and len(there) >= LASTING:
                explained[partner].update(there)
                yield _moved_apart(sides, name, partner, run, moves=moves, gate_m=gate_m)
            else:
                yield _lone(sides, name, life, sides.old_partner[name], run, is_old=True)
    for name, life in sides.new.items():
        for run in _alone(life, sides.new_partner[name].keys() | explained[name]):
            yield _lone(sides, name, life, sides.new_partner[name], run, is_old=False)


def moves_of(life: Life, move_m: float) -> list[tuple[datetime, FloorBlock]]:
    """Where a block moved to, and when: a place that the next slot confirms."""
    slots = sorted(life)
    found: list[tuple[datetime, FloorBlock]] = []
    if not slots:
        return found
    anchor = life[slots[0]]
    for number, slot in enumerate(slots[1:], 1):
        block = life[slot]
        following = life[slots[number + 1]] if number + 1 < len(slots) else block
        is_away = min(_distance(anchor, block), _distance(anchor, following)) >= move_m
        if is_away and _distance(block, following) < move_m:
            found.append((slot, block))
            anchor = block
    return found


def shared_moves(sides: Sides, move_m: float, gate_m: float) -> tuple[int, int]:
    """(moves that both sides have, moves in all)."""
    place = {slot: number for number, slot in enumerate(sides.slots)}
    ours = [(slot, block) for life in sides.new.values() for slot, block in moves_of(life, move_m)]
    theirs = [(slot, block) for life in sides.old.values() for slot, block in moves_of(life, move_m)]
    left, both = list(ours), 0
    for slot, block in theirs:
        same = [
            one
            for one in left
            if abs(place[one[0]] - place[slot]) <= _NEAR_SLOTS and _distance(one[1], block) <= gate_m
        ]
        if same:
            left.remove(min(same, key=lambda one: _distance(one[1], block)))
            both += 1
    return both, len(ours) + len(theirs) - both


# -- attributes -------------------------------------------------------------------------------------


def _shape(
    name: str, slots: Sequence[datetime], pairs: Sequence[tuple[FloorBlock, FloorBlock]], displaced_m: float
) -> Iterator[Difference]:
    values = np.array(
        [
            (
                _distance(a, b),
                max(_unlike(_long(a), _long(b)), _unlike(_short(a), _short(b))),
                a.height - b.height,
                _angle(a, b),
            )
            for a, b in pairs
        ]
    )
    distance, size, taller, turned = np.median(values, axis=0)
    height = float(np.median([max(a.height, b.height) for a, b in pairs]))
    first, count = slots[0], len(slots)
    if distance > displaced_m:
        yield Difference(Kind.BLOCK_DISPLACED, name, first, count, f"{distance:.1f} m apart")
    if size > _SIZE:
        yield Difference(Kind.BLOCK_SIZE, name, first, count, f"a side differs by {100 * size:.0f} %")
    if abs(taller) > _TALLER_M and abs(taller) > _SIZE * height:
        yield Difference(Kind.BLOCK_HEIGHT, name, first, count, f"the old one is {taller:+.1f} m taller")
    if turned > _TURNED_DEG:
        yield Difference(Kind.BLOCK_TURNED, name, first, count, f"{turned:.0f} degrees apart")


def _of_pairs(sides: Sides) -> dict[str, list[tuple[datetime, FloorBlock, FloorBlock]]]:
    """The pairs of each old block, in order."""
    found: dict[str, list[tuple[datetime, FloorBlock, FloorBlock]]] = defaultdict(list)
    for slot in sides.slots:
        for theirs, ours in sides.pairs[slot]:
            found[theirs.block_id].append((slot, theirs, ours))
    return found


def _translation(sides: Sides, attribute: str) -> dict[str, str]:
    """Old values that are nearly always another one of ours, of several blocks."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    blocks: dict[str, set[str]] = defaultdict(set)
    for pairs in sides.pairs.values():
        for theirs, ours in pairs:
            old, new = getattr(theirs, attribute), getattr(ours, attribute)
            if old is not None and new is not None:
                seen[old][new] += 1
                blocks[old].add(theirs.block_id)
    found = {}
    for old, counts in seen.items():
        new, count = counts.most_common(1)[0]
        if new != old and count >= _RENAMED * counts.total() and len(blocks[old]) >= _FEW_RENAMED:
            found[old] = new
    return found


def _renamed(sides: Sides, attribute: str, kind: Kind) -> Iterator[Difference]:
    table = "classes" if attribute == "class_name" else "stages"
    for old, new in _translation(sides, attribute).items():
        yield Difference(kind, old, None, len(sides.slots), f"it is our {new}: names.{table}")


def _differ(old: str | None, new: str | None, renamed: Mapping[str, str]) -> bool:
    return old is not None and new is not None and renamed.get(old, old) != new


# -- lives ------------------------------------------------------------------------------------------


def _lives(floors: Floors, pairs: Pairs, side: int, tracked: TrackedFloor) -> dict[str, Life]:
    lives: dict[str, Life] = defaultdict(dict)
    for slot, found in pairs.items():
        paired = {pair[side].block_id for pair in found}
        for block in floors[slot]:
            if block.block_id in paired or tracked.surely_holds(block):
                lives[block.block_id][slot] = block
    return dict(lives)


def _alone(life: Life, partnered: Container[datetime]) -> Iterator[list[datetime]]:
    """Runs of slots in which a block has none of the other side at its place."""
    for run in runs(sorted(life), lambda slot: slot not in partnered):
        if len(run) >= LASTING:
            yield run


def _partner(partner: Mapping[datetime, str], run: Sequence[datetime]) -> str | None:
    """Who stood at a block's place before a run, or else after it."""
    before = [slot for slot in partner if slot < run[0]]
    if before:
        return partner[max(before)]
    after = [slot for slot in partner if slot > run[-1]]
    return partner[min(after)] if after else None


def _moved_apart(
    sides: Sides,
    theirs: str,
    ours: str,
    run: Sequence[datetime],
    *,
    moves: Mapping[str, Sequence[tuple[datetime, FloorBlock]]],
    gate_m: float,
) -> Difference:
    """Both blocks are there, and not at one place."""
    place = {slot: number for number, slot in enumerate(sides.slots)}

    def moved_near(name: str, slot: datetime) -> bool:
        return any(abs(place[when] - place[slot]) <= 1 for when, _ in moves[name])

    met_again = [
        slot for slot in sides.old_partner[theirs] if slot > run[-1] and sides.old_partner[theirs][slot] == ours
    ]
    old_moved, new_moved = moved_near(theirs, run[0]), moved_near(ours, run[0])
    follows = bool(met_again) and place[min(met_again)] - place[run[-1]] <= _NEAR_SLOTS
    if old_moved and new_moved:
        kind, text = Kind.MOVE_ELSEWHERE, "both moved, to different places"
    elif old_moved or new_moved:
        late = "new" if old_moved else "old"
        if follows and moved_near(ours if old_moved else theirs, min(met_again)):
            kind, text = Kind.MOVE_TIME, f"the {late} side has the move {len(run)} slots later"
        elif old_moved:
            kind, text = Kind.MOVE_MISSED, "the old side has a move, the new one has none"
        else:
            kind, text = Kind.MOVE_EXTRA, "the new side has a move, the old one has none"
    else:
        kind, text = Kind.BLOCK_DISPLACED, f"more than {gate_m:g} m apart"
    return Difference(kind, theirs, run[0], len(run), text)


def _lone(
    sides: Sides, name: str, life: Life, partner: Mapping[datetime, str], run: Sequence[datetime], *, is_old: bool
) -> Difference:
    """A block that the other side does not have in a run of slots."""
    side, other = ("old", "new") if is_old else ("new", "old")
    begins, ends = run[0] == min(life), run[-1] == max(life)
    later = any(slot > run[-1] for slot in partner)
    earlier = any(slot < run[0] for slot in partner)
    if begins and later and run[0] != sides.slots[0]:
        text = f"the {side} side has it {len(run)} slots earlier than the {other} one"
        return Difference(Kind.ARRIVAL_TIME, name, run[0], len(run), text)
    if ends and earlier and run[-1] != sides.slots[-1]:
        text = f"the {side} side has it {len(run)} slots longer than the {other} one"
        return Difference(Kind.EXIT_TIME, name, run[0], len(run), text)
    kind = Kind.BLOCK_MISSED if is_old else Kind.BLOCK_EXTRA
    return Difference(kind, name, run[0], len(run), f"only the {side} side has it")


def _identities(sides: Sides) -> Iterator[Difference]:
    """Blocks that stand at the place of one block of the other side, and then at that of another one."""
    for mine, lives, words in (
        (sides.old_partner, sides.old, "one block of the old side is two of the new one"),
        (sides.new_partner, sides.new, "one block of the new side is two of the old one"),
    ):
        for name in lives:
            for (former, before), (latter, after) in pairwise(_stretches(mine[name])):
                lasts = min(len(before), len(after)) >= LASTING
                if lasts and (mine is sides.old_partner or not _told(sides, name, after[0])):
                    yield Difference(Kind.IDENTITY, name, after[0], len(after), f"{words}: {former}, then {latter}")


def _told(sides: Sides, ours: str, slot: datetime) -> bool:
    """Whether the switch of a new block is one of an old block too."""
    theirs = sides.new_partner[ours][slot]
    before = [one for one in sides.old_partner[theirs] if one < slot]
    return bool(before) and sides.old_partner[theirs][max(before)] != ours


def _stretches(partner: Mapping[datetime, str]) -> list[tuple[str, list[datetime]]]:
    found: list[tuple[str, list[datetime]]] = []
    for slot in sorted(partner):
        if found and found[-1][0] == partner[slot]:
            found[-1][1].append(slot)
        else:
            found.append((partner[slot], [slot]))
    return found


def _distance(one: FloorBlock, other: FloorBlock) -> float:
    return math.hypot(one.x - other.x, one.y - other.y)


def _long(block: FloorBlock) -> float:
    return max(block.length, block.width)


def _short(block: FloorBlock) -> float:
    return min(block.length, block.width)


def _unlike(one: float, other: float) -> float:
    return abs(one - other) / max(one, other)


def _angle(one: FloorBlock, other: FloorBlock) -> float:
    """Between both long sides, degrees; 0 for blocks that are nearly square, of which none is the long one."""
    if min(_long(one) / _short(one), _long(other) / _short(other)) < _LONG:
        return 0.0
    turned = (_long_yaw(one) - _long_yaw(other)) % 180
    return min(turned, 180 - turned)


def _long_yaw(block: FloorBlock) -> float:
    return block.yaw if block.length >= block.width else block.yaw + 90
