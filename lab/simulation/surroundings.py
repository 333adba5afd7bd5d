"""What stands around the blocks at one moment: jigs, equipment, cranes, people, light.

Each is a function of the seed, the moment and the blocks alone. Positions are
drawn once per period (`_bin`), so that things stand still between.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon, STRtree

from bays import BayConfig
from lab.simulation.history import WORKING_HOURS
from lab.simulation.objects import (
    EQUIPMENT_CLASSES,
    JIG_KINDS,
    Crane,
    Equipment,
    Jig,
    Light,
    Person,
    SimulatedBlock,
    rectangle,
)

EQUIPMENT_STAYS = timedelta(minutes=30)  # at a block, at the least

_LARGEST_RIM_M = 0.9
_EMPTY_JIGS = 16
_LOOSE_EQUIPMENT = 14
_PEOPLE = 7
_BARE_FLOOR_SHARE = 0.2  # of the blocks that stand on no jig that could be seen

# class -> (width, depth, height), metres
_EQUIPMENT_SIZE = {
    "grinder": (1.3, 0.9, 0.8),
    "welder": (1.5, 1.1, 1.4),
    "step_board": (2.6, 1.2, 1.7),
    "pipe": (4.6, 0.9, 0.55),
}


def jigs_at(bay: BayConfig, seed: int, blocks: Sequence[SimulatedBlock]) -> tuple[Jig, ...]:
    """Jigs under the blocks, their rim showing, and empty ones where the floor is free."""
    tree = STRtree([block.footprint for block in blocks])
    jigs: list[Jig] = []
    for index, block in enumerate(blocks):
        rng = np.random.default_rng([seed, 2, block.number])
        kind = JIG_KINDS[int(rng.integers(len(JIG_KINDS)))]
        bare, wanted = rng.random() < _BARE_FLOOR_SHARE, rng.uniform(0.45, _LARGEST_RIM_M)
        if bare:
            continue
        rim = min(wanted, (_gap(tree, blocks, index) - 0.04) / 2)
        jigs.append(
            Jig(
                f"J{block.number:04d}",
                kind,
                block.center,
                block.yaw_deg,
                block.width_m + 2 * rim,
                block.depth_m + 2 * rim,
                block.block_id,
            )
        )
    taken = [block.footprint.buffer(_LARGEST_RIM_M + 0.2) for block in blocks]
    rng = np.random.default_rng([seed, 3])
    for number in range(_EMPTY_JIGS * 3):
        kind = JIG_KINDS[int(rng.integers(len(JIG_KINDS)))]
        size = (float(rng.uniform(4.5, 10.0)), float(rng.uniform(3.5, 7.0)))
        yaw = float(rng.normal(0, 1.5) + 90 * (rng.random() < 0.3))
        center = _spot(rng, bay, 5.0)
        outline = Polygon(rectangle(center, yaw, *size))
        if len(jigs) < len(blocks) + _EMPTY_JIGS and not any(outline.intersects(place) for place in taken):
            taken.append(outline.buffer(0.3))
            jigs.append(Jig(f"E{number:04d}", f"{kind}_empty", center, yaw, *size))
    return tuple(jigs)


def equipment_at(bay: BayConfig, seed: int, time: datetime, blocks: Sequence[SimulatedBlock]) -> tuple[Equipment, ...]:
    """Equipment on the decks of blocks that are worked on, and some on the floor."""
    found: list[Equipment] = []
    spell = _bin(time, EQUIPMENT_STAYS // timedelta(minutes=1))
    for block in blocks:
        rng = np.random.default_rng([seed, 4, block.number, spell])
        taken: list[Polygon] = []
        for index in range(int(rng.choice(4, p=(0.35, 0.30, 0.22, 0.13)))):
            name, yaw = _draw_equipment(rng)
            width, depth, height = _EQUIPMENT_SIZE[name]
            shift = rng.uniform(-0.5, 0.5, 2) * (np.array([block.width_m, block.depth_m]) - 2.4)
            axes = np.diff(block.ring[[0, 1, 2]], axis=0) / np.array([[block.width_m], [block.depth_m]])
            x, y = np.array(block.center) + shift @ axes
            item = Equipment(
                f"W{block.number:04d}-{spell}-{index}",
                name,
                (round(float(x), 3), round(float(y), 3)),
                block.yaw_deg + yaw,
                width,
                depth,
                height,
                block.height_m,
                block.block_id,
            )
            outline = Polygon(item.ring)
            if block.footprint.contains(outline) and not any(outline.intersects(place) for place in taken):
                taken.append(outline.buffer(0.1))
                found.append(item)
    rng = np.random.default_rng([seed, 5, _bin(time, 120)])
    taken = [block.footprint.buffer(0.25) for block in blocks]
    for index in range(_LOOSE_EQUIPMENT):
        name, yaw = _draw_equipment(rng)
        width, depth, height = _EQUIPMENT_SIZE[name]
        item = Equipment(f"L{_bin(time, 120)}-{index}", name, _spot(rng, bay, 1.5), yaw, width, depth, height)
        outline = Polygon(item.ring)
        if not any(outline.intersects(place) for place in taken):
            taken.append(outline.buffer(0.2))
            found.append(item)
    return tuple(found)


def people_at(
    bay: BayConfig, seed: int, time: datetime, blocks: Sequence[SimulatedBlock], equipment: Sequence[Equipment]
) -> tuple[Person, ...]:
    """A few people on the floor, fewer at night."""
    rng = np.random.default_rng([seed, 6, _bin(time, 1)])
    working = time.astimezone(bay.zone).hour in WORKING_HOURS
    taken = [block.footprint.buffer(0.5) for block in blocks]
    taken += [Polygon(item.ring).buffer(0.5) for item in equipment if item.block_id is None]
    people: list[Person] = []
    for _ in range(_PEOPLE if working else 1):
        person = Person(
            _spot(rng, bay, 1.0), float(rng.uniform(0, 180)), float(rng.uniform(1.6, 1.85)), int(rng.integers(3))
        )
        outline = Polygon(person.ring)
        if not any(outline.intersects(place) for place in taken):
            taken.append(outline.buffer(0.3))
            people.append(person)
    return tuple(people)


def cranes_at(bay: BayConfig, seed: int, time: datetime) -> tuple[Crane, ...]:
    """The hall's cranes: they stand for some minutes of every ten and travel for the rest."""
    length, width = bay.layout.width, bay.layout.height
    hung = [camera.pose.z for camera in bay.cameras if camera.pose is not None]
    base = max(10.0, 0.62 * min(hung, default=25.0))
    count = 2 if length >= 80 else 1
    cranes = []
    for index in range(count):
        stretch = (index * length / count + 4.0, (index + 1) * length / count - 4.0)
        slot, share = divmod(time.timestamp() / 600, 1.0)
        now, then = (
            _crane_target(bay, seed, index, int(slot) + step, stretch, at_end=index == count - 1) for step in (0, 1)
        )
        travel = float(np.clip((share - 0.4) / 0.5, 0.0, 1.0))
        x, hook_y = now + (then - now) * travel
        cranes.append(
            Crane(
                f"crane-{index + 1}", round(float(x), 3), round(float(hook_y), 3), (0.3, width - 0.3), base, base - 3.2
            )
        )
    return tuple(cranes)


