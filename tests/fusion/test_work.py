from dataclasses import replace

import numpy as np
import pytest

from fusion import UNKNOWN_WORK, FusedBlock, fuse
from inference.types import DetectedObject

pytestmark = pytest.mark.slow(0.3)

_FLAWLESS = {"missed": 0.0, "piece_missed": 0.0, "piece_misread": 0.0, "piece_false": 0.0}


@pytest.fixture
def tall(geometry):
    return geometry.Box("block", 48.0, 20.0, 10.0, 7.0, 0.0, 4.0, block_id="tall")


@pytest.fixture
def low(geometry):
    return geometry.Box("panel", 24.0, 20.0, 9.0, 6.0, 0.0, 0.6, block_id="low")


@pytest.fixture
def fused(make_yard, demo_bay, geometry):
    """`fused(blocks, *pieces)`: what fusion makes of it, west to east; a piece is class, x, y, block or None."""

    def fused(blocks, *pieces, spoilt=None, change=lambda observation: observation):
        equipment = tuple(
            geometry.Piece(name, x, y, 1.3, 1.0, 0.2, on.height if on else 0.0, 1.0, on.block_id if on else None)
            for name, x, y, on in pieces
        )
        yard = make_yard(boxes=tuple(blocks), equipment=equipment, **(spoilt or _FLAWLESS))
        return fuse(change(yard.observe()), demo_bay).blocks

    return fused


def test_equipment_on_a_deck_is_its_work_once_per_piece(fused, tall, low):
    on_low, on_tall = fused(
        (tall, low),
        ("grinder", 46.0, 20.0, tall),
        ("grinder", 51.0, 21.5, tall),
        ("welder", 49.0, 18.0, tall),
        ("pipe", 24.0, 20.0, low),
        ("step_board", 36.0, 20.0, None),
    )
    assert on_low.work == {"pipe": 1}
    assert on_tall.work == {"grinder": 2, "welder": 1}
    assert len(on_tall.cameras) >= 3  # several cameras saw each grinder


@pytest.mark.parametrize(
    ("x", "y"), [(48.0, 24.6), (48.0, 15.4), (54.2, 20.0), (41.8, 20.0), (48.0, 27.0), (48.0, 12.5), (53.9, 24.4)]
)
def test_what_stands_on_the_floor_never_counts(fused, tall, x, y):
    """However it seems to stand on the deck to the cameras on the other side."""
    (block,) = fused((tall,), ("welder", x, y, None))
    assert (block.work, block.working) == ({}, False)


@pytest.mark.parametrize(("x", "y"), [(43.8, 20.0), (52.2, 17.3), (48.0, 22.7)])
def test_a_piece_at_the_edge_of_a_deck_counts(fused, tall, x, y):
    (block,) = fused((tall,), ("welder", x, y, tall))
    assert block.work == {"welder": 1}


def test_a_piece_behind_a_taller_neighbour_is_on_the_block_on_which_it_stands(fused, geometry, tall):
    neighbour = geometry.Box("panel", 48.0, 28.5, 10.0, 7.0, 0.0, 1.0, block_id="neighbour")
    blocks = fused((tall, neighbour), ("welder", 48.0, 26.0, neighbour))
    by_class = {block.class_name: block.work for block in blocks}
    assert by_class == {"block": {}, "panel": {"welder": 1}}


def test_jigs_never_count(fused, tall, geometry, demo_bay):
    def with_jigs(observation):
        cameras = []
        for seen in observation.cameras:
            u, v = geometry.project(demo_bay.camera(seen.camera_name), np.array([[48.0, 20.0, 4.5]]))[0]
            if not np.isfinite(u):
                cameras.append(seen)
                continue
            jig = DetectedObject("pinjig", 0.9, np.array([u - 30, v - 20, u + 30, v + 20], dtype=np.float32))
            cameras.append(replace(seen, objects=(*seen.objects, jig)))
        return replace(observation, cameras=tuple(cameras))

    (block,) = fused((tall,), change=with_jigs)
    assert block.work == {}


def test_a_box_that_one_camera_sees_and_its_neighbours_do_not_is_nothing(fused, tall):
    seen = []

    def with_one(observation):
        cameras = list(observation.cameras)
        for number, camera in enumerate(cameras):
            if camera.objects and not seen:
                u, v = camera.objects[0].polygon.mean(axis=0)
                box = np.array([u - 25, v - 20, u + 25, v + 20], dtype=np.float32)
                cameras[number] = replace(camera, objects=(*camera.objects, DetectedObject("welder", 0.5, box)))
                seen.append(camera.camera_name)
        return replace(observation, cameras=tuple(cameras))

    (block,) = fused((tall,), change=with_one)
    assert seen
    assert block.work == {}


def test_a_piece_that_one_of_two_cameras_sees_is_unknown(fused, tall, demo_bay):
    pair = ("C_4", "D_4")
    spoilt = _FLAWLESS | {"off": tuple(camera.name for camera in demo_bay.cameras if camera.name not in pair)}

    def without(name):
        def change(observation):
            cameras = [
                replace(seen, objects=tuple(one for one in seen.objects if one.class_name != "welder"))
                if seen.camera_name == name
                else seen
                for seen in observation.cameras
            ]
            return replace(observation, cameras=tuple(cameras))

        return change

    (both,) = fused((tall,), ("welder", 48.0, 20.0, tall), spoilt=spoilt)
    (one,) = fused((tall,), ("welder", 48.0, 20.0, tall), spoilt=spoilt, change=without("C_4"))
    assert (both.work, one.work) == ({"welder": 1}, {UNKNOWN_WORK: 1})


def _under_a_crane(geometry, bay, deck, height):
    """Adds a crane over that part (x0, y0, x1, y1) of a deck to every frame, and takes what it hides."""

    def change(observation):
        cameras = []
        x0, y0, x1, y1 = deck
        ring = np.array([[x0, y0, height], [x1, y0, height], [x1, y1, height], [x0, y1, height]])
        for seen in observation.cameras:
            outline = geometry.project(bay.camera(seen.camera_name), ring)
            if not np.isfinite(outline).all():
                cameras.append(seen)
                continue
            box = np.concatenate([outline.min(axis=0), outline.max(axis=0)]).astype(np.float32)
            crane = DetectedObject("crane", 0.9, box, outline.astype(np.float32))
            cameras.append(replace(seen, objects=(*seen.objects, crane)))
        return replace(observation, cameras=tuple(cameras))

    return change


def test_a_hidden_deck_is_unknown_rather_than_idle(fused, tall, geometry, demo_bay):
    hidden = _under_a_crane(geometry, demo_bay, (43.2, 16.7, 48.5, 23.3), 4.5)
    (block,) = fused((tall,), change=hidden)
    assert (block.work, block.working) == ({UNKNOWN_WORK: 1}, None)


def test_what_is_seen_on_a_deck_that_is_half_hidden_counts(fused, tall, geometry, demo_bay):
    hidden = _under_a_crane(geometry, demo_bay, (43.2, 16.7, 48.5, 23.3), 4.5)
    (block,) = fused((tall,), ("welder", 51.0, 20.0, tall), change=hidden)
    assert (block.work, block.working) == ({"welder": 1}, True)


def test_working_needs_a_class(tall):
    made = {"class_name": "block", "footprint": tall.footprint, "height_m": 4.0, "area": None, "stage": None}
    made |= {"confidence": 1.0, "cameras": ()}
    assert FusedBlock(**made, work={"welder": 1, UNKNOWN_WORK: 1}).working is True
    assert FusedBlock(**made, work={UNKNOWN_WORK: 1}).working is None
    assert FusedBlock(**made).working is False
