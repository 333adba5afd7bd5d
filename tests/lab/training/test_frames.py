"""Training frames: what is asked of the models, and from which yards."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bay_observation.errors import InferenceError
from lab.simulation.labels import FrameLabel
from lab.training import frames

LABEL = FrameLabel(
    class_name="block",
    object_id="B0001",
    box=np.array([100, 100, 200, 180], np.float32),
    mask=np.ones((80, 100), bool),
    offset=(100, 100),
    polygon=np.zeros((3, 2), np.float32),
    stage="unit_assembly",
    visible_fraction=1.0,
    occluded_fraction=0.0,
    cut_fraction=0.0,
)


def test_slivers_are_not_asked_for() -> None:
    assert frames.is_seen(LABEL)
    assert not frames.is_seen(dataclasses.replace(LABEL, box=np.array([100, 100, 110, 180], np.float32)))
    assert not frames.is_seen(dataclasses.replace(LABEL, mask=np.eye(80, dtype=bool)))
    assert not frames.is_seen(dataclasses.replace(LABEL, occluded_fraction=0.97))
    welder = dataclasses.replace(LABEL, class_name="welder", box=np.array([0, 0, 20, 20], np.float32))
    assert frames.is_seen(dataclasses.replace(welder, mask=np.ones((20, 20), bool)))


def test_half_of_the_bays_have_their_cameras_moved() -> None:
    drawn = [frames.training_bay(np.random.default_rng(seed)) for seed in range(20)]
    hangs = frames.load_bay("demo_bay").cameras
    moved = [bay for bay in drawn if bay.cameras != hangs]
    assert 4 <= len(moved) <= 16
    for bay in moved:
        for camera in bay.cameras:
            assert camera.pose is not None
            assert 18 <= camera.pose.z <= 26
            assert 40 <= camera.pose.tilt <= 52


@pytest.mark.slow(5)
def test_frames_are_rendered_once_and_taken_again(tmp_path: Path) -> None:
    made = frames.make_frames(tmp_path / "frames", 3, seed=0)
    assert len(made) == 3
    assert {sample.picture().shape for sample in made} == {(540, 960, 3)}
    for sample in made:
        shown = set(np.unique(sample.numbers())) - {0}
        assert shown == {label.number for label in sample.labels} - {0}
    before = (tmp_path / "frames" / "00000.jpg").stat().st_mtime_ns
    assert frames.make_frames(tmp_path / "frames", 3, seed=0) == made
    assert (tmp_path / "frames" / "00000.jpg").stat().st_mtime_ns == before
    with pytest.raises(InferenceError, match="holds other frames"):
        frames.make_frames(tmp_path / "frames", 4, seed=0)
