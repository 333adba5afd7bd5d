import pytest

from fusion import fuse
from lab.evaluation.floor import score_floor
from lab.evaluation.naive_merge import merge_projections
from lab.evaluation.silhouette_yard import Degraded, SilhouetteYard, YardBlock, random_yard

_CLEAN = Degraded(noise_px=0.0, missed=0.0)


def test_a_flat_panel_is_found_where_it_lies(bay):
    panel = YardBlock("panel", 60, 20, 9, 6, 0.2, 0.01, block_id="p")
    blocks = merge_projections(SilhouetteYard(bay, (panel,), degraded=_CLEAN).observe(), bay)
    score = score_floor(blocks, [panel])
    assert (score.precision, score.recall) == (1, 1)
    assert score.mean_iou > 0.98


@pytest.mark.slow(1)
def test_a_tall_block_is_smeared_where_fusion_is_not(bay):
    yard = random_yard(bay, 2004, count=12)
    observation = yard.observe()
    naive = score_floor(merge_projections(observation, bay), yard.blocks)
    fused = score_floor(fuse(observation, bay).blocks, yard.blocks)
    assert naive.recall < 0.7 < fused.recall
    assert naive.precision < 0.7 < fused.precision


def test_nothing_seen_is_nothing_found(bay):
    assert merge_projections(SilhouetteYard(bay, ()).observe(), bay) == ()
