"""Masks drawn in their boxes are SAM's own full-size masks, cut to the box."""

import numpy as np
import pytest
import torch

from inference.segmentation import EmbeddedFrame, ObjectMask, _resized, draw, embed, prompt
from inference.yard_sam import IMAGE_SIZE, build_sam_vit_yard, register

register()

from segment_anything import SamPredictor, sam_model_registry  # noqa: E402
from segment_anything.modeling import MaskDecoder, TwoWayTransformer  # noqa: E402

BOXES = np.array([[100, 80, 260, 200], [300, 60, 420, 140], [440, 0, 480, 270]], dtype=np.float32)


@pytest.fixture(scope="module")
def predictor() -> SamPredictor:
    torch.manual_seed(0)
    return SamPredictor(build_sam_vit_yard())


def segment(predictor: SamPredictor, picture: np.ndarray) -> list[ObjectMask]:
    [embedded] = embed(predictor, [picture])
    logits = prompt(predictor, [embedded] * len(BOXES), BOXES)
    return [draw(predictor, embedded, box, one) for box, one in zip(BOXES, logits, strict=True)]


def test_masks_are_those_of_the_predictor(predictor: SamPredictor, picture: np.ndarray) -> None:
    found = segment(predictor, picture)
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
    for box, mask in zip(BOXES, segment(predictor, picture), strict=True):
        left, top, right, bottom = mask.window
        assert 0 <= left <= box[0]
        assert 0 <= top <= box[1]
        assert box[2] <= right <= 480
        assert box[3] <= bottom <= 270
        assert mask.inside.shape == (bottom - top, right - left)


@pytest.mark.parametrize("own", [True, False], ids=["vit_yard's decoder", "segment-anything's decoder"])
def test_boxes_of_several_frames_are_prompted_together(own: bool) -> None:
    """Each box has the logits that it has in a call of its frame's boxes alone."""
    torch.manual_seed(1)
    sam = SamPredictor(build_sam_vit_yard())
    if not own:
        transformer = TwoWayTransformer(depth=1, embedding_dim=128, num_heads=4, mlp_dim=256)
        sam.model.mask_decoder = MaskDecoder(transformer_dim=128, transformer=transformer).eval()
    frames = [EmbeddedFrame(torch.randn(1, 128, 40, 40), (270, 480), (360, 640)) for _ in range(2)]
    alone = [prompt(sam, [frame], box[None])[0] for frame, box in zip((*frames, frames[0]), BOXES, strict=True)]
    together = prompt(sam, [*frames, frames[0]], BOXES)
    assert np.allclose(together, alone, atol=1e-4)
    assert not np.allclose(together[1], prompt(sam, [frames[0]], BOXES[1:2])[0], atol=1e-2)


def test_a_frame_is_embedded_as_segment_anything_does_it(predictor: SamPredictor) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (300, 480, 3), dtype=np.uint8)
    predictor.set_image(frame, "BGR")
    [embedded] = embed(predictor, [frame])
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
    assert len(segment(predictor, picture)) == len(BOXES) > 1
    assert len(calls) == 1


@pytest.mark.slow(1)
def test_frames_of_one_call_are_embedded_as_alone(predictor: SamPredictor, picture: np.ndarray) -> None:
    frames = [picture, 255 - picture, picture[:, ::-1]]
    together = embed(predictor, frames)
    for frame, embedded in zip(frames, together, strict=True):
        [alone] = embed(predictor, [frame])
        assert torch.allclose(embedded.features, alone.features, atol=1e-4)


def test_a_gpu_resizes_to_the_same_grey_levels_but_one(picture: np.ndarray) -> None:
    bytes_of_the_cpu = _resized(picture, (360, 640), torch.device("cpu"))
    on_a_gpu = torch.nn.functional.interpolate(
        torch.from_numpy(picture).permute(2, 0, 1)[None].float(), (360, 640), mode="bilinear", antialias=True
    ).round()
    assert (bytes_of_the_cpu.float() - on_a_gpu).abs().max() <= 1


def test_a_fused_encoder_computes_the_same() -> None:
    torch.manual_seed(1)
    plain = build_sam_vit_yard()
    for layer in plain.image_encoder.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):  # as after a training
            layer.running_mean.uniform_(-0.5, 0.5)
            layer.running_var.uniform_(0.5, 2)
    fused = build_sam_vit_yard()
    fused.load_state_dict(plain.state_dict())
    fused.image_encoder.fuse()
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in fused.image_encoder.modules())
    frames = torch.nn.functional.pad(torch.rand(2, 3, 352, IMAGE_SIZE), (0, 0, 0, IMAGE_SIZE - 352))
    with torch.inference_mode():
        one, other = plain.image_encoder(frames), fused.image_encoder(frames)
    assert torch.allclose(one, other, atol=1e-4)


def test_padding_below_the_picture_changes_nothing() -> None:
    sam = sam_model_registry["vit_yard"]()
    half = torch.rand(1, 3, IMAGE_SIZE // 2, IMAGE_SIZE) + 0.1
    padded = torch.nn.functional.pad(half, (0, 0, 0, IMAGE_SIZE // 2))
    with torch.no_grad():
        embedding = sam.image_encoder(padded)
    assert embedding.shape == (1, 128, IMAGE_SIZE // 16, IMAGE_SIZE // 16)
    assert embedding[:, :, IMAGE_SIZE // 32 :].abs().max() == 0
    assert embedding[:, :, : IMAGE_SIZE // 32].abs().max() > 0
