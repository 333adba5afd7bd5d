"""Masks drawn in their boxes are SAM's own full-size masks, cut to the box."""

import numpy as np
import pytest
import torch

from inference.segmentation import embed, segment
from inference.yard_sam import IMAGE_SIZE, build_sam_vit_yard, register

register()

from segment_anything import SamPredictor, sam_model_registry  # noqa: E402

BOXES = np.array([[100, 80, 260, 200], [300, 60, 420, 140], [440, 0, 480, 270]], dtype=np.float32)


@pytest.fixture(scope="module")
def predictor() -> SamPredictor:
    torch.manual_seed(0)
    return SamPredictor(build_sam_vit_yard())


def test_masks_are_those_of_the_predictor(predictor: SamPredictor, picture: np.ndarray) -> None:
    found = segment(predictor, embed(predictor, picture), BOXES)
    predictor.set_image(picture, "BGR")
    prompts = predictor.transform.apply_boxes_torch(torch.from_numpy(BOXES), picture.shape[:2])
    whole, _, _ = predictor.predict_torch(None, None, boxes=prompts, multimask_output=False, return_logits=True)
    for mask, full in zip(found, whole[:, 0].numpy(), strict=True):
        left, top, right, bottom = mask.window
        logits = full[top:bottom, left:right]
        # The predictor interpolates twice; right at a mask's border the two may differ.
        clear = np.abs(logits) > 0.2 * np.abs(logits).max()
        assert clear.mean() > 0.3
        assert ((logits > 0) == mask.inside)[clear].all()


def test_windows_hold_the_boxes_and_stay_in_the_frame(predictor: SamPredictor, picture: np.ndarray) -> None:
    for box, mask in zip(BOXES, segment(predictor, embed(predictor, picture), BOXES), strict=True):
        left, top, right, bottom = mask.window
        assert 0 <= left <= box[0]
        assert 0 <= top <= box[1]
        assert box[2] <= right <= 480
        assert box[3] <= bottom <= 270
        assert mask.inside.shape == (bottom - top, right - left)


def test_a_frame_is_embedded_as_segment_anything_does_it(predictor: SamPredictor) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (300, 480, 3), dtype=np.uint8)
    predictor.set_image(frame, "BGR")
    embedded = embed(predictor, frame)
    assert embedded.frame_size == (300, 480)
    assert embedded.input_size == predictor.input_size
    # An upscaled or a downscaled picture may differ from PIL's by one grey level.
    assert torch.allclose(embedded.features, predictor.features, atol=0.05)


def test_all_boxes_of_a_frame_are_one_call_of_the_decoder(
    predictor: SamPredictor, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    decode = predictor.model.mask_decoder.forward
    monkeypatch.setattr(
        predictor.model.mask_decoder, "forward", lambda **inputs: calls.append(inputs) or decode(**inputs)
    )
    assert len(segment(predictor, embed(predictor, picture), BOXES)) == len(BOXES) > 1
    assert len(calls) == 1


def test_no_box_no_mask(predictor: SamPredictor, picture: np.ndarray) -> None:
    assert segment(predictor, embed(predictor, picture), np.zeros((0, 4), np.float32)) == []


def test_padding_below_the_picture_changes_nothing() -> None:
    sam = sam_model_registry["vit_yard"]()
    half = torch.rand(1, 3, IMAGE_SIZE // 2, IMAGE_SIZE) + 0.1
    padded = torch.nn.functional.pad(half, (0, 0, 0, IMAGE_SIZE // 2))
    with torch.no_grad():
        embedding = sam.image_encoder(padded)
    assert embedding.shape == (1, 128, IMAGE_SIZE // 16, IMAGE_SIZE // 16)
    assert embedding[:, :, IMAGE_SIZE // 32 :].abs().max() == 0
    assert embedding[:, :, : IMAGE_SIZE // 32].abs().max() > 0
