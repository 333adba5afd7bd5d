"""From frames to labels and back, as a person types it."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from bays import batch_id, load_bay
from capture_async.types import CaptureBatch, CapturedImage
from inference.__main__ import main
from inference.datasets import read_dataset
from inference.types import CameraObservation, DetectedObject, Observation
from tests.inference.datasets.conftest import SLOT, jpeg

OBJECT = DetectedObject(
    "block",
    0.8,
    np.array([20, 20, 80, 90], np.float32),
    np.array([(20, 20), (80, 25), (75, 90)], np.float32),
    "unit_assembly",
    0.9,
)


@pytest.fixture
def stored(store: Any) -> Any:
    """A store with one observed batch of two cameras, and one that nobody looked at."""
    name = batch_id("demo_bay", SLOT)
    images = tuple(CapturedImage(camera, "demo_bay", SLOT, jpeg()) for camera in ("C_2", "D_3"))
    store.save("capture", "demo_bay", name, CaptureBatch(name, "demo_bay", images))
    cameras = tuple(CameraObservation(image.camera_name, SLOT, (192, 108), (OBJECT,)) for image in images)
    store.save("observation", "demo_bay", name, Observation(name, "demo_bay", cameras))
    other = "demo_bay_20250702-072000"
    store.save("capture", "demo_bay", other, CaptureBatch(other, "demo_bay", images))
    return store


PERIOD = ["--from", "2025-07-02 16:00", "--to", "2025-07-02 17:00"]


def test_stored_batches_are_exported_with_what_was_seen(stored: Any, tmp_path: Path, capsys: Any) -> None:
    assert main(["export", "demo_bay", *PERIOD, "--out", str(tmp_path / "set"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["frames"], said["objects"], said["not_observed"]) == (2, {"block": 2}, ["demo_bay_20250702-072000"])
    frames = read_dataset(tmp_path / "set").frames
    assert {(frame.camera_name, frame.captured_at) for frame in frames} == {("C_2", SLOT), ("D_3", SLOT)}
    [thing] = frames[0].objects
    assert (thing.class_name, thing.stage, len(thing.polygon)) == ("block", "unit_assembly", 3)


def test_a_data_set_goes_to_a_labelling_tool_and_comes_back(stored: Any, tmp_path: Path) -> None:
    main(["export", "demo_bay", *PERIOD, "--out", str(tmp_path / "set")])
    assert main(["export", "--data", str(tmp_path / "set"), "--format", "cvat", "--out", str(tmp_path / "tool")]) == 0
    assert main(["import", str(tmp_path / "tool"), "--out", str(tmp_path / "labels")]) == 0
    assert [len(frame.objects) for frame in read_dataset(tmp_path / "labels").frames] == [1, 1]


def test_labels_with_an_error_are_not_imported(stored: Any, tmp_path: Path, capsys: Any) -> None:
    main(["export", "demo_bay", *PERIOD, "--out", str(tmp_path / "set")])
    path = tmp_path / "set/annotations.json"
    path.write_text(path.read_text().replace('"name": "block"', '"name": "HP-block"'))
    arguments = ["import", str(tmp_path / "set"), "--out", str(tmp_path / "labels")]
    assert main(arguments) == 1
    assert "is 'HP_block' in another spelling" in capsys.readouterr().out
    assert not (tmp_path / "labels").exists()
    assert main([*arguments, "--rename", "HP-block=HP_block"]) == 0


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (["export", "--out", "x"], 2, "name a bay"),
        (["export", "demo_bay", "--data", ".", "--out", "x"], 2, "name a bay"),
        (["export", "demo_bay", "--out", "x"], 2, "--from and --to are both needed"),
        (["export", "demo_bay", "--from", "2025-07-02", "--to", "2025-07-01", "--out", "x"], 2, "must lie before"),
        (
            ["export", "demo_bay", "--from", "2024-07-02", "--to", "2024-07-03", "--out", "x"],
            3,
            "no frames of demo_bay",
        ),
        (["predict", "demo_bay", "--out", "x"], 2, "name pictures"),
        (["predict", "demo_bay", ".", "--model", "detector=y", "--out", "x"], 2, "write KEY=FILE"),
        (["import", ".", "--out", "x", "--rename", "Panel"], 2, "write THEIRS=OURS"),
    ],
)
def test_wrong_use_makes_nothing(
    store: Any, tmp_path: Path, monkeypatch: Any, capsys: Any, arguments: list[str], status: int, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == status
    assert why in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.slow(4)
def test_pictures_of_a_folder_are_predicted(tmp_path: Path, capsys: Any) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for name in ("demo_bay_C_4_20250702071000.jpg", "other.png"):
        cv2.imwrite(str(pictures / name), rng.integers(0, 255, (180, 320, 3), np.uint8))
    (pictures / "broken.jpg").write_bytes(b"no picture")
    arguments = ["predict", "demo_bay", str(pictures), "--out", str(tmp_path / "set"), "--drawn", str(tmp_path / "d")]
    assert main(arguments) == 1
    assert "broken.jpg" in capsys.readouterr().err
    frames = {frame.name: frame for frame in read_dataset(tmp_path / "set").frames}
    assert frames.keys() == {"demo_bay_C_4_20250702071000.jpg", "other.png"}
    assert frames["demo_bay_C_4_20250702071000.jpg"].camera_name == "C_4"
    assert frames["other.png"].size == (320, 180)
    assert len(list((tmp_path / "d").iterdir())) == 2


@pytest.mark.slow(3)
def test_the_shipped_models_are_in_order(capsys: Any) -> None:
    assert main(["check", "demo_bay"]) == 0
    said = capsys.readouterr().out
    assert "tracked: panel, block, HP_block" in said
    assert "stage: " in said
    assert "error" not in said
    assert "warning" not in said


@pytest.mark.slow(3)
def test_every_checkpoint_that_is_wrong_is_named_with_its_remedy(tmp_path: Path, capsys: Any) -> None:
    shipped = load_bay("demo_bay").models
    content = torch.load(Path(__file__).parents[2] / shipped.yolo_detection, map_location="cpu", weights_only=False)
    names = dict(content["model"].names)
    content["model"].names = names | {key: "HP-block" for key, name in names.items() if name == "HP_block"}
    torch.save(content, tmp_path / "spelt.pt")
    (tmp_path / "page.pt").write_text("<!DOCTYPE html><html></html>")
    arguments = ["check", "demo_bay", "--json"]
    arguments += [
        "--model",
        f"yolo_detection={tmp_path / 'spelt.pt'}",
        "--model",
        f"classification={tmp_path / 'page.pt'}",
    ]
    assert main(arguments) == 1
    checked = {one["key"]: one for one in json.loads(capsys.readouterr().out)["demo_bay"]}
    [spelt], [page] = (checked[key]["findings"] for key in ("yolo_detection", "classification"))
    assert "'HP-block' for 'HP_block'" in spelt["text"]
    assert "is an HTML page" in page["text"]
    assert checked["sam_segmentation"]["findings"] == []
