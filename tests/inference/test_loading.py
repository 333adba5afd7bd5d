"""A checkpoint that cannot be used is refused by path and key."""

from pathlib import Path

import pytest

from bay_observation.errors import InferenceError
from bays import Models
from inference.checking import check_models
from inference.loading import load_models, models_path


def changed(models: Models, **update: object) -> Models:
    return models.model_copy(update=update)


@pytest.mark.slow(1)
def test_checkpoints_of_the_right_kinds_load(checkpoints: Models) -> None:
    loaded = load_models(checkpoints, device="cpu")
    assert loaded.detector.task == "detect"
    assert loaded.classifier.task == "classify"
    assert loaded.image_size == 320


@pytest.mark.slow(1)
def test_loading_keeps_the_threads_of_the_process(checkpoints: Models) -> None:
    import torch

    before = torch.get_num_threads()
    load_models(checkpoints, device="cpu")
    assert torch.get_num_threads() == before


@pytest.mark.slow(0.3)
@pytest.mark.parametrize("key", ["yolo_detection", "sam_segmentation", "classification"])
def test_a_missing_file_is_named(checkpoints: Models, tmp_path: Path, key: str) -> None:
    with pytest.raises(InferenceError, match=rf"models\.{key}: {tmp_path}/away\.pt: there is no such file"):
        load_models(changed(checkpoints, **{key: tmp_path / "away.pt"}), device="cpu")


@pytest.mark.slow(0.2)
@pytest.mark.parametrize("key", ["yolo_detection", "sam_segmentation", "classification"])
def test_garbage_is_named(checkpoints: Models, tmp_path: Path, key: str) -> None:
    garbage = tmp_path / "garbage.pt"
    garbage.write_bytes(b"no checkpoint at all" * 50)
    with pytest.raises(InferenceError, match=rf"models\.{key}: {garbage}"):
        load_models(changed(checkpoints, **{key: garbage}), device="cpu")


def test_a_classifier_is_no_detector(checkpoints: Models) -> None:
    with pytest.raises(InferenceError, match=r"models\.yolo_detection: .*'classify' where 'detect' is wanted"):
        load_models(changed(checkpoints, yolo_detection=checkpoints.classification), device="cpu")


@pytest.mark.slow(1)
def test_a_detector_is_no_classifier(checkpoints: Models) -> None:
    with pytest.raises(InferenceError, match=r"models\.classification: .*'detect' where 'classify' is wanted"):
        load_models(changed(checkpoints, classification=checkpoints.yolo_detection), device="cpu")


@pytest.mark.slow(1)
def test_a_detector_is_no_segmenter(checkpoints: Models) -> None:
    with pytest.raises(InferenceError, match=r"models\.sam_segmentation: .*no state dict of a SAM vit_yard"):
        load_models(changed(checkpoints, sam_segmentation=checkpoints.yolo_detection), device="cpu")


def renamed(models: Models, key: str, folder: Path, names: tuple[str, ...]) -> Models:
    """The bay's models with one checkpoint whose first classes have other names, and the rest none of ours."""
    import torch

    source = getattr(models, key)
    content = torch.load(source, map_location="cpu", weights_only=False)
    count = len(content["model"].names)
    content["model"].names = dict(enumerate((*names, *(f"thing {i}" for i in range(count)))[:count]))
    torch.save(content, folder / "renamed.pt")
    return changed(models, **{key: folder / "renamed.pt"})


@pytest.mark.slow(1)
def test_a_detector_of_other_classes_is_refused(checkpoints: Models, tmp_path: Path) -> None:
    other = renamed(checkpoints, "yolo_detection", tmp_path, ("person", "bicycle"))
    with pytest.raises(InferenceError, match=r"yolo_detection: .*classes are person, bicycle, .*wanted are .*HP_block"):
        load_models(other, device="cpu")


@pytest.mark.slow(1)
def test_a_detector_that_knows_one_tracked_class_and_others_of_its_own_loads(
    checkpoints: Models, tmp_path: Path
) -> None:
    other = renamed(checkpoints, "yolo_detection", tmp_path, ("person", "block"))
    assert "block" in load_models(other, device="cpu").detector.names.values()


def test_a_detector_with_classes_in_another_spelling_is_refused(checkpoints: Models, tmp_path: Path) -> None:
    other = renamed(checkpoints, "yolo_detection", tmp_path, ("Panel", "HP-block", "block"))
    wanted = (
        r"'Panel' for 'panel', 'HP-block' for 'HP_block'; .*`models.class_names: {Panel: panel, HP-block: HP_block}`"
    )
    with pytest.raises(InferenceError, match=wanted):
        load_models(other, device="cpu")


