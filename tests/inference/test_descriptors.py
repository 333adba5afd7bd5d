"""Descriptors: the mean of the embedding over a mask, in a fixed projection."""

import numpy as np
import pytest
import torch

from inference.descriptors import DESCRIPTOR_LENGTH, pooled, project, unlikeness

# Of the projection of the first channel of 128.
FIRST = [-0.0917, 0.1418, 0.1600, -0.2871]


def test_the_mean_is_taken_over_the_cells_of_the_mask() -> None:
    features = torch.zeros(1, 2, 4, 4)
    features[0, 0, 1, 1], features[0, 0, 1, 2], features[0, 1, 3, 3] = 2.0, 4.0, 9.0
    masks = torch.zeros(1, 16, 16, dtype=torch.bool)
    masks[0, 4:8, 4:12] = True  # cells (1, 1) and (1, 2)
    boxes = torch.tensor([[0.25, 0.25, 0.75, 0.5]])
    assert pooled(features, masks, boxes).tolist() == [[3.0, 0.0]]


def test_a_mask_outside_of_its_box_does_not_count() -> None:
    features = torch.zeros(1, 1, 4, 4)
    features[0, 0, 3, 3] = 9.0
    masks = torch.ones(1, 16, 16, dtype=torch.bool)
    assert pooled(features, masks, torch.tensor([[0.0, 0.0, 0.5, 0.5]])).tolist() == [[0.0]]


def test_an_empty_mask_takes_the_box() -> None:
    features = torch.arange(16.0).reshape(1, 1, 4, 4)
    masks = torch.zeros(1, 16, 16, dtype=torch.bool)
    assert pooled(features, masks, torch.tensor([[0.25, 0.0, 0.5, 0.25]])).tolist() == [[1.0]]


def test_angles_are_kept_roughly() -> None:
    vectors = np.random.default_rng(2).normal(size=(60, 128)).astype(np.float32)
    vectors[1::2] = vectors[::2] + 0.2 * vectors[1::2]
    short = project(vectors)
    alike = [unlikeness(short[i], short[i + 1]) for i in range(0, 60, 2)]
    others = [unlikeness(short[i], short[i + 2]) for i in range(0, 58, 2)]
    assert max(alike) < 0.15
    assert np.median(others) == pytest.approx(1, abs=0.2)


def test_the_directions_never_change() -> None:
    [short] = project(np.eye(1, 128, dtype=np.float32))
    assert short.dtype == np.float16
    assert len(short) == DESCRIPTOR_LENGTH
    assert short[:4].tolist() == pytest.approx(FIRST, abs=1e-3)


def test_nothing_gives_no_division_by_zero() -> None:
    assert not project(np.zeros((1, 128), np.float32)).any()
