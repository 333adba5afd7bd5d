"""What truly stands in the yard, for evaluation and training; the pipeline never sees it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from shapely import Polygon

from bays import BayConfig
from bays.camera_model import CameraModel
from lab.simulation.history import EventKind
from lab.simulation.labels import label_object
from lab.simulation.objects import YardState
from lab.simulation.scene import Scene, build_scene, draw
from lab.simulation.surroundings import EQUIPMENT_STAYS
from lab.simulation.yard import Yard, YardEvent

_EDGE_POINTS = 9


@dataclass(frozen=True, eq=False)
class BlockTruth:
    """One block as it truly stands.

    `footprint` in floor metres, `height_m` of its top above the floor; `work` is the
    equipment on it, counted by class.
    """

    block_id: str
    class_name: str
    footprint: Polygon
    height_m: float
    area: str | None
    stage: str
    work: Mapping[str, int]


def truth_at(yard: Yard, time: datetime) -> list[BlockTruth]:
    """All blocks of the yard at that moment, by id.

    Raises:
        SimulationError: the time is naive or lies before the yard's start.
    """
    state = yard.at(time)
    work: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    for item in state.equipment:
        work[item.block_id][item.class_name] += 1
    return [
        BlockTruth(
            block.block_id,
            block.class_name,
            block.footprint,
            block.height_m,
            block.area,
            block.stage,
            dict(work[block.block_id]),
        )
        for block in sorted(state.blocks, key=lambda block: block.block_id)
    ]


def work_events(yard: Yard, since: datetime, until: datetime) -> list[YardEvent]:
    """Where equipment came to a block that had none, or the last of it went, after `since`, up to `until`.

    Raises:
        SimulationError: a time is naive or lies before the yard's start.
    """
    events = []
    shift = since - timedelta(seconds=since.timestamp() % EQUIPMENT_STAYS.total_seconds()) + EQUIPMENT_STAYS
    while shift <= until:
        before = {block.block_id: block for block in truth_at(yard, shift - timedelta(seconds=1))}
        for block in truth_at(yard, shift):
            if block.block_id in before and bool(block.work) != bool(before[block.block_id].work):
                kind: EventKind = "work_started" if block.work else "work_stopped"
                events.append(YardEvent(kind, block.block_id, shift, block.area, block.area, block.stage, block.stage))
        shift += EQUIPMENT_STAYS
    return events


def seen_whole_by(
    bay: BayConfig, state: YardState, block_id: str, cameras: Iterable[str], max_occluded: float = 0.1
) -> list[str]:
    """Those of the cameras that see the block whole.

    Whole is: entirely inside the frame, and at most `max_occluded` of its
    silhouette hidden by others. To ask for many blocks, use `whole_views`.

    Raises:
        KeyError: no such block in the yard, or no such camera in the bay.
    """
    state.block(block_id)
    views = whole_views(bay, state, cameras, max_occluded, only={block_id})
    return [name for name, seen in views.items() if block_id in seen]


def whole_views(
    bay: BayConfig,
    state: YardState,
    cameras: Iterable[str],
    max_occluded: float = 0.1,
    only: Iterable[str] | None = None,
) -> dict[str, set[str]]:
    """For each camera the ids of the blocks that it sees whole (see `seen_whole_by`).

    `only` restricts the blocks that are looked at.
    """
    wanted = {block.block_id for block in state.blocks} if only is None else set(only)
    scene = build_scene(state)
    views: dict[str, set[str]] = {}
    for name in cameras:
        model = CameraModel.of(bay.camera(name))
        candidates = {block_id for block_id in wanted if _inside(scene, model, block_id)}
        views[name] = set()
        if not candidates:
            continue
        drawing = draw(scene, model)
        for block_id in candidates:
            label = label_object(scene, drawing, model, scene.object(block_id))
            if label is not None and label.occluded_fraction <= max_occluded:
                views[name].add(block_id)
    return views


def _inside(scene: Scene, model: CameraModel, block_id: str) -> bool:
    """Whether all edges of the block, bent by the lens, stay inside the frame."""
    solid = scene.solids[scene.object(block_id).first]
    share = np.linspace(0, 1, _EDGE_POINTS)[:, None]
    ring = solid.ring
    outline = np.concatenate([a + (b - a) * share for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True)])
    for z in (solid.z0, solid.z1):
        pixels, valid = model.project(np.column_stack([outline, np.full(len(outline), z)]))
        if not (valid.all() and model.inside(pixels).all()):
            return False
    return True
