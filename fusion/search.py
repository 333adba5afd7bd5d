"""The search for the blocks of a scene, in three steps.

Which silhouettes are the same block and what shape it has are found together:

1. `suggest`: every silhouette alone suggests boxes. Each box collects the silhouettes of other
   cameras that it explains, is fitted to all of them, and releases those that it then does not explain.
2. `associate`: silhouettes that this leaves doubtful are tried in pairs. Of all hypotheses the
   consistent set that explains most is chosen, each silhouette used once and no two blocks in one place.
3. `settle`: it is now known who stands in front of whom. Blocks are fitted once more with that
   knowledge, and those that other cameras must have seen and did not are dropped.
"""

from dataclasses import dataclass, replace

import numpy as np

from fusion.agreement import collect, expected_agreement, judged, worth_of
from fusion.growth import doubtful_silhouettes, grow, without_the_worst
from fusion.hypotheses import Hypotheses, distinct, empty, joined
from fusion.occlusion import known_outlines, must_have_seen
from fusion.refitting import refit
from fusion.scene import Scene
from fusion.selection import choose
from fusion.suggestion import paired_boxes, single_boxes
from fusion.upright_box import Bools, Floats

FINAL_SCALE_PX = 2.5  # of the last fit's residuals: larger ones count linearly
_SUGGESTING = 16  # cameras from which boxes are suggested before the others are asked
_SETTLING_ROUNDS = 2


@dataclass(frozen=True)
class Search:
    """State of the search.

    Attributes:
        scene: all silhouettes.
        singles: boxes that single silhouettes suggest.
        groups: boxes that explain silhouettes of several cameras.
        chosen: the consistent set of both that explains most so far.
        expected: (n,) agreement that each silhouette of the scene should reach.
        missed: (h, cameras) the camera must have seen this block of `chosen` and did not.
    """

    scene: Scene
    singles: Hypotheses
    groups: Hypotheses
    chosen: Hypotheses
    expected: Floats
    missed: Bools


def find_blocks(scene: Scene) -> Search:
    """All three steps."""
    return settle(associate(suggest(scene)))


def suggest(scene: Scene) -> Search:
    """Step 1: boxes from single silhouettes, and the groups that grow from them."""
    if not len(scene.objects):
        none = empty(scene)
        return Search(scene, none, none, none, np.zeros(0), none.missed)
    suggested, groups = _suggestions(scene)
    singles = judged(suggested, scene)
    chosen = _best_set(groups, singles, scene)
    return Search(scene, singles, groups, chosen, expected_agreement(chosen, scene), chosen.missed)


def associate(search: Search) -> Search:
    """Step 2: pairs where the groups leave doubt, groups without their worst member, and the best set of all."""
    scene, groups, expected = search.scene, search.groups, search.expected
    if not len(scene.objects):
        return search
    outlines = scene.outlines()
    pairs = paired_boxes(scene, outlines, doubtful_silhouettes(groups, expected))
    if len(pairs):
        groups = joined([groups, pairs, grow(pairs, scene, outlines)])
    groups = joined([groups, without_the_worst(groups, expected, scene, outlines)])
    chosen = _best_set(groups, search.singles, scene, expected)
    expected = expected_agreement(chosen, scene)
    return replace(search, groups=groups, chosen=chosen, expected=expected, missed=chosen.missed)


def settle(search: Search) -> Search:
    """Step 3: the blocks fitted once more with known occlusion, ghosts dropped."""
    scene, found = search.scene, search.chosen
    for _ in range(_SETTLING_ROUNDS):
        available = np.ones(len(scene.objects), dtype=bool)
        available[found.members[found.members >= 0]] = False
        found = collect(found, scene, available)
        found = refit(found, scene, known_outlines(found, scene), FINAL_SCALE_PX)
        found = found.take(choose(found, scene, search.expected))
    while True:
        missed = must_have_seen(found, scene) & (found.members < 0)
        worth = worth_of(found, missed, scene, search.expected)
        if not (worth <= 0).any():
            return replace(search, chosen=found, missed=missed)
        # One at a time, the least supported first: without it others may be hidden no longer.
        found = found.take(np.arange(len(found)) != int(worth.argmin()))


def _suggestions(scene: Scene) -> tuple[Hypotheses, Hypotheses]:
    """Boxes that single silhouettes suggest, and the groups that grow from them.

    Under many cameras a block is suggested by each of them, and every suggestion is looked
    for in all of them. So a few cameras spread over the bay suggest first, and of the others
    only what has found no sure group by then.
    """
    outlines = scene.outlines()
    suggested = single_boxes(scene, outlines)
    silhouette = suggested.members.max(axis=1)
    every = -(-len(scene.frames) // _SUGGESTING)
    if every == 1:
        return suggested, grow(suggested, scene, outlines)
    first = scene.camera[silhouette] % every == 0
    groups = grow(suggested.take(first), scene, outlines)
    expected = expected_agreement(groups.take(choose(groups, scene)), scene)
    doubtful = np.isin(silhouette, doubtful_silhouettes(groups, expected))
    return suggested.take(doubtful), joined([groups, grow(suggested.take(doubtful & ~first), scene, outlines)])


def _best_set(groups: Hypotheses, singles: Hypotheses, scene: Scene, expected: Floats | None = None) -> Hypotheses:
    everything = distinct(joined([groups, singles]))
    return everything.take(choose(everything, scene, expected))
