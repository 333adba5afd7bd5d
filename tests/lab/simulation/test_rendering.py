"""Frames: size, repeatability, and that the pictures show what the labels say."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import cv2
import numpy as np
import pytest

from bay_observation.errors import SimulationError
from bays import BayConfig, load_bay
from bays.camera_model import CameraModel
from bays.models import Witness
from lab.simulation.labels import label_frame
from lab.simulation.objects import STAGES
from lab.simulation.rendering import FrameSource, Renderer
from lab.simulation.yard import DEFAULT_START, Yard

pytestmark = pytest.mark.slow(1)

CAMERA = "C_4"
SIZE = (1080, 1920, 3)


@pytest.fixture(scope="module")
def bay() -> BayConfig:
    return load_bay("demo_bay")


@pytest.fixture(scope="module")
def renderer(bay: BayConfig) -> Renderer:
    return Renderer(bay)


@pytest.fixture(scope="module")
def yard(bay: BayConfig) -> Yard:
    return Yard(bay, seed=1)


def test_frame_is_a_1080p_picture_that_repeats(renderer: Renderer, bay: BayConfig, yard: Yard) -> None:
    state = yard.at(DEFAULT_START)
    frame = renderer.render(CAMERA, state)
    assert frame.shape == SIZE
    assert frame.dtype == np.uint8
    assert 50 < frame.mean() < 180
    assert np.array_equal(frame, renderer.render(CAMERA, state))
    assert np.array_equal(frame, Renderer(bay).render(CAMERA, Yard(bay, seed=1).at(DEFAULT_START)))
    assert not np.array_equal(frame, renderer.render(CAMERA, state, noise_seed=99))


def test_nights_are_lit(renderer: Renderer, yard: Yard) -> None:
    for hour in (6, 12, 18):
        frame = renderer.render(CAMERA, yard.at(DEFAULT_START + timedelta(hours=hour)))
        assert frame.mean() > 40


def test_pixels_change_where_the_label_says(renderer: Renderer, bay: BayConfig, yard: Yard) -> None:
    """Without one block the picture changes on its mask, and elsewhere only by its shadow."""
    state = replace(yard.at(DEFAULT_START), equipment=(), cranes=(), people=(), jigs=())
    label = max(label_frame(bay, CAMERA, state), key=lambda candidate: candidate.mask.sum())
    without = replace(state, blocks=tuple(block for block in state.blocks if block.block_id != label.object_id))
    pictures = [renderer.render(CAMERA, shown, noise_seed=1).astype(int) for shown in (state, without)]
    changed = np.abs(pictures[0] - pictures[1]).sum(axis=2)
    mask = label.full_mask((1920, 1080))
    assert np.median(changed[mask]) > 3 * np.median(changed[~mask]) + 10


def test_stages_look_different(renderer: Renderer, bay: BayConfig, yard: Yard) -> None:
    state = replace(yard.at(DEFAULT_START), equipment=(), cranes=(), people=(), jigs=())
    label = max(label_frame(bay, CAMERA, state), key=lambda candidate: candidate.mask.sum())
    mask = label.full_mask((1920, 1080))
    means = []
    for stage in STAGES:
        blocks = tuple(
            replace(block, stage=stage) if block.block_id == label.object_id else block for block in state.blocks
        )
        means.append(renderer.render(CAMERA, replace(state, blocks=blocks), noise_seed=1)[mask].mean(axis=0))
    for index, one in enumerate(means):
        for other in means[index + 1 :]:
            assert np.abs(one - other).max() > 8


def test_noise_is_there_and_modest(renderer: Renderer, yard: Yard) -> None:
    state = yard.at(DEFAULT_START)
    one, other = (renderer.render(CAMERA, state, noise_seed=seed).astype(float) for seed in (1, 2))
    fine = one - cv2.GaussianBlur(one, (0, 0), 1.5) - (other - cv2.GaussianBlur(other, (0, 0), 1.5))
    assert 0.5 < fine.std() < 12


def test_source_gives_jpeg_files_once(bay: BayConfig, yard: Yard, renderer: Renderer) -> None:
    source = FrameSource(yard, renderer)
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda _: source(CAMERA, DEFAULT_START), range(4)))
    assert files[0][:2] == b"\xff\xd8"
    assert files[0][-2:] == b"\xff\xd9"
    assert all(file is files[0] for file in files)
    picture = cv2.imdecode(np.frombuffer(files[0], dtype=np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == SIZE
    plain = renderer.render(CAMERA, yard.at(DEFAULT_START)).astype(int)
    assert np.abs(picture.astype(int) - plain).mean() < 4
    assert source(CAMERA, DEFAULT_START + timedelta(minutes=10)) != files[0]


def test_a_failed_frame_is_tried_again(bay: BayConfig, yard: Yard, renderer: Renderer) -> None:
    source = FrameSource(yard, renderer)
    for _ in range(2):
        with pytest.raises(SimulationError, match="history starts"):
            source(CAMERA, DEFAULT_START - timedelta(days=1))


def test_cameras_that_cannot_be_drawn_are_named(bay: BayConfig, renderer: Renderer, yard: Yard) -> None:
    with pytest.raises(SimulationError, match="no camera C_99"):
        renderer.render("C_99", yard.at(DEFAULT_START))
    blind = bay.cameras[0].model_copy(update={"pose": None})
    with pytest.raises(SimulationError, match="no pose"):
        Renderer(bay.model_copy(update={"cameras": (blind,)})).render(blind.name, yard.at(DEFAULT_START))


def test_surveyed_marks_are_painted_where_no_lines_meet(bay: BayConfig) -> None:
    """A mark amid A12 is black and white around its pixel; at a corner of areas the floor stays as it is."""
    camera = bay.camera("C_4")
    plain = bay.model_copy(update={"witnesses": {}})
    amid, corner, pillar = Witness(x=36.0, y=14.0), Witness(x=44.0, y=20.0), Witness(x=34.0, y=8.0, z=2.0)
    marks = {"amid": amid, "corner": corner, "pillar": pillar}
    marked = bay.model_copy(update={"witnesses": marks})
    before, after = (
        Renderer(one).render("C_4", Yard(one, 3, blocks=0).at(DEFAULT_START)).astype(int) for one in (plain, marked)
    )
    changed = np.abs(after - before).max(axis=-1) > 40
    u, v = CameraModel.of(camera).project((36.0, 14.0, 0.0))[0]
    rows, columns = np.nonzero(changed)
    assert 50 < len(rows) < 2000
    assert np.hypot(columns - u, rows - v).max() < 30  # 0.6 m at 1450 px and some 36 m
    grey = after.mean(axis=-1)
    offsets = [(-5, -5), (5, 5), (-5, 5), (5, -5)]  # the mark's quarters, right and down
    dark, dark_too, light, light_too = (grey[round(v) + down, round(u) + right] for right, down in offsets)
    assert min(light, light_too) > max(dark, dark_too) + 60 or max(light, light_too) < min(dark, dark_too) - 60