@pytest.mark.slow(1)
def test_the_bay_renames_classes(checkpoints: Models, tmp_path: Path) -> None:
    other = renamed(checkpoints, "yolo_detection", tmp_path, ("Panel", "HP-block", "pannel"))
    named = changed(other, class_names={"Panel": "panel", "HP-block": "HP_block", "pannel": "pannel"})
    names = load_models(named, device="cpu").detector.names
    assert [names[i] for i in range(3)] == ["panel", "HP_block", "pannel"]


@pytest.mark.slow(1)
def test_a_name_to_rename_that_no_checkpoint_has_is_told(checkpoints: Models, tmp_path: Path) -> None:
    other = renamed(checkpoints, "yolo_detection", tmp_path, ("Panel", "HP_block", "block"))
    named = changed(other, class_names={"Panel": "panel", "HP-blok": "HP_block"})
    [told] = [one.text for checked in check_models(named) for one in checked.findings if "class_names" in one.text]
    assert told == "models.class_names.HP-blok: no checkpoint has this class: did you mean HP_block?"


@pytest.mark.slow(1)
def test_stages_in_another_spelling_are_refused(checkpoints: Models, tmp_path: Path) -> None:
    other = renamed(checkpoints, "classification", tmp_path, ("Sub-assembly", "launch"))
    with pytest.raises(InferenceError, match=r"models\.classification: .*'Sub-assembly' for 'sub_assembly'"):
        load_models(other, device="cpu")


@pytest.mark.slow(1)
def test_the_bay_says_which_stages_there_must_be(checkpoints: Models) -> None:
    assert load_models(changed(checkpoints, stages=("a", "b", "c", "d")), device="cpu")
    with pytest.raises(InferenceError, match=r"classes are a, b, c, d; wanted are exactly models\.stages: a, b"):
        load_models(changed(checkpoints, stages=("a", "b")), device="cpu")


def test_the_digest_of_the_bays_file_is_checked(checkpoints: Models) -> None:
    with pytest.raises(InferenceError, match=r"models\.sam_segmentation: .*the bay's file expects 0000"):
        load_models(changed(checkpoints, sha256={"sam_segmentation": "0" * 64}), device="cpu")


@pytest.mark.slow(0.2)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"model": {}, "epoch": 3}, "checkpoint of a training .model, epoch.; save the model's state_dict"),
        ([1, 2], "checkpoint of a training .list."),
    ],
)
def test_a_checkpoint_of_a_training_is_no_state_dict(
    checkpoints: Models, tmp_path: Path, content: object, reason: str
) -> None:
    import torch

    torch.save(content, tmp_path / "training.pth")
    with pytest.raises(InferenceError, match=reason):
        load_models(changed(checkpoints, sam_segmentation=tmp_path / "training.pth"), device="cpu")


@pytest.mark.slow(0.3)
@pytest.mark.parametrize("width", [768, 1024, 1280])
def test_another_type_of_sam_is_named(checkpoints: Models, tmp_path: Path, width: int) -> None:
    import torch

    torch.save({"image_encoder.pos_embed": torch.zeros(1, 64, 64, width)}, tmp_path / "sam.pth")
    kind = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}[width]
    with pytest.raises(InferenceError, match=f"it is of a SAM {kind}; set models.sam_model_type: {kind}"):
        load_models(changed(checkpoints, sam_segmentation=tmp_path / "sam.pth"), device="cpu")


@pytest.mark.slow(1)
def test_a_state_dict_that_lacks_or_adds_tensors_is_refused(checkpoints: Models, tmp_path: Path) -> None:
    import torch

    state = torch.load(checkpoints.sam_segmentation, weights_only=True)
    first = next(iter(state))
    for other, reason in (
        ({name: value for name, value in state.items() if name != first}, f"1 of its .* missing .first: {first}"),
        (state | {"spare": torch.zeros(1)}, "1 tensors that a SAM vit_yard does not have .first: spare"),
        (state | {first: torch.zeros(2, 2)}, f"{first} is .2, 2. where"),
    ):
        torch.save(other, tmp_path / "sam.pth")
        with pytest.raises(InferenceError, match=reason):
            load_models(changed(checkpoints, sam_segmentation=tmp_path / "sam.pth"), device="cpu")


@pytest.mark.slow(1)
def test_a_jig_classifier_is_no_stage_classifier(checkpoints: Models, tmp_path: Path) -> None:
    other = renamed(checkpoints, "classification", tmp_path, ("pinjig", "gridjig"))
    with pytest.raises(InferenceError, match=r"models\.classification: .*pinjig, gridjig, .*assembly stages"):
        load_models(other, device="cpu")


@pytest.mark.slow(1)
def test_a_stage_classifier_is_no_jig_classifier(checkpoints: Models) -> None:
    other = changed(checkpoints, jig_classification=checkpoints.classification)
    with pytest.raises(InferenceError, match=r"models\.jig_classification: .*classes are a, b, c, d; wanted"):
        load_models(other, device="cpu")


