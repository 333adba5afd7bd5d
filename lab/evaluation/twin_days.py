"""Short days of twins, from rendered frames: what the paint of blocks is worth to the tracker.

Blocks of one class are made equal in size but for some centimetres, in pairs. Each pair either changes places
between two slots, or one of it is replaced by a new block of its size; half of the time exactly where the other
stood. Frames of every slot go through the shipped models and fusion, and the tracker follows the floor plans once
with descriptors and once without.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artifacts.format import from_bytes, to_bytes
from bay_observation.files import write_atomically
from bays import BayConfig, TrackerParameters, batch_id
from capture_async.types import CaptureBatch, CapturedImage
from fusion import fuse
from fusion.types import FusionResult
from inference.types import Observation
from lab.evaluation.overlap import iou_matrix, pair_up
from lab.evaluation.tracks import MATCH_IOU
from lab.simulation.objects import BLOCK_CLASSES, STAGES, SimulatedBlock
from tracking import EventKind, Tracker, TrackingResult
from tracking.forms import sightings_of
from tracking.looks import Looks, looks_at, unlikeness

if TYPE_CHECKING:
    from inference.service import InferenceService
    from lab.simulation.objects import YardState
    from lab.simulation.rendering import Renderer

SLOTS = 14
FRAMES = Path("training_output/twin_days")  # observations are kept here: rendering and inference take minutes a day
_FIRST_CHANGE, _CHANGES = 4, 6  # slots in which twins change
_HOURS = (9, 14)  # bay-local, at which days begin, in turn
_SLOT = timedelta(minutes=10)
_SIZE_M = 0.05  # by which a side of a twin may differ
_JPEG_QUALITY = 90
_TWO_PAINTS = 5.0  # CIELAB units: two views of one standing block differ as much once in a hundred times
_CERTAIN = 0.9  # probability from which on an identity is claimed
_SWAP, _REPLACEMENT = "swap", "replacement"


@dataclass(frozen=True)
class Change:
    """Twins that change in a slot: `blocks` are at each other's place, or the second is where the first was."""

    kind: str
    slot: datetime
    blocks: tuple[str, str]


@dataclass(frozen=True, eq=False)
class TwinDay:
    """What fusion made of a day's frames, what stood there by slot, and which twins changed."""

    results: tuple[FusionResult, ...]
    truth: tuple[tuple[SimulatedBlock, ...], ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Answer:
    """What the tracker made of one block after a change of twins.

    Attributes:
        kind: of the change.
        verdict: `told apart`, `ambiguous` (its identity is said to be less than 0.9 likely), `wrong`, or `lost` where
            no track is on it or none was before.
        looks_different: whether the twins are at two stages, or the cameras that saw both at that place read colours
            of more than `_TWO_PAINTS`: of others nothing that is measured can tell.
    """

    kind: str
    verdict: str
    looks_different: bool


def twin_day(bay: BayConfig, seed: int, frames: Path = FRAMES) -> TwinDay:
    """The day of a seed; its observations are taken from `frames` where they lie there already."""
    states, changes = _states(bay, seed)
    watch = _Watch(bay, frames / str(seed))
    results = tuple(fuse(watch.observation(state), bay) for state in states)
    return TwinDay(results, tuple(state.blocks for state in states), changes)


def answers(bay: BayConfig, day: TwinDay, *, with_looks: bool) -> list[Answer]:
    """The tracker's answers about every twin that changed, from the day's last slot."""
    history, state = [], None
    for result in day.results:
        history.append(Tracker(bay, state).update(result if with_looks else _without_looks(result)))
        state = history[-1].state
    slots = [result.slot for result in day.results]
    return [answer for change in day.changes for answer in _answers(change, history, day, slots.index(change.slot))]


def shares(given: Sequence[Answer]) -> dict[str, float]:
    """Share of each verdict, and how many answers there are."""
    verdicts = [one.verdict for one in given]
    names = ("told apart", "ambiguous", "wrong", "lost")
    return {name: verdicts.count(name) / max(len(verdicts), 1) for name in names} | {"answers": len(verdicts)}


# -- the yard --------------------------------------------------------------------------------


def _states(bay: BayConfig, seed: int) -> "tuple[list[YardState], tuple[Change, ...]]":
    """A yard whose blocks stand, but for the twins that change; light, people and cranes go on."""
    from lab.simulation.yard import Yard

    dice = np.random.default_rng([seed, 44])
    local = datetime(2025, 7, 3, tzinfo=bay.zone) + timedelta(hours=_HOURS[seed % len(_HOURS)])
    yard = Yard(bay, seed=seed, blocks=24, start=local - timedelta(hours=12))
    blocks, pairs = _twins(yard.at(local).blocks, dice)
    states, changes = [], []
    for number in range(SLOTS):
        state = yard.at(local + number * _SLOT)
        for index, pair in enumerate(pairs):
            if number == _FIRST_CHANGE + index % _CHANGES:
                kind = (_SWAP, _REPLACEMENT)[(index + seed) % 2]
                blocks, names = _swapped(blocks, pair, dice) if kind == _SWAP else _replaced(blocks, pair[0], dice)
                changes.append(Change(kind, state.time, names))
        states.append(replace(state, blocks=tuple(blocks.values())))
    return states, tuple(changes)


def _twins(
    blocks: Sequence[SimulatedBlock], dice: np.random.Generator
) -> tuple[dict[str, SimulatedBlock], list[tuple[str, str]]]:
    made, pairs = {block.block_id: block for block in blocks}, []
    for class_name in BLOCK_CLASSES:
        free = [block for block in blocks if block.class_name == class_name]
        for one, other in zip(free[::2], free[1::2], strict=False):
            size = {name: min(getattr(one, name), getattr(other, name)) for name in ("width_m", "depth_m", "height_m")}
            for block in (one, other):
                about = {name: value - float(dice.uniform(0, _SIZE_M)) for name, value in size.items()}
                made[block.block_id] = replace(block, **about)
            pairs.append((one.block_id, other.block_id))
    return made, pairs


def _swapped(
    blocks: dict[str, SimulatedBlock], pair: tuple[str, str], dice: np.random.Generator
) -> tuple[dict[str, SimulatedBlock], tuple[str, str]]:
    one, other = (blocks[name] for name in pair)
    placed = {one.block_id: _at(one, other, dice), other.block_id: _at(other, one, dice)}
    return blocks | placed, pair


def _replaced(
    blocks: dict[str, SimulatedBlock], name: str, dice: np.random.Generator
) -> tuple[dict[str, SimulatedBlock], tuple[str, str]]:
    old = blocks[name]
    new = replace(_at(old, old, dice), block_id=f"{name}9", stage=str(dice.choice(STAGES)))
    kept = {one: block for one, block in blocks.items() if one != name}
    return kept | {new.block_id: new}, (name, new.block_id)


def _at(block: SimulatedBlock, place: SimulatedBlock, dice: np.random.Generator) -> SimulatedBlock:
    """The block on another's jigs: half of the time exactly there."""
    x, y = dice.normal(0, 0.3, 2) * (dice.random() < 0.5) + np.array(place.center)
    return replace(block, center=(float(x), float(y)), yaw_deg=place.yaw_deg, area=place.area)


# -- frames ----------------------------------------------------------------------------------


class _Watch:
    """Renders and observes what has not been observed before."""

    def __init__(self, bay: BayConfig, folder: Path) -> None:
        self._bay, self._folder = bay, folder
        self._parts: tuple[InferenceService, Renderer] | None = None

    def observation(self, state: "YardState") -> Observation:
        key = sha256(repr((state.time, state.blocks)).encode()).hexdigest()[:16]
        path = self._folder / f"{key}.observation"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, to_bytes("observation", self._observed(state)))
        observed: Observation = from_bytes(str(path), "observation", path.read_bytes())
        return observed

    def _observed(self, state: "YardState") -> Observation:
        from inference.service import InferenceService
        from lab.simulation.rendering import Renderer

        self._parts = self._parts or (InferenceService.for_bay(self._bay), Renderer(self._bay))
        service, renderer = self._parts
        images = tuple(
            CapturedImage(camera.name, self._bay.bay_id, state.time, renderer.jpeg(camera.name, state, _JPEG_QUALITY))
            for camera in self._bay.cameras
        )
        return service.observe(CaptureBatch(batch_id(self._bay.bay_id, state.time), self._bay.bay_id, images))