def light_at(bay: BayConfig, seed: int, time: datetime) -> Light:
    """Light by the bay's local time of day: daylight under passing clouds, lamps when it is low."""
    local = time.astimezone(bay.zone)
    hour = local.hour + local.minute / 60 + local.second / 3600
    day = max(0.0, math.sin(math.pi * (hour - 5.0) / 15.0)) if 5.0 < hour < 20.0 else 0.0
    slot, share = divmod(time.timestamp() / 1200, 1.0)
    clear = [float(np.random.default_rng([seed, 8, int(slot) + step]).uniform(0.25, 1.0)) for step in (0, 1)]
    sky = day * (clear[0] + (clear[1] - clear[0]) * share)
    lamps = float(np.clip(1.25 - 1.6 * day, 0.25, 1.0))
    azimuth = math.pi * (hour - 6.0) / 12.0
    # The light falls through the roof: never flatter than the skylights let it in.
    slope = 1.05 + 0.4 * (1 - day) if day > 0 else 0.0
    sun = np.array([math.cos(azimuth) * slope * sky, (math.sin(azimuth) - 0.5) * slope * sky, sky])
    lamp = np.array([0.06, -0.05, 1.0]) * lamps * 0.5
    direction = (sun + lamp) / np.linalg.norm(sun + lamp)
    return Light(
        ambient=0.34 + 0.14 * sky + 0.06 * lamps,
        sun=0.62 * sky + 0.26 * lamps,
        direction=(float(direction[0]), float(direction[1]), float(direction[2])),
        lamps=lamps,
        warmth=float(lamps - 0.9 * day),
    )


def _gap(tree: STRtree, blocks: Sequence[SimulatedBlock], index: int) -> float:
    """Metres to the nearest other block, no more than twice the widest rim."""
    outline = blocks[index].footprint
    near = [int(i) for i in tree.query(outline.buffer(2 * _LARGEST_RIM_M + 0.1)) if int(i) != index]
    return min((float(outline.distance(blocks[i].footprint)) for i in near), default=2 * _LARGEST_RIM_M + 0.1)


def _crane_target(
    bay: BayConfig, seed: int, index: int, slot: int, stretch: tuple[float, float], *, at_end: bool
) -> NDArray[np.float64]:
    rng = np.random.default_rng([seed, 7, index, slot])
    idle = rng.random() < 0.4
    spot, across = rng.random(2)
    working = datetime.fromtimestamp(slot * 600, UTC).astimezone(bay.zone).hour in WORKING_HOURS
    if idle or not working:  # parked at its end of the hall
        spot = 1.0 if at_end else 0.0
    return np.array([stretch[0] + spot * (stretch[1] - stretch[0]), bay.layout.height * (0.2 + 0.6 * across)])


def _draw_equipment(rng: np.random.Generator) -> tuple[str, float]:
    return EQUIPMENT_CLASSES[int(rng.integers(len(EQUIPMENT_CLASSES)))], float(rng.uniform(0, 180))


def _spot(rng: np.random.Generator, bay: BayConfig, margin: float) -> tuple[float, float]:
    x, y = rng.random(2) * (np.array([bay.layout.width, bay.layout.height]) - 2 * margin) + margin
    return round(float(x), 3), round(float(y), 3)


def _bin(time: datetime, minutes: int) -> int:
    return int(time.timestamp() // (60 * minutes))
