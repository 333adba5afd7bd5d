"""What the classifier sees: the object alone, square, on even grey."""

import numpy as np

from inference.crops import BACKGROUND, CROP_SIZE, masked_crop


def test_crop_shows_the_object_and_nothing_around_it() -> None:
    frame = np.full((200, 300, 3), 250, np.uint8)
    frame[50:100, 80:180] = (10, 20, 30)
    inside = np.zeros((80, 140), bool)
    inside[10:60, 20:120] = True  # the window starts at (60, 40)
    crop = masked_crop(frame, (60, 40, 200, 120), inside)
    assert crop is not None
    assert crop.shape == (CROP_SIZE, CROP_SIZE, 3)
    middle = crop[CROP_SIZE // 4 : -CROP_SIZE // 4]
    assert (middle == (10, 20, 30)).all()
    assert (crop[: CROP_SIZE // 4 - 1] == BACKGROUND).all()
    assert not (crop == 250).any()


def test_crop_of_an_empty_mask_is_none() -> None:
    assert masked_crop(np.zeros((9, 9, 3), np.uint8), (0, 0, 5, 5), np.zeros((5, 5), bool)) is None


def test_crop_of_a_single_pixel_is_square() -> None:
    inside = np.zeros((5, 5), bool)
    inside[2, 3] = True
    crop = masked_crop(np.full((9, 9, 3), 7, np.uint8), (0, 0, 5, 5), inside)
    assert crop is not None
    assert (crop == 7).all()