def _without_looks(result: FusionResult) -> FusionResult:
    return replace(result, blocks=tuple(replace(block, descriptors=None) for block in result.blocks))


# -- answers ---------------------------------------------------------------------------------


def _answers(change: Change, history: Sequence[TrackingResult], day: TwinDay, number: int) -> Iterator[Answer]:
    before, after = _on(history, day, number - 1), _on(history, day, len(history) - 1)
    first, second = change.blocks
    asked = [(first, first), (second, second)] if change.kind == _SWAP else [(second, first)]
    different = _look_different(change, day, number)
    for block, earlier in asked:
        if block not in after or earlier not in before:
            yield Answer(change.kind, "lost", different)
            continue
        same = after[block] == before[earlier]
        right = same == (change.kind == _SWAP)
        said = _said(after[block], history, day.results[number].slot)
        verdict = "told apart" if right else "wrong" if said >= _CERTAIN else "ambiguous"
        yield Answer(change.kind, verdict, different)


def _look_different(change: Change, day: TwinDay, number: int) -> bool:
    """Whether what stands at the first one's place looks otherwise after the change."""
    before = next(block for block in day.truth[number - 1] if block.block_id == change.blocks[0])
    after = next(block for block in day.truth[number] if block.block_id == change.blocks[1])
    if before.stage != after.stage:
        return True
    old, new = (_look_at(block, day.results[at]) for block, at in ((before, number - 1), (after, number)))
    return bool(np.nan_to_num(unlikeness(old, new, paired=True)[0])[0] > _TWO_PAINTS)


def _look_at(block: SimulatedBlock, result: FusionResult) -> Looks:
    iou = iou_matrix([block.footprint], [one.footprint for one in result.blocks])[0]
    found = [result.blocks[int(iou.argmax())]] if iou.max(initial=0.0) >= MATCH_IOU else []
    sighting = sightings_of(found, result.slot, TrackerParameters())
    return looks_at(sighting) if sighting else Looks((None,), np.zeros(1), (), np.zeros((1, 0, 3)))


def _on(history: Sequence[TrackingResult], day: TwinDay, number: int) -> dict[str, str]:
    """Id of the track by id of the true block, in one slot."""
    tracks = [track for track in history[number].tracks if track.on_floor]
    blocks = day.truth[number]
    iou = iou_matrix([block.footprint for block in blocks], [track.footprint for track in tracks])
    return {blocks[row].block_id: tracks[column].track_id for row, column in pair_up(iou, MATCH_IOU)}


def _said(track_id: str, history: Sequence[TrackingResult], since: datetime) -> float:
    """The least that was said of a track's identity since then: by it, and by the event that it came with."""
    tracks = [track.probability for one in history for track in one.tracks if track.track_id == track_id]
    came = [
        event.probability
        for one in history
        for event in one.events
        if event.track_id == track_id and event.time >= since and event.kind in (EventKind.APPEARED, EventKind.MOVED)
    ]
    return min([tracks[-1], *came])
