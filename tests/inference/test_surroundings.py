"""What is left of a frame's colours without blocks and cranes; areas and means worked out by hand."""

from datetime import UTC, datetime

import numpy as np
import pytest

from inference.frame_look import FrameLook
from inference.surroundings import colours_around_blocks, colours_by_cranes, crane_share
from inference.types import CameraObservation, DetectedObject

RED = np.array([40, 30, 20] * 4, np.float16)


def thing(left: float, right: float, class_name: str = "block", paint: np.ndarray | None = RED) -> DetectedObject:
    """As high as the frame, from one column to another."""
    outline = np.array([[left, 0], [right, 0], [right, 100], [left, 100]], np.float32)
    return DetectedObject(class_name, 0.9, np.array([left, 0, right, 100], np.float32), outline, descriptor=paint)


def frame(*objects: DetectedObject) -> CameraObservation:
    return CameraObservation("C_1", datetime(2025, 7, 1, tzinfo=UTC), (100, 100), objects)


def look(red: float, yellow: float) -> FrameLook:
    return FrameLook(50.0, red, yellow, 20.0, -0.7)


def test_a_block_is_taken_off_by_its_paint_and_area() -> None:
    # Half of the frame is 30 red and 20 yellow, the rest 2 and 6: the whole is 16 and 13.
    np.testing.assert_allclose(colours_around_blocks(frame(thing(0, 50)), look(16, 13)), [2, 6])
    np.testing.assert_allclose(colours_around_blocks(frame(thing(0, 20), thing(70, 100)), look(16, 13)), [2, 6])
    np.testing.assert_allclose(colours_around_blocks(frame(), look(16, 13)), [16, 13])


def test_a_frame_full_of_blocks_says_nothing_of_what_is_around() -> None:
    assert np.isnan(colours_around_blocks(frame(thing(0, 85)), look(16, 13))).all()


def test_what_has_no_paint_in_an_observation_stays_in_the_frame() -> None:
    """Cranes, and blocks in observations of earlier versions."""
    objects = (thing(0, 30, "crane", None), thing(30, 50, paint=None))
    np.testing.assert_allclose(colours_around_blocks(frame(*objects), look(16, 13)), [16, 13])


def test_a_crane_covers_a_share_of_what_is_no_block() -> None:
    assert crane_share(frame(thing(0, 50), thing(50, 70, "crane", None))) == pytest.approx(0.4)
    assert crane_share(frame(thing(0, 50))) == 0
    # An outline is drawn around the whole crane, through which blocks are seen.
    assert crane_share(frame(thing(0, 90), thing(0, 100, "crane", None))) == 1


def test_what_cranes_do_to_colours_is_learned_from_all_cameras() -> None:
    rng = np.random.default_rng(0)
    shares = np.where(rng.random((80, 6)) < 0.3, 0.5, 0.0)
    usual = rng.normal(0, 10, (6, 2))
    off = usual + shares[..., None] * np.array([2.0, 24.0]) + rng.normal(0, 0.5, (80, 6, 2))
    off[5:9, 2] = np.nan
    np.testing.assert_allclose(colours_by_cranes(off, shares), [2, 24], atol=1.2)


def test_a_crane_that_never_moved_has_no_known_paint() -> None:
    off = np.random.default_rng(1).normal(0, 3, (80, 6, 2))
    np.testing.assert_allclose(colours_by_cranes(off, np.full((80, 6), 0.3)), [0, 0], atol=1e-9)
    once = np.zeros((80, 6))
    once[3, 3] = 0.2
    off[3, 3] = 5.0
    assert (np.abs(colours_by_cranes(off, once)) < 10).all()  # 25 is what the one frame would say
    nothing = np.full((80, 6, 2), np.nan)
    np.testing.assert_array_equal(colours_by_cranes(nothing, once), [0, 0])
