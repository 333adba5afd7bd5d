"""Descriptors: the paint of an object, whatever the light."""

import numpy as np
import pytest

from inference.descriptors import DESCRIPTOR_LENGTH, describe, unlikeness

RED, BLUE = (40, 50, 150), (150, 90, 40)
WINDOW = (10, 20, 50, 60)


def frame(colour: tuple[int, int, int], light: float = 1.0) -> np.ndarray:
    """A plate of the colour at (20, 30) to (40, 50), with noise, on a green floor."""
    made = np.full((80, 90, 3), (60, 160, 60), np.float32)
    made[30:50, 20:40] = colour
    noise = np.random.default_rng(1).normal(0, 3, made.shape)
    return np.clip(made * light + noise, 0, 255).astype(np.uint8)


def plate() -> np.ndarray:
    inside = np.zeros((40, 40), bool)
    inside[10:30, 10:30] = True
    return inside


def of(colour: tuple[int, int, int], light: float = 1.0) -> np.ndarray:
    found = describe(frame(colour, light), WINDOW, plate())
    assert found is not None
    return found


def test_it_is_the_colour_of_the_mask_alone() -> None:
    found = of(RED)
    assert found.shape == (DESCRIPTOR_LENGTH,)
    assert found.dtype == np.float16
    lightness, a, b = found[:3].astype(float)
    assert lightness == pytest.approx(34.5, abs=1.5)  # of (150, 50, 40) in sRGB: L 34.6, a 41.4, b 29.4
    assert (a, b) == (pytest.approx(41.4, abs=2), pytest.approx(29.4, abs=2))
    assert (np.diff(found.reshape(4, 3)[1:].astype(float), axis=0) >= 0).all()  # quantiles rise


def test_two_paints_are_farther_apart_than_two_lights() -> None:
    assert unlikeness(of(RED), of(BLUE)) > 30
    assert unlikeness(of(RED), of(RED, light=0.8)) < 10
    assert unlikeness(of(RED), of(RED)) == 0


def test_lightness_alone_is_no_unlikeness() -> None:
    one = of(RED)
    darker = one.copy()
    darker[::3] -= 20
    assert unlikeness(one, darker) == 0


def test_a_large_object_is_sampled() -> None:
    large = np.full((1080, 1920, 3), RED, np.uint8)
    found = describe(large, (0, 0, 1920, 1080), np.ones((1080, 1920), bool))
    assert found is not None
    assert unlikeness(found, of(RED)) < 3


def test_an_empty_mask_has_no_descriptor() -> None:
    assert describe(frame(RED), WINDOW, np.zeros((40, 40), bool)) is None
