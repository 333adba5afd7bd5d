"""A folder holds one training: it goes on, and another one is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bay_observation.errors import InferenceError
from inference.datasets import LabelledFrame, LabelledObject, read_dataset, write_dataset
from inference.types import CLASSES
from lab.training import runs
from lab.training.__main__ import main
from lab.training.frames import Sample
from lab.training.yolo import class_names
from tests.inference.datasets.conftest import jpeg

SHIPPED = Path(__file__).parents[3] / "inference" / "weights"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    outline = np.array([(20, 20), (150, 24), (140, 90), (25, 95)], np.float32)
    thing = LabelledObject.outlined("block", outline, "unit_assembly")
    frames = [LabelledFrame(f"{number}.jpg", (192, 108), (thing,), jpeg(grey=60 + number)) for number in range(6)]
    write_dataset(tmp_path / "set", frames)
    return tmp_path / "set"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the trainings were asked for, in place of training."""
    asked: list[dict[str, Any]] = []

    def train(samples: list[Sample], held_out: list[Sample], out: Path, **settings: Any) -> Path:
        asked.append({"samples": samples, "held_out": held_out, **settings})
        (out / "result.pt").write_bytes(b"")
        return out / "result.pt"

    monkeypatch.setattr(runs, "_TRAINERS", dict.fromkeys(("detector", "segmenter", "classifier"), train))
    return asked


def test_own_labels_alone_or_beside_simulated_frames(
    data: Path, tmp_path: Path, trained: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = [Sample(Path(f"{number:05d}.jpg"), (960, 540), ()) for number in range(20)]
    monkeypatch.setattr(runs, "make_frames", lambda folder, count, seed: rendered[:count])
    arguments = ["train", "detector", "--data", str(data), "--device", "cpu", "--epochs", "1"]
    assert main([*arguments, "--out", str(tmp_path / "own"), "--batch", "3", "--image-size", "320"]) == 0
    assert main([*arguments, "--out", str(tmp_path / "both"), "--frames", "20"]) == 0
    alone, both = trained
    assert (len(alone["samples"]), len(alone["held_out"])) == (5, 1)
    assert (alone["hardware"].batch, alone["image_size"]) == (3, 320)
    assert (len(both["samples"]), len(both["held_out"])) == (23, 3)
    assert both["held_out"][1:] == rendered[-2:]


def test_another_training_is_refused_in_the_same_folder(
    data: Path, tmp_path: Path, trained: list[dict[str, Any]], capsys: Any
) -> None:
    arguments = ["train", "detector", "--data", str(data), "--device", "cpu", "--out", str(tmp_path / "own")]
    assert main([*arguments, "--epochs", "1"]) == 0
    assert main([*arguments, "--epochs", "1"]) == 0
    capsys.readouterr()
    assert main([*arguments, "--epochs", "2"]) == 1
    assert "holds another training (epochs: 1, now 2); name another --out" in capsys.readouterr().err
    assert len(trained) == 2


def test_what_cannot_be_started_from(data: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "page.pt").write_text("<html>")
    base = ["train", "detector", "--data", str(data), "--out", str(tmp_path / "own"), "--start"]
    assert main([*base, str(tmp_path / "page.pt")]) == 1
    assert "is an HTML page" in capsys.readouterr().err
    assert main([*base, str(SHIPPED / "segmenter.pth")]) == 1
    assert "is no ultralytics checkpoint" in capsys.readouterr().err
    for model, file in (("detector", "stages.pt"), ("classifier", "detector.pt")):
        base[1] = model
        assert main([*base, str(SHIPPED / file)]) == 1
        assert f"wanted: name the result of a {model}" in capsys.readouterr().err
    assert not (tmp_path / "own").exists()
    base[1] = "segmenter"
    assert main([*base, str(SHIPPED / "detector.pt")]) == 1
    assert "is no state dict of the small SAM" in capsys.readouterr().err


@pytest.mark.slow(6)
@pytest.mark.filterwarnings("ignore")
def test_a_detector_and_a_classifier_are_trained_on_own_labels(data: Path, tmp_path: Path) -> None:
    common = ["--data", str(data), "--device", "cpu", "--epochs", "1", "--out", str(tmp_path / "out")]
    more = ["--image-size", "160", "--start", str(SHIPPED / "detector.pt")]
    assert main(["train", "detector", *common, *more]) == 0
    assert class_names(tmp_path / "out/detector.pt") == CLASSES
    assert main(["train", "classifier", *common, "--start", str(SHIPPED / "stages.pt")]) == 0
    # The labels show one stage; the model still knows all that it knew.
    assert set(class_names(tmp_path / "out/stages.pt")) == set(class_names(SHIPPED / "stages.pt"))


@pytest.mark.slow(5)
def test_own_labels_are_scored_by_the_command(data: Path, capsys: Any) -> None:
    import json

    assert main(["score", "--data", str(data), "--device", "cpu", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["all"]["frames"] == len(read_dataset(data).frames) == 6
    assert said["all"]["labelled"] == 6
    assert main(["score", "--data", str(data), "--device", "cpu"]) == 0
    assert "unknown camera" in capsys.readouterr().out


def test_without_any_frame_nothing_is_trained(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match="nothing to train on"):
        list(runs.train(runs.Run(tmp_path, (), 0, 0, {"detector": 1})))
