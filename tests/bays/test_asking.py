"""What models and cameras say of a bay becomes findings of the check."""

import json
import re
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from bays import asking
from bays.__main__ import main
from inference.checking import CheckedModel, ModelFinding


@pytest.fixture
def answer(monkeypatch):
    """What the asked command ends with and prints."""

    def set_answer(status=0, stdout="", stderr=""):
        done = SimpleNamespace(returncode=status, stdout=stdout, stderr=stderr)
        monkeypatch.setattr(asking.subprocess, "run", lambda *_, **__: done)

    return set_answer


@pytest.mark.slow(3)
def test_a_camera_without_a_frame_is_named_with_the_remedy(make_bay, tmp_path, capsys):
    frames = tmp_path / "frames"
    bay = make_bay("yard", image_provider="file", image_provider_config={"base_path": str(frames)}, camera_quorum=8)
    picture = cv2.imencode(".jpg", np.full((1080, 1920, 3), 128, np.uint8))[1].tobytes()
    for camera in bay.cameras[1:]:
        path = frames / camera.name / f"yard_{camera.name}_{datetime.now(UTC):%Y%m%d%H%M%S}.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(picture)
    assert main(["check", "yard", "--cameras", "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)["findings"]["yard"]
    assert (found["level"], found["where"]) == ("warning", f"cameras.{bay.cameras[0].name}")
    assert str(frames / bay.cameras[0].name) in found["text"]


def test_no_camera_is_asked_and_no_model_loaded_without_the_option(make_bay, monkeypatch):
    make_bay("yard")
    monkeypatch.setattr(asking.subprocess, "run", lambda *_, **__: pytest.fail("something was asked"))
    assert main(["check"]) == 0


def test_cameras_are_errors_where_the_quorum_does_not_hold(answer):
    camera = {"name": "C_2", "reason": "timed out", "detail": "10 s", "advice": "look at its power", "remarks": []}
    late = {"name": "C_4", "reason": None, "detail": "", "advice": "", "remarks": ["its clock is off"]}
    answer(1, json.dumps({"holds_quorum": False, "cameras": [camera, late]}))
    assert [str(one) for one in asking.ask_cameras("yard")] == [
        "error: cameras.C_2: timed out: 10 s: look at its power",
        "warning: cameras.C_4: its clock is off",
    ]


def test_models_that_do_not_load_or_know_other_classes(make_bay, answer, capsys):
    make_bay("yard")
    refused = CheckedModel(
        "classification", "x.pt", None, {}, (ModelFinding("error", "models.classification: x.pt is not there"),)
    )
    other = CheckedModel("yolo_detection", "y.pt", "ab", {}, (ModelFinding("warning", "knows no crane"),))
    answer(1, json.dumps({"yard": [asdict(refused), asdict(other)]}))
    assert main(["check", "yard", "--models"]) == 1
    said = capsys.readouterr().out
    assert re.search(r"error: \S+yard\.yaml:\d+: models\.classification: x\.pt is not there", said)
    assert re.search(r"warning: \S+yard\.yaml:\d+: models\.yolo_detection: knows no crane", said)


def test_a_command_that_gives_no_document_is_a_finding(answer, monkeypatch):
    answer(2, "", "no login was given\n")
    assert [str(one) for one in asking.ask_cameras("yard")] == ["error: cameras: no login was given"]

    def hangs(*_, **__):
        raise subprocess.TimeoutExpired("python", 600)

    monkeypatch.setattr(asking.subprocess, "run", hangs)
    assert "gave no answer within 600 seconds" in str(asking.ask_models("yard")[0])


def test_a_finding_of_a_key_of_the_models_is_of_that_key(answer):
    told = ModelFinding("warning", "models.class_names.Panell: no checkpoint has this class: did you mean Panel?")
    checked = CheckedModel("yolo_detection", "y.pt", "ab", {}, (told,))
    answer(0, json.dumps({"yard": [asdict(checked)]}))
    [found] = asking.ask_models("yard")
    assert (found.where, found.text) == (
        "models.class_names.Panell",
        "no checkpoint has this class: did you mean Panel?",
    )
