"""What the models are given, and how much of it in one call."""

import numpy as np
import pytest
import torch
from ultralytics.data.augment import classify_transforms

from inference.models import CallSizes, as_pictures


@pytest.mark.parametrize(("size", "levels"), [(96, 0), (64, 1), (224, 1)])
def test_crops_become_the_pictures_that_ultralytics_makes_of_them(size: int, levels: int) -> None:
    from PIL import Image

    crops = list(np.random.default_rng(1).integers(0, 255, (3, 96, 96, 3), dtype=np.uint8))
    pictures = as_pictures(crops, size, "cpu")
    assert pictures.shape == (3, 3, size, size)
    transform = classify_transforms(size)
    theirs = torch.stack([transform(Image.fromarray(np.ascontiguousarray(crop[:, :, ::-1]))) for crop in crops])
    assert (pictures - theirs).abs().max() <= levels / 255 + 1e-6


def test_a_gpu_takes_more_frames_a_call_than_a_cpu() -> None:
    assert CallSizes.for_device("cuda:1").frames_per_detection == 12
    assert CallSizes.for_device("cuda:1").frames_per_embedding >= 4
    assert CallSizes.for_device("cpu").frames_per_embedding == 1
