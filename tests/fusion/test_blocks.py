from dataclasses import replace

import numpy as np
import pytest
import shapely

from bays import Area
from fusion import fuse
from fusion.blocks import area_of


@pytest.mark.parametrize(
    ("footprint", "area"),
    [
        ((31, 2, 37, 8), "A12_S"),  # wholly in the nested area
        ((31, 6, 37, 13), "A12_S"),  # four of seven metres of it
        ((31, 7, 37, 17), "A12_N"),
        ((40, 2, 47, 8), "A12_S"),  # across the border of A13
        ((43, 2, 50, 8), "A13"),
        ((78, 5, 85, 10), "-"),
        ((15, 17, 19, 22), "A25"),  # on a corner of four areas: the largest overlap
        ((147.5, 1, 149.5, 5), None),
    ],
)
def test_area_is_the_smallest_that_holds_most(demo_bay, footprint, area):
    assert area_of(shapely.box(*footprint), demo_bay) == area


def test_area_across_two_nested_halves_is_the_one_that_holds_both(demo_bay):
    areas = demo_bay.layout.areas | {"A12_S": Area(x=(29, 44), y=(0, 8)), "A12_N": Area(x=(29, 44), y=(12, 20))}
    bay = demo_bay.model_copy(update={"layout": demo_bay.layout.model_copy(update={"areas": areas})})
    assert area_of(shapely.box(31, 4, 37, 16), bay) == "A12"


@pytest.mark.slow(1)
def test_descriptors_are_kept_by_camera(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 48.0, 20.0, 10.0, 7.0, 0.0, 4.0)
    observation = make_yard(boxes=(box,), missed=0.0).observe()
    assert fuse(observation, demo_bay).blocks[0].descriptors is None
    cameras = tuple(
        replace(
            camera,
            objects=tuple(replace(found, descriptor=np.full(32, number, np.float16)) for found in camera.objects),
        )
        for number, camera in enumerate(observation.cameras)
    )
    numbers = {camera.camera_name: number for number, camera in enumerate(cameras)}
    [block] = fuse(replace(observation, cameras=cameras), demo_bay).blocks
    assert set(block.descriptors) == set(block.cameras)
    assert all((block.descriptors[name] == numbers[name]).all() for name in block.cameras)


@pytest.mark.slow(1)
def test_class_and_stage_go_by_weight(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 48.0, 20.0, 10.0, 7.0, 0.0, 4.0, "welding")
    observation = make_yard(boxes=(box,), missed=0.0).observe()
    seers = [camera for camera in observation.cameras if camera.objects]
    assert len(seers) >= 3
    liar = seers[0].camera_name

    def told(camera):
        if camera.camera_name != liar:
            return camera
        lie = [replace(o, class_name="panel", stage="grinding") for o in camera.objects]
        return replace(camera, objects=tuple(lie))

    (block,) = fuse(replace(observation, cameras=tuple(told(c) for c in observation.cameras)), demo_bay).blocks
    assert (block.class_name, block.stage) == ("block", "welding")
    assert 0.5 < block.stage_confidence < 1.0

    mute = [replace(c, objects=tuple(replace(o, stage=None) for o in c.objects)) for c in observation.cameras]
    (block,) = fuse(replace(observation, cameras=tuple(mute)), demo_bay).blocks
    assert (block.stage, block.stage_confidence) == (None, 0.0)
