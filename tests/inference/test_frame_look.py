"""Light, colours and focus of a frame, each moved by itself alone."""

import cv2
import numpy as np
import pytest

from inference.frame_look import LOOK_LENGTH, FrameLook


@pytest.fixture
def picture() -> np.ndarray:
    """Grey with edges and a little noise."""
    canvas = np.full((540, 960, 3), 120, np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(150):
        x, y = rng.integers(0, 900), rng.integers(0, 500)
        cv2.rectangle(canvas, (int(x), int(y)), (int(x) + 40, int(y) + 30), (int(rng.integers(60, 200)),) * 3, -1)
    return np.clip(canvas + rng.normal(0, 2, canvas.shape), 0, 255).astype(np.uint8)


def test_an_even_grey_has_its_lightness_and_no_colour() -> None:
    look = FrameLook.of(np.full((80, 160, 3), 119, np.uint8))
    assert look.lightness == pytest.approx(50.0, abs=0.5)  # CIELAB: grey 119 of sRGB is L 50
    assert (look.red, look.yellow, look.contrast) == pytest.approx((0, 0, 0), abs=0.05)


def test_sharpness_falls_with_a_blur_and_with_nothing_else(picture: np.ndarray) -> None:
    sharp = FrameLook.of(picture).sharpness
    assert FrameLook.of(cv2.GaussianBlur(picture, (0, 0), 2)).sharpness < sharp - 0.3
    assert FrameLook.of((picture * 0.5).astype(np.uint8)).sharpness == pytest.approx(sharp, abs=0.08)


def test_light_is_named_by_level_and_tint(picture: np.ndarray) -> None:
    assert FrameLook.of(picture).light == "medium"
    assert FrameLook.of((picture * 0.1).astype(np.uint8)).light == "dark"
    assert FrameLook.of((picture * np.array([0.3, 0.7, 0.9])).astype(np.uint8)).light in ("dim, warm", "medium, warm")
    assert FrameLook.of((picture * np.array([1.0, 0.6, 0.4])).astype(np.uint8)).light in ("dim, cold", "medium, cold")


def test_a_look_is_kept_in_few_numbers(picture: np.ndarray) -> None:
    look = FrameLook.of(picture)
    kept = look.to_array()
    assert kept.shape == (LOOK_LENGTH,)
    assert FrameLook.from_array(kept).sharpness == pytest.approx(look.sharpness, abs=1e-3)


def test_a_picture_of_a_few_pixels_has_a_look() -> None:
    assert FrameLook.of(np.zeros((1, 1, 3), np.uint8)).sharpness == 0.0
