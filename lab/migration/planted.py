"""Days as two systems see them, alike but for what each gets wrong by itself, and differences planted in them.

Both sides look at the same simulated yard: each with its own ids, its own errors of centimetres and pixels,
and one block in a hundred missed by chance. What is planted is known, so that what a comparison says can be counted:
named, or false.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from bay_observation.errors import SimulationError
from bays import BayConfig
from bays.camera_model import CameraModel
from lab.evaluation.tracking_yard import Pace, YardDays, yard_days
from lab.simulation.objects import SimulatedBlock
from legacy.areas import TrackedFloor
from legacy.comparison import Kind, SeenFrame, SeenSlot
from legacy.records import FloorBlock

_TAKEN = timedelta(seconds=12)
OLD_DONE, NEW_DONE = timedelta(seconds=95), timedelta(seconds=140)
_MISSED = 0.01
_CENTRE_M, _SIDE, _HEIGHT_M, _YAW_DEG, _PIXELS = 0.08, 0.02, 0.08, 1.0, 3.0
_LEAST_PX = 40.0
_CONFIDENCE = 0.9

Day = list[SeenSlot]


@dataclass(frozen=True)
class World:
    """What both sides saw of a bay.

    Attributes:
        bay: which.
        old, new: what each side has of each slot.
        yard: what was there.
        still: blocks, by the yard's names, that stand all day, never change, and have one id on each side: `ours`.
    """

    bay: BayConfig
    old: Day
    new: Day
    yard: YardDays
    still: Mapping[str, str]

    @property
    def slots(self) -> list[datetime]:
        """In order."""
        return [seen.slot for seen in self.old]


@dataclass(frozen=True)
class Planted:
    """A difference as it was planted: its kind, and what it is of; empty for the whole bay."""

    kind: Kind
    subject: str
    old: Day
    new: Day


def world(bay: BayConfig, seed: int, slots: Sequence[datetime], population: int = 22) -> World:
    """A day: same arguments, same day."""
    pace = Pace(hourly={"appeared": 0.4, "moved": 0.5, "stage_changed": 0.4, "exited": 0.4}, daily={})
    yard = yard_days(bay, seed, slots, pace, population)
    dice = np.random.default_rng([seed, 19])
    old = side(bay, yard, slots, dice, prefix="O", done=OLD_DONE)
    new = side(bay, yard, slots, dice, prefix="n", done=NEW_DONE)
    return World(bay, old, new, yard, {name: f"n{name}" for name in standing_still(yard, slots)})


def plant(kind: Kind, seen: World, seed: int) -> Planted:
    """One difference of a kind.

    Raises:
        SimulationError: the day has no place for it.
    """
    subject, old, new = _PLANTS[kind](seen, np.random.default_rng([seed, 23]))
    return Planted(kind, subject, old, new)


def without(seen: World, subjects: Container[str]) -> World:
    """The same days; in these blocks nothing is planted."""
    still = {name: ours for name, ours in seen.still.items() if f"O{name}" not in subjects and ours not in subjects}
    return replace(seen, still=still)


def planted_kinds() -> tuple[Kind, ...]:
    """The kinds that can be planted."""
    return tuple(_PLANTS)


# -- two sides of one yard --------------------------------------------------------------------------


def side(
    bay: BayConfig,
    yard: YardDays,
    slots: Sequence[datetime],
    dice: np.random.Generator,
    *,
    prefix: str,
    done: timedelta,
) -> Day:
    """What a side has that sees everything a little wrong: `prefix` begins its ids, `done` is when it is ready."""
    models = {camera.name: CameraModel.of(camera) for camera in bay.fusion_cameras}
    boxes: dict[tuple[object, ...], dict[str, tuple[float, float, float, float]]] = {}
    seen: Day = []
    for slot in slots:
        blocks = yard.blocks[slot]
        found = [block for block in blocks if dice.random() >= _MISSED]
        floor = tuple(_measured(block, dice, prefix) for block in found if block.area is not None)
        frames: dict[str, list[tuple[str, tuple[float, float, float, float]]]] = {name: [] for name in models}
        for block in blocks:
            key = (block.block_id, block.center, block.yaw_deg)
            if key not in boxes:
                boxes[key] = {name: box for name, model in models.items() if (box := _box(model, block)) is not None}
            for name, box in boxes[key].items():
                shaken = np.array(box) + dice.normal(0, _PIXELS, 4)
                frames[name].append((block.class_name, tuple(shaken.tolist())))
        pictures = {name: SeenFrame(slot + _TAKEN, tuple(objects)) for name, objects in frames.items()}
        seen.append(SeenSlot(slot, pictures, floor, slot + done))
    return seen


def _measured(block: SimulatedBlock, dice: np.random.Generator, prefix: str) -> FloorBlock:
    shift, sides = dice.normal(0, _CENTRE_M, 2), dice.normal(1, _SIDE, 2)
    return FloorBlock(
        f"{prefix}{block.block_id}",
        block.class_name,
        block.stage,
        _CONFIDENCE,
        block.center[0] + float(shift[0]),
        block.center[1] + float(shift[1]),
        block.width_m * float(sides[0]),
        block.depth_m * float(sides[1]),
        block.yaw_deg + float(dice.normal(0, _YAW_DEG)),
        max(0.1, block.height_m + float(dice.normal(0, _HEIGHT_M))),
    )


def _box(model: CameraModel, block: SimulatedBlock) -> tuple[float, float, float, float] | None:
    """The box of a block in a frame, pixels; None where little of it is in the frame."""
    corners = np.vstack([np.column_stack([block.ring, np.full(4, z)]) for z in (0.0, block.height_m)])
    pixels, in_front = model.project(corners)
    if not in_front.all() or not np.isfinite(pixels).all():
        return None
    width, height = model.size
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    left, top = np.clip(low, 0, (width, height))
    right, bottom = np.clip(high, 0, (width, height))
    if right - left < _LEAST_PX or bottom - top < _LEAST_PX:
        return None
    return float(left), float(top), float(right), float(bottom)


def standing_still(yard: YardDays, slots: Sequence[datetime]) -> tuple[str, ...]:
    """Blocks in an area that stand all day and never change."""
    first = {block.block_id: block for block in yard.blocks[slots[0]] if block.area is not None}
    for slot in slots[1:]:
        here = {block.block_id: block for block in yard.blocks[slot]}
        first = {
            name: block
            for name, block in first.items()
            if name in here and here[name].center == block.center and here[name].stage == block.stage
        }
    return tuple(sorted(first))


# -- what is planted --------------------------------------------------------------------------------

_Made = tuple[str, Day, Day]


def _one(seen: World, dice: np.random.Generator, *, long: bool = False) -> str:
    """A block that stands all day; with `long` one whose direction can be told."""
    names = list(seen.still)
    if long:
        shapes = {block.block_id: block for block in seen.yard.blocks[seen.slots[0]]}
        names = [one for one in names if _ratio(shapes[one]) > 1.5]
    if not names:
        raise SimulationError("no block stands all day: give another seed")
    return str(dice.choice(names))


def _ratio(block: SimulatedBlock) -> float:
    return max(block.width_m, block.depth_m) / min(block.width_m, block.depth_m)


def _with_blocks(day: Day, change: Callable[[int, FloorBlock], FloorBlock | None]) -> Day:
    """A day with other blocks; None takes one away."""
    return [
        replace(seen, blocks=tuple(kept for block in seen.blocks or () if (kept := change(number, block)) is not None))
        for number, seen in enumerate(day)
    ]


def _with_frames(day: Day, change: Callable[[int, str, SeenFrame], SeenFrame | None]) -> Day:
    return [
        replace(
            seen,
            frames={
                name: kept
                for name, frame in (seen.frames or {}).items()
                if (kept := change(number, name, frame)) is not None
            },
        )
        for number, seen in enumerate(day)
    ]


def _only(
    name: str, change: Callable[[FloorBlock], FloorBlock | None], first: int = 0, last: int = 10_000
) -> Callable[[int, FloorBlock], FloorBlock | None]:
    return lambda number, block: change(block) if block.block_id == name and first <= number < last else block


def _changed_in_new(
    change: Callable[[FloorBlock], FloorBlock], *, long: bool = False
) -> Callable[[World, np.random.Generator], _Made]:
    def make(seen: World, dice: np.random.Generator) -> _Made:
        name = _one(seen, dice, long=long)
        return f"O{name}", seen.old, _with_blocks(seen.new, _only(seen.still[name], change))

    return make


def _all_old(change: Callable[[FloorBlock], FloorBlock]) -> Callable[[World, np.random.Generator], _Made]:
    return lambda seen, _: ("", _with_blocks(seen.old, lambda _, block: change(block)), seen.new)


def _camera(seen: World, dice: np.random.Generator) -> str:
    return str(dice.choice(sorted(seen.old[0].frames or {})))


def _middle(seen: World) -> tuple[int, int]:
    count = len(seen.old)
    return count // 3, 2 * count // 3


def _free_places(seen: World, apart_m: float = 0.0) -> tuple[tuple[float, float], tuple[float, float]]:
    """Two places so far apart along the bay, on floor that tracking looks at and where no side has anything all day."""
    taken = np.array([(block.x, block.y) for one in (*seen.old, *seen.new) for block in one.blocks or ()])
    layout, tracked = seen.bay.layout, TrackedFloor(seen.bay)
    any_block = next(block for one in seen.old for block in one.blocks or ())

    def is_tracked(x: float, y: float) -> bool:
        return tracked.surely_holds(replace(any_block, x=x, y=y))

    def nearest(x: float, y: float) -> float:
        return float(np.hypot(*(taken - (x, y)).T).min())

    pairs = [
        ((float(x), float(y)), (float(x) + apart_m, float(y)))
        for x in np.arange(8, layout.width - 8 - apart_m, 2.0)
        for y in np.arange(5, layout.height - 5, 2.0)
    ]
    return max(
        (pair for pair in pairs if all(is_tracked(*place) for place in pair)),
        key=lambda pair: min(nearest(*place) for place in pair),
    )


def _slot_missing(seen: World, dice: np.random.Generator) -> _Made:
    number = int(dice.integers(5, len(seen.new) - 5))
    return "", seen.old, [*seen.new[:number], *seen.new[number + 2 :]]


def _slot_extra(seen: World, dice: np.random.Generator) -> _Made:
    number = int(dice.integers(5, len(seen.old) - 5))
    return "", [*seen.old[:number], *seen.old[number + 1 :]], seen.new


def _slot_doubled(seen: World, dice: np.random.Generator) -> _Made:
    number = int(dice.integers(5, len(seen.old) - 5))
    return "", [*seen.old[: number + 1], *seen.old[number:]], seen.new


def _slots_shifted(seen: World, _: np.random.Generator) -> _Made:
    return "", [replace(one, slot=one.slot + timedelta(hours=9)) for one in seen.old], seen.new


def _frame_missing(seen: World, dice: np.random.Generator) -> _Made:
    name, (first, last) = _camera(seen, dice), _middle(seen)
    gone = lambda number, camera, frame: None if camera == name and first <= number < last else frame  # noqa: E731
    return name, seen.old, _with_frames(seen.new, gone)


def _frame_extra(seen: World, dice: np.random.Generator) -> _Made:
    name, old, new = _frame_missing(replace(seen, old=seen.new, new=seen.old), dice)
    return name, new, old


def _frame_time(seen: World, dice: np.random.Generator) -> _Made:
    name = _camera(seen, dice)

    def late(_: int, camera: str, frame: SeenFrame) -> SeenFrame:
        if camera != name or frame.captured_at is None:
            return frame
        return replace(frame, captured_at=frame.captured_at + timedelta(minutes=4))

    return name, seen.old, _with_frames(seen.new, late)


def _frame_repeated(seen: World, dice: np.random.Generator) -> _Made:
    name, (first, last) = _camera(seen, dice), _middle(seen)
    frozen = (seen.new[first].frames or {})[name].captured_at

    def again(number: int, camera: str, frame: SeenFrame) -> SeenFrame:
        return replace(frame, captured_at=frozen) if camera == name and first <= number < last else frame

    return name, seen.old, _with_frames(seen.new, again)


def _cameras_swapped(seen: World, dice: np.random.Generator) -> _Made:
    one, other = sorted(dice.choice(sorted(seen.old[0].frames or {}), 2, replace=False).tolist())
    names = {one: other, other: one}
    old = [replace(day, frames={names.get(n, n): f for n, f in (day.frames or {}).items()}) for day in seen.old]
    return f"{one}, {other}", old, seen.new


def _boxes_off(seen: World, _: np.random.Generator) -> _Made:
    def halved(_: int, __: str, frame: SeenFrame) -> SeenFrame:
        objects = tuple((c, (b[0] / 2, b[1] / 2, b[2] / 2, b[3] / 2)) for c, b in frame.objects)
        return replace(frame, objects=objects)

    return "all cameras", _with_frames(seen.old, halved), seen.new


def _scaled(block: FloorBlock) -> FloorBlock:
    sides = {name: getattr(block, name) * 1000 for name in ("x", "y", "length", "width", "height")}
    return replace(block, **sides)


def _floor_mirrored(seen: World, _: np.random.Generator) -> _Made:
    height = seen.bay.layout.height
    return "", _with_blocks(seen.old, lambda _, b: replace(b, y=height - b.y, yaw=-b.yaw)), seen.new


def _renamed(attribute: str) -> Callable[[World, np.random.Generator], _Made]:
    def make(seen: World, dice: np.random.Generator) -> _Made:
        blocks: dict[str, set[str]] = {}
        for one in seen.old:
            for block in one.blocks or ():
                blocks.setdefault(getattr(block, attribute), set()).add(block.block_id)
        chosen = str(dice.choice(sorted(value for value, names in blocks.items() if len(names) >= 4)))
        theirs = f"old {chosen}"

        def rename(_: int, block: FloorBlock) -> FloorBlock:
            if getattr(block, attribute) != chosen:
                return block
            return replace(block, class_name=theirs) if attribute == "class_name" else replace(block, stage=theirs)

        return theirs, _with_blocks(seen.old, rename), seen.new

    return make


def _block_missed(seen: World, dice: np.random.Generator) -> _Made:
    name = _one(seen, dice)
    return f"O{name}", seen.old, _with_blocks(seen.new, _only(seen.still[name], lambda _: None))


def _block_extra(seen: World, dice: np.random.Generator) -> _Made:
    name = _one(seen, dice)
    return seen.still[name], _with_blocks(seen.old, _only(f"O{name}", lambda _: None)), seen.new


def _block_stage(seen: World, dice: np.random.Generator) -> _Made:
    name, (first, last) = _one(seen, dice), _middle(seen)
    stages = sorted({block.stage for one in seen.new for block in one.blocks or () if block.stage})

    def other(block: FloorBlock) -> FloorBlock:
        return replace(block, stage=next(stage for stage in stages if stage != block.stage))

    return f"O{name}", seen.old, _with_blocks(seen.new, _only(seen.still[name], other, first, last))


def _identity(seen: World, dice: np.random.Generator) -> _Made:
    name, (first, _) = _one(seen, dice), _middle(seen)
    renamed = _only(seen.still[name], lambda block: replace(block, block_id=f"{block.block_id}bis"), first)
    return f"O{name}", seen.old, _with_blocks(seen.new, renamed)


def _moved(day: Day, name: str, place: tuple[float, float], first: int) -> Day:
    return _with_blocks(day, _only(name, lambda block: replace(block, x=place[0], y=place[1]), first))


def _move_missed(seen: World, dice: np.random.Generator) -> _Made:
    name, (first, _) = _one(seen, dice), _middle(seen)
    return f"O{name}", _moved(seen.old, f"O{name}", _free_places(seen)[0], first), seen.new


def _move_extra(seen: World, dice: np.random.Generator) -> _Made:
    name, (first, _) = _one(seen, dice), _middle(seen)
    return f"O{name}", seen.old, _moved(seen.new, seen.still[name], _free_places(seen)[0], first)


def _move_time(seen: World, dice: np.random.Generator) -> _Made:
    name, (first, _) = _one(seen, dice), _middle(seen)
    place = _free_places(seen)[0]
    return f"O{name}", _moved(seen.old, f"O{name}", place, first), _moved(seen.new, seen.still[name], place, first + 5)


def _move_elsewhere(seen: World, dice: np.random.Generator) -> _Made:
    name, (first, _) = _one(seen, dice), _middle(seen)
    place, far = _free_places(seen, 5.0)
    return f"O{name}", _moved(seen.old, f"O{name}", place, first), _moved(seen.new, seen.still[name], far, first)


def _arrival(seen: World, dice: np.random.Generator) -> _Made:
    name, (first, _) = _one(seen, dice), _middle(seen)
    old = _with_blocks(seen.old, _only(f"O{name}", lambda _: None, 0, first))
    return f"O{name}", old, _with_blocks(seen.new, _only(seen.still[name], lambda _: None, 0, first + 5))


def _exit(seen: World, dice: np.random.Generator) -> _Made:
    name, (first, _) = _one(seen, dice), _middle(seen)
    old = _with_blocks(seen.old, _only(f"O{name}", lambda _: None, first + 5))
    return f"O{name}", old, _with_blocks(seen.new, _only(seen.still[name], lambda _: None, first))


def _late(seen: World, _: np.random.Generator) -> _Made:
    return "", seen.old, [replace(one, done_at=one.slot + timedelta(minutes=14)) for one in seen.new]


def _other_class(block: FloorBlock) -> FloorBlock:
    return replace(block, class_name="panel" if block.class_name != "panel" else "block")


_PLANTS: dict[Kind, Callable[[World, np.random.Generator], _Made]] = {
    Kind.SLOT_MISSING: _slot_missing,
    Kind.SLOT_EXTRA: _slot_extra,
    Kind.SLOT_DOUBLED: _slot_doubled,
    Kind.SLOTS_SHIFTED: _slots_shifted,
    Kind.FRAME_MISSING: _frame_missing,
    Kind.FRAME_EXTRA: _frame_extra,
    Kind.FRAME_TIME: _frame_time,
    Kind.FRAME_REPEATED: _frame_repeated,
    Kind.CAMERAS_SWAPPED: _cameras_swapped,
    Kind.BOXES_OFF: _boxes_off,
    Kind.FLOOR_SHIFTED: _all_old(lambda block: replace(block, x=block.x + 1.8, y=block.y - 0.6)),
    Kind.FLOOR_MIRRORED: _floor_mirrored,
    Kind.FLOOR_SCALED: _all_old(_scaled),
    Kind.CLASS_RENAMED: _renamed("class_name"),
    Kind.STAGE_RENAMED: _renamed("stage"),
    Kind.BLOCK_MISSED: _block_missed,
    Kind.BLOCK_EXTRA: _block_extra,
    Kind.BLOCK_DISPLACED: _changed_in_new(lambda block: replace(block, x=block.x + 1.6)),
    Kind.BLOCK_SIZE: _changed_in_new(lambda block: replace(block, length=block.length * 0.7)),
    Kind.BLOCK_HEIGHT: _changed_in_new(lambda block: replace(block, height=block.height + 2.5)),
    Kind.BLOCK_TURNED: _changed_in_new(lambda block: replace(block, yaw=block.yaw + 40), long=True),
    Kind.BLOCK_CLASS: _changed_in_new(_other_class),
    Kind.BLOCK_STAGE: _block_stage,
    Kind.IDENTITY: _identity,
    Kind.MOVE_MISSED: _move_missed,
    Kind.MOVE_EXTRA: _move_extra,
    Kind.MOVE_TIME: _move_time,
    Kind.MOVE_ELSEWHERE: _move_elsewhere,
    Kind.ARRIVAL_TIME: _arrival,
    Kind.EXIT_TIME: _exit,
    Kind.LATE: _late,
}
