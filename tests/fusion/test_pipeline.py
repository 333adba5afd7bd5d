"""Whole yards from silhouettes that independent geometry made (see conftest.py)."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely

from bay_observation.errors import FusionError
from bays import batch_id
from fusion import fuse
from inference.types import CameraObservation, Observation

pytestmark = pytest.mark.slow(2)


def scored(geometry, yard, **kwargs):
    result = fuse(yard.observe(), yard.bay)
    footprints = [block.footprint for block in result.blocks]
    heights = [block.height_m for block in result.blocks]
    return result, geometry.score(footprints, heights, kwargs.pop("boxes", yard.blocks), **kwargs)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_yard_of_24_blocks(geometry, make_yard, seed):
    result, scores = scored(geometry, make_yard(seed=seed))
    assert scores.precision >= 0.97
    assert scores.recall >= 0.95
    assert scores.iou >= 0.95
    assert scores.centre_error <= 0.03
    assert scores.height_error <= 0.05
    assert result.slot == datetime(2025, 7, 2, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize("seed", [3, 4])
def test_every_block_that_two_cameras_see_whole_is_found(geometry, make_yard, demo_bay, seed):
    yard = make_yard(seed=seed, missed=0.0)
    whole = dict.fromkeys(range(len(yard.blocks)), 0)
    for camera in demo_bay.fusion_cameras:
        for index, (outline, seen) in enumerate(geometry.visible_silhouettes(camera, yard.blocks)):
            whole[index] += seen.area > 0.99 * outline.area > 0
    clear = [yard.blocks[index] for index, count in whole.items() if count >= 2]
    assert len(clear) >= 10
    blocks = fuse(yard.observe(), demo_bay).blocks
    for box in clear:
        assert max(geometry.iou(box.footprint, block.footprint) for block in blocks) >= 0.9


@pytest.mark.parametrize(
    ("degraded", "precision", "recall", "iou"),
    [
        ({"off": ("C_6", "D_9")}, 0.95, 0.90, 0.93),
        ({"pose_error_deg": 0.5}, 0.95, 0.90, 0.80),
        ({"noise_px": 5.0}, 0.95, 0.95, 0.93),
        ({"missed": 0.10, "false": 0.05}, 0.93, 0.90, 0.93),
        pytest.param({"count": 40}, 0.95, 0.90, 0.93, marks=pytest.mark.slow(6)),
    ],
    ids=["two cameras off", "poses off by half a degree", "5 px noise", "missed and false", "40 blocks"],
)
def test_degraded_yards(geometry, make_yard, degraded, precision, recall, iou):
    _, scores = scored(geometry, make_yard(seed=1, **degraded))
    assert scores.precision >= precision
    assert scores.recall >= recall
    assert scores.iou >= iou


def test_narrow_lenses_cut_most_blocks(geometry, make_yard, demo_bay):
    bay = geometry.with_focal(demo_bay, 2500)
    yard = make_yard(seed=0, bay=bay)
    in_view = [box for box in yard.blocks if geometry.best_view(bay, box) >= 0.8]
    cut = [box for box in yard.blocks if box not in in_view]
    assert len(in_view) >= 15
    _, scores = scored(geometry, yard, boxes=tuple(in_view), ignored=tuple(cut))
    assert scores.precision >= 0.93
    assert scores.recall >= 0.90
    assert scores.iou >= 0.85


def seeing(geometry, bay, box):
    """Names of the cameras that have some of the box in frame."""
    return {camera.name for camera in bay.fusion_cameras if geometry.visible_silhouettes(camera, (box,))[0][1].area > 0}


def test_a_block_that_one_camera_sees_is_found_with_larger_uncertainty(geometry, make_yard, demo_bay):
    lonely = geometry.Box("block", 34.0, 20.0, 9.0, 6.0, 0.2, 3.5)
    social = geometry.Box("block", 100.0, 20.0, 9.0, 6.0, 0.2, 3.5)
    off = tuple(seeing(geometry, demo_bay, lonely) - {"D_4"})
    assert len(off) >= 3
    alone, other = fuse(make_yard(boxes=(lonely, social), missed=0.0, off=off).observe(), demo_bay).blocks
    assert alone.cameras == ("D_4",)
    assert len(other.cameras) >= 3
    assert geometry.iou(alone.footprint, lonely.footprint) > 0.85
    error = alone.footprint.centroid.distance(lonely.footprint.centroid)
    assert error < 4 * alone.position_std_m
    assert alone.position_std_m > 1.3 * other.position_std_m
    assert alone.confidence < other.confidence
    assert alone.missed_by == ()


@pytest.mark.slow(5)
def test_uncertainty_is_honest(geometry, make_yard):
    ratios = []
    for seed in range(4):
        yard = make_yard(seed=seed, off=("C_4", "D_4", "C_9", "D_7"))
        for block in fuse(yard.observe(), yard.bay).blocks:
            nearest = min(yard.blocks, key=lambda box: box.footprint.centroid.distance(block.footprint.centroid))
            error = nearest.footprint.centroid.distance(block.footprint.centroid)
            if geometry.iou(nearest.footprint, block.footprint) > 0.5:
                ratios.append(error / block.position_std_m)
    assert len(ratios) > 60
    assert np.quantile(ratios, 0.9) < 2.5
    assert np.median(ratios) > 0.1


def test_a_ghost_that_a_second_camera_must_see_is_dropped(geometry, make_yard, demo_bay):
    real = geometry.Box("block", 60.0, 20.0, 9.0, 6.0, 0.2, 3.5)
    phantom = geometry.Box("block", 75.0, 20.0, 9.0, 6.0, 0.2, 3.5)
    assert len(seeing(geometry, demo_bay, phantom)) >= 3
    observation = make_yard(boxes=(real,), missed=0.0).observe()
    invented = make_yard(boxes=(phantom,), missed=0.0).observe()
    seer = next(camera for camera in invented.cameras if camera.objects)
    cameras = [
        replace(c, objects=c.objects + seer.objects) if c.camera_name == seer.camera_name else c
        for c in observation.cameras
    ]
    blocks = fuse(replace(observation, cameras=tuple(cameras)), demo_bay).blocks
    assert len(blocks) == 1
    assert geometry.iou(blocks[0].footprint, real.footprint) > 0.9


def test_nothing_stands_beside_the_floor(geometry, make_yard, demo_bay):
    outside = geometry.Box("block", 60.0, 44.0, 9.0, 6.0, 0.2, 3.5)
    inside = geometry.Box("block", 60.0, 20.0, 9.0, 6.0, 0.2, 3.5)
    yard = make_yard(boxes=(outside, inside), missed=0.0)
    assert sum(len(camera.objects) for camera in yard.observe().cameras) > sum(
        len(camera.objects) for camera in make_yard(boxes=(inside,), missed=0.0).observe().cameras
    )
    (block,) = fuse(yard.observe(), demo_bay).blocks
    assert geometry.iou(block.footprint, inside.footprint) > 0.9


def test_one_lost_detection_does_not_drop_a_block_that_two_cameras_see(geometry, make_yard, demo_bay):
    box = geometry.Box("panel", 6.6, 33.8, 7.9, 8.3, 0.0, 0.4)
    observation = make_yard(boxes=(box,), missed=0.0).observe()
    seers = [camera.camera_name for camera in observation.cameras if camera.objects]
    cameras = [c for c in observation.cameras if c.camera_name in seers[:2]]
    cameras = [replace(cameras[0], objects=()), cameras[1]]
    (block,) = fuse(replace(observation, cameras=tuple(cameras)), demo_bay).blocks
    assert block.missed_by == (seers[0],)
    assert geometry.iou(block.footprint, box.footprint) > 0.8


def test_a_missed_detection_is_told(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 48.0, 20.0, 9.0, 6.0, 0.2, 3.5)
    observation = make_yard(boxes=(box,), missed=0.0).observe()
    cameras = [replace(c, objects=()) if c.camera_name == "C_6" else c for c in observation.cameras]
    (block,) = fuse(replace(observation, cameras=tuple(cameras)), demo_bay).blocks
    (whole,) = fuse(observation, demo_bay).blocks
    assert block.missed_by == ("C_6",)
    assert whole.missed_by == ()
    assert block.confidence < whole.confidence


def test_half_the_cameras_missing_a_block_do_not_outvote_the_others(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 48.0, 20.0, 9.0, 6.0, 0.2, 3.5)
    observation = make_yard(boxes=(box,), missed=0.0).observe()
    assert sum(bool(camera.objects) for camera in observation.cameras) == 4
    cameras = [replace(c, objects=()) if c.camera_name in ("C_6", "D_4") else c for c in observation.cameras]
    (block,) = fuse(replace(observation, cameras=tuple(cameras)), demo_bay).blocks
    assert block.cameras == ("C_4", "D_6")
    assert block.missed_by == ("C_6", "D_4")
    assert geometry.iou(block.footprint, box.footprint) > 0.93


def test_a_block_hidden_from_a_camera_is_neither_dropped_nor_missed(geometry, make_yard, demo_bay):
    hidden = geometry.Box("panel", 60.0, 27.0, 8.0, 5.0, 0.0, 0.6)
    wall = geometry.Box("HP_block", 60.0, 19.0, 14.0, 4.0, 0.0, 8.0)  # between it and the D cameras
    yard = make_yard(boxes=(hidden, wall), missed=0.0)
    shares = {
        camera.name: geometry.visible_silhouettes(camera, yard.blocks)[0][1].area
        / max(1.0, geometry.silhouette(camera, hidden).area)
        for camera in demo_bay.fusion_cameras
    }
    assert shares["D_6"] < 0.2
    blocks = fuse(yard.observe(), demo_bay).blocks
    assert len(blocks) == 2
    panel = next(block for block in blocks if block.class_name == "panel")
    assert geometry.iou(panel.footprint, hidden.footprint) > 0.85
    assert "D_6" not in panel.missed_by


def test_a_crane_over_a_block_is_no_evidence(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 60.0, 20.0, 12.0, 6.0, 0.0, 3.5)
    crane = geometry.Box("crane", 64.0, 12.0, 2.0, 2.0, 0.0, 14.0)
    yard = make_yard(boxes=(box,), cranes=(crane,), missed=0.0)
    (block,) = fuse(yard.observe(), demo_bay).blocks
    assert geometry.iou(block.footprint, box.footprint) > 0.93
    assert block.missed_by == ()


def test_two_detections_of_one_object_are_one_block(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 60.0, 20.0, 9.0, 6.0, 0.2, 3.5)
    observation = make_yard(boxes=(box,), missed=0.0).observe()
    doubled = [
        replace(c, objects=c.objects + tuple(replace(o, class_name="panel", confidence=0.4) for o in c.objects))
        for c in observation.cameras
    ]
    (block,) = fuse(replace(observation, cameras=tuple(doubled)), demo_bay).blocks
    assert block.class_name == "block"
    assert geometry.iou(block.footprint, box.footprint) > 0.93


def test_result_does_not_depend_on_the_order_of_cameras_and_objects(make_yard, demo_bay):
    observation = make_yard(seed=5, false=0.05).observe()
    shuffle = random.Random(4)
    cameras = [replace(c, objects=tuple(shuffle.sample(c.objects, len(c.objects)))) for c in observation.cameras]
    shuffled = replace(observation, cameras=tuple(shuffle.sample(cameras, len(cameras))))
    first, second = fuse(observation, demo_bay), fuse(shuffled, demo_bay)
    assert len(first.blocks) == len(second.blocks) > 15
    for one, other in zip(first.blocks, second.blocks, strict=True):
        assert shapely.equals_exact(one.footprint, other.footprint, 0.0)
        assert (one.class_name, one.cameras, one.height_m, one.confidence, one.position_std_m) == (
            (other.class_name, other.cameras, other.height_m, other.confidence, other.position_std_m)
        )
    assert first.unseen.equals(second.unseen)


def test_lens_distortion_matters_and_is_taken_out(geometry, make_yard, demo_bay):
    yard = make_yard(seed=2)
    _, scores = scored(geometry, yard)
    straight = geometry.with_focal(demo_bay, 1450, distortion=False)
    blind = fuse(yard.observe(), straight)
    without = geometry.score(
        [block.footprint for block in blind.blocks], [block.height_m for block in blind.blocks], yard.blocks
    )
    assert scores.iou > without.iou + 0.05


def test_sparse_and_dense_outlines_give_the_same_block(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 60.0, 20.0, 9.0, 6.0, 0.2, 3.5)
    observation = make_yard(boxes=(box,), noise_px=0.0, missed=0.0).observe()

    def with_outlines(change):
        cameras = [
            replace(c, objects=tuple(replace(o, polygon=change(o.polygon)) for o in c.objects))
            for c in observation.cameras
        ]
        return fuse(replace(observation, cameras=tuple(cameras)), demo_bay).blocks

    (sparse,) = with_outlines(lambda p: shapely.get_coordinates(shapely.simplify(shapely.Polygon(p), 1.5))[:-1])
    (dense,) = with_outlines(lambda p: shapely.get_coordinates(shapely.segmentize(shapely.Polygon(p), 1.0))[:-1])
    assert geometry.iou(sparse.footprint, box.footprint) > 0.96
    assert geometry.iou(dense.footprint, box.footprint) > 0.98


def test_a_ragged_outline_that_crosses_itself_is_read(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 60.0, 20.0, 9.0, 6.0, 0.2, 3.5)
    observation = make_yard(boxes=(box,), noise_px=0.0, missed=0.0).observe()
    rng = np.random.default_rng(1)

    def ragged(polygon):
        ring = shapely.get_coordinates(shapely.segmentize(shapely.Polygon(polygon), 1.0))[:-1]
        return ring + rng.normal(0, 2, ring.shape)

    cameras = [
        replace(c, objects=tuple(replace(o, polygon=ragged(o.polygon)) for o in c.objects)) for c in observation.cameras
    ]
    (block,) = fuse(replace(observation, cameras=tuple(cameras)), demo_bay).blocks
    assert geometry.iou(block.footprint, box.footprint) > 0.95


def test_an_observation_without_objects(make_yard, demo_bay):
    result = fuse(make_yard(boxes=()).observe(), demo_bay)
    assert result.blocks == ()
    assert len(result.cameras) == 12


def test_observation_of_another_bay_is_refused(make_yard, demo_bay):
    observation = replace(make_yard(boxes=()).observe(), bay_id="4bay")
    with pytest.raises(FusionError, match=r"of bay 4bay, not of demo_bay"):
        fuse(observation, demo_bay)


def test_unknown_camera_is_refused(make_yard, demo_bay):
    observation = make_yard(boxes=()).observe()
    stranger = replace(observation.cameras[0], camera_name="X_1")
    with pytest.raises(FusionError, match=r"no camera X_1"):
        fuse(replace(observation, cameras=(stranger,)), demo_bay)


def test_a_camera_twice_is_refused(make_yard, demo_bay):
    observation = make_yard(boxes=()).observe()
    with pytest.raises(FusionError, match=r"C_2 is in it twice"):
        fuse(replace(observation, cameras=observation.cameras[:1] * 2), demo_bay)


def test_image_size_that_differs_from_the_intrinsics_is_refused(make_yard, demo_bay):
    observation = make_yard(boxes=()).observe()
    small = replace(observation.cameras[0], image_size=(1280, 720))
    with pytest.raises(FusionError, match=r"camera C_2 sent 1280 x 720 pixels, its intrinsics are for 1920 x 1080"):
        fuse(replace(observation, cameras=(small,)), demo_bay)


def test_a_camera_that_takes_no_part_in_fusion_is_passed_over(make_yard, demo_bay):
    observation = make_yard(seed=0).observe()
    cameras = tuple(c.model_copy(update={"fusion": c.name != "D_6"}) for c in demo_bay.cameras)
    result = fuse(observation, demo_bay.model_copy(update={"cameras": cameras}))
    assert "D_6" not in result.cameras
    assert result.missing_cameras == ()
    assert all("D_6" not in block.cameras for block in result.blocks)


def test_a_floor_plan_says_when_its_frames_were_taken(demo_bay):
    """The median: one camera with a wrong clock moves it little."""
    cameras = demo_bay.fusion_cameras[:4]
    minutes = (0.5, 1.0, 1.5, 60.0)
    size = (cameras[0].intrinsics.width, cameras[0].intrinsics.height)
    slot = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)
    seen = tuple(
        CameraObservation(camera.name, slot + timedelta(minutes=late), size, ())
        for camera, late in zip(cameras, minutes, strict=True)
    )
    observation = Observation(batch_id(demo_bay.bay_id, slot), demo_bay.bay_id, seen)
    assert fuse(observation, demo_bay).captured_at == slot + timedelta(minutes=1)
    assert fuse(replace(observation, cameras=()), demo_bay).captured_at is None
