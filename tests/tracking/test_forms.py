"""What a measured shape counts for."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bays import BayConfig
from fusion.types import FusedBlock, FusionResult
from tracking import Tracker, TrackStatus
from tracking.forms import sightings_of

HALF_SEEN = {"sides_std_m": (1.6, 0.2), "height_std_m": 0.8, "position_std_m": 0.6}


def test_what_is_hardly_known_counts_little(
    bay: BayConfig, block: Callable[..., FusedBlock], fused: Callable[..., FusionResult]
):
    unstated = block("A25", 10, 6)
    exact = replace(unstated, sides_std_m=(0.02, 0.02), height_std_m=0.01)
    slot = fused(0, []).slot
    weights = [
        one.shape_weight for one in sightings_of([unstated, exact, replace(unstated, **HALF_SEEN)], slot, bay.tracking)
    ]
    assert weights[0] == 1
    assert weights[1] > 0.9
    assert 0 < weights[2] < 0.01


@pytest.mark.parametrize("stated", [True, False])
def test_a_block_that_is_half_seen_stays_itself_where_fusion_says_so(
    bay: BayConfig, block: Callable[..., FusedBlock], fused: Callable[..., FusionResult], stated: bool
):
    whole = block("A25", 10, 6)
    wide = block("A25", 10, 7.1, 8.2, 8.2, 3.2, **(HALF_SEEN if stated else {}))
    state, seen = None, []
    for number in range(8):
        result = Tracker(bay, state).update(fused(number, [wide if number >= 4 else whole]))
        state = result.state
        seen += [event.kind.value for event in result.events]
    standing = [track for track in state.tracks if track.status is TrackStatus.PRESENT]
    if stated:
        assert not {"appeared", "exited"} & set(seen)
        assert [track.track_id for track in standing] == ["demo_bay-000001"]
    else:  # measured to centimetres, it would be another block
        assert "appeared" in seen
