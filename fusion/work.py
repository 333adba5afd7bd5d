"""What work goes on at each block: the equipment on its deck, as far as the deck is seen."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from fusion.equipment import FLOOR, RISE_M, find_pieces
from fusion.scene import Scene
from fusion.sight import Sight
from fusion.types import UNKNOWN_WORK
from fusion.upright_box import Floats

_ENOUGH_SEEN = 0.75  # share of a deck that must be seen for it to be idle
_STEP_M = 1.0  # between the places on a deck that are looked at


def work_of(plans: np.ndarray, heights: Floats, scene: Scene) -> list[Mapping[str, int]]:
    """Equipment on the deck of each block, counted by class.

    Args:
        plans: (b,) polygons, metres.
        heights: (b,) metres.
        scene: with the detections of equipment.

    Returns:
        Of every block, what stands on its deck for certain. `UNKNOWN_WORK` counts the pieces that may
        stand there or elsewhere; of a deck that is hidden and on which nothing else is seen it is 1.
    """
    if not len(plans):
        return []
    sight = Sight(scene, plans, heights)
    work: list[Counter[str]] = [Counter() for _ in range(len(plans))]
    for piece in find_pieces(sight):
        if piece.rival is None and not piece.doubted:
            if piece.block != FLOOR:
                work[piece.block][piece.class_name] += 1
            continue
        for block in {piece.block, piece.rival}:
            if block is not None and block != FLOOR:
                work[block][UNKNOWN_WORK] += 1
    for block, counted in enumerate(work):
        if not counted and sight.share_seen(block, RISE_M, _STEP_M) < _ENOUGH_SEEN:
            counted[UNKNOWN_WORK] = 1
    return [dict(sorted(counted.items())) for counted in work]
