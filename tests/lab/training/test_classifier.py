"""Crops whose paint says nothing of the stage."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.crops import BACKGROUND, CROP_SIZE
from lab.training.classifier import is_repainted, repainted
from lab.training.frames import Sample


def crop(colour: tuple[int, int, int]) -> np.ndarray:
    """A painted plate with two dark ribs, on even grey."""
    made = np.full((CROP_SIZE, CROP_SIZE, 3), BACKGROUND, np.uint8)
    made[20:76, 10:86] = colour
    made[40:44, 10:86] = made[56:60, 10:86] = (30, 30, 30)
    return made


def test_paint_changes_and_the_rest_stays() -> None:
    before = crop((40, 60, 150))
    after = repainted(before, np.random.default_rng(3))
    outside = (before == BACKGROUND).all(axis=2)
    assert (after[outside] == BACKGROUND).all()
    assert np.abs(after[30, 30].astype(int) - before[30, 30]).max() > 20
    lightness = cv2.cvtColor(after, cv2.COLOR_BGR2LAB)[:, :, 0].astype(int)
    assert lightness[42, 50] < lightness[30, 50] - 20  # the ribs are still darker than the plate


@pytest.mark.slow(1)
def test_paint_is_drawn_whatever_the_stage() -> None:
    """Crops of two paints become crops of one distribution of paints."""
    rng = np.random.default_rng(4)
    paints = ((40, 60, 150), (150, 120, 40))
    means = []
    for colour in paints:
        painted = [cv2.cvtColor(repainted(crop(colour), rng), cv2.COLOR_BGR2LAB)[25:35, 20:80] for _ in range(150)]
        means.append(np.mean([one.reshape(-1, 3).mean(axis=0) for one in painted], axis=0))
    before = [
        cv2.cvtColor(crop(colour), cv2.COLOR_BGR2LAB)[30, 30].astype(float)
        for colour in ((40, 60, 150), (150, 120, 40))
    ]
    assert np.abs(before[0] - before[1])[1:].max() > 40
    assert np.abs(means[0] - means[1])[1:].max() < 10


def test_nothing_to_paint_stays() -> None:
    empty = np.full((CROP_SIZE, CROP_SIZE, 3), BACKGROUND, np.uint8)
    assert (repainted(empty, np.random.default_rng(0)) == empty).all()


def test_whole_yards_are_repainted_one_of_three() -> None:
    chosen = [is_repainted(Sample(Path(f"{number:05d}.jpg"), (960, 540), ())) for number in range(72)]
    assert sum(chosen) == 24
    assert all(len({*chosen[start : start + 12]}) == 1 for start in range(0, 72, 12))
