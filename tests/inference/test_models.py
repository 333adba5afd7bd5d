"""A checkpoint that cannot be used is refused by path and key."""

from pathlib import Path

import pytest

from bay_observation.errors import InferenceError
from bays import Models
from inference.models import load_models, models_path


def changed(models: Models, **update: object) -> Models:
    return models.model_copy(update=update)


def test_checkpoints_of_the_right_kinds_load(checkpoints: Models) -> None:
    loaded = load_models(checkpoints, device="cpu")
    assert loaded.detector.task == "detect"
    assert loaded.classifier.task == "classify"
    assert loaded.image_size == 320


def test_loading_keeps_the_threads_of_the_process(checkpoints: Models) -> None:
    import torch

    before = torch.get_num_threads()
    load_models(checkpoints, device="cpu")
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("key", ["yolo_detection", "sam_segmentation", "classification"])
def test_a_missing_file_is_named(checkpoints: Models, tmp_path: Path, key: str) -> None:
    with pytest.raises(InferenceError, match=rf"models\.{key}: {tmp_path}/away\.pt: there is no such file"):
        load_models(changed(checkpoints, **{key: tmp_path / "away.pt"}), device="cpu")


@pytest.mark.parametrize("key", ["yolo_detection", "sam_segmentation", "classification"])
def test_garbage_is_named(checkpoints: Models, tmp_path: Path, key: str) -> None:
    garbage = tmp_path / "garbage.pt"
    garbage.write_bytes(b"no checkpoint at all" * 50)
    with pytest.raises(InferenceError, match=rf"models\.{key}: {garbage}"):
        load_models(changed(checkpoints, **{key: garbage}), device="cpu")


def test_a_classifier_is_no_detector(checkpoints: Models) -> None:
    with pytest.raises(InferenceError, match=r"models\.yolo_detection: .*'classify' where 'detect' is wanted"):
        load_models(changed(checkpoints, yolo_detection=checkpoints.classification), device="cpu")


def test_a_detector_is_no_classifier(checkpoints: Models) -> None:
    with pytest.raises(InferenceError, match=r"models\.classification: .*'detect' where 'classify' is wanted"):
        load_models(changed(checkpoints, classification=checkpoints.yolo_detection), device="cpu")


def test_a_detector_is_no_segmenter(checkpoints: Models) -> None:
    with pytest.raises(InferenceError, match=r"models\.sam_segmentation: .*no state dict of a SAM vit_yard"):
        load_models(changed(checkpoints, sam_segmentation=checkpoints.yolo_detection), device="cpu")


def test_a_segmenter_of_another_size_is_refused(checkpoints: Models) -> None:
    with pytest.raises(InferenceError, match=r"models\.sam_segmentation: .*no state dict of a SAM vit_b"):
        load_models(changed(checkpoints, sam_model_type="vit_b"), device="cpu")


def test_an_unknown_kind_of_sam_is_named(checkpoints: Models) -> None:
    with pytest.raises(InferenceError, match=r"models\.sam_model_type: 'vit_x' is unknown; known are .*vit_yard"):
        load_models(changed(checkpoints, sam_model_type="vit_x"), device="cpu")


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
