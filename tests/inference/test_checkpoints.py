"""What a file is, is said before a library loads it; a damaged one never loads."""

import io
import json
import pickle
import random
import sys
import types
import zipfile
from pathlib import Path

import pytest

from bay_observation.errors import InferenceError
from bays import Models
from inference.checkpoints import file_sha256, open_checkpoint

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 51000000\n"


def written(folder: Path, content: bytes) -> Path:
    path = folder / "file.pt"
    path.write_bytes(content)
    return path


def archive(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in entries.items():
            opened.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (LFS, "Git LFS pointer.*git lfs pull"),
        (b"\n<!DOCTYPE html><html><title>Sign in</title>", "HTML page"),
        (b"<html><body>404", "HTML page"),
        (b'<?xml version="1.0"?><net name="m">', "XML file"),
        (b'{"error": "not found"}', "JSON text"),
        (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:", "ONNX export"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00" + b'{"a": 1}        ' + b"0" * 99, "safetensors"),
        (b"\x89HDF\r\n\x1a\n", "TensorFlow"),
        (b"\x1f\x8b\x08\x00", "packed archive"),
        (b"no checkpoint at all", "not a torch checkpoint"),
        (archive(weights__npy=b"1"), "numpy arrays"),
        (archive(notes__txt=b"1"), "zip archive without a torch checkpoint"),
        (archive(**{"m/data__pkl": b"\x80\x02.", "m/constants__pkl": b"\x80\x02."}), "TorchScript export"),
    ],
)
def test_another_file_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(InferenceError, match=reason) as raised:
        open_checkpoint(written(tmp_path, content))
    assert "weights_only" not in str(raised.value)


def test_an_unreadable_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match="cannot be read: Is a directory"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("share", [0.2, 0.7, 0.999])
def test_a_truncated_checkpoint_is_named(checkpoints: Models, tmp_path: Path, share: float) -> None:
    content = checkpoints.yolo_detection.read_bytes()
    with pytest.raises(InferenceError, match=r"truncated or damaged.*copy it again"):
        open_checkpoint(written(tmp_path, content[: int(share * len(content))]))


def test_512_zeroed_bytes_of_a_tensor_are_found_wherever_they_are(checkpoints: Models, tmp_path: Path) -> None:
    content = checkpoints.yolo_detection.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        large = [entry for entry in opened.infolist() if entry.file_size > 4096]
    draw = random.Random(5)
    for entry in draw.sample(large, 12):
        start = entry.header_offset + 2048
        damaged = content[:start] + bytes(512) + content[start + 512 :]
        assert damaged != content
        with pytest.raises(InferenceError, match="damaged"):
            open_checkpoint(written(tmp_path, damaged))


def test_no_zeroed_sector_passes_with_other_content(checkpoints: Models, tmp_path: Path) -> None:
    """Sectors anywhere: headers, directory, padding. What passes holds the same entries."""
    content = checkpoints.classification.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        entries = {name: opened.read(name) for name in opened.namelist()}
    draw = random.Random(6)
    for _ in range(25):
        start = draw.randrange(0, len(content) - 512)
        path = written(tmp_path, content[:start] + bytes(512) + content[start + 512 :])
        try:
            open_checkpoint(path)
        except InferenceError:
            continue
        with zipfile.ZipFile(path) as opened:
            assert {name: opened.read(name) for name in opened.namelist()} == entries


def test_the_expected_digest_decides(checkpoints: Models) -> None:
    digest = file_sha256(checkpoints.classification)
    assert open_checkpoint(checkpoints.classification, digest).is_ultralytics
    with pytest.raises(InferenceError, match=f"has the sha256 {digest}, the bay's file expects 0000"):
        open_checkpoint(checkpoints.classification, "0" * 64)


def test_a_file_without_checksums_needs_its_digest(tmp_path: Path) -> None:
    import torch

    torch.save({"a": torch.zeros(3)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(InferenceError, match=r"before 1\.6.*models\.sha256"):
        open_checkpoint(tmp_path / "old.pth")
    assert open_checkpoint(tmp_path / "old.pth", file_sha256(tmp_path / "old.pth")).is_state_dict


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_yolov5_checkpoint_is_named_and_nothing_of_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    module = types.ModuleType("models.yolo")
    module.Model = type("Model", (), {"__module__": "models.yolo"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "models", types.ModuleType("models"))
    monkeypatch.setitem(sys.modules, "models.yolo", module)
    content = pickle.dumps({"model": module.Model(), "epoch": 3}, protocol=protocol)
    checkpoint = open_checkpoint(written(tmp_path, archive(**{"best/data__pkl": content})))
    assert checkpoint.contents == "a YOLOv5 or YOLOv7 model"
    assert not checkpoint.is_ultralytics
    assert not checkpoint.is_state_dict


def test_kinds_of_the_real_checkpoints(checkpoints: Models) -> None:
    assert open_checkpoint(checkpoints.yolo_detection).contents == "an ultralytics DetectionModel"
    assert open_checkpoint(checkpoints.classification).contents == "an ultralytics ClassificationModel"
    assert open_checkpoint(checkpoints.sam_segmentation).is_state_dict


def test_a_foreign_object_is_named(tmp_path: Path) -> None:
    content = archive(**{"m/data__pkl": pickle.dumps(json.JSONDecoder)})
    assert (
        "Python objects of json (first: json.decoder.JSONDecoder)"
        in open_checkpoint(written(tmp_path, content)).contents
    )