@pytest.mark.slow(2)
def test_a_jig_classifier_loads_where_the_bay_asks_for_one(checkpoints: Models, tmp_path: Path) -> None:
    jigs = renamed(checkpoints, "classification", tmp_path, ("pinjig", "gridjig")).classification
    assert load_models(checkpoints, device="cpu").jig_classifier is None
    loaded = load_models(changed(checkpoints, jig_classification=jigs), device="cpu")
    assert loaded.jig_classifier.names[1] == "gridjig"


@pytest.mark.parametrize(("has_bfloat16", "half"), [(True, "bfloat16"), (False, "float16")])
def test_a_gpu_computes_in_half_precision(monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool, half: str) -> None:
    import torch

    from inference.loading import half_precision

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bfloat16)
    assert half_precision("cuda:1") is getattr(torch, half)


@pytest.mark.slow(1)
def test_a_cpu_computes_in_single_precision(checkpoints: Models) -> None:
    assert load_models(checkpoints, device="cpu").half is None


@pytest.mark.slow(1)
def test_a_bay_can_refuse_half_precision(checkpoints: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr("inference.loading.half_precision", lambda _: torch.bfloat16)
    monkeypatch.setattr("inference.loading._warm_up", lambda _: None)
    assert load_models(checkpoints, device="cpu").half is torch.bfloat16
    assert load_models(changed(checkpoints, half_precision=False), device="cpu").half is None


@pytest.mark.slow(1)
def test_half_precision_reaches_all_models(checkpoints: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace
    from unittest.mock import Mock

    import numpy as np
    import torch

    from inference.models import classify, detect
    from inference.segmentation import embed, prompt

    loaded = load_models(checkpoints, device="cpu")
    half = replace(loaded, half=torch.bfloat16, detector=Mock(), classifier=Mock())
    half.classifier.predict.return_value = []
    half.classifier.overrides = {"imgsz": 96}
    detect(half, [])
    classify(half, [np.zeros((96, 96, 3), np.uint8)])
    assert half.detector.predict.call_args.kwargs["half"] is True
    assert half.classifier.predict.call_args.kwargs["half"] is True
    frame = np.zeros((270, 480, 3), np.uint8)
    computed_in = []
    for part in (half.segmenter.model.image_encoder, half.segmenter.model.mask_decoder):
        part.register_forward_pre_hook(
            lambda *_: computed_in.append(torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu"))
        )
    box = np.float32([[10, 10, 90, 90]])
    prompt(half.segmenter, embed(half.segmenter, [frame], half.half), box)
    prompt(half.segmenter, embed(half.segmenter, [frame]), box)
    assert computed_in == [torch.bfloat16, False, False, False]  # the mask decoder never


@pytest.mark.slow(1)
def test_a_segmenter_of_another_size_is_refused(checkpoints: Models) -> None:
    with pytest.raises(InferenceError, match=r"models\.sam_segmentation: .*no state dict of a SAM vit_b"):
        load_models(changed(checkpoints, sam_model_type="vit_b"), device="cpu")


def test_an_unknown_kind_of_sam_is_named(checkpoints: Models) -> None:
    with pytest.raises(InferenceError, match=r"models\.sam_model_type: 'vit_x' is unknown; known are .*vit_yard"):
        load_models(changed(checkpoints, sam_model_type="vit_x"), device="cpu")


@pytest.mark.slow(1)
def test_a_checkpoint_runs_no_code_of_its_own(checkpoints: Models, tmp_path: Path) -> None:
    import torch

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    trap = tmp_path / "trap.pt"
    torch.save({"model": Trap(), "train_args": {}}, trap)
    for key in ("yolo_detection", "sam_segmentation", "classification"):
        with pytest.raises(InferenceError, match=str(trap)):
            load_models(changed(checkpoints, **{key: trap}), device="cpu")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.slow(1)
def test_relative_paths_start_at_models_path(
    checkpoints: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relative = changed(checkpoints, yolo_detection=Path(checkpoints.yolo_detection.name))
    monkeypatch.setenv("MODELS_PATH", str(tmp_path))
    with pytest.raises(InferenceError, match=f"{tmp_path}/detector.pt: there is no such file .*MODELS_PATH"):
        load_models(relative, device="cpu")
    monkeypatch.setenv("MODELS_PATH", str(checkpoints.yolo_detection.parent))
    assert load_models(relative, device="cpu").detector.task == "detect"


def test_without_models_path_they_start_beside_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    import bays

    monkeypatch.delenv("MODELS_PATH", raising=False)
    assert models_path() == Path(bays.__file__).parent.parent
