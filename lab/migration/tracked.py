"""Days as an old system and this one's own tracker see them, and which of their differences are really there.

Both look at the same simulated yard. The old side gets everything a little wrong by itself; the new one is the
tracker, on floor plans that are spoilt as fusion spoils them, by way of the history that it is read from. So the
new side has the errors of a real one: identities lost, moves and stages seen late, blocks overlooked, ghosts.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from artifacts import ArtifactStore
from bays import BayConfig
from fusion.types import FusionResult
from lab.evaluation.tracking_days import SLOT, Sight, Spoilt, busy_days
from lab.evaluation.tracking_yard import Pace, YardDays, yard_days
from lab.migration.borne_out import owners_of
from lab.migration.planted import NEW_DONE, OLD_DONE, Day, World, side, standing_still
from legacy.comparison import new_side
from tracking import replay
from tracking.history import History, TrackedBatch

_SURE = 0.97  # share of its slots in which one track must lie on a block that differences are planted in


def tracked_world(
    bay: BayConfig, seed: int, slots: Sequence[datetime], pace: Pace, spoilt: Spoilt | None = None
) -> World:
    """A day: same arguments, same day.

    Args:
        bay: with its cameras.
        seed: of the yard and of all errors.
        slots: aware, in order, ten minutes apart.
        pace: how much happens.
        spoilt: what fusion gets wrong; as little as it was measured to by default.
    """
    day = busy_days(bay, seed, slots, pace, spoilt=spoilt or Spoilt(), sight=Sight(bay))
    yard = yard_days(bay, seed, slots, pace, population=24 + seed % 7)  # the same one, with its blocks
    dice = np.random.default_rng([seed, 29])
    old = side(bay, yard, slots, dice, prefix="O", done=OLD_DONE)
    frames = side(bay, yard, slots, dice, prefix="n", done=NEW_DONE)
    floors = {seen.slot: seen.blocks for seen in _tracked(bay, day.results, slots)}
    new = [replace(one, blocks=floors[one.slot]) for one in frames if one.slot in floors]
    return World(bay, old, new, yard, _known_still(yard, new, slots))


def _tracked(bay: BayConfig, results: Sequence[FusionResult], slots: Sequence[datetime]) -> Day:
    """What the history tells of the slots when all of them were tracked."""
    tracked = [TrackedBatch(one, f"{number:064x}") for number, one in enumerate(replay(bay, None, results))]
    with tempfile.TemporaryDirectory() as folder, History(f"sqlite:///{folder}/history.db") as history:
        with history.writer(bay.bay_id) as writer:
            writer.replace(None, tracked)
        return new_side(bay, ArtifactStore(Path(folder)), history, slots[0], slots[-1] + SLOT)


def _known_still(yard: YardDays, new: Day, slots: Sequence[datetime]) -> Mapping[str, str]:
    """Blocks that stand still and have one track, which has no other block."""
    owners = owners_of(yard, new)
    known = {}
    for name in standing_still(yard, slots):
        tracks = [track for slot in owners for track, block in owners[slot].items() if block == name]
        blocks = {block for slot in owners for track, block in owners[slot].items() if tracks and track == tracks[0]}
        if len(set(tracks)) == 1 and blocks == {name} and len(tracks) >= _SURE * len(slots):
            known[name] = tracks[0]
    return known
